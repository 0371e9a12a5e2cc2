"""What became of the latest tickets: `tickets.outcome`, read without a consumer group and kept in memory.

Each replica of the edge reads the whole topic, so each can answer for any ticket that is settled. What is accepted and
not settled is known to the replica that took it.
"""

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from infra.kafka.consumer import consumer
from infra.kafka.security import Address
from processors.ports import Clock
from schemas.codec import Undecodable, decode
from schemas.ingress import TicketReceived
from schemas.outcome import Outcome, TicketSettled
from schemas.topics import Topic
from streams.metrics import Metrics
from streams.retry import pause

KEPT = 50_000  # tickets
LOOKBACK = timedelta(hours=1)  # how far a fresh edge reads back
POLL_MS = 200
ASK_EVERY = 3.0  # seconds; a consumer that gets nothing does not tell an outage from a quiet topic
ANSWERS_WITHIN = 5.0  # seconds
SILENT = 15.0  # seconds without an answer after which Kafka counts as away
BESIDE = frozenset({Outcome.CONFLICT, Outcome.ACKNOWLEDGED})  # another message's fate; a note that a person answers
GONE_OUT = frozenset({Outcome.SENT, Outcome.APPROVED, Outcome.EDITED})  # their text has reached the customer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Known:
    """What the edge remembers of a ticket. Without an outcome it was accepted and is on its way."""

    account: str
    conversation: str
    outcome: Outcome | None = None
    revision: int | None = None
    reason: str | None = None
    text: str | None = None  # what the customer got; never a draft
    settled_at: datetime | None = None


@dataclass(frozen=True)
class Place:
    """Where a record stands on `tickets.outcome`. The records of a conversation stand on one partition, in order."""

    partition: int
    offset: int

    @classmethod
    def parse(cls, text: str | None) -> "Place | None":
        """A place as it was shown, or None where the text is none."""
        found = re.fullmatch(r"(\d{1,9})-(\d{1,18})", text or "", re.ASCII)
        return cls(int(found[1]), int(found[2])) if found else None

    def __str__(self) -> str:
        return f"{self.partition}-{self.offset}"

    def follows(self, earlier: "Place | None") -> bool:
        """Whether it comes after an earlier one of the same conversation."""
        return earlier is None or self.partition != earlier.partition or self.offset > earlier.offset


Follower = Callable[[TicketSettled, Place], None]


class OutcomeView:
    """The latest tickets, the longest untouched forgotten first."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._tickets: OrderedDict[UUID, Known] = OrderedDict()
        self.caught_up = False  # whether the topic was read to its end once
        self.answered_at = float("-inf")  # monotonic seconds; when Kafka last answered the reader

    def __len__(self) -> int:
        return len(self._tickets)

    def accept(self, ticket: TicketReceived) -> None:
        """Remember a ticket that Kafka has taken; one that is known stays as it is."""
        known = self._tickets.get(ticket.ticket_id) or Known(ticket.account, ticket.conversation)
        self._keep(ticket.ticket_id, known)

    def settle(self, settled: TicketSettled) -> None:
        """Remember an outcome; the latest stands, and what only goes with another hides nothing."""
        known = self._tickets.get(settled.ticket_id)
        account = settled.account or (known.account if known else None)
        if account is None or (settled.outcome in BESIDE and known and known.outcome):
            return
        told = Known(
            account=account,
            conversation=settled.conversation,
            outcome=settled.outcome,
            revision=settled.revision,
            reason=settled.reason,
            text=settled.text if settled.outcome in GONE_OUT else None,
            settled_at=settled.settled_at,
        )
        if told.text is None and known is not None:
            told = replace(told, text=known.text)  # a rating or a reopening does not unsend the reply
        self._keep(settled.ticket_id, told)

    def get(self, ticket_id: UUID) -> Known | None:
        """What is known of a ticket."""
        return self._tickets.get(ticket_id)

    def _keep(self, ticket_id: UUID, known: Known) -> None:
        self._tickets[ticket_id] = known
        self._tickets.move_to_end(ticket_id)
        while len(self._tickets) > self._kept:
            self._tickets.popitem(last=False)


@asynccontextmanager
async def _reading(bootstrap: Address) -> AsyncIterator[AIOKafkaConsumer]:
    reading = consumer(bootstrap, Topic.OUTCOME.value)
    try:
        await reading.start()
        yield reading
    finally:
        await reading.stop()


class OutcomeReader:
    """Fills a view from the topic, for as long as it runs; an outage is waited for."""

    def __init__(
        self,
        bootstrap: Address,
        view: OutcomeView,
        clock: Clock,
        metrics: Metrics,
        followers: Sequence[Follower] = (),
        lookback: timedelta = LOOKBACK,
    ) -> None:
        self._bootstrap, self._view, self._clock, self._metrics = bootstrap, view, clock, metrics
        self._followers = followers
        self._since = clock.now() - lookback
        self._next: dict[TopicPartition, int] = {}  # the offset to go on from
        metrics.outcomes_known.set_function(lambda: len(view))

    async def run(self) -> None:
        """Read until cancelled. After an outage it goes on where it was."""
        failures = 0
        while True:
            try:
                async with _reading(self._bootstrap) as consumer:
                    failures = 0
                    await self._follow(consumer)
            except KafkaError as error:
                logger.warning("tickets.outcome cannot be read: %s", type(error).__name__)
            await asyncio.sleep(pause(failures))
            failures += 1

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        ends = await self._seek(consumer)
        while True:
            for messages in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                for message in messages:
                    self._read(message)
            if not self._view.caught_up:
                positions = [await consumer.position(partition) >= end for partition, end in ends.items()]
                self._view.caught_up = all(positions)
            await self._ask(consumer, list(ends))

    async def _ask(self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> None:
        """Find out now and then whether Kafka is there."""
        if self._clock.monotonic() - self._view.answered_at < ASK_EVERY:
            return
        asked = self._clock.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWERS_WITHIN):
                await consumer.end_offsets(partitions)
                self._view.answered_at = asked

    async def _seek(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        """Go to where reading begins; where it has to arrive to be up to date."""
        partitions = sorted(consumer.assignment())
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        since = int(self._since.timestamp() * 1000)
        begins = await consumer.offsets_for_times(dict.fromkeys(partitions, since))
        for partition in partitions:
            begin = begins.get(partition)
            fresh = begin.offset if begin else ends[partition]
            consumer.seek(partition, self._next.setdefault(partition, fresh))
        return ends

    def _read(self, message: "ConsumerRecord[bytes, bytes]") -> None:
        self._next[TopicPartition(message.topic, message.partition)] = message.offset + 1
        try:
            settled = decode(TicketSettled, message.value)
        except Undecodable:
            self._metrics.outcomes_unreadable.inc()
            return
        self._view.settle(settled)
        for follow in self._followers:
            follow(settled, Place(message.partition, message.offset))
