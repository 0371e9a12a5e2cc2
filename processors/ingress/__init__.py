"""The doors: one file a channel, each from what its sender delivered to one `TicketReceived`."""

import re
import unicodedata
from collections.abc import Callable

from processors.errors import Rejected
from schemas.ingress import MAX_MESSAGE_BYTES

LanguageOf = Callable[[str], str | None]  # ISO 639-1, None where unsure

# Control characters break Postgres (NUL) and terminals; lone surrogates are no Unicode text; bidirectional overrides
# and tag characters show a person another text than a model reads.
_CONTROL = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_INVISIBLE = r"\ud800-\udfff\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f"
_HIDDEN = re.compile(f"[{_CONTROL}{_INVISIBLE}]")
_BLANK = frozenset("\u2800\u115f\u1160\u3164\uffa0")  # Unicode calls them letters and a symbol; they show nothing
_BLANK_KINDS = frozenset(("Cc", "Cf", "Zs", "Zl", "Zp"))  # controls, formats such as U+200B, spaces


class Malformed(Rejected):
    """The message cannot become a ticket: `field` is what is wrong with it, never what it holds."""

    def __init__(self, field: str, fault: str) -> None:
        super().__init__(f"{field}: {fault}")
        self.field = field
        self.fault = fault


class TooLarge(Rejected):
    """The message, or a part of it, is larger than a ticket may be."""

    def __init__(self, field: str, limit: int) -> None:
        super().__init__(f"{field}: larger than {limit} bytes")
        self.field = field
        self.limit = limit  # bytes


class NotAllowed(Rejected):
    """The key may not do this."""

    def __init__(self, field: str, fault: str) -> None:
        super().__init__(f"{field}: {fault}")
        self.field = field
        self.fault = fault


def clean(text: str) -> str:
    """A text with line feeds as its only line ends, and without characters that are invisible or break a store."""
    return _HIDDEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def clean_line(text: str, limit: int) -> str:
    """A header-like text: cleaned, on one line, cut to `limit` characters."""
    return " ".join(clean(text).split())[:limit].strip()


def shows_nothing(text: str) -> bool:
    """Whether no character of the text can be seen."""
    return all(char in _BLANK or unicodedata.category(char) in _BLANK_KINDS for char in text)


def within_limit(field: str, text: str) -> str:
    """The text itself.

    Raises:
        TooLarge: it is more than an inbound message may be, in UTF-8.
    """
    if len(text.encode()) > MAX_MESSAGE_BYTES:
        raise TooLarge(field, MAX_MESSAGE_BYTES)
    return text
