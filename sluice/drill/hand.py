"""The hand on the drill's own switch: it stops one scope, and lifts no stop but its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import psycopg

from infra.clock import SystemClock
from infra.kafka.producer import Producer
from infra.kafka.security import Address
from infra.postgres.pool import open_pool
from infra.postgres.switch import PostgresSwitchTable
from loadtest.drill.measure import Stop
from loadtest.drill.plan import ACTOR
from processors.errors import SluiceError
from processors.ports import SwitchTable
from schemas.control import Scope, SwitchSet, SwitchState
from schemas.control import Stop as Place
from schemas.topics import Topic
from sluice.drill.owner import as_owner

WHY = "a drill"
ASKED = 10  # times the database is asked for its time


class NotOurs(SluiceError):
    """The scope holds a stop that the drill didn't make: it stays."""


@dataclass(frozen=True)
class Flipped:
    """One record of the drill's, by the paths it took."""

    record: SwitchSet
    asked_at: datetime  # by this host's clock
    done_at: datetime | None = None  # when the paths had taken it; None: nobody knows whether they did
    offset: int = -1  # on the topic; -1: it isn't there
    sequence: int = 0  # in the table; 0: it isn't there

    @property
    def place(self) -> Place:
        """What an arming names to lift it."""
        return Place(offset=self.offset, sequence=self.sequence)


@dataclass
class Hand:
    """Sets one scope, on connections that are open already."""

    scope: Scope
    table: SwitchTable
    producer: Producer
    standing: Flipped | None = None  # the drill's stop, from the moment it is asked for until it is lifted

    async def stop(
        self, *, topic: bool = True, table: bool = True, state: SwitchState = SwitchState.SUGGEST
    ) -> Flipped:
        """Stop the scope by these paths, the table first, as the topic's record names its row.

        Raises:
            DependencyDown: a path does not answer.
            NotOurs: somebody stopped it more strictly meanwhile.
        """
        asked = SystemClock().now()
        record = SwitchSet(scope=self.scope, state=state, why=WHY, actor=ACTOR, set_at=asked)
        self.standing = made = Flipped(record, asked)
        if table:
            row = await self.table.set(record, offset=None)
            if row is None:
                self.standing = None
                raise NotOurs(f"{self.scope} holds a stop of somebody else's: it stays")
            self.standing = made = replace(made, sequence=row.stop.sequence)
        if topic:
            named = record.model_copy(update={"sequence": made.sequence})
            made = replace(made, record=named, offset=await self.publish(named))
        self.standing = made = replace(made, done_at=SystemClock().now())
        return made

    async def arm(self) -> Flipped | None:
        """Lift the drill's own stop, and no other; None where it holds none.

        Raises:
            DependencyDown: a path does not answer.
            NotOurs: another stop came in between, and stays.
        """
        if self.standing is None or (standing := await self._found(self.standing)) is None:
            self.standing = None
            return None
        asked = SystemClock().now()
        record = SwitchSet(
            scope=self.scope, state=SwitchState.AUTO, why=WHY, actor=ACTOR, set_at=asked, lifts=standing.place
        )
        row = await self.table.set(record, offset=None)
        if row is None:
            self.standing = None
            raise NotOurs(f"somebody stopped {self.scope} during the drill: it stays stopped")
        named = record.model_copy(update={"sequence": row.stop.sequence})
        offset = await self.publish(named)
        self.standing = None
        return Flipped(named, asked, SystemClock().now(), offset, row.stop.sequence)

    async def _found(self, standing: Flipped) -> Flipped | None:
        """The stop with its place in the table, which it must not get from a slow mirror after the arming.

        None where it was broken off before any path took it.
        """
        if standing.sequence:
            return standing
        if standing.offset >= 0:
            await self.table.set(standing.record, offset=standing.offset)
        mine = (row for row in await self.table.rows() if row.scope == self.scope and row.actor == ACTOR)
        row = next((row for row in mine if row.set_at == standing.record.set_at), None)
        return replace(standing, sequence=row.stop.sequence) if row else None if standing.offset < 0 else standing

    async def publish(self, record: SwitchSet) -> int:
        """Put a record on the topic alone; its offset."""
        return (await self.producer.publish(Topic.SWITCH, str(self.scope), record)).offset


@asynccontextmanager
async def hand(brokers: Address, people_url: str, scope: Scope) -> AsyncIterator[Hand]:
    """A hand on a scope; when it lets go, the stop it made is lifted.

    Raises:
        DependencyDown: Kafka or Postgres does not answer.
    """
    async with AsyncExitStack() as opened:
        producer = await opened.enter_async_context(Producer(brokers))
        pool = await open_pool(people_url, size=2)
        opened.push_async_callback(pool.close)
        made = Hand(scope, PostgresSwitchTable(pool), producer)
        try:
            yield made
        finally:
            await made.arm()


@dataclass(frozen=True)
class Skew:
    """How the database's clock differs from this host's."""

    ahead: timedelta
    error: timedelta  # at most

    def there(self, here: datetime) -> datetime:
        """A time of this host's clock, by the database's."""
        return here + self.ahead


def skew(owner_url: str) -> Skew:
    """Ask the database for its time; the quickest answer counts (Cristian's algorithm)."""
    with as_owner(owner_url) as connection:
        return min((_skew(connection) for _ in range(ASKED)), key=lambda found: found.error)


def _skew(connection: psycopg.Connection[tuple[datetime]]) -> Skew:
    asked = SystemClock().now()
    row = connection.execute("select clock_timestamp()").fetchone()
    told = SystemClock().now()
    assert row is not None
    return Skew(row[0] - (asked + (told - asked) / 2), (told - asked) / 2)


def stops_of(owner_url: str, flips: Sequence[tuple[Flipped, Flipped | None]], clock: Skew) -> list[Stop]:
    """The stops that the table took, each with its arming, as the switch's log has them."""
    wanted = [flip.sequence for pair in flips for flip in pair if flip is not None]
    with as_owner(owner_url) as owner:
        query = "select sequence, written_at from switch_log where sequence = any(%s)"
        written: dict[int, datetime] = dict(owner.execute(query, (wanted,)).fetchall())
    return [
        Stop(clock.there(stop.asked_at), written[stop.sequence], None if armed is None else written[armed.sequence])
        for stop, armed in flips
    ]
