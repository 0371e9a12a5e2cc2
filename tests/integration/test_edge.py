"""The edge as a process beside a real broker: a ticket goes in, its outcome comes out, and it ends on a signal."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest
from confluent_kafka import Consumer

from infra.clock import SystemClock
from infra.kafka.local import LocalKafka
from infra.kafka.producer import Producer
from processors.ingress.api import ApiKey
from processors.ingress.email import Mailbox
from schemas.codec import decode
from schemas.ingress import TicketReceived
from schemas.outcome import Outcome, TicketSettled
from schemas.topics import Topic
from streams.ingress.doors import EdgeLimits
from streams.ingress.outcomes import OutcomeReader
from streams.ingress.serve import EdgeOptions, serve_edge

METRICS_PORT = 18761
KEY = {"Authorization": "Bearer s"}


def options_at(bootstrap: str) -> EdgeOptions:
    return EdgeOptions(
        bootstrap=bootstrap,
        keys=[("s", ApiKey("shop", "service"))],
        mailbox=Mailbox("support@shop.example"),
        port=0,
        metrics_port=METRICS_PORT,
        limits=EdgeLimits(publish_within=5.0),
    )


@asynccontextmanager
async def edge(bootstrap: str) -> AsyncIterator[httpx.AsyncClient]:
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve_edge(options_at(bootstrap), SystemClock(), listening=address.set_result))
    async with httpx.AsyncClient(base_url=await address, headers=KEY, timeout=20) as client:
        yield client
    signal.raise_signal(signal.SIGTERM)
    assert await asyncio.wait_for(serving, 20) == 0


async def until(client: httpx.AsyncClient, path: str, wanted: str) -> str:
    """Ask until the answer holds the text."""
    async with asyncio.timeout(30):
        while wanted not in (answer := (await client.get(path)).text):
            await asyncio.sleep(0.1)
    return answer


async def test_a_ticket_goes_to_kafka_and_its_outcome_comes_back(kafka_topics: str) -> None:
    async with edge(kafka_topics) as client, Producer(kafka_topics) as producer:
        await until(client, "/readyz", '"ready"')
        taken = (await client.post("/v1/tickets", json={"body": "Where is it?"})).json()
        inbound = first_inbound(kafka_topics)
        assert str(inbound.ticket_id) == taken["ticket_id"]
        where = f"/v1/tickets/{taken['ticket_id']}"
        await until(client, where, "pending")
        await producer.publish(Topic.OUTCOME, inbound.conversation, sent(inbound.ticket_id))
        assert "On its way." in await until(client, where, '"settled"')


async def test_a_fresh_edge_knows_what_was_settled_before_it_came(kafka_topics: str) -> None:
    ticket = UUID(int=7)
    async with Producer(kafka_topics) as producer:
        await producer.publish(Topic.OUTCOME, "c", b"\xc3\x01garbage")
        await producer.publish(Topic.OUTCOME, "c", sent(ticket))
    async with edge(kafka_topics) as client:
        await until(client, f"/v1/tickets/{ticket}", '"settled"')
        metrics = await client.get(f"http://127.0.0.1:{METRICS_PORT}/metrics")
        assert "sluice_outcomes_unreadable_total 1.0" in metrics.text


async def test_an_edge_without_kafka_answers_that_nothing_is_safe() -> None:
    async with edge("127.0.0.1:1") as client:
        answer = await client.post("/v1/tickets", json={"body": "Where is it?"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/livez")).status_code == 200


async def test_an_edge_whose_kafka_went_away_is_alive_and_not_ready(own_kafka: LocalKafka) -> None:
    async with edge(own_kafka.bootstrap) as client:
        await until(client, "/readyz", '"ready"')
        own_kafka.kill()
        assert "503" in await until(client, "/readyz", "has not answered")
        assert (await client.get("/livez")).status_code == 200


async def test_an_edge_whose_reader_crashed_ends_with_1(kafka_topics: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OutcomeReader, "_seek", lambda self, consumer: {}["a bug"])
    assert await asyncio.wait_for(serve_edge(options_at(kafka_topics), SystemClock()), 20) == 1


def sent(ticket: UUID) -> TicketSettled:
    return TicketSettled(
        ticket_id=ticket,
        conversation="c",
        revision=1,
        account="shop",
        outcome=Outcome.SENT,
        text="On its way.",
        settled_at=datetime.now(UTC),
    )


def first_inbound(bootstrap: str) -> TicketReceived:
    options = {"bootstrap.servers": bootstrap, "group.id": "test", "auto.offset.reset": "earliest"}
    consumer = Consumer(options)
    consumer.subscribe([Topic.INBOUND.value])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    return decode(TicketReceived, message.value())
