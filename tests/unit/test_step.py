"""One ticket through one stage, without a broker: every end is a durable one."""

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from processors.errors import Conflict, DependencyDown, Rejected, TryLater
from schemas.codec import Undecodable, encode
from schemas.event import Stage
from schemas.outcome import Outcome, TicketSettled
from schemas.topics import Header
from streams.metrics import Metrics
from streams.outage import Outages
from streams.retry import TRIES
from streams.step import (
    DeadLetterLimit,
    DeadLimit,
    Incoming,
    Input,
    Outgoing,
    Record,
    StageDefinition,
    StageStops,
    Tools,
    carrying,
    letter_header,
    origin_of,
    step,
    told,
)

AT = datetime(2026, 1, 1, tzinfo=UTC)
PARENT = b"00-11111111111111111111111111111111-2222222222222222-01"
RECORD = Record(
    "tickets.inbound",
    2,
    7,
    b"c1",
    b"hello",
    ((Header.TRACEPARENT.value, PARENT),),
    AT,
)
SETTLED = TicketSettled(
    ticket_id="00000000-0000-0000-0000-000000000001",
    conversation="c1",
    revision=1,
    outcome=Outcome.SENT,
    settled_at=AT,
)


@dataclass
class World:
    """A clock, a broker and a handler's surroundings."""

    sent: list[Outgoing] = field(default_factory=list)
    down: list[Exception] = field(default_factory=list)  # raised by the next publishes, in order
    paused: list[float] = field(default_factory=list)
    time: float = 0.0
    metrics: Metrics = field(default_factory=lambda: Metrics(CollectorRegistry()))

    def now(self) -> datetime:
        return AT + timedelta(seconds=self.time)

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.paused.append(seconds)
        self.time += seconds

    async def publish(self, topic: str, key: Any, event: Any, headers: Any) -> None:
        if self.down:
            raise self.down.pop(0)
        self.sent.append(Outgoing(topic, key, event, headers))

    @asynccontextmanager
    async def slot(self) -> Any:
        yield

    def tools(self, limit: DeadLimit | None = None) -> Tools:
        outages = Outages("router", self.metrics, self.sleep)
        return Tools(self.publish, self, self.metrics, outages, self.slot, limit or DeadLimit(), kafka_probes=3)

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"sluice_{name}_total", labels) or 0.0


def raising(*errors: Exception) -> Callable[[Incoming[str]], Awaitable[tuple[Outgoing, ...]]]:
    """A handler that raises these in turn, then sends the text on."""
    left = list(errors)

    async def handle(incoming: Incoming[str]) -> tuple[Outgoing, ...]:
        if left:
            raise left.pop(0)
        return (Outgoing("tickets.router", incoming.key, SETTLED),)

    return handle


def stage(handle: Any, *, read: Any = lambda record: record.value, topic: str = "tickets.inbound") -> StageDefinition:
    return StageDefinition(Stage.ROUTER, (Input(topic, read, handle, last_resort=topic.endswith(".dead")),))


async def test_what_a_handler_returns_is_published_with_its_step_and_trace() -> None:
    world = World()
    await step(RECORD, stage(raising()), world.tools())
    (sent,) = world.sent
    assert (sent.topic, sent.key, sent.headers) == ("tickets.router", "c1", RECORD.headers)
    assert [taken.stage for taken in sent.event.steps] == [Stage.ROUTER]  # type: ignore[union-attr]
    assert world.count("handled", stage="router") == 1


async def test_the_steps_before_are_kept_even_if_the_handler_drops_them() -> None:
    world = World()
    await step(RECORD, stage(raising()), world.tools())
    once = replace(RECORD, value=encode(world.sent[0].event))  # type: ignore[arg-type]
    await step(once, stage(raising(), read=carrying(TicketSettled)), world.tools())
    assert len(world.sent[1].event.steps) == 2  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "error", [Conflict("x"), Rejected("x"), ZeroDivisionError(), KeyError("x"), Undecodable("x"), RecursionError()]
)
async def test_what_can_never_succeed_is_a_dead_letter_with_its_original_bytes(error: Exception) -> None:
    world = World()
    await step(RECORD, stage(raising(error)), world.tools())
    (dead,) = world.sent
    assert (dead.topic, dead.key, dead.event) == ("router.dead", b"c1", b"hello")
    assert world.count("dead", stage="router", reason=type(error).__name__) == 1


