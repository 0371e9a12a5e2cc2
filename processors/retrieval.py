"""Evidence for a routed ticket: sections that may answer it, the proved customer's records, sources that clash."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import combinations, islice, product
from typing import Protocol

from processors.errors import DependencyDown, Rejected
from processors.ports import Customers, Knowledge
from processors.sentences import stems
from schemas.retrieval import Evidence, Fact, Passage
from schemas.router import Author, Band, TicketRouted

QUERY_CHARS = 1_200  # the embedding reads 256 tokens; more text only blurs the full-text query
BEFORE_WORDS = 60  # of each message before it that a follow-up is read with
SHARED_WORDS = 4  # fewer common words are no common subject


class FactPolicy(Protocol):
    """Which kinds of records an intent may see (`processors.policy.Policy`)."""

    def facts_for(self, intent: str) -> tuple[str, ...]: ...


async def retrieve(  # noqa: PLR0913 - two ports, the policy and three values of the configuration
    routed: TicketRouted,
    *,
    knowledge: Knowledge,
    customers: Customers,
    policy: FactPolicy,
    threshold: float,
    limit: int,
    at: datetime,
) -> Evidence:
    """Search the help centre and, where the channel proved the customer, their records.

    A hand-over must succeed with the stores down, so for an escalated ticket an outage becomes `failure`.

    Raises:
        DependencyDown: a store does not answer, and the ticket may still be answered without a person.
    """
    found: tuple[Passage, ...] = ()
    facts: tuple[Fact, ...] = ()
    failures: list[str] = []
    try:
        found = await knowledge.search(query_of(routed), context=context_of(routed), at=at, limit=limit)
    except (DependencyDown, Rejected) as error:
        failures.append(_failure(routed, error))
    try:
        facts = await _facts(routed, customers, policy)
    except (DependencyDown, Rejected) as error:
        failures.append(_failure(routed, error))
    passages = tuple(passage for passage in found if passage.score >= threshold)
    return Evidence(
        passages=passages,
        facts=facts,
        conflicts=conflicts(found) if passages else (),  # also with a section just below the threshold
        best_score=max((passage.score for passage in found), default=0.0),
        failure="; ".join(failures) or None,
    )


def _failure(routed: TicketRouted, error: DependencyDown | Rejected) -> str:
    if isinstance(error, DependencyDown) and routed.route.band is not Band.ESCALATE:
        raise error
    return str(error)


async def _facts(routed: TicketRouted, customers: Customers, policy: FactPolicy) -> tuple[Fact, ...]:
    kinds = policy.facts_for(routed.route.intent)
    if routed.admission.customer_id is None or not kinds:
        return ()
    facts = await customers.facts(routed.admission.customer_id, routed.route.intent)
    return tuple(fact for fact in facts if fact.kind in kinds)


# -- what to search for

_GREETING = re.compile(
    r"^(hi|hello|hey|hiya|howdy|dear|good (morning|afternoon|evening|day)|greetings|morning|to whom it may concern)"
    r"\b[^.!?\n]{0,40}?([,.!:\n]+|$)\s*",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"^((many |best |kind |warm )?(thanks|thank you|thx|regards|wishes|cheers)|sincerely|yours|best)\b.{0,60}$",
    re.IGNORECASE,
)
_REPLY_PREFIX = re.compile(r"^((re|fwd?|aw|wg)\s*:\s*)+", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


def query_of(routed: TicketRouted) -> str:
    """What to search the help centre for: the subject and the stripped body without greeting and closing.

    Of a long body the paragraphs from the start are kept, and its questions wherever they stand: the
    question often comes last.
    """
    subject = _REPLY_PREFIX.sub("", routed.ticket.subject).strip()
    body = _essence(routed.ticket.body)
    return "\n".join(part for part in (subject, _shortened(body)) if part)


def context_of(routed: TicketRouted) -> str:
    """The query after what was said just before it: the customer's last message, and how the reply to it began.

    "Are those the only steps?" has no other subject. Empty for the first message of a conversation.
    """
    before = (_last(routed, own=True), _last(routed, own=False))
    said = [" ".join(text.split()[:BEFORE_WORDS]) for text in before if text]
    return "\n".join((*said, query_of(routed))) if said else ""


def _last(routed: TicketRouted, *, own: bool) -> str:
    texts = [m.text for m in routed.admission.transcript if (m.author is Author.CUSTOMER) == own]
    return _essence(texts[-1]) if texts else ""


def _essence(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines()]
    lines = [line for line in lines if line and not _CLOSING.match(line)]
    return _GREETING.sub("", "\n".join(lines), count=1) or "\n".join(lines)


def _shortened(text: str) -> str:
    if len(text) <= QUERY_CHARS:
        return text
    parts = [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]
    kept = {place for place, part in enumerate(parts) if part.endswith("?")}
    room = QUERY_CHARS - sum(len(parts[place]) + 1 for place in kept)
    for place, part in enumerate(parts):
        room -= 0 if place in kept else len(part) + 1
        if room < 0:
            break
        kept.add(place)
    return " ".join(parts[place] for place in sorted(kept))[:QUERY_CHARS]


# -- sources that disagree


@dataclass(frozen=True)
class Statement:
    """A sentence of a section that names quantities: its words without them, and the values by unit."""

    words: frozenset[str]  # stems
    values: dict[str, frozenset[str]]  # unit -> the numbers as written, "24"
    shown: dict[str, str]  # unit -> "24 months"


_UNITS = (
    "minute|hour|working day|business day|day|week|month|year|percent|point|inch|item|piece|card|code|time|box|mile|"
    "pound|gram|kilogram|litre|liter|metre|meter|degree|user|device|message|account|folder|mb|gb|kb|kg|cm|mm|lb|oz"
)
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_QUANTITY = re.compile(
    rf"(?P<money>[$€£]\s?\d[\d,]*(?:\.\d+)?)|(?P<percent>\d+(?:\.\d+)?)\s?(?:%|percent)"
    rf"|(?P<number>\d[\d,]*(?:\.\d+)?)[\s-](?P<unit>{_UNITS})e?s?\b"
    rf"|(?P<month>{_MONTHS}) (?P<day>\d{{1,2}})\b",
    re.IGNORECASE,
)


def conflicts(passages: Sequence[Passage]) -> tuple[str, ...]:
    """Pairs of sentences of different sections that say the same of the same thing, but with another number.

    Two sentences speak of the same thing when every content word of the shorter one (its numbers aside) stands
    in the other, or in the other's headings: "standard delivery costs" and "express delivery costs" do not.
    Sentences that name several values of one unit, and tables, are left out. A sign for a person, not a proof.
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
    topics = [stems(f"{passage.title} {passage.heading}") for passage in (one, other)]
    for mine, theirs in product(_statements(one.text), _statements(other.text)):
        unit = _disagreed_unit(mine, theirs)
        if unit and _same_subject(mine, theirs, *topics):
            yield mine.shown[unit], theirs.shown[unit]


