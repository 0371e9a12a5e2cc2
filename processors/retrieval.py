"""Evidence for a routed ticket: sections that may answer it, the proved customer's records, sources that clash."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from processors.conflict import conflicts
from processors.errors import DependencyDown, Rejected
from processors.ports import Customers, Joined, Knowledge, Spoken, Whose
from schemas.retrieval import Evidence, Fact, Passage
from schemas.router import Author, Band, TicketRouted

QUERY_CHARS = 1_200  # the embedding reads 256 tokens; more text only blurs the full-text query
BEFORE_WORDS = 60  # of each message before it that a follow-up is read with


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
    """Search the help centre and, where the channel proved the customer, their records: in one query where it can.

    A hand-over must succeed with the stores down, so for an escalated ticket an outage becomes `failure`.

    Raises:
        DependencyDown: a store does not answer, and the ticket may still be answered without a person.
    """
    found: tuple[Passage, ...] = ()
    facts: tuple[Fact, ...] = ()
    failures: list[str] = []
    query, context, whose = query_of(routed), context_of(routed), _whose(routed, policy)
    language, joined = routed.ticket.language, isinstance(knowledge, Joined)
    spoken = Spoken(language, threshold) if language else None
    try:
        if isinstance(knowledge, Joined):
            gathered = await knowledge.gather(query, context=context, at=at, limit=limit, spoken=spoken, whose=whose)
            found, facts = gathered.passages, _allowed(gathered.facts, whose)
        else:
            found = await knowledge.search(query, context=context, at=at, limit=limit, spoken=spoken)
    except (DependencyDown, Rejected) as error:
        failures.append(_failure(routed, error))
    try:
        if whose and not joined:
            facts = _allowed(await customers.facts(whose.customer_id, routed.route.intent), whose)
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


def _whose(routed: TicketRouted, policy: FactPolicy) -> Whose | None:
    """The proved customer and the kinds of their records that the intent may see; None where there are none to see."""
    kinds = policy.facts_for(routed.route.intent)
    customer = routed.admission.customer_id
    return Whose(customer, tuple(kinds)) if customer is not None and kinds else None


def _allowed(facts: Sequence[Fact], whose: Whose | None) -> tuple[Fact, ...]:
    return tuple(fact for fact in facts if whose is not None and fact.kind in whose.kinds)


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
    return _query(routed.ticket.subject, routed.ticket.body)


def context_of(routed: TicketRouted) -> str:
    """The query after what was said just before it: the customer's last message, and how the reply to it began.

    "Are those the only steps?" has no other subject. Empty for the first message of a conversation.
    """
    said = [(message.author, message.text) for message in routed.admission.transcript]
    return _in_context(query_of(routed), said)


def query_with_context(subject: str, body: str, said: Sequence[tuple[Author, str]]) -> tuple[str, str]:
    """The query and the context of a message, from what it says and what was said before it, oldest first."""
    query = _query(subject, body)
    return query, _in_context(query, said)


def _query(subject: str, body: str) -> str:
    parts = (_REPLY_PREFIX.sub("", subject).strip(), _shortened(_essence(body)))
    return "\n".join(part for part in parts if part)


def _in_context(query: str, said: Sequence[tuple[Author, str]]) -> str:
    before = (_last(said, own=True), _last(said, own=False))
    kept = [" ".join(text.split()[:BEFORE_WORDS]) for text in before if text]
    return "\n".join((*kept, query)) if kept else ""


def _last(said: Sequence[tuple[Author, str]], *, own: bool) -> str:
    texts = [text for author, text in said if (author is Author.CUSTOMER) == own]
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
