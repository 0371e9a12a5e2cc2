"""One drill: stop and arm a scope of its own under load, and hold what was claimed against the stops."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from infra.kafka.security import Address
from infra.settings import DatabaseRole, Settings
from loadtest.drill.measure import Claim, Found, Stop, last_claims, measure, reached
from loadtest.drill.plan import ACTOR
from loadtest.measure import Spread, spread
from processors.errors import SluiceError
from processors.ports import ClaimStatus, SwitchRow
from processors.switch import Entry
from schemas.control import Scope, SwitchState
from sluice.drill.hand import Flipped, Hand, NotOurs, Skew, hand, skew, stops_of
from sluice.drill.load import Load, load_of
from sluice.drill.owner import as_owner
from sluice.drill.reach import Watched, watched
from sluice.switch_paths import read_board

PAUSE = 0.3  # seconds of load before each stop, and of silence after it
ANSWERED_WITHIN = 30.0  # seconds in which the claimers have their first answer
GRANTED_WITHIN = 2.0  # seconds after it in which one is granted
LOCK = 7553221003  # one drill at a time; 7553221000 to 2 are those of migrations, the switch and ingests
SHOWN = 50  # replies in flight
LOGINS: tuple[DatabaseRole, DatabaseRole] = ("outcome", "people")


class NoLoad(SluiceError):
    """No claim is granted, so no stop can be measured."""


@dataclass(frozen=True)
class Ground:
    """Where a drill takes place."""

    brokers: Address
    owner_url: str  # of Postgres
    outcome_url: str  # the same as the role that claims
    people_url: str  # and as the one that stops
    scope: Scope

    @classmethod
    def of(cls, settings: Settings, brokers: Address, owner_url: str, scope: Scope) -> "Ground":
        """The ground with the logins that the settings name."""
        outcome, people = (settings.database_url_for(role, owner_url) for role in LOGINS)
        return cls(brokers, owner_url, outcome, people, scope)


@dataclass(frozen=True)
class Plan:
    """How much of a drill."""

    flips: int
    claimers: int
    workers: Sequence[str] = ()  # addresses of their metrics


@dataclass(frozen=True)
class Report:
    """What a drill found."""

    found: Found
    last_claims_ms: Sequence[float]  # of each stop
    workers: dict[str, Spread]  # from the asking until it knew
    silent: dict[str, int]  # stops of which a worker didn't tell that it knew
    in_flight: Sequence[str]  # keys of replies that were with a provider at the last stop
    clock_error_ms: float  # of the askings, at most
    cpus: int
    machine_load: float  # average of the last minute
    before: str  # the scope's state
    after: str

    @property
    def passed(self) -> bool:
        """Whether nothing was claimed behind a stop, and most of the time there was something to stop."""
        loaded = self.found.under_load * 2 > self.found.stops
        return self.found.sent_after_stop == 0 and loaded and self.after == "auto"


@contextmanager
def alone(owner_url: str) -> Iterator[None]:
    """Keep other drills away; ends with this process, however it ends.

    Raises:
        SluiceError: another one is running.
    """
    with as_owner(owner_url) as connection:
        row = connection.execute("select pg_try_advisory_lock(%s)", (LOCK,)).fetchone()
        if row != (True,):
            raise SluiceError("another drill is running")
        yield


async def drilled(ground: Ground, plan: Plan, told: Callable[[int], None] = lambda number: None) -> Report:
    """Drill, and leave the scope as it was; `told` hears the number of each stop.

    Raises:
        NotOurs: the scope holds a stop that no drill made.
        NoLoad: no claim is granted.
        DependencyDown: Kafka or Postgres does not answer.
    """
    with alone(ground.owner_url):
        load = load_of(ground.owner_url, ground.outcome_url, ground.scope.value, plan.claimers)
        load.rows.remove_leftovers()
        async with _held(ground) as (held, before):
            with load.rows.kept(), load.running(), watched(plan.workers) as reach:
                await _under_load(load)
                flips, claims = await _flip(held, load, plan, told)
                in_flight = _in_flight(ground)
            after = await _state(held)
    clock = skew(ground.owner_url)
    stops = stops_of(ground.owner_url, flips, clock)
    return _report(flips, stops, claims, reach, clock, in_flight, before=before, after=after)


@asynccontextmanager
async def _held(ground: Ground) -> AsyncIterator[tuple[Hand, str]]:
    """A hand on the scope, and the state it was in. What a killed drill left stopped is armed first."""
    async with hand(ground.brokers, ground.people_url, ground.scope) as held:
        board = await asyncio.to_thread(read_board, ground.brokers)
        row = next((row for row in await held.table.rows() if row.scope == ground.scope), None)
        held.standing = left_by(ground.scope, board.entry(ground.scope), row)
        await held.arm()
        yield held, await _state(held)


def left_by(scope: Scope, topic: Entry | None, table: SwitchRow | None) -> Flipped | None:
    """The stop that a killed drill left in its scope; None where there is none.

    Raises:
        NotOurs: somebody else made it.
    """
    stopped = [one for one in (topic, table) if one is not None and one.state is not SwitchState.AUTO]
    if not stopped:
        return None
    if other := next((one for one in stopped if one.actor != ACTOR), None):
        raise NotOurs(f"{scope} is {other.state} by {other.actor}: {other.why}. No drill lifts that")
    record = topic.record(scope) if topic in stopped and topic else None
    offset = topic.place.offset if record and topic else -1
    sequence = table.stop.sequence if table in stopped and table else 0
    if record is None:
        assert table is not None
        record = Entry(table.state, table.stop, table.why, table.actor, table.set_at).record(scope)
    return Flipped(record, record.set_at, None, offset, sequence)


async def _state(held: Hand) -> str:
    """The scope's state in the table; a scope that was never set is as good as armed."""
    row = next((row for row in await held.table.rows() if row.scope == held.scope), None)
    return row.state.value if row else SwitchState.AUTO.value


