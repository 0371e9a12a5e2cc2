"""How far consumer groups are behind, asked as a consumer of the group would ask, without joining it.

Not by the admin client: librdkafka ends the whole process where the group's coordinator goes away while its admin
request is on the way (https://github.com/confluentinc/librdkafka/issues/3663), and a lag is read once in a while.
"""

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from confluent_kafka import OFFSET_END, Consumer, KafkaException, TopicPartition

from infra.kafka.admin import NOT_YET
from infra.kafka.security import Address, brokers

TIMEOUT = 10.0  # seconds, of one request
PAUSE = 0.1  # seconds


@dataclass(frozen=True)
class Lag:
    """How far a consumer group is behind on one partition."""

    topic: str
    partition: int
    committed: int  # the next offset to read; -1: nothing committed yet
    end: int  # the next offset to be written

    @property
    def messages(self) -> int:
        """Messages not yet done. Without a commit the group begins at the start of the log, so all of it."""
        return self.end - max(self.committed, 0)


class Lags:
    """The lag of groups. One client a group, made when it is first asked for and kept."""

    def __init__(self, bootstrap: Address) -> None:
        self._bootstrap = bootstrap
        self._clients: dict[str, Consumer] = {}
        self._lock = threading.Lock()

    def on(self, group: str, topics: Iterable[str]) -> tuple[Lag, ...]:
        """The group's lag on every partition of `topics`, committed on or not; missing topics are left out.

        Raises:
            KafkaException: the broker does not answer, or is changing a partition's leader.
        """
        with self._lock:
            if group not in self._clients:
                self._clients[group] = self._client(group)
            client = self._clients[group]
            known = client.list_topics(timeout=TIMEOUT).topics
            there = [topic for topic in topics if topic in known]
            places = [TopicPartition(topic, number) for topic in there for number in known[topic].partitions]
            if not places:
                return ()
            ends = {(end.topic, end.partition): end.offset for end in _ends(client, places)}
            committed = client.committed(places, timeout=TIMEOUT)
        return tuple(
            Lag(place.topic, place.partition, max(place.offset, -1), ends[place.topic, place.partition])
            for place in committed
        )

    def _client(self, group: str) -> Consumer:
        ours = {"group.id": group, "enable.auto.commit": False, "log_level": 0, "socket.timeout.ms": 10_000}
        return Consumer({**brokers(self._bootstrap).for_librdkafka(), **ours})


def _ends(client: Consumer, places: Sequence[TopicPartition]) -> list[TopicPartition]:
    """The next offset of each partition. One that was just made, or is changing its leader, is asked for again."""
    asked = [TopicPartition(place.topic, place.partition, OFFSET_END) for place in places]
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            return client.offsets_for_times(asked, timeout=TIMEOUT)
        except KafkaException as error:
            if error.args[0].code() not in NOT_YET or time.monotonic() > deadline:
                raise
            time.sleep(PAUSE)