async def test_a_dead_letter_tells_where_it_came_from_and_never_what_the_error_said() -> None:
    world = World()
    await step(RECORD, stage(raising(ValueError("the customer's text"))), world.tools())
    assert dict(world.sent[0].headers) == {
        "traceparent": PARENT,
        "stage": b"router",
        "attempt": b"1",
        "reason": b"ValueError",
        "source-topic": b"tickets.inbound",
        "source-partition": b"2",
        "source-offset": b"7",
    }


@pytest.mark.parametrize("error", [TryLater("leased"), TimeoutError()])
async def test_a_passing_fault_goes_to_the_retry_topic(error: Exception) -> None:
    world = World()
    await step(RECORD, stage(raising(error)), world.tools())
    assert [sent.topic for sent in world.sent] == ["router.retry-5s"]


def retried(tries: int) -> Record:
    """The record as it stands on the retry topic after so many tries."""
    headers = told(RECORD, replace(origin_of(RECORD, Stage.ROUTER), tries=tries), Stage.ROUTER, "TryLater")
    return replace(RECORD, topic="router.retry-60s", partition=0, offset=99, headers=headers)


async def test_a_stage_that_keeps_order_tries_in_place_while_its_conversation_waits() -> None:
    world, definition = World(), replace(stage(raising(TryLater("busy", after=7), TimeoutError())), in_place=3)
    await step(RECORD, definition, world.tools())
    assert [sent.topic for sent in world.sent] == ["tickets.router"]
    assert world.paused == [7, 1.0]


async def test_a_stage_that_keeps_order_never_lets_a_ticket_be_overtaken() -> None:
    world, definition = World(), replace(stage(raising(*[TryLater("busy")] * 9)), in_place=3)
    await step(RECORD, definition, world.tools())
    assert [sent.topic for sent in world.sent] == ["router.dead"]
    assert len(world.paused) == 2


async def test_a_retried_ticket_finds_its_handler_and_knows_its_try() -> None:
    world, tries = World(), list[int]()

    async def handle(incoming: Incoming[str]) -> tuple[Outgoing, ...]:
        tries.append(incoming.tries)
        return ()

    await step(retried(1), stage(handle), world.tools())
    assert tries == [2]


async def test_after_the_last_try_it_is_a_dead_letter_of_its_first_place() -> None:
    world = World()
    await step(retried(TRIES - 1), stage(raising(TryLater("still"))), world.tools())
    (dead,) = world.sent
    assert dead.topic == "router.dead"
    assert dict(dead.headers)["source-offset"] == b"7"


async def test_a_producer_cannot_set_our_headers() -> None:
    world = World()
    lies = (("attempt", b"99"), ("source-topic", b"control.switch"), ("letter-reason", b"Conflict"))
    forged = replace(RECORD, headers=(*lies, ("mine", b"1")))
    await step(forged, stage(raising(TryLater("x"))), world.tools())
    headers = dict(world.sent[0].headers)
    assert "letter-reason" not in headers
    assert (headers["attempt"], headers["source-topic"], headers["mine"]) == (b"1", b"tickets.inbound", b"1")


async def test_a_retry_topic_that_somebody_else_wrote_to_gives_dead_letters() -> None:
    world = World()
    await step(replace(RECORD, topic="router.retry-5s"), stage(raising()), world.tools())
    assert [sent.topic for sent in world.sent] == ["router.dead"]


async def test_a_dependency_that_is_down_is_waited_for_and_nothing_is_put_aside() -> None:
    world = World()
    await step(RECORD, stage(raising(*[DependencyDown("Postgres")] * 3)), world.tools())
    assert [sent.topic for sent in world.sent] == ["tickets.router"]
    assert world.paused == [0.5, 1, 2]
    assert world.count("dependency_waits", stage="router", dependency="Postgres") == 3


