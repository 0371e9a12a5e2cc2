"""Faust made safe: where it rewinds to, what it commits, how it drains, and how a dead group is noticed.

Stock Faust loses tickets in all four places (faust-streaming 0.15.3 with aiokafka 0.14.0, read and measured). The
fixes reach into private parts, so their presence is checked when this module is imported.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import faust
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import KafkaError, UnknownMemberIdError
from aiokafka.protocol.group import HeartbeatRequest
from faust.app.base import App as FaustApp
from faust.app.base import BootStrategy
from faust.assignor.partition_assignor import PartitionAssignor
from faust.auth import SASLCredentials, SSLCredentials
from faust.tables.manager import TableManager
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.app import AppT
from faust.types.auth import CredentialsT
from faust.types.transports import ConsumerT
from mode import Service
from mode.types import ServiceT

from infra.kafka.closing import close
from infra.kafka.consumer import consumer as plain_consumer
from infra.kafka.headers import read_any_header
from infra.kafka.security import Address, Security, brokers
from streams.flight import Flight, OffsetGap, Partition
from streams.metrics import Metrics
from streams.step import StageStops

GAP_WITHIN = 30.0  # seconds to find out what is in a gap
WATCH_EVERY = 2.0  # seconds
BEAT_EVERY = 1.0  # seconds
LOOK_EVERY = 5.0  # seconds

SETTINGS: dict[str, Any] = {
    "processing_guarantee": "at_least_once",  # exactly_once picks a transactional id per destination: unusable
    "store": "memory://",
    "stream_wait_empty": False,  # the drain below has a deadline; Faust's has none
    "stream_buffer_maxsize": 256,
    "stream_processing_timeout": 600.0,  # only decides when Faust logs a slow ticket
    "broker_commit_livelock_soft_timeout": 600.0,  # the same
    "broker_commit_interval": 1.0,
    "broker_max_poll_records": 100,
    "broker_rebalance_timeout": 60.0,
    "broker_request_timeout": 40.0,
    "consumer_auto_offset_reset": "earliest",  # would hide what retention removed: `_rewind` looks
    "topic_allow_declare": False,
    "topic_disable_leader": True,
    "table_standby_replicas": 1,  # 0 would take aiokafka's round robin, which keeps no partition where it is
    "web_enabled": False,
    "worker_redirect_stdouts": False,
}

PRIVATE = (
    (
        driver.AIOKafkaConsumerThread,
        ("_consumer", "_ensure_consumer", "_create_worker_consumer", "seek_to_committed"),
    ),
    (GroupCoordinator, ("_do_heartbeat", "_do_rejoin_group", "_send_req")),
    (
        driver.Consumer,
        ("_new_consumer_thread", "_commit_offsets", "_add_gap", "force_commit", "on_buffer_full", "on_buffer_drop"),
    ),
    (FaustApp, ("_new_transport", "_consumer_wait_empty", "_create_directories")),
    (BootStrategy, ("server", "enable_kafka_producer")),
    (TableManager, ("_update_channels", "recovery")),
)
PRIVATE_NAMES = (
    (GroupCoordinator.__init__, ("_pending_exception", "_coordination_task", "generation")),
    (AIOKafkaConsumer.__init__, ("_isolation_level", "_coordinator", "_subscription", "_closed")),
)


def check_privates() -> None:
    """Refuse to start on versions this was not written for.

    Raises:
        ImportError: a private part is gone, and with it the promise not to lose tickets.
    """
    missing = [f"{owner.__name__}.{name}" for owner, names in PRIVATE for name in names if not hasattr(owner, name)]
    missing += [
        f"{init.__qualname__}: {name}"
        for init, names in PRIVATE_NAMES
        for name in names
        if name not in init.__code__.co_names
    ]
    if missing:
        raise ImportError(
            "streams/transport.py needs faust-streaming 0.15.3 and aiokafka 0.14.0, whose private parts it mends; "
            f"missing here: {', '.join(missing)}"
        )


check_privates()


class PlaceTaken(StageStops):
    """Another worker runs in the same slot: two in one place would take it from each other for ever."""


class SafeConsumerThread(driver.AIOKafkaConsumerThread):
    """Reads committed messages only, and starts every partition exactly where it should."""

    mundane_level = "debug"
    starts: Mapping[Partition, int] = {}  # first offset of each partition in this assignment
    heard_at = float("-inf")  # monotonic seconds; when the group's coordinator last took a join or a heartbeat

    async def on_start(self) -> None:
        """Connect. The coordinator waits for a subscription, so no heartbeat comes before it is listened to."""
        await super().on_start()
        coordinator: Any = self._ensure_consumer()._coordinator
        coordinator._do_heartbeat = self._noting(self._unless_stuck(coordinator._do_heartbeat))
        coordinator._send_req = self._unless_replaced(coordinator._send_req)
        coordinator._do_rejoin_group = self._noting(coordinator._do_rejoin_group)

    def _noting(self, ask: Callable[..., Awaitable[bool]]) -> Callable[..., Awaitable[bool]]:
        """aiokafka keeps the time of its last good heartbeat in a local variable."""

        async def noting(*arguments: object) -> bool:
            if taken := await ask(*arguments):
                self.heard_at = time.monotonic()
            return taken

        return noting

    def _unless_stuck(self, beat: Callable[..., Awaitable[bool]]) -> Callable[..., Awaitable[bool]]:
        """This thread would keep a worker in its group whose event loop stands still: nobody else could do its work."""
        app = cast(App, self.app)

        async def unless_stuck(*arguments: object) -> bool:
            silent = time.monotonic() - app.beat_at
            return silent <= app.conf.broker_session_timeout and await beat(*arguments)

        return unless_stuck

    def _unless_replaced(self, send: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """aiokafka's heartbeat does not name the slot (KIP-345), so Kafka cannot tell it that another has the place.

        A static member that the coordinator heard within its session, and does not know, was replaced.
        """
        timeout = cast(App, self.app).conf.broker_session_timeout

        async def unless_replaced(request: Any) -> Any:  # noqa: ANN401
            answer = await send(request)
            unknown = isinstance(request, HeartbeatRequest) and answer.error_code == UnknownMemberIdError.errno
            if unknown and cast(App, self.app).slotted and time.monotonic() - self.heard_at < timeout:
                raise PlaceTaken("another worker has taken this worker's slot")
            return answer

        return unless_replaced

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:  # noqa: ANN401
        read_any_header()
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # what a producer took back is no ticket
        return consumer

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Rewind to the committed offsets, and where there are none, to the beginning."""
        return cast(Mapping[TP, int], await self.call_thread(self._rewind))

    async def _rewind(self) -> Mapping[TP, int]:
        """aiokafka leaves a partition without a commit where it is: a batch fetched during a rebalance is skipped.

        The seek is explicit, as `seek_to_beginning` leaves no position, which Faust's livelock check cannot bear.
        """
        consumer = self._ensure_consumer()
        committed = await consumer.seek_to_committed()
        beginnings = await consumer.beginning_offsets(list(committed))
        starts = {tp: max(offset or 0, beginnings[tp]) for tp, offset in committed.items()}
        for tp, start in starts.items():
            if not committed[tp] or start > committed[tp]:
                consumer.seek(tp, start)
            if committed[tp] and start > committed[tp]:
                cast(App, self.app).report_expired(tp, start - committed[tp])
        self.starts = {(tp.topic, tp.partition): start for tp, start in starts.items()}
        return cast(Mapping[TP, int], committed)

    def position_of(self, partition: Partition) -> int | None:
        """The next offset of a partition to be handed over; None while it has none."""
        subscription = self._ensure_consumer()._subscription.subscription
        assignment = subscription.assignment if subscription is not None else None
        place = TopicPartition(*partition)
        if assignment is None or place not in assignment.tps:
            return None
        state = assignment.state_value(place)
        return cast(int, state.position) if state.has_valid_position else None


