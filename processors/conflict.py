"""Do two sections of the help centre disagree on a number, a date or a policy? Pure comparison, no model.

Two sentences are compared only where they speak of the same thing; then each quantity of the same kind must be able to
be true beside the other. A range holds what lies in it, "at least" and "up to" are bounds, two years are 24 months, and
a sentence that names several quantities of a kind (a table, steps, plans side by side) is left out. A sign for a
person, not a proof: it reads words, and two sections that disagree in other words pass.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import combinations, islice, product

from processors.sentences import stems
from schemas.retrieval import Passage

SHARED_WORDS = 3  # fewer common words are no common subject
LONGEST_CLAIM = 25  # words; a longer sentence says more than its "not" is about


class Bound(Enum):
    """How a quantity is meant."""

    EXACT = "exact"
    MOST = "most"  # within, up to
    LEAST = "least"  # at least, from


@dataclass(frozen=True)
class Quantity:
    """A number with what it measures: `low` to `high` of a unit, as it is shown."""

    unit: str
    low: float
    high: float
    bound: Bound
    shown: str

    def excludes(self, other: "Quantity") -> bool:
        """Whether both cannot be true of one thing."""
        if self.bound is other.bound:
            return not (self._within(other) or other._within(self))
        if Bound.EXACT in (self.bound, other.bound):
            exact, limit = (self, other) if self.bound is Bound.EXACT else (other, self)
            return exact.low > limit.high if limit.bound is Bound.MOST else exact.high < limit.low
        least, most = (self, other) if self.bound is Bound.LEAST else (other, self)
        return least.low > most.high

    def _within(self, other: "Quantity") -> bool:
        return other.low <= self.low and self.high <= other.high


@dataclass(frozen=True)
class Statement:
    """A sentence of a section: its content words without quantities, what it measures, and whether it denies."""

    words: frozenset[str]  # stems
    quantities: Mapping[str, Quantity]  # by unit, of those named once
    denies: bool
    text: str


@dataclass(frozen=True)
class Read:
    """What a section says that can be compared."""

    measured: tuple[Statement, ...]
    claims: Mapping[frozenset[str], Statement]  # by its words, of those that depend on nothing


def conflicts(passages: Sequence[Passage]) -> tuple[str, ...]:
    """Pairs of sections that cannot both be right, each by its first disagreement.

    "gift-cards#validity and faq#gift-cards disagree: 24 months, 36 months".
    """
    found = []
    for one, other in combinations(passages, 2):
        if (one.article_id, one.section_id) != (other.article_id, other.section_id):
            found += [_clash(one, other, *values) for values in islice(_disagreements(one, other), 1)]
    return tuple(found)


def _clash(one: Passage, other: Passage, value: str, another: str) -> str:
    places = [f"{passage.article_id}#{passage.section_id}" for passage in (one, other)]
    return f"{places[0]} and {places[1]} disagree: {value}, {another}"


def _disagreements(one: Passage, other: Passage) -> Iterator[tuple[str, str]]:
    mine, theirs = (read(passage.text) for passage in (one, other))
    topics = _topics(one, other)
    for this, that in product(mine.measured, theirs.measured):
        clash = _clashing(this, that)
        if clash and len(this.words & that.words) >= SHARED_WORDS and _same_subject(this, that, *topics):
            yield clash
    for words in mine.claims.keys() & theirs.claims.keys():
        this, that = mine.claims[words], theirs.claims[words]
        if this.denies is not that.denies and _same_subject(this, that, *topics):
            yield f'"{this.text}"', f'"{that.text}"'


def _topics(one: Passage, other: Passage) -> tuple[frozenset[str], frozenset[str]]:
    """What the headings of each say it is about; within an article its title tells no section from another."""
    if one.article_id == other.article_id:
        return _topic(one.heading), _topic(other.heading)
    return _topic(f"{one.title} {one.heading}"), _topic(f"{other.title} {other.heading}")


def _clashing(mine: Statement, theirs: Statement) -> tuple[str, str] | None:
    """The first quantities of one unit that exclude each other, as they are shown."""
    for unit in sorted(mine.quantities.keys() & theirs.quantities.keys()):
        if mine.quantities[unit].excludes(theirs.quantities[unit]):
            return mine.quantities[unit].shown, theirs.quantities[unit].shown
    return None


def _same_subject(mine: Statement, theirs: Statement, my_topic: frozenset[str], their_topic: frozenset[str]) -> bool:
    """Whether two sentences, each under its headings, speak of the same thing.

    Every word of the shorter stands in the other or its headings; and not both have headings of their own: "the fee is
    $95" under "Gold card" is not what "the fee is $50" under "Silver card" speaks of.
    """
    if my_topic - their_topic - theirs.words and their_topic - my_topic - mine.words:
        return False
    if len(mine.words) <= len(theirs.words):
        return mine.words <= theirs.words | their_topic
    return theirs.words <= mine.words | my_topic


# -- reading

GENERIC = stems(
    "FAQ question questions frequently asked terms conditions policy policies rules guide overview details information"
    " about help general common more"
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_NUMBER_WORDS = {
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
    "ten": "10",
    "twelve": "12",
    "fourteen": "14",
    "twenty-four": "24",
    "thirty-six": "36",
    "twenty": "20",
    "thirty": "30",
    "forty-eight": "48",
    "sixty": "60",
    "ninety": "90",
}
_WRITTEN = re.compile(rf"\b({'|'.join(_NUMBER_WORDS)})(?=[\s-]+[a-z])", re.IGNORECASE)
_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_UNITS = (
    "minute|hour|working day|business day|day|week|month|year|percent|point|inch|item|piece|card|code|time|box|mile|"
    "pound|gram|kilogram|litre|liter|metre|meter|degree|user|device|message|account|folder|mb|gb|kb|kg|cm|mm|lb|oz"
)
_SCALE = {
    "week": ("day", 7.0),
    "year": ("month", 12.0),
    "hour": ("minute", 60.0),
    "working day": ("business day", 1.0),
    "litre": ("liter", 1.0),
    "metre": ("meter", 1.0),
    "kilogram": ("kg", 1.0),
    "gb": ("mb", 1024.0),
}
_AMOUNT = r"\d[\d,]*(?:\.\d+)?"
_TO = r"\s?(?:-|–|to|and)\s?"
_BEFORE = (
    r"(?:(?P<most>up to|within|at most|no more than|not more than|no later than|maximum(?: of)?|less than|under|below)"
    r"|(?P<least>at least|no less than|minimum(?: of)?|more than|over|above|from|starting at|after))?\s*(?:the\s)?"
)
_QUANTITY = re.compile(
    rf"{_BEFORE}(?:"
    rf"(?P<currency>US\$|[$€£])\s?(?P<money>{_AMOUNT})(?:{_TO}(?:US\$|[$€£])\s?(?P<money_to>{_AMOUNT}))?"
    rf"|(?P<percent>{_AMOUNT})(?:{_TO}(?P<percent_to>{_AMOUNT}))?\s?(?:%|percent\b)"
    rf"|(?P<number>{_AMOUNT})(?:{_TO}(?P<number_to>{_AMOUNT}))?[\s-](?P<unit>{_UNITS})(?:e?s)?\b"
    rf"|(?P<month>{_MONTHS})\s(?P<day>\d{{1,2}})\b(?!,?\s?\d{{4}})"
    rf"|(?P<day_first>\d{{1,2}})\s(?P<month_last>{_MONTHS})\b"
    rf"|(?P<clock>\d{{1,2}}(?::\d\d)?)\s?(?P<half>[ap]\.?m\b\.?)"
    rf")",
    re.IGNORECASE,
)
_DENIAL = re.compile(r"\b(?:not|never|cannot|no longer)\b|n['’]t\b", re.IGNORECASE)
_DEPENDS = re.compile(
    r"\b(?:if|unless|when|whenever|until|except|without|otherwise|but|only|before|after|while|yet|once|because|so)\b|\?$",
    re.IGNORECASE,
)


@lru_cache(maxsize=4_000)
def read(text: str) -> Read:
    """The sentences of a section that can be compared; those of tables cannot."""
    prose = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("|"))
    found = [_statement(part.strip()) for part in _SENTENCE_END.split(prose) if part.strip()]
    long_enough = [each for each in found if len(each.words) >= SHARED_WORDS]
    claims = {each.words: each for each in long_enough if not (each.quantities or _depends(each.text))}
    return Read(tuple(each for each in long_enough if each.quantities), claims)


def _depends(text: str) -> bool:
    """Whether a denial in it may be about a part of it alone."""
    return bool(_DEPENDS.search(text)) or len(text.split()) > LONGEST_CLAIM


@lru_cache(maxsize=4_000)
def _topic(headings: str) -> frozenset[str]:
    return stems(headings) - GENERIC


def _statement(sentence: str) -> Statement:
    written = _WRITTEN.sub(lambda match: _NUMBER_WORDS[match[0].lower()], sentence)
    by_unit: dict[str, list[Quantity]] = {}
    for match in _QUANTITY.finditer(written):
        quantity = _quantity(match)
        by_unit.setdefault(quantity.unit, []).append(quantity)
    return Statement(
        words=stems(_DENIAL.sub(" ", _QUANTITY.sub(" ", written))),
        quantities={unit: found[0] for unit, found in by_unit.items() if len(found) == 1},
        denies=bool(_DENIAL.search(sentence)),
        text=" ".join(sentence.strip("*-# ").split()),
    )


def _quantity(match: re.Match[str]) -> Quantity:
    bound = Bound.MOST if match["most"] else Bound.LEAST if match["least"] else Bound.EXACT
    unit, low, high = _measured(match)
    start = match.end("most") if match["most"] else match.end("least") if match["least"] else match.start()
    shown = match.string[max(start, match.start()) : match.end()].strip().removeprefix("the ")
    return Quantity(unit, low, high, bound, shown)


def _measured(match: re.Match[str]) -> tuple[str, float, float]:
    """The unit and the range of a quantity: ("month", 24, 24), ("$", 4.95, 4.95), ("date", 1216, 1216)."""
    if match["money"]:
        return match["currency"][-1], *_range(match["money"], match["money_to"], 1.0)
    if match["percent"]:
        return "%", *_range(match["percent"], match["percent_to"], 1.0)
    if match["unit"]:
        unit, scale = _SCALE.get(match["unit"].lower(), (match["unit"].lower(), 1.0))
        return unit, *_range(match["number"], match["number_to"], scale)
    if match["clock"]:
        hour, _, minute = match["clock"].partition(":")
        moment = (int(hour) % 12 + 12 * (match["half"][0].lower() == "p")) * 60.0 + int(minute or 0)
        return "clock", moment, moment
    month = (match["month"] or match["month_last"]).lower()
    moment = _MONTHS.split("|").index(month) * 100.0 + 100 + int(match["day"] or match["day_first"])
    return "date", moment, moment


def _range(low: str, high: str | None, scale: float) -> tuple[float, float]:
    start = float(low.replace(",", "")) * scale
    end = float(high.replace(",", "")) * scale if high else start
    return min(start, end), max(start, end)
