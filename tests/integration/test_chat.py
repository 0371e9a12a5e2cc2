"""Web chat over a served edge and a real broker: what a session is told, when, and what it is never told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from confluent_kafka import Consumer

from infra.kafka.producer import Producer
from schemas.codec import decode
from schemas.ingress import Proof, TicketReceived
from schemas.outcome import Outcome, TicketSettled
from schemas.resolution import Draft, ReplyDrafted, Sentence
from schemas.retrieval import Evidence
from schemas.router import Admission, Band, Route, Tier
from schemas.topics import Topic

Serve = Callable[..., AbstractAsyncContextManager[str]]
SERVICE = {"X-API-Key": "s"}


@dataclass
class Chat:
    """A browser's side of one session."""

    client: httpx.AsyncClient
    session: str
    conversation: str

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.session}"}

    async def say(self, text: str, message_id: str = "m1") -> UUID:
        sent = {"text": text, "message_id": message_id}
        answer = await self.client.post("/v1/chat/messages", json=sent, headers=self.bearer)
        assert answer.status_code == 202, answer.text
        return UUID(answer.json()["ticket_id"])

    @asynccontextmanager
    async def events(self, last: str | None = None) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        headers = self.bearer | ({"Last-Event-ID": last} if last else {})
        async with self.client.stream("GET", "/v1/chat/events", headers=headers) as answer, asyncio.timeout(30):
            assert answer.status_code == 200
            yield parsed(answer.aiter_lines())


async def parsed(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, Any]]:
    """Server-sent events; the comments between them are passed over."""
    event: dict[str, Any] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(": ")
            event[name] = json.loads(value) if name == "data" else value
        elif "data" in event:
            yield event
            event = {}


@pytest.fixture
async def client(chat_edge: Serve) -> AsyncIterator[httpx.AsyncClient]:
    async with chat_edge() as address, httpx.AsyncClient(base_url=address, timeout=20) as client:
        yield client


@pytest.fixture
async def producer(kafka_topics: str) -> AsyncIterator[Producer]:
    async with Producer(kafka_topics) as producer:
        yield producer


async def opened(client: httpx.AsyncClient, **asked: str) -> Chat:
    answer = (await client.post("/v1/chat/sessions", json=asked, headers=SERVICE)).json()
    return Chat(client, answer["session"], answer["conversation"])


def settled(chat: Chat, ticket: UUID, outcome: Outcome = Outcome.SENT, **more: object) -> TicketSettled:
    told = {"ticket_id": ticket, "conversation": chat.conversation, "revision": 1, "account": "shop"}
    return TicketSettled.model_validate(
        told | {"outcome": outcome, "text": "On its way.", "settled_at": datetime.now(UTC)} | more
    )


def inbound(bootstrap: str) -> TicketReceived:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "auto.offset.reset": "earliest"})
    consumer.subscribe([Topic.INBOUND.value])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    assert message.key() == decode(TicketReceived, message.value()).conversation.encode()
    return decode(TicketReceived, message.value())


async def test_a_message_is_on_kafka_with_the_proof_of_its_session(
    client: httpx.AsyncClient, kafka_topics: str
) -> None:
    chat = await opened(client, customer_id="cus_0001")
    ticket = await chat.say("Where is my order?")
    received = await asyncio.to_thread(inbound, kafka_topics)
    assert (received.ticket_id, received.conversation) == (ticket, chat.conversation)
    assert (received.identity.proof, received.identity.value) == (Proof.SESSION, "cus_0001")


async def test_statuses_come_first_and_the_answer_once_it_is_settled(
    client: httpx.AsyncClient, producer: Producer, kafka_topics: str
) -> None:
    chat = await opened(client)
    async with chat.events() as events:
        ticket = await chat.say("Where is my order?")
        assert (await anext(events))["data"]["state"] == "received"
        await told(producer, drafted(await asyncio.to_thread(inbound, kafka_topics)), events)
        await producer.publish(Topic.OUTCOME, chat.conversation, settled(chat, ticket))
        following = [event async for event in until(events, "answer")]
    assert following[-1]["data"]["text"] == "On its way."
    assert SECRET_DRAFT not in str(following)


async def test_a_reader_that_comes_back_gets_what_it_missed_and_nothing_twice(
    chat_edge: Serve, producer: Producer
) -> None:
    async with chat_edge() as address, httpx.AsyncClient(base_url=address, timeout=20) as client:
        chat = await opened(client)
        async with chat.events() as events:
            await producer.publish(Topic.OUTCOME, chat.conversation, settled(chat, UUID(int=1), text="One."))
            first = await anext(events)
    await producer.publish(Topic.OUTCOME, chat.conversation, settled(chat, UUID(int=2), text="Two."))
    async with chat_edge() as address, httpx.AsyncClient(base_url=address, timeout=20) as client:
        chat.client = client
        async with chat.events(first["id"]) as events:
            await producer.publish(Topic.OUTCOME, chat.conversation, settled(chat, UUID(int=2), text="Two."))
            await producer.publish(Topic.OUTCOME, chat.conversation, edited(chat, UUID(int=2), "Three."))
            assert [(await anext(events))["data"]["text"] for _ in range(2)] == ["Two.", "Three."]


async def test_a_session_sees_its_own_conversation_only(client: httpx.AsyncClient, producer: Producer) -> None:
    ann, ben = await opened(client, customer_id="ann"), await opened(client, customer_id="ben")
    async with ann.events() as events:
        await producer.publish(Topic.OUTCOME, ben.conversation, settled(ben, UUID(int=1), text="Ben's."))
        await producer.publish(Topic.OUTCOME, ann.conversation, settled(ann, UUID(int=2), text="Ann's."))
        assert (await anext(events))["data"]["text"] == "Ann's."
    async with ben.events() as events:
        assert (await anext(events))["data"]["text"] == "Ben's."


async def test_an_edge_that_stops_ends_its_streams(chat_edge: Serve) -> None:
    async with chat_edge() as address:
        client = httpx.AsyncClient(base_url=address, timeout=20)
        chat = await opened(client)
        streaming = await client.send(client.build_request("GET", "/v1/chat/events", headers=chat.bearer), stream=True)
    assert b"retry:" in await streaming.aread()
    await client.aclose()


# -- what the stages say

SECRET_DRAFT = "Not before the gate."


def drafted(ticket: TicketReceived) -> ReplyDrafted:
    draft = Draft(sentences=(Sentence(text=SECRET_DRAFT),), model="m", prompt_hash="h")
    route = Route(intent="order_status", confidence=0.9, band=Band.AUTO, tier=Tier.COMMODITY)
    return ReplyDrafted(ticket=ticket, admission=Admission(revision=1), route=route, evidence=Evidence(), draft=draft)


def edited(chat: Chat, ticket: UUID, text: str) -> TicketSettled:
    return settled(chat, ticket, Outcome.EDITED, actor="mira", text=text)


async def told(producer: Producer, event: ReplyDrafted, events: AsyncIterator[dict[str, Any]]) -> None:
    """Publish until it is told: the reader of the stages' topics may still be on its way to their ends."""
    telling = asyncio.create_task(anext(events))
    while not telling.done():
        await producer.publish(Topic.RESOLUTION, event.ticket.conversation, event)
        await asyncio.wait([telling], timeout=0.5)
    assert telling.result()["data"] == {"ticket_id": str(event.ticket.ticket_id), "state": "checking"}


async def until(events: AsyncIterator[dict[str, Any]], name: str) -> AsyncIterator[dict[str, Any]]:
    """The events up to the first of this name."""
    async for event in events:
        yield event
        if event["event"] == name:
            return
