"""An embedder that remembers: a help centre's texts, and the parts of a ticket, are asked for again and again."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from infra.embeddings.shelf import Shelf
from processors.ports import Embedder

Vectors = NDArray[Any]
V = TypeVar("V")

TEXTS = 16_384  # whole-text vectors kept, 1.5 kB each: about 25 MB
TOKENS = 100_000  # token vectors kept, in half precision: about 75 MB


@runtime_checkable
class TokenEmbedder(Embedder, Protocol):
    """An embedder that also gives a vector per token: tokens × dimensions a text, unit rows."""

    async def embed_tokens(self, texts: Sequence[str]) -> list[Vectors]: ...


@dataclass(frozen=True)
class Embedding:
    """What one pass of the model over a text gives."""

    whole: list[float]  # unit vector
    tokens: Vectors  # tokens × dimensions, unit rows


class OnePass(TokenEmbedder, Protocol):
    """An embedder that gives a text's vector and those of its tokens for the price of one."""

    async def embed_both(self, texts: Sequence[str]) -> list[Embedding]: ...


class Remembered:
    """The vectors of the texts asked for last, in memory only: vectors of customers' words are not written down.

    One pass gives a text's vector and its tokens', and both are remembered. Those of the help centre are looked up on
    a shelf too, where `keep` put them. Texts that differ in white space alone are one text: MiniLM does not see the
    difference. Threads may share it.
    """

    def __init__(
        self, embedder: OnePass, *, texts: int = TEXTS, tokens: int = TOKENS, shelf: Shelf | None = None
    ) -> None:
        self._embedder = embedder
        self._shelf = shelf
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
        return await self._texts.of(_spaced(texts), self._wholes)

    async def embed_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """tokens × dimensions a text, as exact as half precision keeps them."""
        return [rows.astype(np.float32) for rows in await self._tokens.of(_spaced(texts), self._token_rows)]

    async def keep(self, texts: Sequence[str], tokens: Sequence[str]) -> None:
        """Put the vectors of `texts`, and those of the tokens of `tokens`, on the shelf, and nothing else.

        For texts of the help centre only: they are written to a file.
        """
        wanted, by_token = dict.fromkeys(_spaced([*tokens, *texts])), dict.fromkeys(_spaced(tokens))
        if self._shelf is None or self._shelf.holds(wanted, by_token):
            return
        rows = await self._tokens.of(list(by_token), self._token_rows)
        wholes = await self.embed(list(wanted))
        self._shelf.put(dict(zip(wanted, wholes, strict=True)), dict(zip(by_token, rows, strict=True)))

    async def _wholes(self, texts: Sequence[str]) -> list[list[float]]:
        find = self._shelf.whole if self._shelf else _nowhere
        return await _found_or_made(texts, find, self._whole_by_both)

    async def _token_rows(self, texts: Sequence[str]) -> list[Vectors]:
        find = self._shelf.tokens if self._shelf else _nowhere
        return await _found_or_made(texts, find, self._tokens_by_both)

    async def _whole_by_both(self, texts: Sequence[str]) -> list[list[float]]:
        made = await self._embedder.embed_both(texts)
        for text, embedding in zip(texts, made, strict=True):
            self._tokens.keep(text, embedding.tokens.astype(np.float16))
        return [embedding.whole for embedding in made]

    async def _tokens_by_both(self, texts: Sequence[str]) -> list[Vectors]:
        made = await self._embedder.embed_both(texts)
        for text, embedding in zip(texts, made, strict=True):
            self._texts.keep(text, embedding.whole)
        return [embedding.tokens.astype(np.float16) for embedding in made]


def _spaced(texts: Sequence[str]) -> list[str]:
    return [" ".join(text.split()) for text in texts]


def _nowhere(_: str) -> None:
    return None


async def _found_or_made(
    texts: Sequence[str],
    find: Callable[[str], V | None],
    make: Callable[[Sequence[str]], Awaitable[list[V]]],
) -> list[V]:
    found: Mapping[str, V] = {text: value for text in texts if (value := find(text)) is not None}
    new = [text for text in texts if text not in found]
    made = dict(zip(new, await make(new), strict=True)) if new else {}
    return [found[text] if text in found else made[text] for text in texts]


class _Memory(Generic[V]):
    """Values by text, the least recently asked for forgotten first, up to a total size."""

    def __init__(self, room: int, size: Callable[[V], int]) -> None:
        self._room, self._size = room, size
        self._kept: OrderedDict[str, V] = OrderedDict()
        self._full = 0
        self._lock = Lock()

    async def of(self, texts: Sequence[str], make: Callable[[Sequence[str]], Awaitable[list[V]]]) -> list[V]:
        """The values of the texts, made where they are not kept."""
        known = self._known(texts)
        new = [text for text in dict.fromkeys(texts) if text not in known]
        made = dict(zip(new, await make(new), strict=True)) if new else {}
        for text, value in made.items():
            self.keep(text, value)
        return [made[text] if text in made else known[text] for text in texts]

    def _known(self, texts: Sequence[str]) -> dict[str, V]:
        with self._lock:
            known = {text: self._kept[text] for text in texts if text in self._kept}
            for text in known:
                self._kept.move_to_end(text)
        return known

    def keep(self, text: str, value: V) -> None:
        """Remember a value; one that is kept already stays."""
        with self._lock:
            if text in self._kept:  # another task made it meanwhile
                return
            self._kept[text] = value
            self._full += self._size(value)
            while self._full > self._room:
                _, forgotten = self._kept.popitem(last=False)
                self._full -= self._size(forgotten)
