"""The integrators' example runs as it is documented, and what it publishes is a ticket."""

import subprocess
import sys
from pathlib import Path

from confluent_kafka import Consumer

from schemas.codec import decode
from schemas.ingress import Identity, Proof, TicketReceived, ticket_id

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "publish_ticket.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, EXAMPLE, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_example_publishes_a_ticket(kafka_topics: str) -> None:
    ran = run(kafka_topics, "Where is W10023?", "--customer", "cus_0041", "--message-id", "m-1")
    assert ran.returncode == 0, ran.stderr
    consumer = Consumer({"bootstrap.servers": kafka_topics, "group.id": "example", "auto.offset.reset": "earliest"})
    consumer.subscribe(["tickets.inbound"])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    ticket = decode(TicketReceived, message.value())
    assert ticket.ticket_id == ticket_id("my-crm", "shop", "m-1")
    assert str(ticket.ticket_id) in ran.stdout
    assert ticket.identity == Identity(claimed="cus_0041", proof=Proof.API_KEY, value="cus_0041")
    assert message.key() == ticket.conversation.encode()


def test_without_kafka_the_example_says_so() -> None:
    ran = run("127.0.0.1:1", "Hello", "--seconds", "1")
    assert ran.returncode == 1
    assert "not published" in ran.stderr
