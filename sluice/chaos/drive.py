"""The driver: puts tickets on `tickets.inbound` as a channel's producer would, until Kafka has acknowledged them."""

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from evals.dataset import LabelledTicket, Suite
from infra.wiring import POLICY
from loadtest.chaos.history import Place, Produced
from loadtest.chaos.schedule import Arrival
from processors.policy import Policy
from schemas.codec import encode
from schemas.ingress import Channel, TicketReceived, ticket_id
from schemas.router import Band
from schemas.topics import MAX_TOPIC_BYTES, Topic

PROVIDER, ACCOUNT = "chaos", "chaos"
PATIENCE_MS = 300_000  # how long a delivery is tried: longer than any fault lasts


def conversation_of(seed: int, number: int) -> str:
    """The key of a conversation; it stands in all its events, and in no other conversation's."""
    return f"chaos-{seed}-{number:05d}."


class Driver:
    """Sends tickets, and remembers what Kafka acknowledged."""

    def __init__(self, bootstrap: str, suite: Suite, seed: int) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "delivery.timeout.ms": PATIENCE_MS,
                "message.max.bytes": MAX_TOPIC_BYTES,
                "partitioner": "murmur2_random",
                "log_level": 2,
            }
        )
        policy = Policy.parse(POLICY.read_text(encoding="utf-8"))
        tickets = [ticket for ticket in suite.split("train") if not ticket.thread]
        self._texts = [ticket.body for ticket in tickets if _answerable(ticket, policy)]
        self._others = [ticket.body for ticket in tickets if not _answerable(ticket, policy)]
        self._seed = seed
        self._lock = threading.Lock()
        self.acknowledged: list[Produced] = []
        self.refused = 0  # deliveries that Kafka would not take: promised to nobody
        self.sent = 0

    def ticket(self, number: int, conversation: int, body: str | None = None) -> TicketReceived:
        """The number-th ticket. Three in four ask what may be answered by itself."""
        texts = self._texts if number % 4 else self._others
        body = texts[number * 7919 % len(texts)] if body is None else body
        return TicketReceived(
            ticket_id=ticket_id(PROVIDER, ACCOUNT, f"{self._seed}:{number}"),
            conversation=conversation_of(self._seed, conversation),
            channel=Channel.API,
            provider=PROVIDER,
            account=ACCOUNT,
            provider_message_id=f"{self._seed}:{number}",
            subject="",
            body=body,
            body_full=body,
            language="en",
            received_at=datetime.now(UTC),
        )

    def send(self, ticket: TicketReceived) -> None:
        """Put a ticket on its topic."""
        self.put(encode(ticket), ticket.conversation.encode(), ticket=ticket, body=_digest(ticket))

    def put(
        self,
        value: bytes | None,
        key: bytes | None,
        *,
        headers: Sequence[tuple[str, bytes]] = (),
        ticket: TicketReceived | None = None,
        body: str = "",
    ) -> None:
        """Put bytes on the topic; without a ticket, bytes that nobody can read."""
        with self._lock:
            self.sent += 1
        noted = _noted(ticket, body, self._note)
        try:
            self._producer.produce(Topic.INBOUND, value, key, headers=list(headers), on_delivery=noted)
        except KafkaException:  # too large for the producer itself
            self._note(None)
        self._producer.poll(0)

    def _note(self, produced: Produced | None) -> None:
        with self._lock:
            if produced is None:
                self.refused += 1
            else:
                self.acknowledged.append(produced)

    def run(self, plan: Sequence[Arrival], ended: threading.Event) -> None:
        """Deliver each at its time, whether those before were acknowledged or not."""
        began = time.monotonic()
        kept: dict[int, TicketReceived] = {}
        for arrival in plan:
            while (wait := began + arrival.at - time.monotonic()) > 0:
                if ended.wait(min(wait, 0.05)):
                    return
                self._producer.poll(0)
            ticket = kept.pop(arrival.number, None) or self.ticket(arrival.number, arrival.conversation)
            kept[arrival.number] = ticket
            self.send(ticket)

    def flush(self, within: float) -> int:
        """Wait for what is on its way; how many are still not acknowledged."""
        return int(self._producer.flush(within))

    def transaction(self, bootstrap: str, tickets: Sequence[TicketReceived], *, commit: bool) -> None:
        """Write tickets in a transaction of a producer of its own; its end leaves a control record (KIP-98)."""
        producer = Producer(
            {"bootstrap.servers": bootstrap, "transactional.id": f"chaos-{time.monotonic_ns()}", "log_level": 2}
        )
        producer.init_transactions(20)
        producer.begin_transaction()
        written: list[Produced | None] = []
        for ticket in tickets:
            noted = _noted(ticket, _digest(ticket), written.append)
            producer.produce(Topic.INBOUND, encode(ticket), ticket.conversation.encode(), on_delivery=noted)
        producer.flush(20)
        if not commit:
            producer.abort_transaction(20)
            return
        producer.commit_transaction(20)
        for produced in written:
            self._note(produced)


def _answerable(ticket: LabelledTicket, policy: Policy) -> bool:
    """Whether it may be answered by itself, whoever asks: by the policy, and without a record of anybody's."""
    intent = ticket.intent_label or ""
    sources = [source.article_id for source in ticket.expected_sources]
    facts = policy.facts_for(intent) or any(source.startswith("crm:") for source in sources)
    return ticket.expected_band == "auto" and policy.intents.get(intent) is Band.AUTO and bool(sources) and not facts


def _digest(ticket: TicketReceived) -> str:
    return hashlib.sha256(ticket.body_full.encode()).hexdigest()


def _noted(
    ticket: TicketReceived | None, body: str, note: Callable[[Produced | None], object]
) -> Callable[[KafkaError | None, Message], None]:
    """What librdkafka calls once a record was acknowledged, or given up."""
    conversation, name = (ticket.conversation, ticket.ticket_id) if ticket else (None, None)

    def done(error: KafkaError | None, message: Message) -> None:
        partition, offset = message.partition(), message.offset()
        if error is not None or partition is None or offset is None:
            note(None)
            return
        at = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
        place = Place(Topic.INBOUND.value, partition, offset)
        note(Produced(place, at, conversation, name, body, conversation or ""))

    return done
