"""The kill switch of a process: read from `control.switch`, kept in memory, mirrored into Postgres by outcome.

Every worker reads the whole topic, without a consumer group, and has caught up before its first ticket. What is
unknown, unreadable or stale reads as `suggest`: nothing is sent.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from mode import Service

from infra.kafka.closing import close
from infra.kafka.consumer import consumer
from infra.kafka.security import Address
from processors.errors import DependencyDown, Rejected, Retryable
from processors.ports import Clock, SwitchTable, SwitchView
from processors.switch import Board, Entry, apply, hear, view
from schemas.control import Scope, SwitchSet, SwitchState
from schemas.ingress import Channel
from schemas.topics import Topic
from streams.metrics import Metrics
from streams.retry import pause

PLACE = TopicPartition(Topic.SWITCH.value, 0)
POLL_MS = 200
STARTS_WITHIN = 30.0  # seconds
APPEARS_WITHIN = 1.0  # seconds a topic that was just made may take to be known to every broker
LATEST_MS = 253_402_300_799_000  # the end of 9999: a producer may stamp a record with any time

Seen = Callable[[SwitchSet, int], None]

logger = logging.getLogger(__name__)


class NoTopic(DependencyDown):
    """The cluster has no `control.switch`."""


class SwitchReader(Service):
    """Follows the topic, and answers what applies to a ticket now (ports.Switch). One per process.

    `sluice switch` reads with it too: what it shows is what the workers obey.
    """

    mundane_level = "debug"

    def __init__(
        self,
        bootstrap: Address,
        clock: Clock,
        metrics: Metrics,
        *,
        staleness: float,  # seconds without news after which the state counts as unknown
        seen: Seen = lambda record, offset: None,  # told every record as understood, applied or not, in order
        starts_within: float = STARTS_WITHIN,  # seconds
        **options: Any,  # noqa: ANN401
    ) -> None:
        self._bootstrap, self._clock, self._metrics = bootstrap, clock, metrics
        self._staleness, self._seen, self._starts_within = staleness, seen, starts_within
        self._board = Board()
        self._fresh_at: float | None = None  # when it was last certain that there is nothing newer
        self._consumer: AIOKafkaConsumer | None = None
        super().__init__(**options)
        metrics.switch_epoch.set_function(lambda: self._board.epoch)
        metrics.switch_age.set_function(self.age)

    def view(self, *, channel: Channel, intent: str, customer_id: str | None) -> SwitchView:
        """The state that applies to a ticket. A known `off` holds even when it is stale; nothing looser does."""
        known = view(self._board, channel, intent, customer_id)
        if self.age() <= self._staleness or known.state is SwitchState.OFF:
            return known
        return SwitchView(SwitchState.SUGGEST, known.epoch, None, f"stale: no news for {self.age():.0f} s")

    @property
    def board(self) -> Board:
        """Every scope that was ever set, as read so far."""
        return self._board

    def entry(self, scope: Scope) -> Entry | None:
        """What holds in exactly this scope, with the place a later record must name to lift it."""
        return self._board.entry(scope)

    def age(self) -> float:
        """Seconds since the end of the topic was last seen; infinite before the first time."""
        return float("inf") if self._fresh_at is None else self._clock.monotonic() - self._fresh_at

    async def on_start(self) -> None:
        """Catch up with the topic.

        Raises:
            NoTopic: Kafka answers, and has no such topic.
            DependencyDown: Kafka does not answer, so nobody knows what may be sent.
        """
        try:
            async with asyncio.timeout(self._starts_within):
                await self._connect()
                while not await self._at_end():
                    await self._read()
        except NoTopic:
            await self.on_stop()
            raise
        except (KafkaError, TimeoutError) as error:
            await self.on_stop()
            raise DependencyDown("Kafka", f"{PLACE.topic}: {type(error).__name__}") from None
        logger.info("switch read up to offset %d", self._board.epoch)

    async def on_stop(self) -> None:
        """Disconnect."""
        if self._consumer is not None:
            await close(self._consumer)

    async def _connect(self) -> None:
        self._consumer = consumer(
            self._bootstrap,
            fetch_max_wait_ms=100,
            # A stop counts even before its producer's transaction is committed, and whatever becomes of it.
            isolation_level="read_uncommitted",
        )
        await self._consumer.start()
        await self._find(self._consumer)
        self._consumer.assign([PLACE])
        await self._consumer.seek_to_beginning(PLACE)

    async def _find(self, consumer: AIOKafkaConsumer) -> None:
        """See that the topic is there: a question about a missing one makes it, with too many partitions, on some."""
        deadline = self._clock.monotonic() + APPEARS_WITHIN
        while PLACE.topic not in await consumer.topics():
            if self._clock.monotonic() > deadline:
                raise NoTopic("Kafka", f"it has no topic {PLACE.topic}: `sluice topics create` makes it")
            await asyncio.sleep(POLL_MS / 1000)

    @Service.task
    async def _follow(self) -> None:
        """Read for ever; look at least a few times per staleness whether there is anything newer."""
        while not self.should_stop:
            try:
                await self._read()
                async with asyncio.timeout(self._staleness):
                    await self._at_end()
            except (KafkaError, TimeoutError) as error:
                logger.warning("the switch cannot be read: %s", type(error).__name__)
                await self.sleep(1.0)

    async def _read(self) -> None:
        assert self._consumer is not None
        for messages in (await self._consumer.getmany(timeout_ms=POLL_MS)).values():
            for message in messages:
                self._apply(message.value, message.offset, _time(message.timestamp))

    async def _at_end(self) -> bool:
        """Whether everything was read. The moment counts from before the question."""
        assert self._consumer is not None
        asked = self._clock.monotonic()
        end = (await self._consumer.end_offsets([PLACE]))[PLACE]
        position = await self._consumer.position(PLACE)
        if position > end:
            logger.critical("control.switch began anew: nothing is sent until it is armed again")
            self._board = Board()
            await self._consumer.seek_to_beginning(PLACE)
        if position != end:
            return False
        self._fresh_at = asked
        return True

    def _apply(self, value: bytes | None, offset: int, at: datetime) -> None:
        heard = hear(value, offset, at)
        if heard.fault is not None:
            self._metrics.switch_unreadable.inc()
            logger.error("switch record %d is not understood, and means everything", offset)
        self._board, verdict = apply(self._board, heard.record, offset)
        self._metrics.switch_seen_at.set(self._clock.now().timestamp())
        if not verdict.applied:
            self._metrics.switch_ignored.inc()
        logger.info("switch record %d: %s", offset, verdict.why)
        self._seen(heard.record, offset)


def _time(milliseconds: int) -> datetime:
    """A record's timestamp, which its producer chose."""
    return datetime.fromtimestamp(min(max(milliseconds, 0), LATEST_MS) / 1000, UTC)


class SwitchMirror(Service):
    """Writes every record of the topic into the table that claims obey, in order, however long Postgres is away."""

    mundane_level = "debug"

    def __init__(self, table: SwitchTable, **options: Any) -> None:  # noqa: ANN401
        self._table = table
        self._records: asyncio.Queue[tuple[SwitchSet, int]] = asyncio.Queue()
        super().__init__(**options)

    def see(self, record: SwitchSet, offset: int) -> None:
        """Queue a record. The table knows which ones it has seen before."""
        self._records.put_nowait((record, offset))

    @Service.task
    async def _write(self) -> None:
        failures = 0
        record, offset = await self._records.get()
        while not self.should_stop:
            try:
                await self._table.set(record, offset=offset)
            except Retryable:
                await self.sleep(pause(failures))
                failures += 1
                continue
            except Rejected as error:
                logger.critical("switch record %d is on the topic alone, the table refuses it: %s", offset, error)
            failures = 0
            record, offset = await self._records.get()
