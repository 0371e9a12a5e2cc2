"""`sluice demo`: the whole path on this machine, over a suite of labelled tickets, as its users would see it."""

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import psycopg
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from evals.dataset import LabelledTicket, Suite, as_request, halves
from evals.outcome import by_intent, rates
from evals.prediction import Prediction, answer_of, label_of, predicted
from evals.scorers import quality
from infra.embeddings.remembered import TokenEmbedder
from infra.kafka.local import KafkaFailed, KafkaUnavailable
from infra.kafka.reader import Reader
from infra.kafka.security import Brokers
from infra.postgres.local import PostgresFailed
from infra.settings import Settings, SettingsError, load_settings
from infra.wiring import embedder_of
from loadtest.measure import Run, summarise
from loadtest.traffic import Accepted, Posting, Refused, post, renewed
from schemas.codec import EVENT_ON, Undecodable, decode
from schemas.control import Scope, SwitchState
from schemas.event import Event
from schemas.gate import Disposition, ReplyApproved, TicketEscalated
from schemas.ingress import TicketReceived
from schemas.outcome import TERMINAL, Outcome, TicketSettled
from schemas.topics import STAGES, Topic, dead_topic
from sluice.figures import show_intents, show_quality, show_ticket
from sluice.reach import api_keys, edge_url
from sluice.stack import Services, StackFailed, ensure_key, start_processes, start_services, stop_processes
from sluice.suite import SHOP, Prepared, load, open_suite, prepare, settings_of
from sluice.switch import set_switch
from sluice.terminal import DOWN, USAGE, WRONG, console, fail, read_settings
from sluice.terminal import run as run_async

RATE = 25.0  # tickets a second
QUIET = 45.0  # seconds without news after which what is missing counts as lost
FOLLOWED = (Topic.INBOUND, Topic.ROUTER, Topic.RETRIEVAL, Topic.RESOLUTION, Topic.OUTCOME)
LEFT_THE_GATE = (Topic.AUTO_SEND, Topic.ESCALATION)


@dataclass
class Seen:
    """What the topics have said so far."""

    accepted: dict[str, UUID] = field(default_factory=dict)  # label id → ticket id
    received: dict[UUID, datetime] = field(default_factory=dict)
    tickets: dict[str, set[UUID]] = field(default_factory=dict)  # topic → tickets on it
    outcomes: list[TicketSettled] = field(default_factory=list)
    gated: dict[UUID, ReplyApproved | TicketEscalated] = field(default_factory=dict)  # first decision of each

    @property
    def settled(self) -> set[UUID]:
        """Tickets with a terminal event."""
        return {event.ticket_id for event in self.outcomes if event.outcome in TERMINAL}


def demo(
    data: Annotated[str, typer.Option(help="A suite folder, or `shop`, the demo company.")] = SHOP,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N tickets of the held-out half.")] = None,
    once: Annotated[
        bool, typer.Option("--once", envvar="ONCE", help="End after the table, also on a terminal.")
    ] = False,
    rate: Annotated[float, typer.Option(min=0.1, help="Tickets a second.")] = RATE,
) -> None:
    """Start everything, send a suite's tickets through the edge, show what became of them.

    Exit code 1 if anything was lost, sent twice or stuck. The figures stand in var/demo/report.json.

    Examples:

      sluice demo

      sluice demo --data ../shared/evaldata/thunderbird --limit 150
    """
    began = time.monotonic()
    suite = open_suite(data)
    tickets = halves(suite).held_out[:limit]
    if not tickets:
        fail(f"{data}: the held-out half has no tickets", USAGE)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    settings = _home(suite)
    try:
        with _stack(settings, suite) as stack:
            seen = run_async(_send(stack, suite, tickets, rate))
            code = _report(stack, suite, tickets, seen, time.monotonic() - began)
            if sys.stdin.isatty() and not once:
                _stay(stack)
    except (KafkaUnavailable, KafkaFailed, PostgresFailed, StackFailed) as error:
        fail(str(error), DOWN)
    except (Refused, SettingsError) as error:
        fail(str(error), WRONG)
    raise typer.Exit(code)


@dataclass(frozen=True)
class Stack:
    """A running demo."""

    settings: Settings
    services: Services
    prepared: Prepared

    @property
    def brokers(self) -> Brokers:
        """Kafka."""
        return self.services.kafka.brokers


