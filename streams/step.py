"""One ticket through one stage, without Faust: read, handle, publish, and put aside what cannot go on.

A step returns only after a durable outcome: its outputs acknowledged by the broker, or the original bytes on a
retry or dead topic. It never returns for a ticket that is neither; such a ticket is not acknowledged.
"""

import asyncio
import logging
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, TypeVar

from opentelemetry.trace import NoOpTracer, Tracer

from processors.errors import DependencyDown, Rejected, Retryable, TryLater
from processors.ports import Clock
from schemas.codec import Undecodable, decode
from schemas.event import Event, Stage, Step
from schemas.topics import STAGES, Header, dead_topic
from streams.metrics import Metrics
from streams.outage import Outages
from streams.retry import LONGEST_PAUSE, GiveUp, delay_of, pause, retry, retry_for_ever
from streams.spans import attributes_of, count, failed, place_of, stage_span, trace_headers

E = TypeVar("E")
T = TypeVar("T")
EventT = TypeVar("EventT", bound=Event)
Headers = tuple[tuple[str, bytes], ...]
DEAD_TOPICS = frozenset(dead_topic(stage) for stage in STAGES)
KEPT = "letter-"  # before the name of a header that a dead letter came with
Publish = Callable[[str, str | bytes | None, Event | bytes | None, Headers], Awaitable[object]]

logger = logging.getLogger(__name__)


class StageStops(Exception):
    """Going on would do harm: the worker stops loudly, and Kafka keeps what is not acknowledged."""


class DeadLetterLimit(StageStops):
    """So many tickets were dead that the fault is ours or a producer's, not the tickets'."""


@dataclass(frozen=True)
class Record:
    """A message as Kafka holds it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    at: datetime  # its timestamp, by the clock of its producer

    def header(self, name: Header) -> str:
        """A header's value, empty where it is missing."""
        return next((value.decode(errors="replace") for key, value in self.headers if key == name), "")


@dataclass(frozen=True)
class Incoming(Generic[E]):
    """A ticket as its handler sees it."""

    event: E
    record: Record
    tries: int  # 1 for the first

    @property
    def key(self) -> str | None:
        """The message's key, the conversation."""
        return None if self.record.key is None else self.record.key.decode(errors="replace")


@dataclass(frozen=True)
class Outgoing:
    """A message to publish. `event` may be bytes, which go out as they are."""

    topic: str
    key: str | bytes | None
    event: Event | bytes | None
    headers: Headers = ()


Handler = Callable[[Incoming[E]], Awaitable[tuple[Outgoing, ...]]]


@dataclass(frozen=True)
class Input(Generic[E]):
    """A topic a stage reads: how its bytes become an event, and what is done with it."""

    topic: str
    read: Callable[[Record], E]  # raises Undecodable
    handle: Handler[E]
    last_resort: bool = False  # it carries dead letters: behind it there is nobody else


def carrying(event: type[EventT]) -> Callable[[Record], EventT]:
    """How a topic that carries this event is read."""
    return lambda record: decode(event, record.value)


@dataclass(frozen=True)
class StageDefinition:
    """A stage as it is wired: its name, and what it reads."""

    stage: Stage
    inputs: tuple[Input[Any], ...]
    in_place: int = 0  # tries of a passing fault in place; 0: it goes to a retry topic, where later tickets overtake it


@dataclass(frozen=True)
class Origin:
    """Where a ticket first stood, and which try this is."""

    topic: str
    partition: int
    offset: int
    tries: int


class DeadLimit:
    """Counts the fates of tickets, to tell a few bad ones from a stage that can handle none."""

    def __init__(self, consecutive: int = 100, ratio: float = 0.5, sample: int = 400) -> None:
        self._consecutive, self._ratio = consecutive, ratio
        self._fates: deque[bool] = deque(maxlen=sample)
        self._row = 0

    def good(self) -> None:
        """A ticket went on."""
        self._fates.append(False)
        self._row = 0

    def dead(self) -> None:
        """A ticket is about to be put on the dead topic.

        Raises:
            DeadLetterLimit: too many were, in a row or of the last ones.
        """
        self._fates.append(True)
        self._row += 1
        if self._row > self._consecutive:
            raise DeadLetterLimit(f"{self._row} dead letters in a row")
        dead, full = sum(self._fates), len(self._fates) == self._fates.maxlen
        if full and dead > self._ratio * len(self._fates):
            raise DeadLetterLimit(f"{dead} of the last {len(self._fates)} tickets are dead letters")


