"""Text as rules read it: one case, one script, nothing invisible, so that a disguise changes nothing."""

import re
import unicodedata
from base64 import b64decode
from binascii import Error
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product

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
_LEETS: Mapping[int, str] = str.maketrans(_LEET)
MAX_ONES = 5  # of words like k1ll and c1ose, each read as i and as l
_SPELT = re.compile(r"(?<![a-z0-9])[a-z](?:[ .*_-]{1,3}[a-z]){3,24}(?![a-z0-9])")
_SPELT_OUT = re.compile(r"(?<![a-z0-9])[a-z](?:[ .*_-]{1,3}[a-z](?![a-z])){8}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{24,}")  # the two alphabets of RFC 4648
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
    joined = _JOINERS.sub("", _SPELT.sub(lambda match: _letters(match[0]), folded))
    parted = _JOINERS.sub("", _SPELT.sub(lambda match: _parted(_letters(match[0])), folded))
    dotted = _JOINERS.sub("", folded)  # w.o.r.d b.y w.o.r.d: read above as one long word
    return tuple(dict.fromkeys((folded, joined, parted, dotted, *_undisguised(joined))))


def spelt_out(folded: str) -> bool:
    """Whether a folded text spells more than a word letter by letter, which nobody does who wants to be read."""
    return _SPELT_OUT.search(folded) is not None


def _letters(spelt: str) -> str:
    return re.sub(r"[^a-z]", "", spelt)


def _parted(letters: str) -> str:
    """Spelt letters with "a" and "I" at either end as words of their own: "a l a w y e r" is "a lawyer"."""
    first = f"{letters[0]} " if letters[0] in "ai" else letters[0]
    last = f" {letters[-1]}" if letters[-1] in "ai" else letters[-1]
    return f"{first}{letters[1:-1]}{last}"


def _undisguised(text: str) -> Iterator[str]:
    """What the text may mean when the digits of its words that have letters too are letters; numbers stay."""
    words = [word.translate(_LEETS) if _mixed(word) else word for word in text.split(" ")]
    ones = sum(word.count("1") for word in words if _mixed(word))
    for chosen in product("il", repeat=ones) if ones <= MAX_ONES else ("i" * ones, "l" * ones):
        yield " ".join(_with_letters(words, chosen))


def _with_letters(words: Sequence[str], chosen: Iterable[str]) -> Iterator[str]:
    letters = iter(chosen)
    for word in words:
        yield "".join(next(letters) if sign == "1" else sign for sign in word) if _mixed(word) else word


def _mixed(word: str) -> bool:
    return any(map(str.isalpha, word)) and not word.isalpha()


def hidden(text: str) -> bool:
    """Whether the text carries what only hides something: tags (U+E0000 on), direction overrides, words in base64."""
    return _overlaid(text) or any(map(_readable, map(_decoded, _BASE64.findall(text))))


def _decoded(code: str) -> str:
    """The text behind a base64 code; empty where it is none."""
    plain = code.replace("-", "+").replace("_", "/")
    try:
        return b64decode(plain + "=" * (-len(plain) % 4)).decode("utf-8")
    except (Error, UnicodeDecodeError):
        return ""


def _readable(text: str) -> bool:
    return bool(text) and sum(sign.isalpha() or sign.isspace() for sign in text) >= 0.7 * len(text)


def _overlaid(text: str) -> bool:
    return any(0xE0000 <= ord(sign) <= 0xE007F or sign in "‭‮⁦⁧⁨" for sign in text)


def _visible(sign: str) -> str:
    """The sign itself, a space for control characters, nothing for format characters, 0-9 for any script's digits."""
    category = unicodedata.category(sign)
    if category == "Cf":
        return ""
    if category == "Nd":
        return str(unicodedata.digit(sign))
    return " " if category == "Cc" else sign
