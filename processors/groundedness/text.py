"""Texts as the checks compare them: Markdown off, words stemmed, quantities in one notation."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from snowballstemmer import EnglishStemmer

# -- Markdown off

_LINK = re.compile(r"!?\[([^\[\]]{0,300})\]\([^)\s]{0,500}(?:\s\"[^\"]{0,300}\")?\)")
_MARKER = re.compile(r"^\s*(?:#{1,6}\s+|>\s?|[-*+•]\s+|\d{1,3}[.)]\s+)+")
_RULE = re.compile(r"^[\s|:-]*$")  # also the rule between a table's head and its body
_ANCHOR = re.compile(r" ?\{#[\w-]{1,200}\}$")
_EMPHASIS = re.compile(r"\*+|`+|(?<!\w)_+|_+(?!\w)|<[^<>\s][^<>]{0,300}>")
_SIGNS = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "‑": "-", "\u00ad": None})


def plain(text: str) -> str:
    """The text as it reads: no Markdown, signs and white space unified, one line."""
    return " ".join(line for line in map(_plain_line, text.splitlines()) if line)


def _plain_line(line: str) -> str:
    if _RULE.match(line):
        return ""
    bare = _ANCHOR.sub("", _MARKER.sub("", " ".join(line.split())))
    bare = _EMPHASIS.sub("", _LINK.sub(r"\1", bare)).replace("|", " ")
    return " ".join(unicodedata.normalize("NFKC", bare).translate(_SIGNS).split())


# -- the sentences of a source


@dataclass(frozen=True)
class Unit:
    """A sentence, list item or table row of a source, plain, with the line that introduces its list."""

    text: str
    lead: str = ""


_END = re.compile(r"(?<=[.!?])(?<!\b[a-zA-Z]\.[a-zA-Z]\.)(?<!\be\.g\.)(?<!\bi\.e\.)\s+(?=[\"'(]?[A-Z0-9])")
_ITEM = re.compile(r"^\s*(?:[-*+•]\s+|\d{1,3}[.)]\s+|\|)")


@lru_cache(maxsize=4_000)
def units_of(text: str) -> tuple[Unit, ...]:
    """The sentences of a Markdown text in order; joined with spaces they are its `plain` form."""
    units: list[Unit] = []
    lead = ""
    for raw in text.splitlines():
        line = _plain_line(raw)
        if not line:
            continue
        item = _ITEM.match(raw) is not None
        parts = (line,) if raw.lstrip().startswith("|") else _END.split(line)
        units += [Unit(part, lead if item else "") for part in parts]
        if not item:
            lead = parts[-1] if line.endswith(":") else ""
    return tuple(units)


def place_of(quote: str, source: str) -> tuple[Unit, ...]:
    """The units a quote stands in, whole; empty when it is not verbatim in the source, word by word."""
    wanted = plain(quote)
    if not wanted:
        return ()
    units = units_of(source)
    whole = " ".join(unit.text for unit in units)
    match = re.search(rf"(?<!\w)(?<!\d[.,]){re.escape(wanted)}(?!\w)(?![.,]\d)", whole)
    return _between(units, *match.span()) if match else ()


def _between(units: tuple[Unit, ...], start: int, end: int) -> tuple[Unit, ...]:
    touched = []
    at = 0
    for unit in units:
        if at < end and start < at + len(unit.text):
            touched.append(unit)
        at += len(unit.text) + 1
    return tuple(touched)


# -- words

_WORD = re.compile(r"[^\W_]+(?:['.][^\W_]+)*")
_STOP_WORDS = (
    "a an the this that these those it its is are was were be been being am i me my you your yours we us our they them "
    "their he him his she her and or but if then than so as at by for from in into of on onto to up with about through "
    "during until while when where which who whom whose what how why do does did can could may might must shall should "
    "will would have has had having there here also just very too such own same other each any some all both please "
    "hi hello hey dear thanks thank regards get got want need know like im ive id ll ve re s t d m"
)
_STOP = frozenset(_STOP_WORDS.split())


def words(text: str) -> list[str]:
    """The words of a plain text, lower case, in order."""
    return _WORD.findall(text.lower())


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The English stem of a lower-case word (Porter 2)."""
    return str(EnglishStemmer().stemWord(word))  # one of its own: it keeps the word it works on


