"""Golden cases out of people's edits: proposed by an edit, accepted or rejected by a named person, exported as tickets.

What customers wrote stays in the deployment: decisions are kept in one file of its home, and leave it by export alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from evals.dataset import ExpectedSource, LabelledTicket, Turn
from evals.kept import keep_row, read_kept
from evals.pilot import Ending, ending_of
from evals.scorers import contains
from processors.edits import facts_of
from processors.ports import Handled
from processors.queue import case_of
from schemas.event import Aware, Value
from schemas.gate import TicketEscalated
from schemas.ingress import Channel
from schemas.outcome import Outcome
from schemas.resolution import Sentence
from schemas.router import Band

PREFIX = "golden-"
AS_CHANNEL = {Channel.CHAT: "chat", Channel.WHATSAPP: "chat", Channel.EMAIL: "email"}  # others: api


class Status(StrEnum):
    """Where a case stands."""

    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class GoldenError(ValueError):
    """A case cannot be kept so; the message says what to change."""


@dataclass(frozen=True)
class Proposal:
    """A ticket whose draft a person edited, with what their edit says a right answer is."""

    ticket: LabelledTicket  # without a band: nobody has said yet whether it may be answered without a person
    draft: str
    kind: Ending  # what the edit changed
    agent: str  # who edited
    at: Aware


class Decided(Value):
    """A person's word on a proposal; a later one on the same case replaces it."""

    case: str  # the ticket's id among the golden cases
    status: Status
    by: str
    at: Aware
    note: str = ""
    ticket: LabelledTicket | None = None  # as it was accepted


def proposals(handled: Iterable[Handled]) -> list[Proposal]:
    """A proposal for each edit that changes more than spaces, in the order of the edits; the last of a revision."""
    found = {found.ticket.id: found for each in handled if (found := proposal(each)) is not None}
    return list(found.values())


def proposal(handled: Handled) -> Proposal | None:
    """The golden case that an edit proposes; None where the act is no edit of a draft."""
    act, case = handled.act, case_of(handled.event)
    event, draft = case.event, case.draft
    if act.outcome is not Outcome.EDITED or draft is None or not isinstance(event, TicketEscalated) or not act.text:
        return None
    kind = ending_of(act, draft)
    if kind is Ending.UNCHANGED:
        return None
    ticket = event.ticket
    proved = event.admission.customer_id
    labelled = LabelledTicket(
        id=f"{PREFIX}{ticket.ticket_id}-{event.admission.revision}",
        channel=AS_CHANNEL.get(ticket.channel, "api"),
        created_at=ticket.received_at.isoformat(),
        subject=ticket.subject,
        body=ticket.body or ticket.body_full,
        thread=tuple(Turn(speaker=message.author.value, text=message.text) for message in event.admission.transcript),
        customer_id=proved,
        proved=proved is not None,
        intent_label=event.route.intent,
        expected_sources=_kept_sources(case.sentences, act.text),
        expected_facts=new_facts(draft, act.text),
        expected_answer=act.text,
        traits=("edited", kind.value),
    )
    return Proposal(ticket=labelled, draft=draft, kind=kind, agent=act.actor, at=act.settled_at)


def _kept_sources(sentences: Sequence[Sentence], text: str) -> tuple[ExpectedSource, ...]:
    """The sources of the sentences that the person left as they were: of the others none is known to be right."""
    kept = (sentence.citation for sentence in sentences if sentence.citation and sentence.text in text)
    named = dict.fromkeys((cited.article_id, cited.section_id) for cited in kept)
    return tuple(ExpectedSource(article_id=article, section_id=section) for article, section in named)


def new_facts(draft: str, text: str) -> tuple[str, ...]:
    """The numbers, dates, amounts and addresses that the person put in: a right answer has them."""
    return tuple(sorted(fact for fact in facts_of(text).named - facts_of(draft).named if contains(text, fact)))


@dataclass(frozen=True)
class Label:
    """What a person says of a case as they accept it; None leaves what the edit proposes."""

    band: Band
    intent: str | None = None
    sources: Sequence[str] | None = None  # article or article#section, or crm:kind/id
    facts: Sequence[str] | None = None


def accept(proposed: Proposal, label: Label, *, by: str, at: Aware, note: str = "") -> Decided:
    """The case as a person accepts it.

    Raises:
        GoldenError: a fact does not stand in the answer, or a source has no name.
    """
    ticket = proposed.ticket
    facts = ticket.expected_facts if label.facts is None else tuple(label.facts)
    answer = ticket.expected_answer or ""
    if missing := [fact for fact in facts if not contains(answer, fact)]:
        raise GoldenError(f"the answer does not say {missing[0]!r}")
    sources = ticket.expected_sources if label.sources is None else tuple(map(_source, label.sources))
    accepted = ticket.model_copy(
        update={
            "expected_band": label.band,
            "must_not_auto": label.band is not Band.AUTO,
            "intent_label": label.intent or ticket.intent_label,
            "expected_sources": sources,
            "expected_facts": facts,
        }
    )
    return Decided(case=ticket.id, status=Status.ACCEPTED, by=by, at=at, note=note, ticket=accepted)


def reject(proposed: Proposal, *, by: str, at: Aware, note: str = "") -> Decided:
    """The case as a person rejects it."""
    return Decided(case=proposed.ticket.id, status=Status.REJECTED, by=by, at=at, note=note)


def _source(name: str) -> ExpectedSource:
    article, _, section = name.partition("#")
    if not article.strip():
        raise GoldenError(f"{name!r} names no article: use article#section")
    return ExpectedSource(article_id=article.strip(), section_id=section.strip() or None)


class GoldenFile:
    """The decisions of a deployment."""

    def __init__(self, path: Path) -> None:
        """Read what is there.

        Raises:
            GoldenError: a line is no decision.
        """
        self.path = path
        try:
            self.decided = {row.case: row for row in read_kept(path, Decided)}
        except ValueError as error:
            raise GoldenError(str(error)) from None

    def add(self, row: Decided) -> None:
        """Keep a decision."""
        keep_row(self.path, row)
        self.decided[row.case] = row

    def status(self, case: str) -> Status:
        """Where a case stands."""
        row = self.decided.get(case)
        return row.status if row else Status.PROPOSED

    def accepted(self) -> list[LabelledTicket]:
        """The golden cases, as tickets of a suite."""
        return [row.ticket for row in self.decided.values() if row.ticket and row.status is Status.ACCEPTED]


def exported(tickets: Iterable[LabelledTicket], split: str) -> str:
    """Tickets as the lines of `tickets_<split>.jsonl`."""
    rows = (ticket.model_copy(update={"split": split}) for ticket in tickets)
    return "".join(row.model_dump_json(exclude_defaults=True) + "\n" for row in rows)
