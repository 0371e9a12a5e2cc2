"""`sluice loadtest`: traffic from outside, measured by what comes out."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import httpx
import psycopg
import typer
from confluent_kafka import KafkaException
from rich.console import Group
from rich.live import Live
from rich.table import Table

from evals.dataset import LabelledTicket, Suite
from infra.kafka.lag import Lags
from infra.kafka.reader import Reader
from infra.kafka.security import Brokers
from infra.settings import Settings, SettingsError
from loadtest.day import Arrival, Shape, busiest, plan
from loadtest.measure import END_TO_END, by_stage, over_time, spread, summarise
from loadtest.plot import draw
from loadtest.traffic import Posting, Sent, Timed, post_on_time
from processors.errors import DependencyDown
from schemas.codec import Undecodable, decode
from schemas.outcome import TERMINAL, TicketSettled
from schemas.topics import INPUTS, STAGES, Topic
from sluice.demo.postings import Senders, posting_of
from sluice.demo.stack import home_of, running
from sluice.reach import api_keys, brokers_of, database_of, edge_url, unready
from sluice.suite import SHOP, open_suite
from sluice.terminal import DOWN, USAGE, WRONG, AsJson, aside, commands, console, fail, print_json, read_settings
from sluice.terminal import run as run_async
from streams.stage import group_of

DAY = 24 * 3600.0  # seconds
SAMPLE = 2.0  # seconds between two looks at the lag
QUIET = 60.0  # seconds without news after which what is missing counts as lost
INTERRUPTED = 130  # as a shell says it of Ctrl-C
BUCKETS = 48  # of the picture

app = commands("Traffic from outside: a day of tickets, measured by what comes out.")


@app.callback()
def loadtest() -> None:
    """Keeps `day` a command of its own while it is the only one."""


@dataclass
class Day:
    """What is known of a day while it runs. Kept up as it goes: it shares its loop with the sending."""

    tickets: int
    speed: float
    sent: int = 0
    never_taken: int = 0
    retried: int = 0
    intended: dict[UUID, datetime] = field(default_factory=dict)  # when each that was taken was meant to be sent
    events: list[TicketSettled] = field(default_factory=list)
    unsettled: set[UUID] = field(default_factory=set)
    early: set[UUID] = field(default_factory=set)  # settled before the edge's answer was read
    waits: deque[float] = field(default_factory=lambda: deque(maxlen=200))  # of the latest, milliseconds
    lag: dict[str, list[tuple[float, int]]] = field(default_factory=dict)  # stage → (seconds after the start, messages)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    interrupted: bool = False

    def note_sent(self, sent: Sent) -> None:
        """A ticket was taken, or given up."""
        self.sent += 1
        self.retried += sent.tries > 1
        if sent.ticket_id is None:
            self.never_taken += 1
            return
        self.intended[sent.ticket_id] = sent.intended
        if sent.ticket_id not in self.early:
            self.unsettled.add(sent.ticket_id)

    def note(self, event: TicketSettled) -> None:
        """An outcome was read."""
        self.events.append(event)
        if event.outcome in TERMINAL:
            self.early.add(event.ticket_id)
            self.unsettled.discard(event.ticket_id)
            if (due := self.intended.get(event.ticket_id)) is not None:
                self.waits.append((event.settled_at - due).total_seconds() * 1000)


@dataclass(frozen=True)
class Target:
    """The stack under load."""

    settings: Settings
    brokers: Brokers
    database: str | None  # as the auditor; None where it cannot be asked for double sends


@app.command()
def day(
    speed: Annotated[float, typer.Option(min=1, help="How much faster than life: 60 makes a day 24 minutes.")] = 60.0,
    tickets: Annotated[int, typer.Option(min=1, help="Tickets of the day.")] = 5000,
    bursts: Annotated[int, typer.Option(min=0, help="Bursts of six minutes at ten times the rate.")] = 3,
    seed: Annotated[int, typer.Option(help="The same seed is the same day.")] = 1,
    data: Annotated[str, typer.Option(help="The suite whose tickets are sent: a folder, or `shop`.")] = SHOP,
    start: Annotated[
        bool, typer.Option(help="Start a stack of its own for the suite; else the running one is used.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Where the figures and the pictures go.")] = Path("var/loadtest"),
    as_json: AsJson = False,
) -> None:
    """Send a seeded day of tickets through the edge, open loop, and measure what comes out.

    Latency counts from the time a ticket was meant to be sent. Exit code 1 if anything was lost or sent twice. The
    figures stand in OUT/day-SEED.json, latency and lag over the day in OUT/day-SEED.svg and OUT/day-SEED-lag.svg.

    Examples:

      sluice loadtest day --start

      sluice loadtest day --speed 240 --tickets 500 --seed 7 --json
    """
    suite = open_suite(data)
    arrivals = plan(seed, Shape(tickets=tickets, bursts=bursts))
    screen = aside(as_json)
    screen.print(
        f"{tickets} tickets in {DAY / speed / 60:.0f} minutes, at most {busiest(arrivals) * speed / 60:.0f} a second",
        highlight=False,
    )
    with ExitStack() as stack:
        target = _started(suite, stack, screen) if start else _running()
        found = run_async(_live(target, suite, arrivals, speed, uuid4().hex[:8], screen))
        report = _report(target, found, seed)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"day-{seed}.json"
    path.write_text(json.dumps(report, indent=2, default=str) + "\n")
    _draw(found, path.with_suffix(".svg"))
    if as_json:
        print_json(report)
    else:
        _show(report)
        console.print(f"figures: {path}; pictures: {path.with_suffix('.svg')} and {path.stem}-lag.svg", highlight=False)
    if found.interrupted:
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(WRONG if report["lost"] or report["double_sent"] or report["never_taken"] else 0)


def _running() -> Target:
    settings = read_settings()
    try:
        why = unready(f"{edge_url(settings)}/readyz")
    except httpx.TransportError as error:
        why = type(error).__name__
    if why is not None:
        fail(f"no edge at {edge_url(settings)} ({why}): run `sluice up`, or pass --start", DOWN)
    if not any(key.scope == "service" for key in api_keys(settings)):
        fail("no API key of scope service: set SLUICE_API_KEYS", USAGE)
    try:
        return _target(settings, database_of(settings))
    except (DependencyDown, SettingsError) as error:
        fail(str(error), DOWN)


def _started(suite: Suite, stack: ExitStack, screen: Any) -> Target:  # noqa: ANN401 - a rich console
    begun = stack.enter_context(
        running(home_of(suite), suite, lambda line: screen.print(f"[dim]›[/] {line}", highlight=False))
    )
    return _target(begun.settings, begun.services.postgres.owner_url)


def _target(settings: Settings, database: str) -> Target:
    return Target(settings, brokers_of(settings), settings.database_url_for("auditor", database))


# -- while it runs


async def _live(
    target: Target,
    suite: Suite,
    arrivals: Sequence[Arrival],
    speed: float,
    run: str,
    screen: Any,  # noqa: ANN401
) -> Day:
    """Send, follow and sample until everything is settled, or nothing has come for a while."""
    settings = target.settings
    key = next(key for key in api_keys(settings) if key.scope == "service").key.get_secret_value()
    app_secret = settings.whatsapp_app_secret.get_secret_value() if settings.whatsapp_app_secret else ""
    senders = Senders(suite, edge_url(settings), key, app_secret, run)
    labels = [_by_open_doors(label, settings) for label in labels_of(suite, arrivals)]
    postings = await _postings(senders, labels)
    timed = [Timed(postings[label.id], at.at / speed) for label, at in zip(labels, arrivals, strict=True)]
    found = Day(len(timed), speed)
    with Reader(target.brokers, [Topic.OUTCOME.value]) as reader, Live(console=screen, refresh_per_second=2) as live:
        await asyncio.to_thread(lambda: list(reader.until_end()))  # what earlier runs left
        found.began = datetime.now(UTC)
        sending = asyncio.create_task(post_on_time(edge_url(target.settings), key, timed, on_sent=found.note_sent))
        sampling = asyncio.create_task(_sample(target, found))
        news = time.monotonic()
        try:
            while not sending.done() or (found.unsettled and time.monotonic() - news < QUIET):
                records = await asyncio.to_thread(reader.poll, 0.2)
                if records:
                    news = time.monotonic()
                for record in records:
                    _note(record.value, found)
                live.update(_screen(found))
            await sending
        except asyncio.CancelledError:  # Ctrl-C: what is known until then is reported
            found.interrupted = True
            sending.cancel()
        sampling.cancel()
        await asyncio.wait([sampling, sending])
    return found


def _note(value: bytes | None, found: Day) -> None:
    try:
        found.note(decode(TicketSettled, value))
    except Undecodable:
        return


async def _sample(target: Target, found: Day) -> None:
    """Ask the broker for every stage's lag, every few seconds."""
    lags_of = Lags(target.brokers)
    while True:
        for stage in STAGES:
            try:
                group = group_of(stage, target.settings.group_prefix)
                lags = await asyncio.to_thread(lags_of.on, group, INPUTS[stage])
            except (KafkaException, TimeoutError):
                continue
            at = (datetime.now(UTC) - found.began).total_seconds()
            found.lag.setdefault(stage.value, []).append((at, sum(lag.messages for lag in lags)))
        await asyncio.sleep(SAMPLE)