@lru_cache(maxsize=4_000)
def content(text: str) -> tuple[str, ...]:
    """The stems of the words that carry meaning, in order."""
    return tuple(stem(word) for word in words(text) if word not in _STOP)


# -- quantities

_MONTH_NAMES = "january february march april may june july august september october november december"
_MONTHS = tuple(_MONTH_NAMES.split())
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|"
    r"Nov(?:ember)?|Dec(?:ember)?)"
)
_NUMBER_NAMES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_TENS = {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100}
_NUMBERS = {word: value for value, word in enumerate(_NUMBER_NAMES.split())} | _TENS
_UNITS = {"h": "hour", "hr": "hour", "min": "minute", "mins": "minute", "sec": "second", "mo": "month", "yr": "year"}
_UNIT = (
    r"(?:(?:working|business|calendar|full)[\s-])?(?:hours?|hrs?|h|minutes?|mins?|seconds?|secs?|days?|weeks?|months?|mo|"
    r"years?|yrs?|points?|items?|inch(?:es)?|in|feet|foot|ft|cm|mm|km|m|miles?|kg|g|lbs?|pounds?|oz|ounces?|grams?|"
    r"litres?|liters?|ml|l|degrees?|times?|characters?|digits?|mb|gb|kb|tb|users?|devices?|accounts?|messages?)"
)
_N = r"\d{1,40}(?:[.,'’\u00a0]\d{1,40}){0,8}"  # bounded, as all below: a ticket may be made to take long
_WORDED = "|".join(word for word in _NUMBERS if word not in {"zero", "one"})
_QUANTITY = re.compile(
    rf"""
    (?P<email>[\w.+-]{{1,64}}@[\w-]{{1,63}}(?:\.[\w-]{{1,63}}){{1,8}})
    | (?P<url>(?:https?://|www\.)[^\s)>\]"]{{1,500}}
              | \b[a-z0-9-]{{1,63}}(?:\.[a-z0-9-]{{1,63}}){{1,8}}/[^\s)>\]"]{{0,500}})
    | (?P<iso>\b\d{{4}}-\d{{2}}-\d{{2}}\b)
    | (?P<month_day>\b{_MONTH}\.?\s\d{{1,2}}(?!\d)(?:st|nd|rd|th)?(?:,?\s\d{{4}}\b)?)
    | (?P<day_month>\b\d{{1,2}}(?:\.|(?:st|nd|rd|th)?(?:\sof)?)\s{_MONTH}\b(?:\s\d{{4}}\b)?)
    | (?P<time>\b\d{{1,2}}:\d{{2}}(?:\s?[ap]\.?m\b\.?)? | \b\d{{1,2}}\s?[ap]\.?m\b\.?)
    | (?P<money>[$€£]\s?{_N} | \b(?:USD|EUR|GBP)\s?{_N}
               | {_N}\s?(?:[$€£]|(?:USD|EUR|GBP|dollars?|euros?|pounds\ssterling)\b))
    | (?P<percent>{_N}\s?(?:%|percent\b|per\scent\b))
    | (?P<version>\bv\d{{1,9}}(?:\.\d{{1,9}}){{0,8}}\b | \b\d{{1,9}}(?:\.\d{{1,9}}){{2,8}}\b)
    | (?P<measure>\b(?:{_N}|{_WORDED}|one)[\s-]?{_UNIT}\b)
    | (?P<code>\b(?=[\w-]{{0,40}}\d)(?=[\w-]{{0,40}}[A-Za-z])[A-Za-z0-9]{{1,40}}(?:-[A-Za-z0-9]{{1,40}}){{0,8}}\b)
    | (?P<number>(?<![\w.,]){_N})
    | (?P<worded>\b(?:{_WORDED})\b)
    | (?P<weekday>\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?\b)
    | (?P<month>\b(?:January|February|April|June|July|August|September|October|November|December)\b)
    """,
    re.VERBOSE | re.IGNORECASE,
)