def _home(suite: Suite) -> Settings:
    """The settings of the demo: a home of its own for each suite, so that nothing of yours is touched."""
    home = read_settings().home / "demo"
    os.environ["SLUICE_HOME"] = str(home if suite.name == SHOP else home / suite.name)
    os.environ |= settings_of(suite)
    return read_settings()


@contextmanager
def _stack(settings: Settings, suite: Suite) -> Iterator[Stack]:
    with ExitStack() as closing:
        services = start_services(settings, allow_memory=True, say=_say)
        closing.callback(services.postgres.stop)
        closing.callback(services.kafka.stop)
        # One cache for all demos: the embedding graph is the same.
        embedder = embedder_of(settings)
        prepared = run_async(_prepare(suite, settings, services, embedder))
        os.environ |= {"SLUICE_MODELS_DIR": str(prepared.models_dir), "SLUICE_POLICY": str(prepared.policy)}
        if services.kafka.kind == "memory":
            os.environ["KAFKA_BOOTSTRAP_SERVERS"] = services.kafka.bootstrap
        ensure_key(settings)
        closing.callback(stop_processes, settings)
        start_processes(load_settings(), _say)
        stack = Stack(load_settings(), services, prepared)
        run_async(_arm(stack.settings))
        yield stack


async def _prepare(suite: Suite, settings: Settings, services: Services, embedder: TokenEmbedder) -> Prepared:
    prepared = await prepare(suite, settings, embedder, _say)
    await load(suite, services.postgres.owner_url, embedder, _say)
    return prepared


async def _arm(settings: Settings) -> None:
    await set_switch(settings, Scope(), SwitchState.AUTO, why="the demo arms itself", actor="sluice demo")
    _say("the demo armed the switch: replies are sent (a deployment of yours starts disarmed)")


def _say(line: str) -> None:
    console.print(f"[dim]›[/] {line}", highlight=False)


# -- sending and following


async def _send(stack: Stack, suite: Suite, tickets: Sequence[LabelledTicket], rate: float) -> Seen:
    """Post everything and follow it until it is settled; what continues another ticket is posted after that settled."""
    seen, run = Seen(), uuid4().hex[:8]
    first = [posting_of(ticket, suite, run) for ticket in tickets if ticket.follows is None]
    later = [posting_of(ticket, suite, run) for ticket in tickets if ticket.follows is not None]
    columns = (TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn())
    with Reader(stack.brokers, [*FOLLOWED, *LEFT_THE_GATE, *map(dead_topic, STAGES)]) as reader:
        list(reader.until_end())  # what earlier runs left
        with Progress(*columns, console=console) as progress:
            bars = {name: progress.add_task(name, total=len(tickets)) for name in ("edge", *map(_bar, FOLLOWED))}
            for wave in (first, later):
                posting = asyncio.create_task(_post(stack, wave, rate, seen))
                await _follow(reader, posting, seen, progress, bars)
    return seen


async def _post(stack: Stack, postings: Sequence[Posting], rate: float, seen: Seen) -> None:
    def accepted(taken: Accepted) -> None:
        seen.accepted[taken.name] = taken.ticket_id

    key = api_keys(stack.settings)[0].key.get_secret_value()
    await post(edge_url(stack.settings), key, postings, rate=rate, on_accept=accepted)


async def _follow(
    reader: Reader, posting: "asyncio.Task[None]", seen: Seen, progress: Progress, bars: dict[str, TaskID]
) -> None:
    """Read the topics until every accepted ticket is settled, or nothing has come for a while."""
    news = time.monotonic()
    while not posting.done() or (set(seen.accepted.values()) - seen.settled and time.monotonic() - news < QUIET):
        for record in await asyncio.to_thread(reader.poll, 0.1):
            kind = EVENT_ON.get(Topic(record.topic)) if record.topic in set(Topic) else None
            if kind is not None:
                _note(record.topic, kind, record.value, seen)
                news = time.monotonic()
        progress.update(bars["edge"], completed=len(seen.accepted))
        for topic in FOLLOWED:
            progress.update(bars[_bar(topic)], completed=len(_ours(topic, seen)))
    await posting


def _bar(topic: Topic) -> str:
    return {Topic.INBOUND: "Kafka", Topic.OUTCOME: "settled"}.get(topic, topic.value.removeprefix("tickets."))


def _ours(topic: Topic, seen: Seen) -> set[UUID]:
    return (seen.settled if topic is Topic.OUTCOME else seen.tickets.get(topic, set())) & set(seen.accepted.values())


