"""Topics and who may use them, asked of the broker itself."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from confluent_kafka import (
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ConfigResource,
    ListOffsetsResultInfo,
    NewTopic,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
    TopicMetadata,
)

from infra.kafka.acls import Grant, Kind, Operation
from infra.kafka.security import Address, brokers
from schemas.topics import TopicSpec, all_topics

TIMEOUT = 15.0  # seconds, of one request
POLL = 0.05  # seconds
OPERATIONS = {
    Operation.READ: AclOperation.READ,
    Operation.WRITE: AclOperation.WRITE,
    Operation.DESCRIBE: AclOperation.DESCRIBE,
    Operation.DESCRIBE_CONFIGS: AclOperation.DESCRIBE_CONFIGS,
}
ANY: Any = None  # confluent-kafka's word for any name, which its types do not know
EVERY_LINE = AclBindingFilter(
    ResourceType.ANY, ANY, ResourcePatternType.ANY, ANY, ANY, AclOperation.ANY, AclPermissionType.ANY
)
RESOURCES = {Kind.TOPIC: ResourceType.TOPIC, Kind.GROUP: ResourceType.GROUP}
NOT_YET = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError._NOENT,  # librdkafka's word for no leader
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.FENCED_LEADER_EPOCH,
}  # what a broker says of a partition it is still making


@dataclass(frozen=True)
class TopicState:
    """A topic as the broker has it, beside what it should be."""

    spec: TopicSpec
    partitions: int  # 0: it does not exist
    differences: tuple[str, ...]  # such as "retention.ms is 1000, not 604800000"

    @property
    def exists(self) -> bool:
        return self.partitions > 0


class Admin:
    """The administration of one cluster. The in-process broker has no admin API: there, topics make themselves."""

    def __init__(self, bootstrap: Address) -> None:
        # librdkafka logs every refused connection to standard error on its own; faults here are raised instead.
        self._client = AdminClient({**brokers(bootstrap).for_librdkafka(), "log_level": 0, "socket.timeout.ms": 10_000})

    def create_topics(self, specs: Sequence[TopicSpec] | None = None) -> tuple[str, ...]:
        """Create the topics that are missing, by default all of Sluice's; their names. Existing ones are left alone.

        Returns when every new partition has a leader. Raises KafkaException if the broker refuses one.
        """
        wanted = all_topics() if specs is None else specs
        futures = self._client.create_topics([_new_topic(spec) for spec in wanted], operation_timeout=TIMEOUT)
        created = tuple(name for name, future in futures.items() if _done(future, KafkaError.TOPIC_ALREADY_EXISTS))
        self._await(lambda topics: [name for name in created if not _led(topics.get(name))], "without a leader")
        return created

    def delete_topics(self, names: Sequence[str]) -> None:
        """Delete topics with all they hold; missing ones are no fault.

        Returns when the brokers have forgotten them: created again sooner, the old ones would still be answered for.
        """
        if names:
            for future in self._client.delete_topics(list(names), operation_timeout=TIMEOUT).values():
                _done(future, KafkaError.UNKNOWN_TOPIC_OR_PART)
        self._await(lambda topics: [name for name in names if name in topics], "still there")

    def describe_topics(self, specs: Sequence[TopicSpec] | None = None) -> tuple[TopicState, ...]:
        """Every topic as the broker has it, with what differs from its specification."""
        wanted = all_topics() if specs is None else specs
        partitions = self._partitions()
        existing = [spec.name for spec in wanted if spec.name in partitions]
        configs = self._configs(existing)
        return tuple(_state(spec, partitions.get(spec.name, 0), configs.get(spec.name, {})) for spec in wanted)

    def ends(self, topics: Iterable[str]) -> dict[tuple[str, int], int]:
        """The next offset to be written of every partition, by topic and number; missing topics are left out."""
        return self._ends(self._places(topics))

    def delete_groups(self) -> None:
        """Forget every consumer group without members, its commits with it."""
        groups = [group.group_id for group in self._client.list_consumer_groups().result(TIMEOUT).valid]
        for future in (self._client.delete_consumer_groups(groups) if groups else {}).values():
            _done(future, KafkaError.NON_EMPTY_GROUP, KafkaError.GROUP_ID_NOT_FOUND)

    def grant(self, lines: Iterable[Grant]) -> int:
        """Add lines to the cluster's list; how many. One that is there already is no fault.

        Returns when a broker goes by them all. Raises KafkaException where the cluster has no authorizer, or does not
        let this login alter it.
        """
        wanted = [*map(binding, lines)]
        for future in self._client.create_acls(wanted).values():
            future.result(TIMEOUT)
        deadline = time.monotonic() + TIMEOUT
        while left := set(wanted).difference(self._client.describe_acls(EVERY_LINE).result(TIMEOUT)):
            if time.monotonic() > deadline:
                raise KafkaException(KafkaError(KafkaError.REQUEST_TIMED_OUT, f"{len(left)} lines are not in force"))
            time.sleep(POLL)
        return len(wanted)

    def brokers(self) -> tuple[str, ...]:
        """The cluster's brokers as host:port. Raises KafkaException if none answers."""
        return tuple(f"{node.host}:{node.port}" for node in self._client.describe_cluster().result(TIMEOUT).nodes)

    def _partitions(self) -> dict[str, int]:
        topics = self._client.list_topics(timeout=TIMEOUT).topics
        return {name: len(topic.partitions) for name, topic in topics.items()}

    def _places(self, topics: Iterable[str]) -> list[TopicPartition]:
        partitions = self._partitions()
        return [TopicPartition(topic, number) for topic in topics for number in range(partitions.get(topic, 0))]

    def _configs(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        futures = self._client.describe_configs(resources) if resources else {}
        return {
            resource.name: {name: entry.value for name, entry in future.result(TIMEOUT).items()}
            for resource, future in futures.items()
        }

    def _await(self, pending: Callable[[Mapping[str, TopicMetadata]], Sequence[str]], state: str) -> None:
        """Ask for the topics until none is `pending`; brokers learn of changes after the controller confirmed them."""
        deadline = time.monotonic() + TIMEOUT
        while left := pending(self._client.list_topics(timeout=TIMEOUT).topics):
            if time.monotonic() > deadline:
                raise KafkaException(KafkaError(KafkaError.REQUEST_TIMED_OUT, f"{state}: {', '.join(left)}"))
            time.sleep(POLL)

    def _ends(self, places: Iterable[TopicPartition]) -> dict[tuple[str, int], int]:
        """The next offset of each partition. A partition just made has no leader for a moment: ask again."""
        request = {TopicPartition(place.topic, place.partition): OffsetSpec.latest() for place in places}
        deadline = time.monotonic() + TIMEOUT
        ends: dict[tuple[str, int], int] = {}
        while request:
            for place, future in self._client.list_offsets(request).items():
                if (end := _end(future, last=time.monotonic() > deadline)) is not None:
                    ends[place.topic, place.partition] = end
            request = {place: spec for place, spec in request.items() if (place.topic, place.partition) not in ends}
            time.sleep(POLL if request else 0)
        return ends


def with_partitions(specs: Iterable[TopicSpec], partitions: int) -> tuple[TopicSpec, ...]:
    """The same topics with fewer partitions, at most as many as they had: for tests and small machines."""
    return tuple(replace(spec, partitions=min(spec.partitions, partitions)) for spec in specs)


def binding(line: Grant) -> AclBinding:
    """The line as the broker takes it: this name and no other, from any host."""
    pattern, allow, anywhere = ResourcePatternType.LITERAL, AclPermissionType.ALLOW, "*"
    operation = OPERATIONS[line.operation]
    return AclBinding(RESOURCES[line.kind], line.name, pattern, line.principal, anywhere, operation, allow)


def _new_topic(spec: TopicSpec) -> NewTopic:
    # -1: the broker's own default replication, one on a single node and three where production says so.
    return NewTopic(spec.name, num_partitions=spec.partitions, replication_factor=-1, config=_config(spec))


def _config(spec: TopicSpec) -> dict[str, str]:
    return {
        "retention.ms": str(spec.retention_ms),
        "cleanup.policy": spec.cleanup,
        "max.message.bytes": str(spec.max_message_bytes),
    }


def _state(spec: TopicSpec, partitions: int, config: dict[str, str]) -> TopicState:
    if not partitions:
        return TopicState(spec, 0, ("it does not exist",))
    wanted = _config(spec).items()
    differing = [f"{name} is {config.get(name)}, not {value}" for name, value in wanted if config.get(name) != value]
    if partitions != spec.partitions:
        differing.append(f"it has {partitions} partitions, not {spec.partitions}")
    return TopicState(spec, partitions, tuple(differing))


def _led(topic: TopicMetadata | None) -> bool:
    return topic is not None and bool(topic.partitions) and all(p.leader >= 0 for p in topic.partitions.values())


def _end(future: "Future[ListOffsetsResultInfo]", *, last: bool) -> int | None:
    """The offset, or None where the broker asks to try again and this was not the `last` try."""
    try:
        return future.result(TIMEOUT).offset
    except KafkaException as error:
        if last or error.args[0].code() not in NOT_YET:
            raise
        return None


def _done(future: "Future[None]", *tolerated: int) -> bool:
    """Whether the broker did it; False for a tolerated refusal. Raises KafkaException for any other."""
    try:
        future.result(TIMEOUT)
    except KafkaException as error:
        if error.args[0].code() in tolerated:
            return False
        raise
    return True
