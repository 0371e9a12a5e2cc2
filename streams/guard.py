"""The live guard of a process: reads audits and later acts, and stops what they speak against, by both paths.

It never arms. What it has read and concluded is one row in Postgres: a guard that starts goes on where the last one
was, and of two that run at a time the slower one starts its round again.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from mode import Service

from infra.kafka.closing import close
from infra.kafka.consumer import consumer
from infra.kafka.security import Address
from processors.errors import DependencyDown, Retryable
from processors.guard import (
    GUARD,
    Alarm,
    Detector,
    Feedback,
    Watch,
    Watched,
    armed_again,
    of,
    scope_of,
    signal,
    stopped,
    unstopped,
    watch,
    why,
)
from processors.policy import GuardPolicy
from processors.ports import Clock, GuardMemory, GuardState, SwitchTable
from schemas.codec import Undecodable, decode
from schemas.control import SwitchSet, SwitchState
from schemas.outcome import TicketSettled
from schemas.topics import Topic
from streams.metrics import Metrics
from streams.retry import pause
from streams.step import Publish

EVERY = 2.0  # seconds
POLL_MS = 200
BATCH = 1000  # acts a round

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Heard:
    """Later acts as they stand on the topic, and where to read on."""

    found: tuple[Feedback, ...]
    offsets: dict[int, int]  # the next one of each partition


class Acts(Protocol):
    """What happened to tickets, from a place on."""

    async def read(self, offsets: dict[int, int]) -> Heard:
        """What came after these offsets.

        Raises:
            DependencyDown: Kafka does not answer.
        """
        ...

    async def aclose(self) -> None: ...


class OutcomeReader:
    """Reads `tickets.outcome` without a group: the offsets are kept with what was concluded from the records."""

    def __init__(self, bootstrap: Address) -> None:
        self._bootstrap = bootstrap
        self._consumer: AIOKafkaConsumer | None = None
        self._at: dict[int, int] = {}  # where each assigned partition is read on

    async def read(self, offsets: dict[int, int]) -> Heard:
        """What came after these offsets; of a partition without one, from its beginning."""
        try:
            reader = await self._connected()
            await self._seek(reader, offsets)
            batches = await reader.getmany(timeout_ms=POLL_MS, max_records=BATCH)
        except KafkaError as error:
            await self.aclose()
            raise DependencyDown("Kafka", f"{Topic.OUTCOME}: {type(error).__name__}") from None
        messages = [
            message for place, batch in batches.items() for message in batch if _is_new(message, place, reader, offsets)
        ]
        read = {message.partition: message.offset + 1 for message in messages}
        self._at |= read
        found = [feedback for message in messages if (feedback := _feedback(message.value)) is not None]
        return Heard(tuple(found), {**offsets, **read})

    async def aclose(self) -> None:
        """Disconnect."""
        reader, self._consumer, self._at = self._consumer, None, {}
        if reader is not None:
            await close(reader)

    async def _connected(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            self._consumer = consumer(self._bootstrap, Topic.OUTCOME.value)
            await self._consumer.start()
        return self._consumer

    async def _seek(self, reader: AIOKafkaConsumer, offsets: dict[int, int]) -> None:
        for place in reader.assignment():
            wanted = offsets.get(place.partition)
            if wanted is not None and self._at.get(place.partition) != wanted:
                reader.seek(place, wanted)
                self._at[place.partition] = wanted
            elif wanted is None and place.partition in self._at:
                await reader.seek_to_beginning(TopicPartition(Topic.OUTCOME.value, place.partition))
                del self._at[place.partition]


def _is_new(message: Any, place: TopicPartition, reader: AIOKafkaConsumer, offsets: dict[int, int]) -> bool:  # noqa: ANN401
    """Whether it was not read before: after partitions are added the client begins all of them again.

    Where the topic's end lies before what was read, the topic itself began anew.
    """
    wanted = offsets.get(place.partition, 0)
    return message.offset >= wanted or (reader.highwater(place) or 0) < wanted


def _feedback(value: bytes | None) -> Feedback | None:
    try:
        return signal(decode(TicketSettled, value))
    except Undecodable:
        return None


class LiveGuard(Service):
    """Looks every few seconds, and stops the scopes that tripped."""

    mundane_level = "debug"

    def __init__(  # noqa: PLR0913  each is a port of its own
        self,
        memory: GuardMemory,
        table: SwitchTable,
        acts: Acts,
        publish: Publish,
        *,
        policy: GuardPolicy,
        clock: Clock,
        metrics: Metrics,
        **options: Any,  # noqa: ANN401
    ) -> None:
        self._memory, self._table, self._acts, self._publish = memory, table, acts, publish
        self._policy, self._clock, self._metrics = policy, clock, metrics
        super().__init__(**options)

    async def on_stop(self) -> None:
        """Disconnect."""
        await self._acts.aclose()

    @Service.task
    async def _watch(self) -> None:
        failures = 0
        while not self.should_stop:
            try:
                await self.look()
                failures = 0
            except Retryable as error:
                logger.warning("the live guard waits: %s", error)
                failures += 1
            await self.sleep(pause(failures) if failures else EVERY)

    async def look(self) -> None:
        """Take in what is new, and stop what tripped. Acts that Kafka cannot tell keep no audit from counting.

        Raises:
            DependencyDown: Postgres or Kafka does not answer; the same call again goes on where this one was.
        """
        await self._take_in(await self._audits(await self._memory.load()))
        try:
            held = await self._memory.load()
            await self._take_in((held, await self._signals(held.watch)))
        finally:
            await self._stop_tripped(await self._memory.load())
        self._metrics.guard_looked_at.set(self._clock.now().timestamp())

    async def _audits(self, held: GuardState) -> tuple[GuardState, Watch]:
        known = held.watch
        for row in await self._table.rows():
            if row.state is SwitchState.AUTO:
                known = armed_again(known, row.scope, row.stop, row.set_at)
        told = await self._memory.labels(known.labels, machines=self._policy.machine_audits)
        known = watch(known, Detector.AUDITS, told.found, budget=self._policy.budget)
        return held, known.model_copy(update={"labels": told.last})

    async def _signals(self, held: Watch) -> Watch:
        heard = await self._acts.read(held.offsets)
        known = watch(held, Detector.SIGNALS, heard.found, budget=self._policy.signal_budget)
        return known.model_copy(update={"offsets": heard.offsets})

    async def _take_in(self, read: tuple[GuardState, Watch]) -> None:
        """Keep what was read; where another guard was faster, its round counts."""
        held, known = read
        if known != held.watch and await self._memory.save(held.version, known) is None:
            logger.info("another guard was faster")
            return
        self._tell(held.watch, known)

    def _tell(self, before: Watch, after: Watch) -> None:
        for detector in Detector:
            for scope, watched in of(after, detector).items():
                labels, guard = (detector.value, scope), watched.guard
                self._metrics.guard_e_value.labels(*labels).set(guard.e_value)
                self._metrics.guard_feedbacks.labels(*labels).set(guard.feedbacks)
                self._metrics.guard_bad.labels(*labels).set(guard.bad)
                known, alarm = of(before, detector).get(scope), guard.alarm()
                if alarm is not (known.guard.alarm() if known else Alarm.QUIET):
                    self._metrics.guard_alarms.labels(*labels, alarm.value).inc()
                    level = logging.INFO if alarm is Alarm.QUIET else logging.WARNING
                    logger.log(level, "%s of %s: %s: %s", alarm.value, scope, detector.value, why(detector, guard))

    # -- stopping

    async def _stop_tripped(self, held: GuardState) -> None:
        """Stop all of them in the table before any is published: Kafka may be away."""
        tripped = unstopped(held.watch)
        for detector, scope in tripped:
            if (watched := of(held.watch, detector)[scope]).stop is None:
                held = await self._stop_in_table(held, detector, scope, watched)
        for detector, scope in tripped:
            held = await self._publish_stop(held, detector, scope, of(held.watch, detector)[scope])

    async def _publish_stop(self, held: GuardState, detector: Detector, scope: str, watched: Watched) -> GuardState:
        """Publish what the table holds, if it is still a guard's stop: a person may have set the scope since."""
        assert watched.stop is not None
        for row in await self._table.rows():
            if str(row.scope) == scope and row.actor == GUARD and row.state is not SwitchState.AUTO:
                record = SwitchSet(
                    scope=row.scope,
                    state=row.state,
                    why=row.why,
                    actor=row.actor,
                    set_at=row.set_at,
                    sequence=row.stop.sequence,
                )
                await self._publish(Topic.SWITCH, scope, record, ())
        return await self._keep(held, stopped(held.watch, detector, scope, watched.stop, published=True))

    async def _stop_in_table(self, held: GuardState, detector: Detector, scope: str, watched: Watched) -> GuardState:
        record = SwitchSet(
            scope=scope_of(scope),
            state=SwitchState.SUGGEST,
            why=why(detector, watched.guard),
            actor=GUARD,
            set_at=self._clock.now(),
        )
        row = await self._table.set(record, offset=None)
        if row is None:  # off, which is stricter
            row = next(row for row in await self._table.rows() if row.scope == record.scope)
        logger.critical("%s is %s: %s", scope, row.state.value, record.why)
        self._metrics.guard_stops.labels(detector.value, scope).inc()
        return await self._keep(held, stopped(held.watch, detector, scope, row.stop, published=False))

    async def _keep(self, held: GuardState, known: Watch) -> GuardState:
        version = await self._memory.save(held.version, known)
        if version is None:
            raise DependencyDown("the guard's memory", "another guard was faster")
        return GuardState(version, known)


def scopes_in_words(held: Watch) -> Sequence[dict[str, object]]:
    """What the guard knows, a line a scope and detector: overall first, then by name."""
    return [
        {
            "scope": scope,
            "detector": detector.value,
            "feedbacks": watched.guard.feedbacks,
            "bad": watched.guard.bad,
            "e_value": round(watched.guard.e_value, 3),
            "budget": watched.guard.budget,
            "state": watched.guard.alarm().value,
            "since": watched.started_at.isoformat(timespec="seconds") if watched.started_at else None,
        }
        for detector in Detector
        for scope, watched in sorted(of(held, detector).items(), key=lambda pair: (pair[0] != "all", pair[0]))
    ]
