"""`sluice drill`: stop and arm a scope of the drill's own under load, and measure how fast a stop stops."""

import asyncio
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

import httpx
import psycopg
import typer
from rich.progress import track

from infra.postgres.conversations import PostgresConversations
from infra.postgres.pool import open_pool
from infra.settings import Settings, as_role
from loadtest.drill.measure import Claim, Found, Stop, histogram, last_claims, measure
from loadtest.measure import spread
from processors.errors import DependencyDown
from processors.ports import ClaimRequest, ClaimStatus
from schemas.control import Scope, ScopeKind, SwitchState
from schemas.ingress import Channel
from sluice.reach import database_of, worker_url
from sluice.switch_paths import Written, set_switch
from sluice.terminal import WRONG, AsJson, aside, console, fail, print_json, read_settings, run, show, stderr, verbatim

INTENT = "sluice-drill"  # a scope of the drill's own: no ticket is ever routed to it
SCOPE = Scope(kind=ScopeKind.INTENT, value=INTENT)
TICKETS = 400  # for each claimer: more than it can claim
PAUSE = 0.3  # seconds of load before each stop, and of silence after it
LEASE = 30.0
EPOCH = re.compile(r"^sluice_switch_epoch (-?\d+)", re.MULTILINE)


@dataclass
class Load:
    """Claimers that ask for everything they may have, as outcome workers do."""

    owner_url: str
    claimers: int
    name: str = field(default_factory=lambda: uuid4().hex[:12])
    statuses: dict[str, int] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """Claim for as long as the context lasts; what the drill wrote is removed at its end.

        Raises:
            DependencyDown: Postgres does not answer.
        """
        self._seed()
        thread = threading.Thread(target=lambda: asyncio.run(self._claim_all()), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join(30)
            self._remove()

    @property
    def pattern(self) -> str:
        """What the drill's conversations are like."""
        return f"drill:{self.name}:%"

    def _seed(self) -> None:
        with psycopg.connect(self.owner_url, autocommit=True) as owner:
            owner.execute("set role sluice_owner")
            count = self.claimers * TICKETS
            owner.execute(
                "insert into conversation (conversation, revision)"
                " select format('drill:%%s:%%s', %s::text, n), 1 from generate_series(0, %s - 1) as n",
                (self.name, count),
            )
            owner.execute(
                "insert into message (conversation, revision, author, ticket_id, channel, text, body_hash, at)"
                " select conversation, 1, 'customer', gen_random_uuid(), 'api', '', '', now() from conversation"
                " where conversation like %s",
                (self.pattern,),
            )

    def _remove(self) -> None:
        with psycopg.connect(self.owner_url, autocommit=True) as owner:
            owner.execute("set role sluice_owner")
            for table in ("claim", "message", "conversation"):
                owner.execute(f"delete from {table} where conversation like %s", (self.pattern,))

    async def _claim_all(self) -> None:
        pool = await open_pool(as_role(self.owner_url, "sluice_outcome"), size=self.claimers)
        try:
            rows = self._tickets()
            conversations = PostgresConversations(pool)
            async with asyncio.TaskGroup() as group:
                for number in range(self.claimers):
                    group.create_task(self._claim(conversations, rows[number :: self.claimers]))
        finally:
            await pool.close()

    def _tickets(self) -> list[tuple[str, Any]]:
        with psycopg.connect(self.owner_url, autocommit=True) as owner:
            owner.execute("set role sluice_owner")
            query = "select conversation, ticket_id from message where conversation like %s order by message_id"
            return owner.execute(query, (self.pattern,)).fetchall()

    async def _claim(self, conversations: PostgresConversations, rows: Sequence[tuple[str, Any]]) -> None:
        for conversation, ticket in rows:
            request = ClaimRequest(
                ticket, conversation, 1, "bot", Channel.API, INTENT, None, f"{conversation}:1", LEASE
            )
            while not self._over.is_set():
                try:
                    status = (await conversations.claim(request)).status
                except DependencyDown:
                    await asyncio.sleep(0.1)
                    continue
                self.statuses[status] = self.statuses.get(status, 0) + 1
                if status is not ClaimStatus.STOPPED:
                    break
                await asyncio.sleep(0.002)

    def claims(self) -> list[Claim]:
        """Everything that was granted."""
        with psycopg.connect(self.owner_url) as owner:
            rows = owner.execute("select key, claimed_at from claim where conversation like %s", (self.pattern,))
            return [Claim(key, at) for key, at in rows.fetchall()]


def stops_of(owner_url: str, asked: Sequence[datetime]) -> list[Stop]:
    """The stops that were asked for, with the fence and the arming of each as the switch's log has them."""
    with psycopg.connect(owner_url) as owner:
        query = "select state, written_at from switch_log where scope_value = %s and written_at >= %s order by sequence"
        rows = owner.execute(query, (INTENT, min(asked))).fetchall()
    found = []
    for at in asked:
        fence = next((written for state, written in rows if state != "auto" and written >= at), None)
        if fence is not None:
            lifted = next((written for state, written in rows if state == "auto" and written > fence), None)
            found.append(Stop(at, fence, lifted))
    return found


# -- propagation


@dataclass
class Reached:
    """When each worker knew of a record of the topic."""

    url: str
    seen: list[tuple[int, float]] = field(default_factory=list)  # epoch, monotonic time

    def follow(self, over: threading.Event) -> None:
        """Ask again and again."""
        with httpx.Client(timeout=1.0) as client:
            while not over.is_set():
                with suppress(httpx.HTTPError):
                    found = EPOCH.search(client.get(f"{self.url}/metrics").text)
                    if found and (not self.seen or self.seen[-1][0] != int(found[1])):
                        self.seen.append((int(found[1]), time.monotonic()))
                over.wait(0.01)

    def after(self, epoch: int, asked: float) -> float | None:
        """Milliseconds from the asking until it knew of the record at an offset; None: it never did."""
        return next(((at - asked) * 1000 for known, at in self.seen if known >= epoch), None)


@contextmanager
def followed(urls: Sequence[str]) -> Iterator[list[Reached]]:
    """Follow the epoch of each worker for as long as the context lasts."""
    over, found = threading.Event(), [Reached(url) for url in urls]
    threads = [threading.Thread(target=reached.follow, args=(over,), daemon=True) for reached in found]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        over.set()
        for thread in threads:
            thread.join(5)


def flip(settings: Settings, state: SwitchState) -> Written:
    """Set the drill's own scope, by both paths, as `sluice switch` does."""
    return run(set_switch(settings, SCOPE, state, why="a drill", actor="sluice drill"))


def drill(
    flips: Annotated[int, typer.Option(min=1, max=1000, help="How often to stop and arm.")] = 20,
    claimers: Annotated[int, typer.Option(min=1, max=200, help="How many ask for claims at once.")] = 32,
    worker: Annotated[
        list[str] | None, typer.Option(help="Address of a worker's metrics; may be repeated. Default: the local one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Stop and arm a scope of the drill's own under load, and measure how fast a stop stops.

    Safe in production: it claims tickets of its own in the scope intent:sluice-drill, which no ticket has, sends
    nothing, sets no other scope, and removes what it wrote. Exit code 1 if anything was claimed behind a stop.

    Examples:

      sluice drill

      sluice drill --flips 100 --worker http://10.0.0.7:8701 --worker http://10.0.0.8:8701 --json
    """
    settings = read_settings()
    owner_url = run(_owner(settings))
    urls = worker or [worker_url(settings)]
    with Load(owner_url, claimers).running() as load, followed(urls) as reached:
        try:
            flip(settings, SwitchState.AUTO)
            _under_load(load)
            asked, offsets = _flip(settings, flips, aside(as_json) is stderr)
        finally:
            flip(settings, SwitchState.AUTO)
        stops, claims = stops_of(owner_url, [at for at, _ in asked]), load.claims()
        found = measure(stops, claims)
        waits = {
            one.url: [
                one.after(offset, at) for (_, at), offset in zip(asked, offsets, strict=True) if offset is not None
            ]
            for one in reached
        }
        in_flight = _in_flight(owner_url)
    _tell(found, stops, claims, waits, in_flight, as_json)
    if found.sent_after_stop or found.stops < flips:
        raise typer.Exit(WRONG)


async def _owner(settings: Settings) -> str:
    return database_of(settings)


def _under_load(load: Load) -> None:
    deadline = time.monotonic() + 10
    while not load.statuses.get(ClaimStatus.GRANTED):
        if time.monotonic() > deadline:
            told = ", ".join(load.statuses) or "nothing"
            fail(f"no claim is granted ({told}): is everything armed? `sluice switch show` tells")
        time.sleep(0.05)


def _flip(settings: Settings, flips: int, quiet: bool) -> tuple[list[tuple[datetime, float]], list[int | None]]:
    asked: list[tuple[datetime, float]] = []
    offsets: list[int | None] = []
    for _ in track(range(flips), description="stopping", console=stderr, disable=quiet, transient=True):
        time.sleep(PAUSE)
        asked.append((datetime.now(UTC), time.monotonic()))
        offsets.append(flip(settings, SwitchState.SUGGEST).topic_offset)
        time.sleep(PAUSE)
        flip(settings, SwitchState.AUTO)
    return asked, offsets


def _in_flight(owner_url: str) -> list[str]:
    """The replies of others that were with a provider at the end: a stop can't call them back."""
    with psycopg.connect(owner_url) as owner:
        query = (
            "select key from claim where state = 'claimed' and lease_until > now() and conversation not like 'drill:%'"
        )
        return [key for (key,) in owner.execute(query).fetchall()]


def _tell(
    found: Found,
    stops: Sequence[Stop],
    claims: Sequence[Claim],
    waits: dict[str, list[float | None]],
    in_flight: list[str],
    as_json: bool,
) -> None:
    reach = {
        url: {**asdict(spread([ms for ms in told if ms is not None])), "never": sum(ms is None for ms in told)}
        for url, told in waits.items()
    }
    if as_json:
        print_json({**asdict(found), "workers": reach, "in_flight": in_flight})
        return
    values = last_claims(stops, sorted(claim.at for claim in claims))
    console.print("[bold]The last claim after a stop was asked for[/bold]")
    for line in histogram(values):
        console.print(verbatim(line))
    rows = [{"what": "last claim minus asking", **asdict(found.last_claim_ms)}]
    rows.append({"what": "from asking to fence", **asdict(found.fence_ms)})
    rows += [
        {"what": f"known to {url}", **{k: v for k, v in told.items() if k != "never"}} for url, told in reach.items()
    ]
    show(rows, title=f"{found.stops} stops against {found.claims} claims", as_json=False)
    console.print(f"claims behind a stop: {found.sent_after_stop}")
    for key in in_flight:
        console.print(verbatim(f"with a provider, and not to be called back: {key}"))