class SafeConsumer(driver.Consumer):
    """Commits what the window says is done, and nothing else.

    Faust's own book commits the first run of acknowledged offsets even when the head of the partition is not among
    them (faust-streaming issue 606), so it is not kept.
    """

    mundane_level = "debug"
    _thread: SafeConsumerThread

    def _new_consumer_thread(self) -> SafeConsumerThread:
        return SafeConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def ack(self, message: Any) -> bool:  # noqa: ANN401
        """A message is through; what that means for the commit, the window knows."""
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Gaps are the window's business; Faust's list of them would only grow."""

    async def verify_all_partitions_active(self) -> None:
        """Faust's log of slow partitions; the age of the oldest unacknowledged ticket says it as a metric."""

    async def force_commit(self, topics: object = None, start_new_transaction: bool = True) -> bool:
        """Commit the finished prefix of every partition."""
        flight = cast(App, self.app).flight
        offsets = flight.committable()
        if not offsets:
            return False
        done = await self._unless_crashed(
            self._commit_offsets({TP(*place): offset for place, offset in offsets.items()})
        )
        if done:
            flight.committed(offsets)
        return done

    async def _unless_crashed(self, commit: Coroutine[Any, Any, Any]) -> bool:
        """Whether Kafka took it. A crash ends the consumer's thread, which then never answers what it was asked."""
        crash, call = (asyncio.ensure_future(found) for found in (cast(App, self.app)._crashed.wait(), commit))
        try:
            await asyncio.wait({crash, call}, return_when=asyncio.FIRST_COMPLETED)
            return call.done() and bool(call.result())
        finally:
            for task in (crash, call):
                task.cancel()


