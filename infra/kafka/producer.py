"""An acknowledged producer: `publish` returns only when the broker has the message on every in-sync replica.

Every message of Sluice goes out through it: the edge's, the command line's, and the stages' own. Faust's producer is
not used: it logs a failed send and lets the commit proceed, wraps each send in two more futures, and there would be
one a stage instead of one a process.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from infra.kafka.closing import close
from infra.kafka.reason import reason
from infra.kafka.security import Address, brokers
from processors.errors import DependencyDown, Rejected
from schemas.codec import encode
from schemas.event import Event
from schemas.topics import HEADER_ROOM, MAX_TOPIC_BYTES

ACKNOWLEDGED_WITHIN = 60.0  # seconds; an outage longer than that is reported, and the message tried again

Headers = Sequence[tuple[str, bytes]]


class MessageTooLarge(Rejected):
    """The message is larger than its topic takes."""


class Published(NamedTuple):
    """Where a message stands."""

    partition: int
    offset: int


class Producer:
    """Publishes with acks=all and idempotence: a retry of the client never doubles a message, nor reorders a key."""

    def __init__(self, bootstrap: Address, *, client_id: str = "sluice", deadline: float = ACKNOWLEDGED_WITHIN) -> None:
        self._bootstrap, self._client_id, self._deadline = bootstrap, client_id, deadline
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Connect.

        Raises:
            DependencyDown: no broker answers.
        """
        await self._connected()

    async def stop(self) -> None:
        """Send what is buffered, for a moment, and disconnect."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await close(producer)

    async def publish(
        self, topic: str, key: str | bytes | None, event: Event | bytes | None, headers: Headers = ()
    ) -> Published:
        """Publish an event, or bytes as they are, and wait for the acknowledgement.

        Raises:
            DependencyDown: no acknowledgement in time; the message may still arrive, so publish it again.
            MessageTooLarge: it will never be taken.
        """
        value = encode(event) if isinstance(event, Event) else event
        key = key.encode() if isinstance(key, str) else key
        producer = await self._connected()
        try:
            async with asyncio.timeout(self._deadline):
                sent = await producer.send_and_wait(topic, value, key=key, headers=list(headers))
        except MessageSizeTooLargeError:
            raise MessageTooLarge(f"{len(value or b'')} bytes are too many for {topic}") from None
        except TimeoutError:
            raise DependencyDown("Kafka", f"no acknowledgement within {self._deadline:.0f} s") from None
        except KafkaError as error:
            await self._forget(producer, error)
            raise DependencyDown("Kafka", f"{topic}: {type(error).__name__}") from None
        return Published(sent.partition, sent.offset)

    async def _connected(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                self._producer = await self._connect()
            return self._producer

    async def _connect(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **brokers(self._bootstrap).for_aiokafka(),
            client_id=self._client_id,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_request_size=MAX_TOPIC_BYTES + HEADER_ROOM,
            request_timeout_ms=int(self._deadline * 1000),
        )
        try:
            await producer.start()
        except KafkaError as error:
            await close(producer)
            why = await asyncio.to_thread(reason, self._bootstrap, type(error).__name__)
            raise DependencyDown("Kafka", why) from None
        return producer

    async def _forget(self, producer: AIOKafkaProducer, error: KafkaError) -> None:
        """After an error the client cannot recover from, such as a lost sequence, the next message connects anew."""
        if not error.retriable and self._producer is producer:
            await self.stop()
