"""`sluice trace`: one ticket's whole way through the topics, with times and decisions."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import typer
from rich.table import Table

from infra.kafka.history import Entry, history
from processors.outcome import BOT
from processors.reopened import CUSTOMER
from schemas.event import Event, Step
from schemas.gate import ReplyApproved, TicketEscalated
from schemas.ingress import TicketReceived
from schemas.outcome import TERMINAL, Outcome, TicketSettled
from schemas.resolution import ReplyDrafted
from schemas.retrieval import EvidenceFound
from schemas.router import TicketRouted
from sluice.queue_view import span
from sluice.reach import bootstrap
from sluice.terminal import USAGE, WRONG, AsJson, console, fail, print_json, read_settings, verbatim

BAR = 40  # columns of the waterfall
GAP = timedelta(seconds=1)  # a longer wait is told, not drawn: a day's bar hides everything else


def trace(
    ticket: Annotated[str, typer.Argument(help="The ticket's id, as the edge answered it.")],
    hours: Annotated[float, typer.Option(min=0, max=87600, help="How far back to look.")] = 24.0,
    as_json: AsJson = False,
) -> None:
    """Show a ticket's whole way: each stage's decision, where it stands on Kafka, and how long each step took.

    Examples:

      sluice trace 0d5c2f0e-3c39-5c0f-8a55-0f4b9a3c7d21

      sluice trace 0d5c2f0e-3c39-5c0f-8a55-0f4b9a3c7d21 --json
    """
    try:
        ticket_id = UUID(ticket)
    except ValueError:
        fail(f"{ticket!r} is no ticket id; it looks like 0d5c2f0e-3c39-5c0f-8a55-0f4b9a3c7d21", USAGE)
    found = history(bootstrap(read_settings()), ticket_id, datetime.now(UTC) - timedelta(hours=hours))
    if not found:
        fail(f"no record of {ticket_id} in the last {hours:g} hours; --hours looks further back", WRONG)
    if as_json:
        print_json([_as_json(entry) for entry in found])
        return
    _show_way(found)
    _show_waterfall(found)


def _as_json(entry: Entry) -> dict[str, object]:
    return {
        "at": entry.record.at.isoformat(),
        "topic": entry.record.topic,
        "partition": entry.record.partition,
        "offset": entry.record.offset,
        "reason": entry.reason,
        "event": entry.event.model_dump(mode="json") if entry.event else None,
    }


def _show_way(found: list[Entry]) -> None:
    table = Table(title=f"Ticket {found[0].ticket_id}", title_justify="left")
    for column in ("at", "where", "what"):
        table.add_column(column, overflow="fold")
    for entry in found:
        record = entry.record
        what = describe(entry.event) + (f"  ({entry.reason})" if entry.reason else "")
        table.add_row(
            f"{record.at:%H:%M:%S.%f}"[:-3], f"{record.topic}/{record.partition}@{record.offset}", verbatim(what)
        )
    console.print(table)


def describe(event: Event | None) -> str:
    """What an event says, in a line."""
    match event:
        case TicketReceived():
            proved = event.identity.value if event.identity.value else "nobody proved"
            return f"received by {event.channel.value}, {proved}: {event.subject or event.body[:60]}"
        case TicketRouted(route=route):
            why = f"; {'; '.join(route.reasons)}" if route.reasons else ""
            return f"revision {event.admission.revision}: {route.intent} ({route.confidence:.2f}) → {route.band}{why}"
        case EvidenceFound(evidence=evidence):
            found = f"{len(evidence.passages)} passages, best {evidence.best_score:.2f}; {len(evidence.facts)} facts"
            return found + (f"; {evidence.failure}" if evidence.failure else "")
        case ReplyDrafted(draft=draft):
            if draft is None:
                return f"no draft: {event.failure}"
            return f"draft of {len(draft.sentences)} sentences by {draft.model}, ${draft.cost_usd:.4f}"
        case ReplyApproved(decision=decision) | TicketEscalated(decision=decision):
            return f"{decision.disposition.value} by rule {decision.rule}: {'; '.join(decision.reasons)}"
        case TicketSettled():
            return f"{event.outcome.value} by {event.actor}" + (f": {event.reason}" if event.reason else "")
    return "nobody can read it"


def _show_waterfall(found: list[Entry]) -> None:
    for line in waterfall([entry.event for entry in found]):
        console.print(line)


def waterfall(events: Sequence[Event | None]) -> list[str]:
    """The stages' steps as bars on one scale, then what was done about the ticket afterwards, each at its time."""
    steps = max((_steps(event) for event in events), key=len, default=())
    return [*_bars(steps), *_acts(events, max((_end(step) for step in steps), default=None))]


def _bars(steps: Sequence[Step]) -> list[str]:
    start = min((step.started_at for step in steps), default=None)
    if start is None:
        return []
    total = max(*((_end(step) - start).total_seconds() * 1000 for step in steps), 1.0)
    lines = []
    for step in steps:
        begin = (step.started_at - start).total_seconds() * 1000
        offset, length = int(BAR * begin / total), max(1, int(BAR * step.took_ms / total))
        bar = " " * offset + "█" * length
        lines.append(f"{step.stage.value:>10} {bar:<{BAR + 1}} +{begin:7.1f} ms, took {step.took_ms:.1f} ms")
    return lines


def _acts(events: Sequence[Event | None], last: datetime | None) -> list[str]:
    """A line for each act, once however often it was published, and one for each wait before it."""
    told = {(act.settled_at, act.outcome): act for act in events if isinstance(act, TicketSettled) and _who(act)}
    lines = []
    for (at, outcome), act in sorted(told.items()):
        if last is not None and at - last >= GAP:
            lines.append(f"{'⋮':>10} {span((at - last).total_seconds())} later")
        lines.append(f"{outcome.value:>10} ◆ by {_who(act)}, {at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")
        last = at if last is None else max(last, at)
    return lines


def _who(settled: TicketSettled) -> str | None:
    """What kind of actor it was; None for the path itself."""
    if settled.actor == BOT:
        return None
    if settled.outcome is Outcome.REOPENED and settled.item_id is None:
        return "the customer" if settled.actor == CUSTOMER else "the helpdesk"
    return "a helpdesk outside" if settled.outcome in TERMINAL else "a person"


def _end(step: Step) -> datetime:
    return step.started_at + timedelta(milliseconds=step.took_ms)


def _steps(event: Event | None) -> tuple[Step, ...]:
    steps = getattr(event, "steps", ())
    return steps if isinstance(steps, tuple) else ()
