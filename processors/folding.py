"""Text as rules read it: one case, one script, nothing invisible, so that a disguise changes nothing."""

import re
import unicodedata
from collections.abc import Mapping

_LOOKALIKES = str.maketrans(
    # Cyrillic, Greek and other letters that are drawn like Latin ones (Unicode TR 39, confusables), lower case
    "аеорсухіјѕһԁԛԝьвкмнтгπαεορυνικτχβγωσςηıłøđþɡƅօոսցհ‚⁄∕",
    "aeopcyxijshdqwbbkmhtrnaeopuviktxbywosnilodpgbonugh,//",
)
_SIGNS = str.maketrans(
    {"’": "'", "‘": "'", "`": "'", "´": "'", "“": '"', "”": '"', "–": "-", "—": "-", "‑": "-", "−": "-"}
)
_SPACES = re.compile(r"\s+")
_LEET = {"0": "o", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s"}
_LEET_I: Mapping[int, str] = str.maketrans(_LEET | {"1": "i"})
_LEET_L: Mapping[int, str] = str.maketrans(_LEET | {"1": "l"})
_SPELT = re.compile(r"(?<![a-z0-9])[a-z](?:[ .*_-][a-z]){3,24}(?![a-z0-9])")
_JOINERS = re.compile(r"(?<=[a-z])[.*_](?=[a-z])")


def fold(text: str) -> str:
    """Lower case, compatibility forms (NFKC), no accents, look-alike letters as Latin, no format characters."""
    visible = "".join(map(_visible, unicodedata.normalize("NFKC", text)))
    bare = "".join(
        sign for sign in unicodedata.normalize("NFKD", visible.casefold()) if not unicodedata.combining(sign)
    )
    return _SPACES.sub(" ", bare.translate(_SIGNS).translate(_LOOKALIKES)).strip()


def readings(text: str) -> tuple[str, ...]:
    """The folded text, and what its words read like when digits and signs stand for letters (l4wyer, r e f u n d)."""
    folded = fold(text)
    joined = _JOINERS.sub("", _SPELT.sub(lambda match: re.sub(r"[^a-z]", "", match[0]), folded))
    dotted = _JOINERS.sub("", folded)  # w.o.r.d b.y w.o.r.d: read above as one long word
    words = joined.split(" ")
    others = (" ".join(_undisguised(word, table) for word in words) for table in (_LEET_I, _LEET_L))
    return tuple(dict.fromkeys((folded, joined, dotted, *others)))


def _undisguised(word: str, table: Mapping[int, str]) -> str:
    """A word of letters and digits as letters; numbers, and signs at a word's end, stay."""
    return word.translate(table) if any(map(str.isalpha, word)) and not word.isalpha() else word


def hidden(text: str) -> bool:
    """Whether the text carries characters that only hide something: tags (U+E0000 on) or direction overrides."""
    return any(0xE0000 <= ord(sign) <= 0xE007F or sign in "‭‮⁦⁧⁨" for sign in text)


def _visible(sign: str) -> str:
    """The sign itself, a space for control characters, nothing for format characters, 0-9 for any script's digits."""
    category = unicodedata.category(sign)
    if category == "Cf":
        return ""
    if category == "Nd":
        return str(unicodedata.digit(sign))
    return " " if category == "Cc" else sign