def _disagreed_unit(mine: Statement, theirs: Statement) -> str | None:
    units = mine.values.keys() & theirs.values.keys()
    single = [unit for unit in sorted(units) if len(mine.values[unit]) == len(theirs.values[unit]) == 1]
    return next((unit for unit in single if mine.values[unit] != theirs.values[unit]), None)


def _same_subject(mine: Statement, theirs: Statement, my_topic: frozenset[str], their_topic: frozenset[str]) -> bool:
    shared = mine.words & theirs.words
    if len(shared) < SHARED_WORDS:
        return False
    if len(mine.words) <= len(theirs.words):
        return mine.words <= theirs.words | their_topic
    return theirs.words <= mine.words | my_topic


@lru_cache(maxsize=4_000)
def _statements(text: str) -> tuple[Statement, ...]:
    prose = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("|"))
    return tuple(statement for part in _SENTENCE_END.split(prose) if (statement := _statement(part)))


def _statement(sentence: str) -> Statement | None:
    values: dict[str, set[str]] = {}
    shown: dict[str, str] = {}
    for match in _QUANTITY.finditer(sentence):
        unit, value = _measured(match)
        values.setdefault(unit, set()).add(value)
        shown[unit] = match.group(0)
    if not values:
        return None
    words = stems(_QUANTITY.sub(" ", sentence))
    return Statement(words, {unit: frozenset(numbers) for unit, numbers in values.items()}, shown)


def _measured(match: re.Match[str]) -> tuple[str, str]:
    """The unit and the value of a quantity: ("month", "24"), ("$", "4.95"), ("date", "december 16")."""
    if money := match["money"]:
        return money[0], _plain(money[1:])
    if match["percent"]:
        return "%", _plain(match["percent"])
    if match["month"]:
        return "date", f"{match['month'].lower()} {match['day']}"
    return match["unit"].lower(), _plain(match["number"])


def _plain(number: str) -> str:
    """A number without grouping, and without a fraction of zero: "$1,250.00" and "$1250" are the same."""
    return number.strip().replace(",", "").removesuffix(".00")
