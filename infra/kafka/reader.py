"""Reading topics from outside: no consumer group, nothing committed, everything between two moments."""

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from infra.kafka.reason import reason
from infra.kafka.security import Address, brokers
from processors.errors import DependencyDown

TIMEOUT = 10.0  # seconds for one request to the broker

Place = tuple[str, int]  # topic, partition


@dataclass(frozen=True)
class Record:
    """One record as it stands on a topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]
    at: datetime  # the record's timestamp


class Reader:
    """Follows topics from their beginning, from a moment, or from now; readers never disturb each other.

    Raises:
        DependencyDown: the broker does not answer.
    """

    def __init__(self, bootstrap: Address, topics: Sequence[str], *, since: datetime | None = None) -> None:
        self._consumer = Consumer(
            {
                **brokers(bootstrap).for_librdkafka(),
                "group.id": "sluice-reader",  # librdkafka wants a name; nothing is ever committed under it
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "log_level": 2,  # critical: a broker that is away is reported by us
            }
        )
        self._unread: set[Place] = set()
        try:
            self._assign(topics, since)
        except KafkaException as error:
            self._consumer.close()
            raise DependencyDown("Kafka", reason(bootstrap, error.args[0].str())) from None

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def _assign(self, topics: Sequence[str], since: datetime | None) -> None:
        known = self._consumer.list_topics(timeout=TIMEOUT).topics
        parts = [
            TopicPartition(name, number, OFFSET_BEGINNING)
            for name in topics
            if name in known
            for number in known[name].partitions
        ]
        if since is not None and parts:
            millis = int(since.timestamp() * 1000)
            wanted = [TopicPartition(part.topic, part.partition, millis) for part in parts]
            parts = self._consumer.offsets_for_times(wanted, timeout=TIMEOUT)  # past the last record: the end
        self._unread = {(part.topic, part.partition) for part in parts}
        self._consumer.assign(parts)

    def poll(self, seconds: float, limit: int = 500) -> list[Record]:
        """What has come, waiting at most `seconds`."""
        messages = self._consumer.consume(limit, timeout=seconds)
        return [_record(message) for message in messages if not self._ended(message)]

    def until_end(self) -> Iterator[Record]:
        """Every record up to the present end of each partition."""
        while self._unread:
            yield from self.poll(0.2)

    def _ended(self, message: Message) -> bool:
        """Whether this is no record but the news that a partition's end is reached."""
        error = message.error()
        if error is None:
            return False
        if error.code() == KafkaError._PARTITION_EOF:
            self._unread.discard((message.topic(), message.partition()))
            return True
        raise DependencyDown("Kafka", error.str())


def _record(message: Message) -> Record:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    if topic is None or partition is None or offset is None:
        raise DependencyDown("Kafka", "a record without its place")
    return Record(
        topic=topic,
        partition=partition,
        offset=offset,
        key=_bytes(message.key()),
        value=_bytes(message.value()),
        headers=_headers(message),
        at=datetime.fromtimestamp(max(message.timestamp()[1], 0) / 1000, UTC),
    )


def _headers(message: Message) -> dict[str, bytes]:
    """The headers; none where a key is not UTF-8, which confluent-kafka cannot read.

    It goes on with the error pending, and a garbage collection that it sets off meanwhile may end the process.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return {name: _bytes(value) or b"" for name, value in dict(message.headers() or ()).items()}
    except (SystemError, UnicodeDecodeError):  # the first is what comes of the second inside its C code
        return {}
    finally:
        if collects:
            gc.enable()


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