async def test_outputs_are_published_again_until_kafka_takes_them() -> None:
    world = World(down=[DependencyDown("Kafka")] * 2)
    await step(RECORD, stage(raising()), world.tools())
    assert [sent.topic for sent in world.sent] == ["tickets.router"]


@pytest.mark.parametrize("error", [None, Rejected("x")])
async def test_a_ticket_that_cannot_be_published_at_all_stops_the_stage(error: Exception | None) -> None:
    world = World(down=[DependencyDown("Kafka")] * 9)
    with pytest.raises(StageStops):
        await step(RECORD, stage(raising(error) if error else raising()), world.tools())
    assert world.sent == []


async def test_an_output_that_is_too_large_makes_a_dead_letter() -> None:
    world = World(down=[Rejected("too large")])
    await step(RECORD, stage(raising()), world.tools())
    assert [sent.topic for sent in world.sent] == ["router.dead"]


async def test_a_dead_topic_that_refuses_is_waited_for_and_counted() -> None:
    world = World(down=[Rejected("too large")] * 2)
    await step(RECORD, stage(raising(ZeroDivisionError())), world.tools())
    assert [sent.topic for sent in world.sent] == ["router.dead"]
    assert world.count("dependency_waits", stage="router", dependency="router.dead") == 2


async def test_a_dead_topic_that_refuses_for_good_stops_the_stage() -> None:
    world = World(down=[Rejected("too large")] * 9)
    with pytest.raises(StageStops, match=r"router\.dead"):
        await step(RECORD, stage(raising(ZeroDivisionError())), world.tools())
    assert (world.sent, world.count("dead", stage="router", reason="ZeroDivisionError")) == ([], 0)


async def test_a_dead_letter_is_never_dead_again_and_keeps_what_it_died_of() -> None:
    world = World()
    letter = replace(RECORD, topic="gate.dead", headers=(("stage", b"gate"), ("reason", b"KeyError")))
    await step(letter, stage(raising(ZeroDivisionError()), topic="gate.dead"), world.tools())
    (sent,) = world.sent
    again = replace(letter, topic=sent.topic, headers=sent.headers)
    assert sent.topic == "router.retry-60s"
    assert origin_of(again, Stage.ROUTER).topic == "gate.dead"
    assert letter_header(again, Header.REASON) == letter_header(letter, Header.REASON) == "KeyError"


async def test_a_dead_letter_retried_twice_still_knows_what_it_died_of() -> None:
    world = World()
    letter = replace(RECORD, topic="gate.dead", headers=(("stage", b"gate"), ("reason", b"KeyError")))
    definition = stage(raising(*[ZeroDivisionError()] * 2), topic="gate.dead")
    await step(letter, definition, world.tools())
    again = replace(letter, topic=world.sent[0].topic, headers=world.sent[0].headers)
    await step(again, definition, world.tools())
    last = replace(letter, headers=world.sent[1].headers)
    assert letter_header(last, Header.REASON) == "KeyError"
    assert last.header(Header.ATTEMPT) == "2"


async def test_a_stage_that_can_handle_nothing_stops() -> None:
    world, limit = World(), DeadLimit(consecutive=3)
    for _ in range(3):
        await step(RECORD, stage(raising(KeyError())), world.tools(limit))
    with pytest.raises(DeadLetterLimit):
        await step(RECORD, stage(raising(KeyError())), world.tools(limit))
    assert len(world.sent) == 3


def test_too_many_dead_of_the_last_tickets_stop_the_stage_too() -> None:
    limit = DeadLimit(consecutive=99, ratio=0.5, sample=4)
    for fate in (limit.good, limit.dead, limit.good, limit.dead):
        fate()
    limit.good()
    limit.dead()
    with pytest.raises(DeadLetterLimit, match="3 of the last 4"):
        limit.dead()


def test_a_good_ticket_ends_a_row_of_dead_ones() -> None:
    limit = DeadLimit(consecutive=2)
    for fate in (limit.dead, limit.dead, limit.good, limit.dead, limit.dead):
        fate()
    with pytest.raises(DeadLetterLimit):
        limit.dead()