class SafeTransport(driver.Transport):
    """Faust's Kafka transport with the consumer above."""

    Consumer = SafeConsumer


@dataclass(frozen=True)
class Membership:
    """Where a stage stands with its consumer group, at one moment."""

    joined: bool = False  # it holds a generation: the coordinator counts it among the group's members
    assigned: bool = False  # the group has decided on its partitions; none, as others hold them all, is a decision
    heard_at: float = float("-inf")  # monotonic seconds; when the coordinator last took a join or a heartbeat
    fault: BaseException | None = None  # the group is gone for good
    stopping: bool = False
    crash: BaseException | None = None  # of this stage, or of another part of its process


class Watchdog(Service):
    """Crashes the app when its consumer group is gone, or when records never arrived.

    aiokafka reports fatal group errors by `check_errors` only, which Faust never calls: the worker would live on,
    silent and without partitions. And around a rebalance Faust may drop a record that it has taken from aiokafka.
    """

    mundane_level = "debug"

    def __init__(self, app: "App", **options: Any) -> None:  # noqa: ANN401
        self.app = app
        super().__init__(**options)

    @Service.task
    async def _beat(self) -> None:
        while not self.should_stop:
            self.app.beat_at = time.monotonic()
            await self.sleep(BEAT_EVERY)

    @Service.task
    async def _watch(self) -> None:
        while not self.should_stop:
            await self.sleep(WATCH_EVERY)
            if (error := self.app.membership().fault) is not None:
                self.log.critical("the consumer group's coordination ended: %s", type(error).__name__)
                await self.app.crash(error)

    @Service.task
    async def _look_for_lost(self) -> None:
        while not self.should_stop:
            await self.sleep(LOOK_EVERY)
            try:
                await self.app.flight.look_for_lost()
            except OffsetGap as error:
                await self.app.crash(error)
            except (TimeoutError, KafkaError):
                continue  # Kafka does not answer: looked at again


class Boot(BootStrategy):
    """Starts the watchdog before the consumer; Faust's producer is never started (see infra/kafka/producer.py)."""

    enable_kafka_producer = False

    def server(self) -> Iterable[ServiceT]:
        """The services in the order they start."""
        watchdog = Watchdog(cast(App, self.app), loop=self.app.loop, beacon=self.app.beacon)
        return [cast(ServiceT, watchdog), *super().server()]


class NoTables(TableManager):
    """Faust waits a second for tables to be declared; there are none."""

    mundane_level = "debug"

    async def on_start(self) -> None:
        """Go on to the first assignment at once."""
        await self._update_channels()
        await self.recovery.start()


class Assignor(PartitionAssignor):
    """Leaves no member without a partition while there are enough.

    Told of standby replicas, Faust fills each member up to `ceil(partitions / members)` and keeps what it has: of 4
    partitions the third member, and of 12 the fifth, gets none. There are no tables, so there is nothing to stand by.
    """

    def __init__(self, app: AppT, replicas: int = 0) -> None:
        super().__init__(app, replicas=0)


def credentials(security: Security) -> CredentialsT | None:
    """What Faust's own consumer proves itself with."""
    if security.login:
        password = None if security.password is None else security.password.get_secret_value()
        return SASLCredentials(
            username=security.username, password=password, ssl_context=security.tls, mechanism=security.mechanism
        )
    return SSLCredentials(security.tls) if security.tls is not None else None


