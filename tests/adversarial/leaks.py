"""Finds canaries where they do not belong, also where they are escaped, encoded or taken apart."""

import base64
import binascii
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from html import unescape
from urllib.parse import unquote

from tests.adversarial.world import ALPHABET, Canary

# Thousands of canaries are looked for at once: most have a shape that one pattern finds.
_SHAPES = re.compile(rf"zq[{ALPHABET}]{{8}}|cus9\d{{3}}|w7\d{{4}}")
_SHAPE_HERE = re.compile(rf"(?=({_SHAPES.pattern}))")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_SIGNS = re.compile(r"\\+[nrt]|[\W_]+")  # also the escapes of JSON
_FORMATS = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))


@dataclass(frozen=True)
class Leak:
    """A canary and the place where it should not have been."""

    canary: Canary
    where: str


class Detector:
    """Knows all canaries."""

    def __init__(self, canaries: Iterable[Canary]) -> None:
        known = {squeezed(canary.text): canary for canary in canaries}
        self._shaped = {text: canary for text, canary in known.items() if _SHAPES.fullmatch(text)}
        self._others = {text: canary for text, canary in known.items() if text not in self._shaped}

    def find(self, text: str) -> frozenset[Canary]:
        """The canaries in a text."""
        return frozenset(canary for reading in readings(text) for canary in self._in(reading))

    def _in(self, reading: str) -> Iterator[Canary]:
        found = (match[1] for match in _SHAPE_HERE.finditer(reading))
        yield from (self._shaped[text] for text in found if text in self._shaped)
        yield from (canary for text, canary in self._others.items() if text in reading)

    def leaks(self, where: str, text: str, allowed: Collection[Canary] = ()) -> Iterator[Leak]:
        """The canaries in a text that do not belong there."""
        yield from (Leak(canary, where) for canary in self.find(text) if canary not in allowed)


def readings(text: str) -> Iterator[str]:
    """The text, and what it says once its escapes are undone and its Base64 is decoded."""
    plain = unquote(unescape(text))
    yield squeezed(plain)
    for blob in _BASE64.findall(plain):
        if decoded := _decoded(blob):
            yield squeezed(decoded)


def squeezed(text: str) -> str:
    """Letters and digits alone, in one case: neither a line break nor a sign between them hides a canary."""
    normal = unicodedata.normalize("NFKC", text.translate(_FORMATS)).casefold()
    return _SIGNS.sub("", normal)


def _decoded(blob: str) -> str:
    padded = blob.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(padded + "=" * (-len(padded) % 4)).decode("utf-8", "ignore")
    except (binascii.Error, ValueError):
        return ""