def _note(topic: str, kind: type[Event], value: bytes | None, seen: Seen) -> None:
    try:
        event = decode(kind, value)
    except Undecodable:
        return
    if isinstance(event, TicketSettled):
        seen.outcomes.append(event)
        return
    ticket = event if isinstance(event, TicketReceived) else getattr(event, "ticket", None)
    if isinstance(ticket, TicketReceived):
        seen.tickets.setdefault(topic, set()).add(ticket.ticket_id)
        seen.received.setdefault(ticket.ticket_id, ticket.received_at)
    if isinstance(event, ReplyApproved | TicketEscalated):
        seen.gated.setdefault(event.ticket.ticket_id, event)


def posting_of(ticket: LabelledTicket, suite: Suite, run: str) -> Posting:
    """A labelled ticket as its sender posts it. Its ids carry the run, so that a second run sends new tickets."""
    lane = ticket.conversation or ticket.id
    if ticket.eml is not None:
        raw = renewed((suite.path / ticket.eml).read_bytes(), run)
        return Posting(ticket.id, "/v1/email", raw, {"Content-Type": "message/rfc822"}, lane)
    entry = as_request(ticket)
    claimed = entry.request if entry.scope == "service" else entry.request.model_copy(update={"customer_id": None})
    request = claimed.model_copy(update={"message_id": None, "conversation": f"{run}-{lane}"})
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"{run}-{ticket.id}"}
    return Posting(ticket.id, "/v1/tickets", request.model_dump_json(exclude_none=True).encode(), headers, lane)


# -- the report


def _report(stack: Stack, suite: Suite, tickets: Sequence[LabelledTicket], seen: Seen, took: float) -> int:
    ours = set(seen.accepted.values())
    accepted = {ticket: seen.received[ticket] for ticket in ours if ticket in seen.received}
    outcomes = [event for event in seen.outcomes if event.ticket_id in ours]
    counted = summarise(accepted, outcomes, _replies(stack, ours))
    counted = replace(counted, tickets=len(ours), lost=len(ours - seen.settled))
    pairs = _pairs(tickets, seen, counted)
    figures = _figures(stack, suite, counted, pairs, took)
    path = Path(stack.settings.home) / "report.json"
    path.write_text(json.dumps(figures, indent=2, default=str) + "\n")
    _show(stack, suite, figures, pairs, seen)
    console.print(f"figures: {path}; {took:.0f} s in all", highlight=False)
    stuck = len(tickets) - len(ours)
    if counted.lost or counted.double_sent or stuck:
        console.print(f"[bold red]{counted.lost} lost, {counted.double_sent} sent twice, {stuck} never accepted[/]")
        return WRONG
    return 0


Pairs = list[tuple[Prediction, LabelledTicket]]


def _pairs(tickets: Sequence[LabelledTicket], seen: Seen, counted: Run) -> Pairs:
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


def _show(stack: Stack, suite: Suite, figures: dict[str, Any], pairs: Pairs, seen: Seen) -> None:
    console.print(
        f"\n[bold]{suite.name}[/]: the table shows the held-out half of the customers; "
        f"trained on {stack.prepared.trained_on}",
        highlight=False,
    )
    show_intents(figures["intents"])
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
        example = _example(disposition, pairs, seen)
        if example is not None:
            show_ticket(title, example)


def _example(disposition: Disposition, pairs: Pairs, seen: Seen) -> ReplyApproved | TicketEscalated | None:
    """A telling ticket of this disposition: with a draft, a transcript or sources, where any has them."""
    events = [seen.gated[seen.accepted[label.id]] for row, label in pairs if row.disposition == disposition.value]
    events.sort(
        key=lambda event: (event.draft is not None, bool(event.admission.transcript), len(event.evidence.passages))
    )
    return events[-1] if events else None


def _stay(stack: Stack) -> None:
    home = f"SLUICE_HOME={stack.settings.home} {sys.argv[0]}"
    console.print(
        "\n[bold]It stays up until Ctrl-C.[/] In another terminal:\n"
        f'  {home} send "How long do I have to return something?"\n'
        f"  {home} switch off --why 'trying the switch'   # then send again\n"
        f"  {home} switch show\n"
        f"  {home} trace TICKET",
        highlight=False,
        soft_wrap=True,
    )
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        console.print("stopping")
