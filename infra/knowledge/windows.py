"""A long section as overlapping windows: an embedder reads the beginning of a text, and blurs a long one."""

import re
from collections.abc import Iterator, Sequence

WORDS, OVERLAP = 100, 25  # of a window, and of those of the one before it that it repeats; chosen in docs/retrieval.md
_END = re.compile(r"(?<=[.!?])\s+|\n+")

Words = list[str]


def windows(text: str) -> tuple[str, ...]:
    """Windows of at most 100 words, cut where sentences or lines end; nothing for a text that is no longer than one."""
    if len(text.split()) <= WORDS:
        return ()
    found: list[list[Words]] = [[]]
    for piece in _pieces(text):
        if found[-1] and _length(found[-1]) + len(piece) > WORDS:
            found.append(_repeated(found[-1], WORDS - len(piece)))
        found[-1].append(piece)
    return tuple(" ".join(word for piece in window for word in piece) for window in found)


def _pieces(text: str) -> Iterator[Words]:
    """Its sentences and lines; one that is longer than a window in parts."""
    for sentence in _END.split(text.strip()):
        words = sentence.split()
        yield from (words[start : start + WORDS] for start in range(0, len(words), WORDS))


def _repeated(window: Sequence[Words], room: int) -> list[Words]:
    """The last pieces of a window that the next one begins with; none where it has no room for them."""
    kept: list[Words] = []
    for piece in reversed(window):
        if _length(kept) + len(piece) > OVERLAP:
            break
        kept.insert(0, piece)
    return kept if _length(kept) <= room else []


def _length(pieces: Sequence[Words]) -> int:
    return sum(map(len, pieces))