async def _under_load(load: Load) -> None:
    """Wait for the first claim that is granted."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + ANSWERED_WITHIN
    while ClaimStatus.GRANTED not in (answers := set(load.answers)):
        if answers:
            deadline = min(deadline, loop.time() + GRANTED_WITHIN)
        if loop.time() > deadline:
            told = ", ".join(sorted(answers)) or "no answer"
            raise NoLoad(f"no claim is granted ({told}): is everything armed? `sluice switch show` tells")
        await asyncio.sleep(0.05)


async def _flip(
    held: Hand, load: Load, plan: Plan, told: Callable[[int], None]
) -> tuple[list[tuple[Flipped, Flipped | None]], list[Claim]]:
    flips: list[tuple[Flipped, Flipped | None]] = []
    claims: list[Claim] = []
    for number in range(plan.flips):
        told(number)
        await asyncio.sleep(PAUSE)
        stop = await held.stop()
        await asyncio.sleep(PAUSE)
        claims += load.rows.harvest()
        flips.append((stop, await held.arm()))
    return flips, [*claims, *load.rows.harvest()]


def _in_flight(ground: Ground) -> list[str]:
    """The replies of others that are with a provider: a stop can't call them back."""
    query = (
        "select key from claim where state = 'claimed' and lease_until > clock_timestamp() and intent <> %s"
        " order by claimed_at limit %s"
    )
    with as_owner(ground.owner_url) as owner:
        return [key for (key,) in owner.execute(query, (ground.scope.value, SHOWN)).fetchall()]


def _report(
    flips: Sequence[tuple[Flipped, Flipped | None]],
    stops: Sequence[Stop],
    claims: Sequence[Claim],
    reach: Sequence[Watched],
    clock: Skew,
    in_flight: Sequence[str],
    *,
    before: str,
    after: str,
) -> Report:
    waits = {one.url: [reached(one.glances, flip.offset, flip.asked_at) for flip, _ in flips] for one in reach}
    return Report(
        found=measure(stops, claims),
        last_claims_ms=last_claims(stops, sorted(claim.at for claim in claims)),
        workers={url: spread(ms for ms in told if ms is not None) for url, told in waits.items()},
        silent={url: sum(ms is None for ms in told) for url, told in waits.items()},
        in_flight=in_flight,
        clock_error_ms=round(clock.error.total_seconds() * 1000, 3),
        cpus=os.cpu_count() or 1,
        machine_load=round(os.getloadavg()[0], 2),
        before=before,
        after=after,
    )


def as_document(report: Report) -> dict[str, Any]:
    """A report as JSON can hold it."""
    found = {name: value for name, value in vars(report.found).items() if not isinstance(value, Spread)}
    spreads = {name: vars(value) for name, value in vars(report.found).items() if isinstance(value, Spread)}
    workers = {url: {**vars(told), "never": report.silent[url]} for url, told in report.workers.items()}
    rest = {name: value for name, value in vars(report).items() if name not in ("found", "workers", "silent")}
    return {**found, **spreads, "workers": workers, **rest}
