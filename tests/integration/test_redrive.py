"""`sluice dead redrive` over a real broker: a letter goes once, and again only by force."""

import asyncio
import json
import time

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


def dead(kafka: str, *arguments: str) -> Result:
    environ = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "COLUMNS": "400"}
    return CliRunner().invoke(app, ["dead", *arguments, "--stage", "router", "--json"], env=environ)


def inbound(kafka: str) -> list[bytes | None]:
    with Reader(kafka, [Topic.INBOUND]) as reader:
        return [record.value for record in reader.until_end()]


def test_a_second_run_sends_nothing_twice(kafka_topics: str) -> None:
    asyncio.run(die(kafka_topics))
    deadline = time.monotonic() + SOON
    while (listed := dead(kafka_topics, "list")).exit_code or not json.loads(listed.stdout):
        assert time.monotonic() < deadline
    assert len(json.loads(dead(kafka_topics, "redrive").stdout)["redriven"]) == 1
    again = dead(kafka_topics, "redrive")
    assert (again.exit_code, "nothing to redrive: redriven before" in again.stderr) == (1, True)
    assert inbound(kafka_topics) == [b"unreadable"]
    assert dead(kafka_topics, "redrive", "--force").exit_code == 0
    assert inbound(kafka_topics) == [b"unreadable"] * 2
