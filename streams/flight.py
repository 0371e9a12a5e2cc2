"""Tickets in flight, without Faust: a lane per key, a bound on the work, a window per partition, a bounded drain."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from processors.ports import Clock
from schemas.event import Stage
from streams.metrics import Metrics
from streams.retry import delay_of
from streams.step import Record, StageStops
from streams.window import Lanes, Place, Window

Partition = tuple[str, int]  # topic, partition
LAST_WORDS = 5.0  # seconds a cancelled ticket may take to clean up


class OffsetGap(StageStops):
    """Records were skipped on the way from Kafka to us; what follows them must not be committed."""


class Source(Protocol):
    """The consumer as the work in flight sees it. A generation is one assignment of partitions to this worker."""

    @property
    def generation(self) -> int: ...

    def starts(self) -> Mapping[Partition, int]: ...  # first offset of each partition in this assignment

    def position(self, partition: Partition) -> int | None: ...  # the offset to be handed over next; None: unknown

    async def holds_records(self, partition: Partition, start: int, end: int) -> bool:
        """Whether Kafka has records at start <= offset < end that a consumer should have been given."""
        ...

    def pause(self, partition: Partition) -> None: ...  # what was fetched already still comes

    def resume(self, partition: Partition) -> None: ...

    async def crash(self, error: BaseException) -> None: ...


@dataclass(frozen=True)
class Limits:
    """How much a stage takes on."""

    in_flight: int = 64  # tickets worked on at once
    uncommitted: int = 256  # tickets taken on per partition beyond the committed offset
    ahead: int = 64  # tickets read beyond those, per partition, before it is paused
    drain: float = 20.0  # seconds; less than the rebalance timeout, or the drain causes the next rebalance


@dataclass(frozen=True)
class Ticket:
    """A record in one assignment, and how to tell Faust that it is done."""

    record: Record
    generation: int
    acknowledge: Callable[[], Awaitable[object]]
    read_at: float  # monotonic seconds

    @property
    def partition(self) -> Partition:
        """Where it stands."""
        return self.record.topic, self.record.partition

    @property
    def lane(self) -> Hashable:
        """What keeps it in order: its key. Without a key it waits for nobody."""
        return self.record.key or (self.partition, self.record.offset)


@dataclass
class Feed:
    """One partition in one assignment."""

    partition: Partition
    generation: int
    window: Window[Ticket]
    committed: int
    waiting: deque[Ticket] = field(default_factory=deque)  # in the window, not taken on yet
    paused: bool = False


class Flight:
    """What a stage has in its hands. `work` brings one record to a durable outcome, or raises."""

    def __init__(
        self,
        stage: Stage,
        work: Callable[[Record], Awaitable[None]],
        source: Source,
        clock: Clock,
        metrics: Metrics,
        limits: Limits = Limits(),
    ) -> None:
        self._stage, self._work, self._source, self._clock = stage, work, source, clock
        self._metrics, self._limits = metrics, limits
        self._feeds: dict[Partition, Feed] = {}
        self._lanes = Lanes()
        self._slots = asyncio.Semaphore(limits.in_flight)
        self._tasks: set[asyncio.Task[None]] = set()
        self._working: set[asyncio.Task[None] | None] = set()  # those in a slot
        self._drained = -1  # the generation that takes no more
        self._seen_suspects: dict[Partition, tuple[int, int]] = {}
        self._harmless: dict[Partition, int] = {}  # how far a partition's end was found to hold markers only
        metrics.follow(stage.value, lambda: len(self._working), self.uncommitted, self.oldest)

    # -- in

    async def take(self, ticket: Ticket) -> None:
        """Take a record on, in the order of its partition. Never waits for work to end.

        Raises:
            OffsetGap: records are missing before it.
        """
        if not self._current(ticket.generation):
            return
        feed, offset = self._feed(ticket), ticket.record.offset
        place = feed.window.place(offset)
        if place is Place.REPEATED:
            return
        if place is Place.AFTER_GAP:
            await self._check_gap(feed, offset)
            if not self._current(ticket.generation):
                return
            feed.window.skip_to(offset)
        feed.window.open(offset, ticket)
        feed.waiting.append(ticket)
        self._start_waiting(feed)

    def _current(self, generation: int) -> bool:
        return generation == self._source.generation and generation != self._drained

    def _feed(self, ticket: Ticket) -> Feed:
        feed = self._feeds.get(ticket.partition)
        if feed is None or feed.generation != ticket.generation:
            start = self._start_of(ticket.partition)
            feed = Feed(ticket.partition, ticket.generation, Window(start), start)
            current = {key: old for key, old in self._feeds.items() if old.generation == ticket.generation}
            self._feeds = {**current, ticket.partition: feed}
        return feed

    def _start_of(self, partition: Partition) -> int:
        start = self._source.starts().get(partition)
        if start is None:
            raise OffsetGap(f"{partition}: read before it was known where to begin")
        return start

    async def _check_gap(self, feed: Feed, offset: int) -> None:
        """Transaction markers take offsets and are no records: those gaps are harmless."""
        if await self._source.holds_records(feed.partition, feed.window.next, offset):
            raise OffsetGap(f"{feed.partition}: expected {feed.window.next}, got {offset}")
        self._metrics.gaps.labels(self._stage.value).inc()

    def _start_waiting(self, feed: Feed) -> None:
        if feed.generation == self._drained:
            return  # what waits behind those let go would overtake them
        while feed.waiting and len(feed.window) - len(feed.waiting) < self._limits.uncommitted:
            self._start(feed, feed.waiting.popleft())
        if len(feed.waiting) > self._limits.ahead:
            feed.paused = True
            self._source.pause(feed.partition)
        elif feed.paused and len(feed.waiting) <= self._limits.ahead // 2:
            feed.paused = False
            self._source.resume(feed.partition)

    def _start(self, feed: Feed, ticket: Ticket) -> None:
        task = asyncio.create_task(self._carry(feed, ticket))
        self._tasks.add(task)
        task.add_done_callback(self._landed)

    # -- work

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """A place among the tickets worked on at once. What waits for a turn or a dependency holds none."""
        task = asyncio.current_task()
        async with self._slots:
            self._working.add(task)
            try:
                yield
            finally:
                self._working.discard(task)

    async def _carry(self, feed: Feed, ticket: Ticket) -> None:
        # Tasks start in the order they were made, and a lane is joined before anything is awaited: reading order.
        await self._until_due(ticket.record)
        async with self._lanes.join(ticket.lane):
            await self._work(ticket.record)
        await self._release(feed, ticket)

    def _landed(self, task: asyncio.Task[None]) -> None:
        """A ticket without a durable outcome must not be acknowledged: the worker stops and Kafka redelivers."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._crash = asyncio.ensure_future(self._source.crash(error))

    async def _until_due(self, record: Record) -> None:
        """Wait on a retry topic. The due time is another host's clock: never trusted beyond the topic's own delay."""
        delay = delay_of(self._stage, record.topic)
        if delay is not None:
            left = (record.at + timedelta(seconds=delay) - self._clock.now()).total_seconds()
            await asyncio.sleep(min(max(left, 0), delay))

    async def _release(self, feed: Feed, ticket: Ticket) -> None:
        """Acknowledge the contiguous finished prefix. An old assignment acknowledges nothing."""
        if self._feeds.get(feed.partition) is not feed or feed.generation != self._source.generation:
            return
        for done in feed.window.finish(ticket.record.offset):
            await done.acknowledge()
        self._start_waiting(feed)

    async def look_for_lost(self) -> None:
        """Find records that never came and that no later record shows to be missing; called every few seconds.

        A partition is suspect when the consumer has handed over more than arrived, twice in a row without progress.

        Raises:
            OffsetGap: records are missing at the end of a partition.
        """
        generation = self._source.generation
        suspects = {} if generation == self._drained else self._suspects()
        repeated = {place: gap for place, gap in suspects.items() if self._seen_suspects.get(place) == gap}
        self._seen_suspects = suspects
        for partition, (expected, position) in repeated.items():
            lost = self._harmless.get(partition) != position and await self._source.holds_records(
                partition, expected, position
            )
            if lost and generation == self._source.generation:
                raise OffsetGap(f"{partition}: expected {expected}, the consumer is at {position}")
            self._harmless[partition] = position

    def _suspects(self) -> dict[Partition, tuple[int, int]]:
        """What is expected next, and what the consumer would hand over next, where they differ."""
        found = {}
        for partition, start in self._source.starts().items():
            feed, position = self._feeds.get(partition), self._source.position(partition)
            here = feed is not None and feed.generation == self._source.generation
            expected = feed.window.next if feed is not None and here else start
            if position is not None and position > expected:
                found[partition] = (expected, position)
        return found

    # -- out

    def committable(self) -> dict[Partition, int]:
        """The offset to commit of each partition that moved."""
        feeds = [feed for feed in self._feeds.values() if feed.generation == self._source.generation]
        return {feed.partition: feed.window.committable for feed in feeds if feed.window.committable > feed.committed}

    def committed(self, offsets: dict[Partition, int]) -> None:
        """Kafka took these offsets."""
        for partition, offset in offsets.items():
            if (feed := self._feeds.get(partition)) is not None:
                feed.committed = max(feed.committed, offset)

    async def drain(self) -> None:
        """End the work of this assignment: tickets being worked on may finish until the deadline, all others are
        let go at once. What is not done is done by whoever is assigned next.
        """
        self._drained = self._source.generation
        self._metrics.drains.labels(self._stage.value).inc()
        deadline = self._clock.monotonic() + self._limits.drain
        while self._tasks and (left := deadline - self._clock.monotonic()) > 0:
            for task in self._tasks - self._working:
                task.cancel()  # again each round: a ticket may have begun to wait for a dependency
            await asyncio.wait(self._tasks, timeout=min(left, 0.1))
        await self._cut_off()

    async def _cut_off(self) -> None:
        self._metrics.cancelled.labels(self._stage.value).inc(len(self._tasks))
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_WORDS)

    # -- seen from outside

    def uncommitted(self) -> int:
        """Tickets read and not yet committable."""
        return sum(len(feed.window) for feed in list(self._feeds.values()))

    def oldest(self) -> float:
        """Seconds since the oldest uncommitted ticket was read; 0 when there is none."""
        heads = [feed.window.oldest for feed in list(self._feeds.values())]
        return max((self._clock.monotonic() - head.read_at for head in heads if head), default=0.0)
