"""Tickets in flight, with a consumer made of a few lines: order, bounds, commits and drains."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from schemas.event import Stage
from streams.flight import Flight, Limits, OffsetGap, Partition, Ticket
from streams.metrics import Metrics
from streams.step import Record

AT = datetime(2026, 1, 1, tzinfo=UTC)
P0: Partition = ("tickets.inbound", 0)
P1: Partition = ("tickets.inbound", 1)
RETRY: Partition = ("router.retry-5s", 0)


class Consumer:
    """flight.Source without Kafka."""

    def __init__(self) -> None:
        self.generation = 1
        self.begins: dict[Partition, int] = {P0: 0, P1: 0, RETRY: 0}
        self.positions: dict[Partition, int] = {}
        self.lost: set[Partition] = set()  # partitions whose gaps hold records
        self.paused: set[Partition] = set()
        self.crashes: list[BaseException] = []

    def starts(self) -> dict[Partition, int]:
        return self.begins

    def position(self, partition: Partition) -> int | None:
        return self.positions.get(partition)

    async def holds_records(self, partition: Partition, start: int, end: int) -> bool:
        return partition in self.lost

    def pause(self, partition: Partition) -> None:
        self.paused.add(partition)

    def resume(self, partition: Partition) -> None:
        self.paused.discard(partition)

    async def crash(self, error: BaseException) -> None:
        self.crashes.append(error)


class Clock:
    """The loop's time, with a fixed date."""

    def now(self) -> datetime:
        return AT

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class Desk:
    """Work that is done when the test says so, and what is known about it."""

    def __init__(self, limits: Limits) -> None:
        self.consumer, self.metrics = Consumer(), Metrics(CollectorRegistry())
        self.begun: list[tuple[Partition, int]] = []
        self.acknowledged: list[tuple[Partition, int]] = []
        self._ends: dict[tuple[Partition, int], asyncio.Future[None]] = {}
        self.flight = Flight(Stage.ROUTER, self._work, self.consumer, Clock(), self.metrics, limits)

    async def _work(self, record: Record) -> None:
        async with self.flight.slot():
            place = ((record.topic, record.partition), record.offset)
            self.begun.append(place)
            self._ends[place] = asyncio.get_running_loop().create_future()
            await self._ends[place]

    async def read(self, partition: Partition, *offsets: int, key: str | None = None, generation: int = 1) -> None:
        """Give the flight these records, each of its own key unless one is named."""
        for offset in offsets:
            name = (key or f"{partition}{offset}").encode()
            record = Record(*partition, offset, name, b"", (), AT)
            await self.flight.take(Ticket(record, generation, self._acknowledge(partition, offset), 0.0))
        await self.settle()

    def _acknowledge(self, partition: Partition, offset: int) -> Callable[[], Awaitable[None]]:
        async def acknowledge() -> None:
            self.acknowledged.append((partition, offset))

        return acknowledge

    async def finish(self, partition: Partition, *offsets: int, error: Exception | None = None) -> None:
        for offset in offsets:
            end = self._ends[partition, offset]
            end.set_exception(error) if error else end.set_result(None)
        await self.settle()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    def at_work(self, partition: Partition = P0) -> list[int]:
        return [offset for place, offset in self.begun if place == partition]


def desk(**limits: Any) -> Desk:
    return Desk(Limits(**limits))


async def test_a_slow_head_holds_the_commit_and_not_the_work() -> None:
    slow = desk()
    await slow.read(P0, 0, 1, 2)
    await slow.finish(P0, 1, 2)
    assert (slow.flight.committable(), slow.acknowledged) == ({}, [])
    await slow.finish(P0, 0)
    assert slow.flight.committable() == {P0: 3}
    assert slow.acknowledged == [(P0, 0), (P0, 1), (P0, 2)]


async def test_what_kafka_took_is_not_committed_again() -> None:
    done = desk()
    await done.read(P0, 0)
    await done.finish(P0, 0)
    done.flight.committed(done.flight.committable())
    assert done.flight.committable() == {}


async def test_a_key_is_handled_in_order_and_holds_no_slot_while_it_waits() -> None:
    hot = desk(in_flight=2)
    await hot.read(P0, 0, 1, 2, 3, key="hot")
    await hot.read(P0, 4)
    assert hot.at_work() == [0, 4]
    await hot.finish(P0, 0)
    assert hot.at_work() == [0, 4, 1]


async def test_no_more_than_the_slots_are_worked_on() -> None:
    busy = desk(in_flight=2)
    await busy.read(P0, 0, 1, 2)
    assert busy.at_work() == [0, 1]
    await busy.finish(P0, 1)
    assert busy.at_work() == [0, 1, 2]


async def test_a_stuck_partition_pauses_alone() -> None:
    stuck = desk(uncommitted=2, ahead=1)
    await stuck.read(P0, 0, 1, 2, 3, 4)
    await stuck.finish(P0, 1)
    await stuck.read(P1, 0)
    assert (stuck.at_work(P0), stuck.at_work(P1)) == ([0, 1], [0])
    assert stuck.consumer.paused == {P0}
    await stuck.finish(P0, 0)
    assert stuck.at_work(P0) == [0, 1, 2, 3]
    await stuck.finish(P0, 2, 3)
    assert stuck.consumer.paused == set()


