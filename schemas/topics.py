"""Every topic of Sluice, what it carries and how it is configured."""

from dataclasses import dataclass
from enum import StrEnum

from schemas.event import Stage

DAY_MS = 24 * 60 * 60 * 1000
PARTITIONS = 12
MAX_TOPIC_BYTES = 2 * 1024 * 1024
RETRY_DELAYS = (5, 60)  # seconds; one topic per tier
HEADER_ROOM = 64 * 1024  # a message of the largest size still fits its retry or dead topic, with the headers it gains


class Topic(StrEnum):
    """The topics a ticket passes, and the two beside them. Retry and dead topics are derived per stage."""

    INBOUND = "tickets.inbound"
    ROUTER = "tickets.router"
    RETRIEVAL = "tickets.retrieval"
    RESOLUTION = "tickets.resolution"
    AUTO_SEND = "tickets.auto-send"
    ESCALATION = "tickets.escalation"
    OUTCOME = "tickets.outcome"
    SWITCH = "control.switch"
    AUDIT_HEADS = "audit.heads"


class Header(StrEnum):
    """Headers of a message on a retry or dead topic; the last two travel on every topic."""

    STAGE = "stage"
    ATTEMPT = "attempt"  # how often it was tried, from 1
    REASON = "reason"  # the type of the error, never its text
    SOURCE_TOPIC = "source-topic"  # where the ticket first stood: topic, partition, offset
    SOURCE_PARTITION = "source-partition"
    SOURCE_OFFSET = "source-offset"
    TRACEPARENT = "traceparent"  # W3C Trace Context
    REDRIVEN = "redriven"  # the dead letter it was taken from: topic/partition@offset


@dataclass(frozen=True)
class TopicSpec:
    """What a topic is created with."""

    name: str
    partitions: int
    retention_ms: int  # -1 keeps for ever
    cleanup: str  # delete or compact
    max_message_bytes: int = MAX_TOPIC_BYTES


STAGES = (Stage.ROUTER, Stage.RETRIEVAL, Stage.RESOLUTION, Stage.GATE, Stage.OUTCOME)

EVERY_STAGE = (*STAGES, Stage.NOTIFY)  # with what stands after the path

INPUTS: dict[Stage, tuple[Topic, ...]] = {
    Stage.ROUTER: (Topic.INBOUND,),
    Stage.RETRIEVAL: (Topic.ROUTER,),
    Stage.RESOLUTION: (Topic.RETRIEVAL,),
    Stage.GATE: (Topic.RESOLUTION,),
    Stage.OUTCOME: (Topic.AUTO_SEND, Topic.ESCALATION),
    Stage.NOTIFY: (Topic.OUTCOME,),
}


def retry_topic(stage: Stage, delay: int) -> str:
    """The topic where a stage parks a ticket for `delay` seconds."""
    return f"{stage.value}.retry-{delay}s"


def dead_topic(stage: Stage) -> str:
    """The topic where a stage puts what it can never handle."""
    return f"{stage.value}.dead"


def _ticket(name: str, days: int) -> TopicSpec:
    return TopicSpec(name, PARTITIONS, days * DAY_MS, "delete")


def _aside(name: str, days: int) -> TopicSpec:
    return TopicSpec(name, PARTITIONS, days * DAY_MS, "delete", MAX_TOPIC_BYTES + HEADER_ROOM)


def all_topics() -> tuple[TopicSpec, ...]:
    """Every topic to create, retry and dead topics included."""
    path = [_ticket(topic.value, 7) for topic in Topic if topic.value.startswith("tickets.")]
    retries = [_aside(retry_topic(stage, delay), 7) for stage in EVERY_STAGE for delay in RETRY_DELAYS]
    dead = [_aside(dead_topic(stage), 30) for stage in EVERY_STAGE]
    beside = [
        # Kept whole, not compacted: an arming names the stop it lifts. If an ignored arming were compacted over its
        # stop, a new reader would see no stop at all.
        TopicSpec(Topic.SWITCH.value, 1, -1, "delete"),
        TopicSpec(Topic.AUDIT_HEADS.value, 1, -1, "compact"),
    ]
    return (*path, *retries, *dead, *beside)