async def _postings(senders: Senders, labels: Sequence[LabelledTicket]) -> dict[str, Posting]:
    """What is posted, by the label's id. A mail or webhook that is drawn twice is another message each time."""
    raw = [label for label in labels if label.eml is not None or label.payload is not None]
    ids = {label.id for label in raw}
    found = {posting.name: posting for posting in await senders.postings([one for one in labels if one.id not in ids])}
    for number, label in enumerate(raw):
        own = replace(senders, run=f"{int(senders.run, 16) + number:x}")
        found[label.id] = own.webhook(label) if label.payload else posting_of(label, senders.suite, own.run)
    return found


def labels_of(suite: Suite, arrivals: Sequence[Arrival]) -> list[LabelledTicket]:
    """What each arrival says: the suite's tickets of its channel in turn, each under an id of its own."""
    pools = {channel: _of(suite, channel) for channel in {arrival.channel.value for arrival in arrivals}}
    labels: list[LabelledTicket] = []
    for arrival in arrivals:
        pool, name = pools[arrival.channel.value], f"day-{arrival.number}"
        drawn = pool[arrival.number % len(pool)]
        label = drawn.model_copy(update={"id": name, "follows": None, "conversation": name})
        if arrival.follows is not None:
            before = labels[arrival.follows]
            whose = {"conversation": before.conversation, "customer_id": before.customer_id, "proved": before.proved}
            label = label.model_copy(update=whose)
        labels.append(label)
    return labels