@dataclass(frozen=True)
class Tools:
    """What a stage's steps share."""

    publish: Publish
    clock: Clock
    metrics: Metrics
    outages: Outages
    slot: Callable[[], AbstractAsyncContextManager[None]]  # a place among the tickets worked on at once
    limit: DeadLimit
    longest_try: float = 120.0  # seconds one try may take, before it is a passing fault
    tracer: Tracer = field(default_factory=NoOpTracer)
    kafka_probes: int = 20  # how often to ask for Kafka, nine minutes in all, before the worker stops


async def step(record: Record, definition: StageDefinition, tools: Tools) -> None:
    """Bring one record to a durable outcome.

    Raises:
        StageStops: there is none, and nothing may be acknowledged.
    """
    origin = origin_of(record, definition.stage)
    place = place_of(record.topic, record.partition, record.offset)
    with stage_span(tools.tracer, definition.stage, record.headers, place) as span:
        span.set_attribute("sluice.try", origin.tries)
        try:
            outputs = await _on(record, origin, definition, tools)
        except StageStops as error:
            failed(span, error)
            raise
        except Exception as error:  # noqa: BLE001  the stage's one net: whatever it is, the ticket must reach a person
            failed(span, error)
            await _put_aside(record, origin, definition, tools, error)
        else:
            for output in outputs:
                span.set_attributes(attributes_of(output.event))


async def _on(record: Record, origin: Origin, definition: StageDefinition, tools: Tools) -> tuple[Outgoing, ...]:
    """Bring a record on its way; what was published."""
    name, began = definition.stage.value, tools.clock.monotonic()
    outputs = await _handle(record, origin, definition, tools)
    await _publish(outputs, tools)
    tools.limit.good()
    tools.metrics.handled.labels(name).inc()
    tools.metrics.seconds.labels(name).observe(tools.clock.monotonic() - began)
    for output in outputs:
        if isinstance(output.event, Event):
            count(output.event, tools.metrics)
    return outputs


def origin_of(record: Record, stage: Stage) -> Origin:
    """Where a record came from: itself, or, on a retry topic of this stage, what its headers say."""
    if delay_of(stage, record.topic) is None:
        return Origin(record.topic, record.partition, record.offset, 1)
    numbers = (Header.SOURCE_PARTITION, Header.SOURCE_OFFSET, Header.ATTEMPT)
    try:
        partition, offset, attempt = (int(record.header(name)) for name in numbers)
    except ValueError:  # not written by a stage
        return Origin(record.topic, record.partition, record.offset, 1)
    return Origin(record.header(Header.SOURCE_TOPIC), partition, offset, attempt + 1)


def _input(definition: StageDefinition, topic: str) -> Input[Any] | None:
    return next((found for found in definition.inputs if found.topic == topic), None)


async def _handle(record: Record, origin: Origin, definition: StageDefinition, tools: Tools) -> tuple[Outgoing, ...]:
    """Decode and handle; a dependency that is down is waited for here. The step taken is added to each event."""
    found = _input(definition, origin.topic)
    if found is None:
        raise Undecodable(f"{definition.stage} does not read {origin.topic}")
    incoming = Incoming(found.read(record), record, origin.tries)
    started, began = tools.clock.now(), tools.clock.monotonic()

    async def attempt() -> tuple[Outgoing, ...]:
        async with tools.slot(), asyncio.timeout(tools.longest_try):
            return await found.handle(incoming)

    outputs = await _in_place(attempt, definition.in_place, tools.outages)
    took_ms = (tools.clock.monotonic() - began) * 1000
    taken = Step(stage=definition.stage, started_at=started, took_ms=took_ms)
    return tuple(_stamped(output, incoming, taken) for output in outputs)


async def _in_place(attempt: Callable[[], Awaitable[T]], tries: int, outages: Outages) -> T:
    """The attempt's result. A passing fault is tried again here, while its conversation waits behind it."""
    for tried in range(tries - 1):
        try:
            return await outages.patiently(attempt)
        except (TryLater, TimeoutError) as error:
            await outages.sleep(max(pause(tried), min(getattr(error, "after", None) or 0, LONGEST_PAUSE)))
    return await outages.patiently(attempt)


