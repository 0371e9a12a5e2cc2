"""The catalogue of faults: their names, what they are in RELIABILITY's list, and where each is applied.

Each has one implementation in `sluice/chaos`; a name without one, or the other way round, does not pass the tests.
"""

from dataclasses import dataclass
from enum import StrEnum


class Lane(StrEnum):
    """Faults of one lane follow each other; the lanes run side by side."""

    AROUND = "around"  # brokers, Postgres, the model, the helpdesk, the switch
    WORKERS = "workers"
    TICKETS = "tickets"  # what is sent
    APART = "apart"  # in a world of its own, one at a time


@dataclass(frozen=True)
class Fault:
    """One way in which things break."""

    name: str
    number: str  # in the list of faults of docs/guarantees.md
    lane: Lane
    what: str


def _crash(name: str, at: str) -> Fault:
    return Fault(f"crash-{name}", "2", Lane.WORKERS, f"a worker ends, as by kill -9, {at}")


def _model(name: str, what: str) -> Fault:
    return Fault(f"model-{name}", "9", Lane.AROUND, f"the model server {what}")


FAULTS = (
    Fault("worker-kill", "1", Lane.WORKERS, "kill -9 of a worker with tickets in its hands"),
    _crash("before-claim", "before it claims a reply"),
    _crash("claimed", "between the claim and the call"),
    _crash("sent", "between the call and the mark"),
    _crash("marked", "between the mark and Kafka"),
    _crash("admitted", "between the admission and Kafka"),
    _crash("item", "between the item and Kafka"),
    _crash("published", "between Kafka's acknowledgement and the commit"),
    Fault("worker-term", "3", Lane.WORKERS, "SIGTERM with tickets in flight"),
    Fault("unexpected-exception", "4", Lane.WORKERS, "a stage raises what nobody expects"),
    Fault("worker-paused", "13", Lane.WORKERS, "a worker stops for longer than its session, and wakes up a zombie"),
    Fault("rebalance-storm", "13", Lane.WORKERS, "members join and leave a group, again and again"),
    Fault("loop-blocked", "22", Lane.WORKERS, "a worker's event loop stands still for longer than its session"),
    Fault("telemetry-black-hole", "23", Lane.WORKERS, "the receiver of traces takes connections and never answers"),
    Fault("broker-kill", "5", Lane.AROUND, "kill -9 of the broker, and its restart"),
    Fault("broker-paused", "6", Lane.AROUND, "the broker stops for longer than a session"),
    Fault("broker-paused-short", "6", Lane.AROUND, "the broker stops for a moment"),
    Fault("postgres-restart", "8", Lane.AROUND, "Postgres ends at once and recovers"),
    Fault("postgres-backends", "8", Lane.AROUND, "every connection of the workers is cut"),
    Fault("postgres-exhausted", "8", Lane.AROUND, "others take every connection Postgres has"),
    _model("error", "answers 500"),
    _model("rate-limit", "answers 429 with Retry-After"),
    _model("away", "is not there"),
    _model("hang", "takes a call and never answers"),
    _model("drip", "answers a byte a second"),
    _model("truncated", "breaks off in the middle"),
    _model("content-type", "answers with a web page"),
    _model("garbage", "answers with broken JSON"),
    _model("schema", "answers with JSON of another schema"),
    _model("huge", "answers with a megabyte"),
    _model("no-choices", "answers without an answer"),
    Fault("helpdesk-down", "9", Lane.AROUND, "the helpdesk answers 503"),
    Fault("helpdesk-lost-answer", "2", Lane.AROUND, "the helpdesk does what it is asked, and its answer is lost"),
    Fault("switch", "-", Lane.AROUND, "everything is stopped, and armed again"),
    Fault("poison", "10", Lane.TICKETS, "ten kinds of bytes that are no ticket"),
    Fault("dead-topic-refused", "11", Lane.TICKETS, "poison, while the dead topic takes nothing"),
    Fault("duplicates", "12", Lane.TICKETS, "the same tickets are delivered again and again, in another order"),
    Fault("other-body", "12", Lane.TICKETS, "the same id comes with another body"),
    Fault("oversized", "16", Lane.TICKETS, "messages above the limits, and just below"),
    Fault("hot-key", "18", Lane.TICKETS, "one conversation writes sixty times at once"),
    Fault("newer-revision", "19", Lane.TICKETS, "a follow-up comes while its predecessor waits to be tried again"),
    Fault("control-records", "-", Lane.TICKETS, "a transactional producer's commits and aborts on the ticket topic"),
    Fault("fresh-group", "-", Lane.APART, "the workers join new groups under live traffic, and read everything again"),
    Fault("leader-kill", "5", Lane.APART, "three brokers, and each in turn is killed"),
    Fault("network-cut", "7", Lane.APART, "the cable between a worker and the broker is cut"),
    Fault("clock-skew", "14", Lane.APART, "a worker's clock is ten minutes ahead, another's behind"),
    Fault("disk-full", "15", Lane.APART, "the broker's disk is full"),
    Fault("backlog", "17", Lane.APART, "a million records wait before one stage"),
    Fault("model-down-long", "20", Lane.APART, "the model server is away for minutes"),
)


def lanes() -> dict[str, tuple[str, ...]]:
    """The names of the faults of each lane that runs in a common world."""
    beside = (lane for lane in Lane if lane is not Lane.APART)
    return {lane.value: tuple(fault.name for fault in FAULTS if fault.lane is lane) for lane in beside}