def _by_open_doors(label: LabelledTicket, settings: Settings) -> LabelledTicket:
    """The ticket by its own channel where that door is open, else by the API."""
    closed = (label.channel == "chat" and settings.chat_secret is None) or (
        label.payload is not None and settings.whatsapp_app_secret is None
    )
    return label.model_copy(update={"channel": "api", "payload": None}) if closed else label


def _of(suite: Suite, channel: str) -> list[LabelledTicket]:
    """The suite's tickets of a channel; where it has none, those of any."""
    everything = [ticket for split in suite.tickets.values() for ticket in split if ticket.body.strip()]
    return [ticket for ticket in everything if ticket.channel == channel] or everything


def _screen(found: Day) -> Group:
    clock = (datetime.now(UTC) - found.began).total_seconds() * found.speed
    waits = spread(found.waits)
    told = Table(
        title=f"{min(clock, DAY) // 3600:02.0f}:{min(clock, DAY) % 3600 // 60:02.0f} of the day", title_justify="left"
    )
    for column in ("sent", "settled", "on their way", "p50 of late", "p95 of late", *(stage.value for stage in STAGES)):
        told.add_column(column, justify="right")
    told.add_row(
        f"{found.sent}/{found.tickets}",
        str(len(found.intended) - len(found.unsettled)),
        str(len(found.unsettled)),
        _seconds(waits.p50_ms),
        _seconds(waits.p95_ms),
        *(str(found.lag[stage.value][-1][1]) if found.lag.get(stage.value) else "-" for stage in STAGES),
    )
    return Group(told)


# -- afterwards


def _report(target: Target, found: Day, seed: int) -> dict[str, Any]:
    ours = found.intended
    events = [event for event in found.events if event.ticket_id in ours]
    counted = summarise(ours, events, _replies(target, set(ours)))
    return {
        "seed": seed,
        "speed": found.speed,
        **asdict(counted),
        "double_sent": counted.double_sent if _recorded(target.settings) else None,  # None: nobody could look
        "interrupted": found.interrupted,
        "never_taken": found.never_taken,
        "retried": found.retried,
        "latency": {stage: asdict(told) for stage, told in by_stage(ours, events).items()},
        "highest_lag": {stage: max(number for _, number in told) for stage, told in found.lag.items()},
        "seconds": round((datetime.now(UTC) - found.began).total_seconds(), 1),
    }


def _recorded(settings: Settings) -> bool:
    """Whether every reply leaves a row: other ways out keep their own book."""
    elsewhere = (settings.smtp_host, settings.whatsapp_access_token)
    return settings.helpdesk == "recorded" and not any(elsewhere) and not settings.outside_channels


def _replies(target: Target, ours: set[UUID]) -> list[str]:
    """The key of every reply that reached the recorded helpdesk."""
    if target.database is None:
        return []
    with psycopg.connect(target.database) as connection:
        rows = connection.execute("select key, ticket_id from helpdesk_delivery where act = 'reply'").fetchall()
    return [key for key, ticket in rows if ticket in ours]


def _draw(found: Day, path: Path) -> None:
    whole = DAY / found.speed
    told = over_time(found.intended, found.events, found.began, whole / BUCKETS)
    lag = {stage: [(_hour(at, whole), number) for at, number in seen] for stage, seen in found.lag.items()}
    draw(path, latency=[(_hour(at, whole), spread) for at, spread in told], lag=lag)


def _hour(at: float, whole: float) -> float:
    return round(at / whole * 24, 3)


def _show(report: Mapping[str, Any]) -> None:
    table = Table(title="From the time it was meant to be sent", title_justify="left")
    for column in ("stage", "p50", "p95", "p99", "longest", "highest lag"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for stage in (*(stage.value for stage in STAGES), END_TO_END):
        told = report["latency"].get(stage)
        if told is not None:
            spreads = (_seconds(told[name]) for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms"))
            table.add_row(stage, *spreads, str(report["highest_lag"].get(stage, "")))
    console.print(table)
    twice = "unknown" if report["double_sent"] is None else report["double_sent"]
    console.print(
        f"{report['tickets']} tickets taken, {report['never_taken']} never, {report['settled']} settled: "
        f"{report['auto_sent']} sent, {report['suggested']} suggested, {report['handed_off']} handed over, "
        f"{report['superseded']} superseded; lost {report['lost']}, sent twice {twice}, "
        f"dead {report['dead']}",
        highlight=False,
    )


def _seconds(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds / 1000:.2f} s"