class App(faust.App):
    """One stage's Faust app: one consumer group, one agent, everything else in the flight."""

    mundane_level = "debug"
    BootStrategy = Boot
    flight: Flight

    def __init__(self, group: str, bootstrap: Address, metrics: Metrics, stage: str, **options: Any) -> None:  # noqa: ANN401
        self.metrics, self.stage, self.brokers = metrics, stage, brokers(bootstrap)
        self.beat_at = time.monotonic()  # when its event loop ran last; read by the consumer's thread
        broker = ";".join(f"kafka://{server.strip()}" for server in self.brokers.servers.split(","))
        own = {
            "TableManager": NoTables,
            "PartitionAssignor": Assignor,
            "broker_credentials": credentials(self.brokers.security),
        }
        self.slotted = "consumer_group_instance_id" in options
        super().__init__(group, broker=broker, **{**SETTINGS, **own, **options})

    def _new_transport(self) -> SafeTransport:
        return SafeTransport(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """Nothing is kept on disk."""

    async def _consumer_wait_empty(self, consumer: ConsumerT, logger: Any) -> None:  # noqa: ANN401
        """Called when partitions are revoked and when the app stops."""
        await self.flight.drain()
        await cast(SafeConsumer, consumer).force_commit()

    def membership(self) -> Membership:
        """Where the stage stands with its group. On the app's own event loop."""
        if not self.started:
            return Membership()
        thread = cast(SafeConsumerThread | None, getattr(self.consumer, "_thread", None))
        consumer: Any = thread._consumer if thread is not None else None
        coordinator: Any = getattr(consumer, "_coordinator", None)
        if thread is None or coordinator is None:
            return Membership(stopping=self.should_stop, crash=self.crash_reason)
        subscription = consumer._subscription.subscription
        return Membership(
            joined=coordinator.generation > 0,
            assigned=subscription is not None and subscription.assignment is not None,
            heard_at=thread.heard_at,
            fault=None if consumer._closed else _fault(coordinator),
            stopping=self.should_stop,
            crash=self.crash_reason,
        )

    def report_expired(self, tp: TopicPartition, count: int) -> None:
        """Retention removed messages that were never read: they are lost, and nobody may overlook it."""
        self.metrics.expired.labels(self.stage).inc(count)
        self.log.critical("%s[%d]: retention removed %d unread messages", tp.topic, tp.partition, count)


def _fault(coordinator: Any) -> BaseException | None:  # noqa: ANN401
    """Why a group's coordination has ended; None while it goes on."""
    if (pending := coordinator._pending_exception) is not None:
        return cast(BaseException, pending)
    task: asyncio.Task[None] = coordinator._coordination_task
    if not task.done():
        return None
    return (None if task.cancelled() else task.exception()) or RuntimeError("coordination ended")


class FaustSource:
    """The consumer of an app, as the flight sees it (flight.Source)."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._gaps = GapReader(app.brokers)

    @property
    def generation(self) -> int:
        return int(self._app.consumer_generation_id)

    def starts(self) -> Mapping[Partition, int]:
        return cast(SafeConsumer, self._app.consumer)._thread.starts

    def position(self, partition: Partition) -> int | None:
        return cast(SafeConsumer, self._app.consumer)._thread.position_of(partition)

    async def holds_records(self, partition: Partition, start: int, end: int) -> bool:
        return await self._gaps.holds_records(partition, start, end)

    def pause(self, partition: Partition) -> None:
        # Not pause_partitions: that drops what was fetched already.
        self._app.consumer.on_buffer_full(TP(*partition))

    def resume(self, partition: Partition) -> None:
        self._app.consumer.on_buffer_drop(TP(*partition))

    async def crash(self, error: BaseException) -> None:
        if not self._app._crashed.is_set():
            await self._app.crash(error)


class GapReader:
    """Reads what Kafka holds in a gap, by a consumer of its own."""

    def __init__(self, bootstrap: Address) -> None:
        self._bootstrap = bootstrap

    async def holds_records(self, partition: Partition, start: int, end: int) -> bool:
        """Whether there is a record at start <= offset < end. Transaction markers and aborted messages are none.

        Raises:
            TimeoutError: Kafka does not say.
        """
        tp = TopicPartition(*partition)
        consumer = plain_consumer(self._bootstrap, isolation_level="read_committed", fetch_max_wait_ms=100)
        async with asyncio.timeout(GAP_WITHIN):
            try:
                await consumer.start()
                consumer.assign([tp])
                consumer.seek(tp, start)
                return await self._any_before(consumer, tp, end)
            finally:
                await close(consumer)

    async def _any_before(self, consumer: AIOKafkaConsumer, tp: TopicPartition, end: int) -> bool:
        while await consumer.position(tp) < end:
            for record in (await consumer.getmany(tp, timeout_ms=200)).get(tp, []):
                return bool(record.offset < end)
        return False
