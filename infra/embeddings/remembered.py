"""An embedder that remembers: a help centre's texts, and the parts of a ticket, are asked for again and again."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from processors.ports import Embedder

Vectors = NDArray[Any]
V = TypeVar("V")

TEXTS = 16_384  # whole-text vectors kept, 1.5 kB each: about 25 MB
TOKENS = 100_000  # token vectors kept, in half precision: about 75 MB


@runtime_checkable
class TokenEmbedder(Embedder, Protocol):
    """An embedder that also gives a vector per token: tokens × dimensions a text, unit rows."""

    async def embed_tokens(self, texts: Sequence[str]) -> list[Vectors]: ...


class Remembered:
    """The vectors of the texts asked for last, in memory only: vectors of customers' words are not written down."""

    def __init__(self, embedder: TokenEmbedder, *, texts: int = TEXTS, tokens: int = TOKENS) -> None:
        self._embedder = embedder
        self._texts: _Memory[list[float]] = _Memory(texts, lambda _: 1)
        self._tokens: _Memory[Vectors] = _Memory(tokens, len)

    @property
    def name(self) -> str:
        """The name of the embedder."""
        return self._embedder.name

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        return self._embedder.dimensions

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector a text."""
        return await self._texts.of(texts, self._embedder.embed)

    async def embed_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """tokens × dimensions a text, as exact as half precision keeps them."""
        return [rows.astype(np.float32) for rows in await self._tokens.of(texts, self._in_half_precision)]

    async def _in_half_precision(self, texts: Sequence[str]) -> list[Vectors]:
        return [rows.astype(np.float16) for rows in await self._embedder.embed_tokens(texts)]


class _Memory(Generic[V]):
    """Values by text, the least recently asked for forgotten first, up to a total size."""

    def __init__(self, room: int, size: Callable[[V], int]) -> None:
        self._room, self._size = room, size
        self._kept: OrderedDict[str, V] = OrderedDict()
        self._full = 0

    async def of(self, texts: Sequence[str], make: Callable[[Sequence[str]], Awaitable[list[V]]]) -> list[V]:
        """The values of the texts, made where they are not kept."""
        known = {text: self._kept[text] for text in texts if text in self._kept}
        new = [text for text in dict.fromkeys(texts) if text not in known]
        made = dict(zip(new, await make(new), strict=True)) if new else {}
        for text in known:
            if text in self._kept:
                self._kept.move_to_end(text)
        for text, value in made.items():
            self._keep(text, value)
        return [made[text] if text in made else known[text] for text in texts]

    def _keep(self, text: str, value: V) -> None:
        if text in self._kept:  # another task made it meanwhile
            return
        self._kept[text] = value
        self._full += self._size(value)
        while self._full > self._room:
            _, forgotten = self._kept.popitem(last=False)
            self._full -= self._size(forgotten)
