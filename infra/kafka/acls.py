"""Who may do what on Kafka: one principal per deployable, granted what its code reads and writes, and nothing else.

Pure data. Every name is literal, none a prefix, and nobody may create, alter or delete. Read and Write imply Describe;
an idempotent producer needs no right of its own since Kafka 3.0.

Source: https://kafka.apache.org/documentation/#security_authz
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from schemas.event import Stage
from schemas.topics import EVERY_STAGE, INPUTS, RETRY_DELAYS, STAGES, Topic, all_topics, dead_topic, retry_topic

PREFIX = "sluice"
READER = "sluice-reader"  # the group that commands name and never commit under (infra/kafka/reader.py)
HELPDESK = "my-helpdesk"  # the group of docs/examples/deliver_replies.py

OUTPUTS: dict[Stage, tuple[Topic, ...]] = {
    Stage.ROUTER: (Topic.ROUTER, Topic.AUDIT_HEADS),
    Stage.RETRIEVAL: (Topic.RETRIEVAL,),
    Stage.RESOLUTION: (Topic.RESOLUTION, Topic.AUDIT_HEADS),
    Stage.GATE: (Topic.AUTO_SEND, Topic.ESCALATION),
    Stage.OUTCOME: (Topic.OUTCOME, Topic.ESCALATION),
    Stage.NOTIFY: (),
}
IN_PLACE = {Stage.NOTIFY}  # tries again where it stands, and so parks nothing
TICKETS = tuple(topic for topic in Topic if topic.value.startswith("tickets."))
CHAT = (Topic.ROUTER, Topic.RETRIEVAL, Topic.RESOLUTION)  # how far a chat's ticket has come


class Kind(StrEnum):
    """What is granted on, as kafka-acls.sh names it."""

    TOPIC = "topic"
    GROUP = "group"


class Operation(StrEnum):
    """What is granted, as kafka-acls.sh names it."""

    READ = "Read"
    WRITE = "Write"
    DESCRIBE = "Describe"
    DESCRIBE_CONFIGS = "DescribeConfigs"


@dataclass(frozen=True, order=True)
class Grant:
    """One line of the broker's list."""

    principal: str  # User:NAME: a SASL login, or a certificate's name as ssl.principal.mapping.rules cuts it
    kind: Kind
    name: str
    operation: Operation

    @property
    def command(self) -> str:
        """The arguments of kafka-acls.sh that add it, after its --bootstrap-server."""
        return f"--add --allow-principal {self.principal} --operation {self.operation} --{self.kind} {self.name}"


@dataclass(frozen=True)
class Deployable:
    """Something that logs in by itself, and what it does."""

    name: str
    meaning: str
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()  # in which it commits
    looks_at: frozenset[str] = frozenset()  # groups it finds the coordinator of, or whose lag it asks for
    configs: frozenset[str] = frozenset()  # topics whose configuration it compares

    def principal(self, prefix: str = PREFIX) -> str:
        """Its name on the broker."""
        return f"User:{prefix}-{self.name}"

    def grants(self, prefix: str = PREFIX) -> tuple[Grant, ...]:
        """Its lines, in order. Two deployments on one cluster differ by their prefix."""
        principal = self.principal(prefix)
        cells = (
            (Kind.TOPIC, self.reads, Operation.READ),
            (Kind.TOPIC, self.writes, Operation.WRITE),
            (Kind.TOPIC, self.configs, Operation.DESCRIBE_CONFIGS),
            (Kind.GROUP, self.groups, Operation.READ),
            (Kind.GROUP, self.looks_at, Operation.DESCRIBE),
        )
        return tuple(
            Grant(principal, kind, name, operation) for kind, names, operation in cells for name in sorted(names)
        )


def deployables(prefix: str = PREFIX, helpdesk: str = HELPDESK) -> tuple[Deployable, ...]:
    """Everything that logs in. `prefix` is SLUICE_GROUP_PREFIX, `helpdesk` the group of your own consumer."""
    everything = frozenset(spec.name for spec in all_topics())
    return (
        Deployable("edge", "sluice edge", _of(Topic.OUTCOME), _of(Topic.INBOUND, Topic.OUTCOME)),
        Deployable(
            "edge-chat", "sluice edge with web chat", _of(Topic.OUTCOME, *CHAT), _of(Topic.INBOUND, Topic.OUTCOME)
        ),
        *(_stage(stage, prefix) for stage in EVERY_STAGE),
        Deployable("guard", "sluice worker guard", _of(Topic.OUTCOME, Topic.SWITCH), _of(Topic.SWITCH)),
        Deployable("people", "sluice queue: what a person did", writes=_of(Topic.OUTCOME)),
        Deployable("auditor", "sluice trace, dead list: looks, never writes", everything, looks_at=_of(READER)),
        Deployable(
            "operator",
            "sluice switch, drill, dead redrive, topics describe",
            everything,
            _of(*TICKETS, Topic.SWITCH),
            looks_at=_of(READER),
            configs=everything,
        ),
        Deployable("producer", "your system that publishes tickets", writes=_of(Topic.INBOUND)),
        Deployable("helpdesk", "your system that delivers", _of(Topic.OUTCOME), groups=_of(helpdesk)),
    )


def grants(prefix: str = PREFIX, helpdesk: str = HELPDESK) -> tuple[Grant, ...]:
    """Every line of every principal."""
    return tuple(line for found in deployables(prefix, helpdesk) for line in found.grants(prefix))


def _stage(stage: Stage, prefix: str) -> Deployable:
    retries = [retry_topic(stage, delay) for delay in RETRY_DELAYS]
    letters = [dead_topic(each) for each in STAGES] if stage is Stage.OUTCOME else []
    parked = () if stage in IN_PLACE else retries
    return Deployable(
        stage.value,
        f"sluice worker {stage.value}",
        _of(*INPUTS[stage], *retries, *letters, Topic.SWITCH),
        _of(*OUTPUTS[stage], *parked, dead_topic(stage)),
        groups=_of(f"{prefix}.{stage.value}"),
    )


def _of(*names: str) -> frozenset[str]:
    return frozenset(map(str, names))


def written(lines: Iterable[Grant]) -> tuple[str, ...]:
    """The lines as commands for a shell, one each; $BOOTSTRAP and $CONFIG are the administrator's."""
    head = "kafka-acls.sh --bootstrap-server $BOOTSTRAP --command-config $CONFIG"
    return tuple(f"{head} {line.command}" for line in lines)
