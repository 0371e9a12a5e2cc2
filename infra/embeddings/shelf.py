"""Vectors of help-centre texts in files, mapped into memory: what every ticket asks for is computed once."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

INDEX = "index.json"
ROOM = 500_000  # token vectors, in half precision: 384 MB; the texts beyond keep their own vector only

Vectors = NDArray[Any]


@dataclass(frozen=True)
class _Contents:
    """The arrays, and where in them a text's vectors are."""

    wholes: Vectors  # texts × dimensions
    tokens: Vectors  # tokens of all texts × dimensions, half precision
    row: Mapping[str, int]  # by hash of the text
    span: Mapping[str, tuple[int, int]]


_EMPTY = _Contents(np.empty((0, 0), np.float32), np.empty((0, 0), np.float16), {}, {})


class Shelf:
    """One embedder's vectors of one help centre. A damaged or missing shelf is an empty one."""

    def __init__(self, folder: Path) -> None:
        """Open what is in `folder`; processes that opened it before keep what they saw."""
        self._folder = folder
        self._contents = _read(folder)

    def whole(self, text: str) -> list[float] | None:
        """A text's vector."""
        row = self._contents.row.get(_hash(text))
        if row is None:
            return None
        found: list[float] = self._contents.wholes[row].tolist()
        return found

    def tokens(self, text: str) -> Vectors | None:
        """The vectors of a text's tokens, in half precision."""
        span = self._contents.span.get(_hash(text))
        return None if span is None else np.array(self._contents.tokens[slice(*span)])

    def holds(self, texts: Collection[str], tokens: Collection[str]) -> bool:
        """Whether all of these are here, or all that there is room for."""
        known = all(_hash(text) in self._contents.row for text in texts)
        full = len(self._contents.tokens) >= ROOM
        return known and (full or all(_hash(text) in self._contents.span for text in tokens))

    def put(self, wholes: Mapping[str, list[float]], tokens: Mapping[str, Vectors]) -> None:
        """Replace what is here."""
        span, end = {}, 0
        for text, rows in tokens.items():
            if end >= ROOM:
                break
            span[_hash(text)] = (end, end + len(rows))
            end += len(rows)
        kept = [rows for rows, _ in zip(tokens.values(), span, strict=False)]
        contents = _Contents(
            np.array(list(wholes.values()), np.float32),
            np.concatenate(kept).astype(np.float16) if kept else _EMPTY.tokens,
            {_hash(text): row for row, text in enumerate(wholes)},
            span,
        )
        _write(self._folder, contents)
        self._contents = _read(self._folder)


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _read(folder: Path) -> _Contents:
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        wholes = np.load(folder / index["wholes"], mmap_mode="r", allow_pickle=False)
        tokens = np.load(folder / index["tokens"], mmap_mode="r", allow_pickle=False)
        return _Contents(
            wholes, tokens, index["row"], {key: (first, end) for key, (first, end) in index["span"].items()}
        )
    except (OSError, ValueError, KeyError, TypeError):
        return _EMPTY


def _write(folder: Path, contents: _Contents) -> None:
    """New arrays under new names, then the index that names them: a reader sees the old shelf or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    index: dict[str, object] = {"row": contents.row, "span": contents.span}
    stamp = sha256(json.dumps(index, sort_keys=True).encode() + contents.wholes.tobytes()).hexdigest()[:16]
    for name, array in (("wholes", contents.wholes), ("tokens", contents.tokens)):
        index[name] = f"{name}-{stamp}.npy"
        with (folder / f"{name}-{stamp}.part").open("wb") as part:
            np.save(part, array, allow_pickle=False)
        (folder / f"{name}-{stamp}.part").replace(folder / f"{name}-{stamp}.npy")
    (folder / f"{INDEX}.part").write_text(json.dumps(index), encoding="utf-8")
    (folder / f"{INDEX}.part").replace(folder / INDEX)
    for file in folder.glob("*.npy"):
        if file.name not in index.values():
            file.unlink(missing_ok=True)
