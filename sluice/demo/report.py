"""The demo's report: what became of its tickets, as figures in a file, as tables, and by example."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from evals.dataset import LabelledTicket, Suite
from evals.outcome import by_channel, by_intent, rates
from evals.prediction import Prediction, answer_of, label_of, predicted
from evals.scorers import quality
from loadtest.measure import Run, summarise
from schemas.gate import Disposition, ReplyApproved, TicketEscalated
from schemas.ingress import TicketReceived
from schemas.outcome import Outcome
from sluice.demo.follow import Seen
from sluice.demo.stack import Stack
from sluice.figures import show_channels, show_intents, show_quality, show_ticket
from sluice.terminal import console

Pairs = list[tuple[Prediction, LabelledTicket]]


@dataclass(frozen=True)
class Report:
    """What became of a demo's tickets."""

    figures: dict[str, Any]  # report.json
    pairs: Pairs
    faults: str | None  # what must never happen and did, in words


def report(stack: Stack, suite: Suite, tickets: Sequence[LabelledTicket], seen: Seen, took: float) -> Report:
    """Count what was seen; `took` in seconds."""
    ours = set(seen.accepted.values())
    accepted = {ticket: seen.received[ticket] for ticket in ours if ticket in seen.received}
    outcomes = [event for event in seen.outcomes if event.ticket_id in ours]
    counted = summarise(accepted, outcomes, _replies(stack, ours))
    counted = replace(counted, tickets=len(ours), lost=len(ours - seen.settled))
    pairs = _pairs(tickets, seen)
    return Report(_figures(stack, suite, counted, pairs, took), pairs, _faults(counted, len(tickets) - len(ours)))


def _faults(counted: Run, stuck: int) -> str | None:
    if not (counted.lost or counted.double_sent or stuck):
        return None
    return f"{counted.lost} lost, {counted.double_sent} sent twice, {stuck} never accepted"


def write(stack: Stack, found: Report) -> Path:
    """Keep the figures in the demo's home; the file."""
    path = Path(stack.settings.home) / "report.json"
    path.write_text(json.dumps(found.figures, indent=2, default=str) + "\n")
    return path


def _pairs(tickets: Sequence[LabelledTicket], seen: Seen) -> Pairs:
    """What the gate decided on each ticket; auto only where the reply really went out."""
    sent = {event.ticket_id for event in seen.outcomes if event.outcome is Outcome.SENT}
    pairs = []
    for label in tickets:
        event = seen.gated.get(seen.accepted.get(label.id, UUID(int=0)))
        if event is None:
            continue
        row = predicted(label.id, event, _latency(event.ticket, seen))
        if row.disposition == Disposition.AUTO.value and event.ticket.ticket_id not in sent:
            row = row.model_copy(update={"disposition": Disposition.SUGGEST.value})
        pairs.append((row, label))
    return pairs


def _latency(ticket: TicketReceived, seen: Seen) -> float:
    ends = [event.settled_at for event in seen.outcomes if event.ticket_id == ticket.ticket_id]
    return (min(ends) - ticket.received_at).total_seconds() * 1000 if ends else 0.0


def _replies(stack: Stack, ours: set[UUID]) -> list[str]:
    """The key of every reply the recorded helpdesk received, read as the auditor."""
    url = stack.settings.database_url_for("auditor", stack.services.postgres.owner_url)
    with psycopg.connect(url) as connection:
        rows = connection.execute("select key, ticket_id from helpdesk_delivery where act = 'reply'").fetchall()
    return [key for key, ticket in rows if ticket in ours]


def _figures(stack: Stack, suite: Suite, counted: Run, pairs: Pairs, took: float) -> dict[str, Any]:
    settings = stack.settings
    return {
        "suite": suite.name,
        **asdict(counted),
        **rates(quality((answer_of(row), label_of(label)) for row, label in pairs)),
        "groundedness_by": "verifier",
        "intents": by_intent(pairs),
        "channels": by_channel(pairs),
        "broker": stack.services.kafka.kind,
        "postgres": "embedded" if stack.services.postgres.local else "configured",
        "models": {
            "router": settings.model_router,
            "commodity": settings.model_commodity,
            "frontier": settings.model_frontier,
        },
        "trained_on": stack.prepared.trained_on,
        "seconds": round(took, 1),
    }


def show(stack: Stack, suite: Suite, found: Report, seen: Seen) -> None:
    """The tables, and a telling ticket of each disposition."""
    figures = found.figures
    console.print(
        f"\n[bold]{suite.name}[/]: the table shows the held-out half of the customers; "
        f"trained on {stack.prepared.trained_on}",
        highlight=False,
    )
    show_intents(figures["intents"])
    show_channels(figures["channels"])
    show_quality(figures)
    console.print(
        f"settled {figures['settled']} of {figures['tickets']}; lost {figures['lost']}, "
        f"sent twice {figures['double_sent']}, dead {figures['dead']}, parked {figures['parked']}"
    )
    for disposition, title in (
        (Disposition.AUTO, "sent by itself"),
        (Disposition.SUGGEST, "suggested, waits for an agent"),
        (Disposition.HANDOFF, "handed over"),
    ):
        example = _example(disposition, found.pairs, seen)
        if example is not None:
            show_ticket(title, example)


def _example(disposition: Disposition, pairs: Pairs, seen: Seen) -> ReplyApproved | TicketEscalated | None:
    """A telling ticket of this disposition: with a transcript and sources, else with sources."""
    events = [seen.gated[seen.accepted[label.id]] for row, label in pairs if row.disposition == disposition.value]
    return max(events, key=_telling, default=None)


def _telling(event: ReplyApproved | TicketEscalated) -> tuple[bool, bool, bool, int]:
    """How much of its way a ticket shows: an agent is handed the conversation so far, and what there is to cite."""
    transcript, sources = bool(event.admission.transcript), len(event.evidence.passages)
    return transcript and sources > 0, sources > 0, event.draft is not None, sources