def numeral(word: str) -> str:
    """A number's name in digits; any other word as it is."""
    return str(_NUMBERS.get(word, word))


@lru_cache(maxsize=20_000)
def quantities(text: str) -> tuple[str, ...]:
    """The numbers, dates, amounts, measures, codes, addresses of a plain text, each in one notation, in order."""
    found: list[str] = []
    for match in _QUANTITY.finditer(text):
        kind = match.lastgroup or "number"
        found += _NOTATION[kind](match.group(0))
    return tuple(found)


def _decimal(text: str) -> str:
    """ "1,250.00", "1.250,00" and "1250" are all "1250". A single sign before three digits parts thousands."""
    digits = re.sub(r"['’\u00a0]", "", text)
    last = max(digits.rfind("."), digits.rfind(","))
    if last >= 0 and (len(digits) - last - 1 != 3 or len(set(re.findall(r"[.,]", digits))) == 2):
        digits = re.sub(r"[.,]", "", digits[:last]) + "." + digits[last + 1 :]
    else:
        digits = re.sub(r"[.,]", "", digits)
    try:
        return format(Decimal(digits).normalize(), "f")
    except InvalidOperation:
        return text


def _number(text: str) -> list[str]:
    return [_decimal(text)]


def _worded(text: str) -> list[str]:
    return [str(_NUMBERS[text.lower()])]


def _money(text: str) -> list[str]:
    sign = next((code for mark, code in _CURRENCIES if mark in text.lower()), "$")
    number = re.search(_N, text)
    return [f"{sign}{_decimal(number.group(0))}"] if number else [text]


_CURRENCIES = (("€", "€"), ("eur", "€"), ("£", "£"), ("gbp", "£"), ("sterling", "£"))


def _percent(text: str) -> list[str]:
    number = re.search(_N, text)
    return [f"{_decimal(number.group(0))}%"] if number else [text]


def _measure(text: str) -> list[str]:
    match = re.match(rf"({_N}|[a-z]+)[\s-]?(.+)", text.lower())
    if match is None:
        return [text]
    number, unit = match.groups()
    value = str(_NUMBERS[number]) if number in _NUMBERS else _decimal(number)
    kind = " ".join(_UNITS.get(part, stem(part)) for part in re.split(r"[\s-]", unit))
    return [f"{value} {kind}"]


def _iso(text: str) -> list[str]:
    year, month, day = text.split("-")
    return [f"{int(month)}/{int(day)}", year]


def _date(text: str) -> list[str]:
    name = re.search(_MONTH, text, re.IGNORECASE)
    day = re.search(r"\b\d{1,2}(?!\d)", text)
    year = re.search(r"\d{4}", text)
    if name is None or day is None:
        return [text]
    month = next(at for at, full in enumerate(_MONTHS, 1) if full.startswith(name.group(0).lower()[:3]))
    return [f"{month}/{int(day.group(0))}", *([year.group(0)] if year else [])]


def _time(text: str) -> list[str]:
    hour, minute = re.search(r"(\d{1,2})(?::(\d{2}))?", text).groups()  # type: ignore[union-attr]
    late = "p" in text.lower() and int(hour) < 12
    return [f"{int(hour) + 12 * late:02d}:{minute or '00'}"]


def _address(text: str) -> list[str]:
    return [re.sub(r"^(?:https?://)?(?:www\.)?", "", text.lower().rstrip(".,;:!?'/"))]


def _lower(text: str) -> list[str]:
    return [text.lower()]


_NOTATION: dict[str, Callable[[str], list[str]]] = {
    "email": _address,
    "url": _address,
    "iso": _iso,
    "month_day": _date,
    "day_month": _date,
    "time": _time,
    "money": _money,
    "percent": _percent,
    "version": lambda text: [text.lower().removeprefix("v")],
    "measure": _measure,
    "code": _lower,
    "number": _number,
    "worded": _worded,
    "weekday": lambda text: [text.lower().removesuffix("s")],
    "month": _lower,
}
