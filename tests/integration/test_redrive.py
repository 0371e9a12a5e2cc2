"""`sluice dead redrive` over a real broker: in the first order, each letter once, and again only by force."""

import asyncio
import json
import time

from confluent_kafka import Producer as Plain
from typer.testing import CliRunner, Result

from infra.kafka.producer import Producer
from infra.kafka.reader import Reader
from schemas.topics import Topic
from sluice.main import app

HEADERS = {"stage": "router", "reason": "Undecodable", "source-topic": "tickets.inbound", "attempt": "1"}
SOON = 30.0  # seconds until a topic just made answers everybody


async def die(kafka: str) -> None:
    async with Producer(kafka) as producer:
        told = [(name, value.encode()) for name, value in HEADERS.items()]
        await producer.publish("router.dead", b"c", b"unreadable", told)


def scatter(kafka: str, count: int) -> None:
    """Letters of one conversation and of two others, as retries and repartitioning leave them: anywhere, any order."""
    producer = Plain({"bootstrap.servers": kafka})
    for number in reversed(range(count)):
        for place, key in enumerate((b"one", b"two", b"three")):
            origin = {"source-partition": "1", "source-offset": str(3 * number + place)}
            told: dict[str, str | bytes | None] = {**HEADERS, **origin}
            producer.produce("router.dead", b"%s %d" % (key, number), key=key, partition=number % 3, headers=told)
    assert producer.flush(10) == 0


def dead(kafka: str, *arguments: str) -> Result:
    environ = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "COLUMNS": "400"}
    return CliRunner().invoke(app, ["dead", *arguments, "--stage", "router", "--json"], env=environ)


def until_listed(kafka: str) -> None:
    """Wait until the topics, just made, are known to everybody."""
    deadline = time.monotonic() + SOON
    while (listed := dead(kafka, "list")).exit_code or not json.loads(listed.stdout):
        assert time.monotonic() < deadline


def inbound(kafka: str) -> list[bytes | None]:
    with Reader(kafka, [Topic.INBOUND]) as reader:
        return [record.value for record in reader.until_end()]


def test_a_second_run_sends_nothing_twice(kafka_topics: str) -> None:
    asyncio.run(die(kafka_topics))
    until_listed(kafka_topics)
    assert len(json.loads(dead(kafka_topics, "redrive").stdout)["redriven"]) == 1
    again = dead(kafka_topics, "redrive")
    assert (again.exit_code, "nothing to redrive: redriven before" in again.stderr) == (1, True)
    assert inbound(kafka_topics) == [b"unreadable"]
    assert dead(kafka_topics, "redrive", "--force").exit_code == 0
    assert inbound(kafka_topics) == [b"unreadable"] * 2


def test_a_conversation_goes_back_in_its_first_order(kafka_topics: str) -> None:
    scatter(kafka_topics, 6)
    until_listed(kafka_topics)
    assert len(json.loads(dead(kafka_topics, "list", "--conversation", "one", "--limit", "4").stdout)) == 4
    first = json.loads(dead(kafka_topics, "redrive", "--conversation", "one", "--limit", "2", "--rate", "1000").stdout)
    assert len(first["redriven"]) == 2
    dry = json.loads(dead(kafka_topics, "redrive", "--dry-run").stdout)
    assert (len(dry["would be redriven"]), len(dry["stay"])) == (16, 2)
    assert dead(kafka_topics, "redrive", "--rate", "1000").exit_code == 0
    went = [(value or b"").split() for value in inbound(kafka_topics)]
    for key in (b"one", b"two", b"three"):
        assert [int(number) for name, number in went if name == key] == list(range(6))


def test_letters_are_found_by_when_they_died(kafka_topics: str) -> None:
    scatter(kafka_topics, 1)
    until_listed(kafka_topics)
    assert json.loads(dead(kafka_topics, "list", "--until", "2020-01-01T00:00Z").stdout) == []
    assert len(json.loads(dead(kafka_topics, "list", "--since", "2020-01-01").stdout)) == 3
    refused = dead(kafka_topics, "list", "--since", "yesterday")
    assert (refused.exit_code, "2026-11-24T09:30" in refused.stderr) == (2, True)
