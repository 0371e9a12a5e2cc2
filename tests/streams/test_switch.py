"""The switch of a process on the real broker: caught up before it answers, and closed when it cannot know."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from confluent_kafka import Producer as PlainProducer
from prometheus_client import CollectorRegistry

from infra.kafka.local import LocalKafka
from infra.kafka.producer import MessageTooLarge, Producer
from infra.postgres.pool import open_pool
from infra.postgres.switch import PostgresSwitchTable
from infra.settings import as_role
from processors.errors import DependencyDown, Rejected, SluiceError, TryLater
from processors.ports import SwitchRow, SwitchTable
from schemas.control import Scope, ScopeKind, Stop, SwitchSet, SwitchState
from schemas.ingress import Channel
from schemas.topics import Topic
from streams.metrics import Metrics
from streams.switch import SwitchMirror, SwitchReader

OFF, SUGGEST, AUTO = SwitchState.OFF, SwitchState.SUGGEST, SwitchState.AUTO


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def record(state: SwitchState, lifts: Stop | None = None) -> SwitchSet:
    return SwitchSet(scope=Scope(), state=state, why="test", actor="test", set_at=datetime.now(UTC), lifts=lifts)


async def publish(bootstrap: str, *records: SwitchSet | bytes) -> None:
    async with Producer(bootstrap) as producer:
        for each in records:
            await producer.publish(Topic.SWITCH, "all", each)


@asynccontextmanager
async def reading(bootstrap: str, staleness: float = 30.0) -> AsyncIterator[SwitchReader]:
    reader = SwitchReader(bootstrap, SystemClock(), Metrics(CollectorRegistry()), staleness=staleness)
    await reader.maybe_start()
    try:
        yield reader
    finally:
        await reader.stop()


def state(reader: SwitchReader) -> SwitchState:
    return reader.view(channel=Channel.API, intent="x", customer_id=None).state


async def soon(check: Callable[[], bool], within: float = 20.0) -> None:
    async with asyncio.timeout(within):
        while not check():
            await asyncio.sleep(0.05)


ARMED = record(AUTO, Stop())


async def test_it_has_caught_up_before_it_has_started(kafka_topics: str) -> None:
    await publish(kafka_topics, ARMED, *[record(AUTO)] * 300, record(OFF))
    async with reading(kafka_topics) as reader:
        assert state(reader) is OFF
        assert reader.view(channel=Channel.API, intent="x", customer_id=None).epoch == 301


async def test_an_empty_topic_is_a_fresh_deployment(kafka_topics: str) -> None:
    async with reading(kafka_topics) as reader:
        assert state(reader) is SUGGEST


async def test_it_follows_and_an_arming_must_name_its_stop(kafka_topics: str) -> None:
    await publish(kafka_topics, ARMED)
    async with reading(kafka_topics) as reader:
        assert state(reader) is AUTO
        await publish(kafka_topics, record(OFF))
        await soon(lambda: state(reader) is OFF)
        await publish(kafka_topics, ARMED, record(AUTO, Stop(offset=1)))
        await soon(lambda: state(reader) is AUTO)


async def test_a_record_nobody_can_read_is_a_stop(kafka_topics: str) -> None:
    await publish(kafka_topics, ARMED, b"\xc3\x01 junk")
    async with reading(kafka_topics) as reader:
        assert state(reader) is SUGGEST
        await publish(kafka_topics, record(AUTO, Stop(offset=1)))
        await soon(lambda: state(reader) is AUTO)


async def test_a_stop_for_a_channel_nobody_has_stops_everything(kafka_topics: str) -> None:
    typo = record(SUGGEST).model_copy(update={"scope": Scope(kind=ScopeKind.CHANNEL, value="emial")})
    await publish(kafka_topics, ARMED, typo)
    async with reading(kafka_topics) as reader:
        assert state(reader) is SUGGEST


async def test_a_stop_in_an_open_transaction_counts_at_once(kafka_topics: str) -> None:
    await publish(kafka_topics, ARMED)
    producer = PlainProducer({"bootstrap.servers": kafka_topics, "transactional.id": "test-switch"})
    async with reading(kafka_topics) as reader:
        producer.init_transactions(10)
        producer.begin_transaction()
        producer.produce(Topic.SWITCH.value, b"a stop of a kind nobody knows")
        producer.flush(10)
        await soon(lambda: state(reader) is SUGGEST)
        producer.abort_transaction(10)


async def test_without_kafka_the_switch_goes_stale_and_a_publish_says_so(own_kafka: LocalKafka) -> None:
    await publish(own_kafka.bootstrap, ARMED)
    async with Producer(own_kafka.bootstrap, deadline=1.0) as producer:
        async with reading(own_kafka.bootstrap, staleness=2.0) as reader:
            own_kafka.kill()
            assert state(reader) is AUTO
            await soon(lambda: state(reader) is SUGGEST, within=10)
            assert "stale" in reader.view(channel=Channel.API, intent="x", customer_id=None).why
        with pytest.raises(DependencyDown):
            await producer.publish(Topic.INBOUND, "k", b"x")


async def test_a_process_without_kafka_does_not_start() -> None:
    with pytest.raises(DependencyDown):
        async with Producer("127.0.0.1:9"):
            pass
    with pytest.raises(DependencyDown):
        async with reading("127.0.0.1:9"):
            pass


async def test_a_publish_returns_the_place_it_was_acknowledged_at(kafka_topics: str) -> None:
    async with Producer(kafka_topics) as producer:
        first = await producer.publish(Topic.SWITCH, "all", ARMED)
        second = await producer.publish(Topic.SWITCH, "all", record(OFF))
    assert (first, second) == ((0, 0), (0, 1))


async def test_a_message_larger_than_its_topic_is_refused_for_good(kafka_topics: str) -> None:
    async with Producer(kafka_topics) as producer:
        for size in (2**21 + 2**10, 2**22):  # refused by the broker, and by the client
            with pytest.raises(MessageTooLarge):
                await producer.publish(Topic.INBOUND, "k", bytes(size))
        await producer.publish("router.dead", "k", bytes(2**21))


class Table:
    """A switch table whose first calls fail."""

    def __init__(self, *failures: SluiceError) -> None:
        self.failures, self.written = list(failures), list[tuple[SwitchState, int | None]]()

    async def rows(self) -> tuple[SwitchRow, ...]:
        return ()

    async def set(self, record: SwitchSet, *, offset: int | None) -> SwitchRow | None:
        if self.failures:
            raise self.failures.pop(0)
        self.written.append((record.state, offset))
        return None


class Counting:
    """Counts what a table has finished."""

    def __init__(self, table: SwitchTable) -> None:
        self.table, self.count = table, 0

    async def rows(self) -> tuple[SwitchRow, ...]:
        return await self.table.rows()

    async def set(self, record: SwitchSet, *, offset: int | None) -> SwitchRow | None:
        row = await self.table.set(record, offset=offset)
        self.count += 1
        return row


async def mirrored(bootstrap: str, table: SwitchTable, done: Callable[[], Awaitable[None]]) -> None:
    mirror = SwitchMirror(table)
    reader = SwitchReader(bootstrap, SystemClock(), Metrics(CollectorRegistry()), staleness=30, seen=mirror.see)
    await mirror.maybe_start()
    await reader.maybe_start()
    await done()
    await reader.stop()
    await mirror.stop()


async def test_outcome_writes_every_record_into_the_table_in_order(kafka_topics: str) -> None:
    await publish(kafka_topics, ARMED, record(OFF))
    table = Table(DependencyDown("Postgres"), TryLater("Postgres: QueryCanceled"))
    await mirrored(kafka_topics, table, lambda: soon(lambda: len(table.written) == 2))
    assert table.written == [(AUTO, 0), (OFF, 1)]


async def test_a_record_the_table_refuses_for_good_holds_no_other_up(kafka_topics: str) -> None:
    await publish(kafka_topics, ARMED, record(OFF))
    table = Table(Rejected("too large"))
    await mirrored(kafka_topics, table, lambda: soon(lambda: len(table.written) == 1))
    assert table.written == [(OFF, 1)]


async def test_a_stop_nobody_can_read_is_not_applied_again_when_outcome_restarts(
    kafka_topics: str, database: str
) -> None:
    lifted, last = record(AUTO, Stop(offset=1)), record(OFF).model_copy(update={"scope": Scope.parse("channel:chat")})
    await publish(kafka_topics, ARMED, b"junk", lifted, last)
    async with await open_pool(as_role(database, "sluice_outcome"), size=2) as pool:
        table = PostgresSwitchTable(pool)

        async def written() -> None:
            async with asyncio.timeout(20):
                while [row.state for row in await table.rows()] != [AUTO, OFF]:
                    await asyncio.sleep(0.05)

        await mirrored(kafka_topics, table, written)
        before = await table.rows()
        seen = Counting(table)
        await mirrored(kafka_topics, seen, lambda: soon(lambda: seen.count == 4))
        assert await table.rows() == before