def _stamped(output: Outgoing, incoming: Incoming[Any], taken: Step) -> Outgoing:
    """An output with the steps so far, and the trace it belongs to."""
    event = output.event
    if isinstance(event, Event) and hasattr(event, "steps"):
        before = getattr(incoming.event, "steps", event.steps)
        event = event.model_copy(update={"steps": (*before, taken)})
    return replace(output, event=event, headers=(*trace_headers(), *output.headers))


async def _publish(outputs: Sequence[Outgoing], tools: Tools) -> None:
    """Publish in order, each acknowledged before the next; Kafka is waited for, but not for ever.

    Raises:
        StageStops: Kafka stayed away.
    """
    for output in outputs:

        async def attempt(output: Outgoing = output) -> None:
            async with tools.slot():
                await tools.publish(output.topic, output.key, output.event, output.headers)

        try:
            await tools.outages.patiently(attempt, probes=tools.kafka_probes)
        except DependencyDown as error:
            raise StageStops(str(error)) from error


async def _put_aside(
    record: Record, origin: Origin, definition: StageDefinition, tools: Tools, error: Exception
) -> None:
    """Put the original bytes on a retry topic, or on the dead topic, with what is known about why.

    Raises:
        StageStops: not even that was possible for minutes, or too many tickets are dead.
    """
    stage, reason = definition.stage, type(error).__name__
    tools.metrics.failed.labels(stage.value, reason).inc()
    _report(stage, origin, error)
    found = _input(definition, origin.topic)
    next_try = GiveUp(reason) if definition.in_place else retry(stage, origin.tries, error)
    if isinstance(next_try, GiveUp) and found is not None and found.last_resort:
        next_try = retry_for_ever(stage)
    if isinstance(next_try, GiveUp):
        tools.limit.dead()
        topic, counter = dead_topic(stage), tools.metrics.dead.labels(stage.value, reason)
    else:
        topic, counter = next_try.topic, tools.metrics.retried.labels(stage.value, next_try.topic)
    headers = told(record, origin, stage, reason)
    await _publish([Outgoing(topic, record.key, record.value, headers)], replace(tools, publish=_insisting(tools)))
    counter.inc()


def _insisting(tools: Tools) -> Publish:
    """Publish where there is nobody else: a topic that refuses is waited for, like any dependency that is down.

    Nothing is committed behind the message, so its partition comes to a stop; every other one goes on.
    """

    async def insist(topic: str, key: str | bytes | None, event: Event | bytes | None, headers: Headers) -> object:
        try:
            return await tools.publish(topic, key, event, headers)
        except Rejected as refused:
            logger.error("%s refuses a message: %s", topic, type(refused).__name__)
            raise DependencyDown(topic, "it refuses a message") from refused

    return insist


def told(record: Record, origin: Origin, stage: Stage, reason: str) -> Headers:
    """The headers of a message put aside: its own, and ours, which nobody else can set.

    Those that a dead letter came with are kept under another name: they say what it died of.
    """
    ours = {
        Header.STAGE.value: stage.value,
        Header.ATTEMPT.value: str(origin.tries),
        Header.REASON.value: reason,
        Header.SOURCE_TOPIC.value: origin.topic,
        Header.SOURCE_PARTITION.value: str(origin.partition),
        Header.SOURCE_OFFSET.value: str(origin.offset),
    }
    letter, again = record.topic in DEAD_TOPICS, delay_of(stage, record.topic) is not None
    own = [(name, value) for name, value in record.headers if again or not name.startswith(KEPT)]
    kept = [(KEPT + name, value) for name, value in own if name in ours] if letter else []
    rest = [(name, value) for name, value in own if name not in ours]
    return (*rest, *kept, *((name, value.encode()) for name, value in ours.items()))


def letter_header(record: Record, name: Header) -> str:
    """What a dead letter's header says, also when it comes from a retry topic."""
    kept = (value for key, value in record.headers if key == KEPT + name)
    return next((value.decode(errors="replace") for value in kept), record.header(name))


def _report(stage: Stage, origin: Origin, error: Exception) -> None:
    """Log a failure by type and place. The error's text may be a customer's, so it is never logged."""
    expected = isinstance(error, Retryable | Rejected | Undecodable | TimeoutError)
    where = "" if expected else " at " + "".join(traceback.format_tb(error.__traceback__)[-3:])
    logger.log(
        logging.WARNING if expected else logging.ERROR,
        "%s: %s on %s[%d]@%d, try %d%s",
        stage.value,
        type(error).__name__,
        origin.topic,
        origin.partition,
        origin.offset,
        origin.tries,
        where,
    )
