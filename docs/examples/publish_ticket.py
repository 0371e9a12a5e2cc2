"""Publish a ticket straight to `tickets.inbound`, with confluent-kafka and nothing of Sluice.

    python docs/examples/publish_ticket.py 127.0.0.1:9092 "Where is my order W10023?" --customer cus_0041

Whoever may write this topic is trusted: what `identity` says is proved, is believed. See docs/integrators.md.
"""

import argparse
import json
import sys
import uuid
from datetime import UTC, datetime

from confluent_kafka import KafkaError, Message, Producer

TOPIC = "tickets.inbound"
NAMESPACE = uuid.UUID("6f1b1f0e-6c39-5c0f-8a55-0f4b9a3c7d21")  # of every ticket id; part of the contract
PROVIDER, ACCOUNT = "my-crm", "shop"  # name your system and the account it writes for


def ticket(message_id: str, body: str, customer: str | None) -> dict[str, object]:
    """A TicketReceived as JSON values. The same message_id is always the same ticket, however often it is sent."""
    proved = {"claimed": customer, "proof": "api_key", "value": customer}
    return {
        "ticket_id": str(uuid.uuid5(NAMESPACE, "\x1f".join((PROVIDER, ACCOUNT, message_id)))),
        "conversation": f"{PROVIDER}:{ACCOUNT}:{customer or 'anonymous'}:{message_id}",
        "channel": "chat",
        "provider": PROVIDER,
        "account": ACCOUNT,
        "provider_message_id": message_id,
        "identity": proved if customer else {},
        "subject": "",
        "body": body,
        "body_full": body,
        "received_at": datetime.now(UTC).isoformat(),
    }


def publish(bootstrap: str, event: dict[str, object], seconds: float) -> str:
    """Publish and wait for the delivery report; where the message stands.

    Raises:
        SystemExit: Kafka did not take it.
    """
    failures: list[str] = []
    places: list[str] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failures.append(error.str())
        else:
            places.append(f"{message.topic()}[{message.partition()}]@{message.offset()}")

    producer = Producer(
        {"partitioner": "murmur2_random", "bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True}
    )
    # The key is the conversation: it keeps a conversation's tickets on one partition, in their order.
    producer.produce(TOPIC, key=str(event["conversation"]), value=json.dumps(event), on_delivery=delivered)
    waiting = producer.flush(seconds)
    if failures or waiting:
        sys.exit(f"not published: {failures[0] if failures else 'no report from Kafka in time'}")
    return places[0]


def main() -> None:
    """Read the command line and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bootstrap", help="brokers as host:port,host:port")
    parser.add_argument("body", help="the message")
    parser.add_argument("--customer", help="the customer your own system has signed in; leave out what you do not know")
    parser.add_argument("--message-id", default=None, help="your id of the message; default: a random one")
    parser.add_argument("--seconds", type=float, default=15, help="how long to wait for Kafka")
    given = parser.parse_args()
    event = ticket(given.message_id or str(uuid.uuid4()), given.body, given.customer)
    place = publish(given.bootstrap, event, given.seconds)
    print(f"ticket {event['ticket_id']} stands at {place}")  # noqa: T201 - the result


if __name__ == "__main__":
    main()
