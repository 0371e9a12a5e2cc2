"""The only code that consumes a stage's input: one Faust app and agent per stage around the work in flight.

The agent hands each message to the flight and goes on; `step` brings it to a durable outcome; the flight lets the
contiguous finished prefix of each partition be committed. Nothing else commits, and nothing else acknowledges.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from opentelemetry.trace import NoOpTracer, Tracer

from infra.kafka.security import Address
from processors.ports import Clock
from schemas.event import Stage
from schemas.topics import RETRY_DELAYS, retry_topic
from streams.flight import Flight, Limits, Ticket
from streams.metrics import Metrics
from streams.outage import Outages
from streams.step import DeadLimit, Publish, Record, StageDefinition, Tools, step
from streams.transport import App, FaustSource


@dataclass(frozen=True)
class Surroundings:
    """What every stage of a process shares."""

    bootstrap: Address
    publish: Publish
    clock: Clock
    metrics: Metrics
    limits: Limits = field(default_factory=Limits)
    group_prefix: str = "sluice"
    tracer: Tracer = field(default_factory=NoOpTracer)
    slot: str | None = None  # name of this worker's place, for static group membership (KIP-345)
    session_timeout: float = 15.0  # seconds until a worker that says nothing loses its partitions


def build(definition: StageDefinition, around: Surroundings) -> App:
    """The Faust app of a stage, ready to be started."""
    stage, group = definition.stage, group_of(definition.stage, around.group_prefix)
    app = App(group, around.bootstrap, around.metrics, stage.value, **_membership(group, around))

    async def work(record: Record) -> None:
        await step(record, definition, tools)

    app.flight = Flight(stage, work, FaustSource(app), around.clock, around.metrics, around.limits)
    outages = Outages(stage.value, around.metrics)
    tools = Tools(
        around.publish, around.clock, around.metrics, outages, app.flight.slot, DeadLimit(), tracer=around.tracer
    )
    _add_agent(app, topics_of(definition), around.clock)
    app.finalize()
    return app


def group_of(stage: Stage, prefix: str = "sluice") -> str:
    """The consumer group of a stage."""
    return f"{prefix}.{stage.value}"


def _membership(group: str, around: Surroundings) -> dict[str, Any]:
    timeout = around.session_timeout
    options: dict[str, Any] = {"broker_session_timeout": timeout, "broker_heartbeat_interval": timeout / 5}
    return {**options, "consumer_group_instance_id": f"{group}.{around.slot}"} if around.slot else options


def topics_of(definition: StageDefinition) -> tuple[str, ...]:
    """Everything a stage reads: its inputs, and its own retry topics."""
    retries = [retry_topic(definition.stage, delay) for delay in RETRY_DELAYS]
    return (*(found.topic for found in definition.inputs), *retries)


def _add_agent(app: App, topics: tuple[str, ...], clock: Clock) -> None:
    channel = app.topic(*topics, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    async def agent(stream: Any) -> None:  # noqa: ANN401
        try:
            async for event in stream.noack().events():
                await app.flight.take(_ticket(event, stream, clock))
        except Exception as error:  # noqa: BLE001  Faust would restart the agent and go on behind what was lost
            await app.crash(error)

    app.agent(channel, name=f"{app.stage}.agent", concurrency=1)(agent)


def _ticket(event: Any, stream: Any, clock: Clock) -> Ticket:  # noqa: ANN401
    async def acknowledge() -> None:
        await stream.ack(event)

    return Ticket(_record(event.message), event.message.generation_id, acknowledge, clock.monotonic())


def _record(message: Any) -> Record:  # noqa: ANN401
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        key=message.key,
        value=message.value,
        headers=tuple(message.headers or ()),
        at=datetime.fromtimestamp(message.timestamp or 0, UTC),
    )
