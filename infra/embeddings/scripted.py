"""An embedder without a model: hashed words, the same on every machine, for tests and load tests."""

import re
from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from infra.embeddings.remembered import Embedding

WORD = re.compile(r"\w+")

Vectors = NDArray[np.float32]


class HashingEmbedder:
    """Texts that share words are near, others are not; nothing is known of meaning (Weinberger et al. 2009)."""

    name = "scripted/hashing"

    def __init__(self, dimensions: int = 384) -> None:
        self.dimensions = dimensions

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector a text."""
        rows: list[list[float]] = self.vectors(texts).tolist()
        return rows

    async def embed_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """One unit vector a word, texts as lists of rows."""
        return self.token_vectors(texts)

    async def embed_both(self, texts: Sequence[str]) -> list[Embedding]:
        """What `embed` and `embed_tokens` give."""
        wholes, tokens = self.vectors(texts).tolist(), self.token_vectors(texts)
        return [Embedding(whole, rows) for whole, rows in zip(wholes, tokens, strict=True)]

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """texts × dimensions, unit rows."""
        return np.array([self._vector(text) for text in texts], np.float32).reshape(-1, self.dimensions)

    def token_vectors(self, texts: Sequence[str]) -> list[Vectors]:
        """words × dimensions a text, unit rows."""
        return [self.vectors(WORD.findall(text)) for text in texts]

    def _vector(self, text: str) -> Vectors:
        vector = np.zeros(self.dimensions, np.float32)
        for word in WORD.findall(text.casefold()) or [""]:
            place = crc32(word.encode())
            vector[place % self.dimensions] += 1.0
        return vector / np.linalg.norm(vector)