async def test_a_record_read_twice_in_one_assignment_is_handled_once() -> None:
    twice = desk()
    await twice.read(P0, 0, 1, 0, 1)
    assert twice.at_work() == [0, 1]


async def test_a_gap_that_holds_records_is_never_committed_over() -> None:
    gap = desk()
    gap.consumer.lost = {P0}
    await gap.read(P0, 0)
    with pytest.raises(OffsetGap):
        await gap.read(P0, 2)
    await gap.finish(P0, 0)
    assert gap.flight.committable() == {P0: 1}


async def test_a_gap_of_transaction_markers_is_counted_and_passed() -> None:
    gap = desk()
    await gap.read(P0, 0, 2)
    await gap.finish(P0, 0, 2)
    assert gap.flight.committable() == {P0: 3}
    assert gap.metrics.registry.get_sample_value("sluice_gaps_total", {"stage": "router"}) == 1


async def test_the_first_record_may_not_leave_a_gap_to_the_committed_offset() -> None:
    gap = desk()
    gap.consumer.begins, gap.consumer.lost = {P0: 5}, {P0}
    with pytest.raises(OffsetGap):
        await gap.read(P0, 7)


async def test_a_record_read_before_its_start_is_known_is_not_taken() -> None:
    early = desk()
    early.consumer.begins = {}
    with pytest.raises(OffsetGap):
        await early.read(P0, 7)


async def test_a_record_lost_at_the_end_of_a_partition_is_found_at_the_second_look() -> None:
    tail = desk()
    await tail.read(P0, 0)
    tail.consumer.positions, tail.consumer.lost = {P0: 2}, {P0}
    await tail.flight.look_for_lost()
    with pytest.raises(OffsetGap):
        await tail.flight.look_for_lost()


async def test_a_record_that_arrives_between_two_looks_is_not_lost() -> None:
    tail = desk()
    tail.consumer.positions, tail.consumer.lost = {P0: 1}, {P0}
    await tail.flight.look_for_lost()
    await tail.read(P0, 0)
    tail.consumer.positions = {P0: 2}
    await tail.flight.look_for_lost()


async def test_markers_at_the_end_of_a_partition_are_no_loss() -> None:
    tail = desk()
    tail.consumer.positions = {P0: 1}
    for _ in range(3):
        await tail.flight.look_for_lost()
    await tail.read(P0, 1)
    assert tail.at_work() == [1]


async def test_work_without_a_durable_end_crashes_and_is_not_acknowledged() -> None:
    broken = desk()
    await broken.read(P0, 0)
    await broken.finish(P0, 0, error=RuntimeError("no outcome"))
    assert [type(error) for error in broken.consumer.crashes] == [RuntimeError]
    assert (broken.acknowledged, broken.flight.committable()) == ([], {})


async def test_an_old_assignment_acknowledges_nothing() -> None:
    old = desk()
    await old.read(P0, 0, 1)
    old.consumer.generation = 2
    await old.read(P0, 0, generation=2)
    await old.finish(P0, 1)
    assert (old.acknowledged, old.flight.committable()) == ([], {})


async def test_a_drain_lets_work_finish_and_lets_go_of_what_only_waits() -> None:
    draining = desk(in_flight=1)
    await draining.read(P0, 0, 1)
    drain = asyncio.create_task(draining.flight.drain())
    await draining.settle()
    await draining.finish(P0, 0)
    await drain
    assert draining.flight.committable() == {P0: 1}
    assert draining.at_work() == [0]


async def test_nothing_begins_while_the_work_before_it_is_let_go() -> None:
    draining = desk(in_flight=1, uncommitted=2)
    await draining.read(P0, 0, 1, 2, 3, key="one conversation")
    drain = asyncio.create_task(draining.flight.drain())
    await draining.settle()
    await draining.finish(P0, 0)
    await drain
    assert draining.at_work() == [0]


async def test_a_drain_cuts_off_what_takes_too_long() -> None:
    draining = desk(drain=0.01)
    await draining.read(P0, 0, 1)
    await draining.finish(P0, 1)
    await draining.flight.drain()
    assert draining.flight.committable() == {}
    assert draining.metrics.registry.get_sample_value("sluice_cancelled_total", {"stage": "router"}) == 1


async def test_after_a_drain_only_the_next_assignment_is_taken_on() -> None:
    drained = desk()
    await drained.flight.drain()
    await drained.read(P0, 0)
    assert drained.at_work() == []
    drained.consumer.generation = 2
    await drained.read(P0, 0, generation=2)
    assert drained.at_work() == [0]


async def test_a_retried_ticket_waits_until_it_is_due_and_never_longer_than_its_topic_says() -> None:
    waiting = desk()
    later = AT + timedelta(days=1)  # a producer's clock that is far off
    record = Record(*RETRY, 0, b"k", b"", (), later)
    await waiting.flight.take(Ticket(record, 1, waiting._acknowledge(RETRY, 0), 0.0))
    await waiting.settle()
    assert waiting.begun == []
    await waiting.read(P0, 0, key="k")
    assert waiting.at_work() == [0]
    await waiting.finish(P0, 0)
    await waiting.flight.drain()
