"""The chat's doors in process: sessions, messages, refusals, other origins, and the widget's files."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from infra.clock import SystemClock
from infra.sessions import SignedSessions
from infra.settings import SettingsError, load_settings
from processors.errors import DependencyDown
from processors.ingress.api import ApiKey
from processors.ingress.chat import ChatSession
from processors.ingress.email import Mailbox
from schemas.event import Event
from schemas.ingress import Channel, TicketReceived
from streams.ingress.doors import ChatDoor, Doors, keys_of
from streams.ingress.edge import create_edge
from streams.ingress.feed import ChatFeed, FeedLimits
from streams.ingress.outcomes import OutcomeView
from streams.ingress.serve import options_of
from streams.metrics import Metrics

SECRET = "a secret of the tests, long enough to sign"
SERVICE, PUBLIC = {"Authorization": "Bearer s"}, {"X-API-Key": "c"}
SHOP = "https://shop.example"


class Published:
    """A topic that takes everything, or nothing."""

    def __init__(self) -> None:
        self.tickets: list[TicketReceived] = []
        self.failure: Exception | None = None

    async def __call__(self, topic: str, key: object, event: Event | bytes | None, headers: object) -> None:
        if self.failure:
            raise self.failure
        assert isinstance(event, TicketReceived)
        self.tickets.append(event)


@pytest.fixture
def published() -> Published:
    return Published()


@pytest.fixture
def chat() -> ChatDoor:
    feed = ChatFeed(OutcomeView(), FeedLimits(streams_each=1))
    return ChatDoor(SignedSessions(SECRET), feed, (SHOP,), timedelta(hours=1), heartbeat=0.01, send_within=0.05)


@pytest.fixture
def doors(published: Published, chat: ChatDoor) -> Doors:
    keys = [
        ("s", ApiKey("shop", "service")),
        ("c", ApiKey("shop", "customer")),
        ("api", ApiKey("shop", "service", (Channel.API,))),
    ]
    return Doors(
        publish=published,
        keys=keys_of(keys),
        mailbox=Mailbox("support@shop.example"),
        outcomes=OutcomeView(),
        clock=SystemClock(),
        metrics=Metrics(CollectorRegistry()),
        chat=chat,
    )


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://edge")


@pytest.fixture
async def client(doors: Doors) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(create_edge(doors)) as client:
        yield client


async def session(client: httpx.AsyncClient, key: dict[str, str] = SERVICE, **asked: str) -> dict[str, str]:
    answer = await client.post("/v1/chat/sessions", json=asked, headers=key)
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['session']}"}


MESSAGE = {"text": "Where is my order?", "message_id": "m-1"}


async def test_a_message_is_accepted_once_kafka_has_it(client: httpx.AsyncClient, published: Published) -> None:
    answer = await client.post("/v1/chat/messages", json=MESSAGE, headers=await session(client, PUBLIC))
    assert answer.status_code == 202
    (ticket,) = published.tickets
    assert answer.json() == {"ticket_id": str(ticket.ticket_id), "conversation": ticket.conversation}


async def test_without_kafka_nothing_is_promised(client: httpx.AsyncClient, published: Published) -> None:
    published.failure = DependencyDown("Kafka")
    answer = await client.post("/v1/chat/messages", json=MESSAGE, headers=await session(client))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_a_session_ends_in_time(client: httpx.AsyncClient) -> None:
    answer = (await client.post("/v1/chat/sessions", json={}, headers=SERVICE)).json()
    left = datetime.fromisoformat(answer["expires_at"]) - SystemClock().now()
    assert timedelta(minutes=59) < left <= timedelta(hours=1)


@pytest.mark.parametrize(
    ("path", "headers", "body", "status", "field"),
    [
        ("sessions", {}, {}, 401, "Authorization"),
        ("sessions", {"X-API-Key": "wrong"}, {}, 401, "Authorization"),
        ("sessions", PUBLIC, {"customer_id": "cus_1"}, 403, "customer_id"),
        ("sessions", PUBLIC, {"conversation": "c-1"}, 403, "conversation"),
        ("sessions", {"X-API-Key": "api"}, {}, 403, "Authorization"),
        ("sessions", SERVICE, {"customer": "cus_1"}, 422, "customer"),
        ("messages", {}, MESSAGE, 401, "Authorization"),
        ("messages", SERVICE, MESSAGE, 401, "Authorization"),
        ("messages", {"Authorization": "Bearer a.b.c"}, MESSAGE, 401, "Authorization"),
        ("messages", None, {}, 422, "text"),
        ("messages", None, {"text": "Hello"}, 422, "message_id"),
        ("messages", None, {"text": "", "message_id": "m"}, 422, "text"),
        ("messages", None, {"text": " \u0000", "message_id": "m"}, 422, "text"),
        ("messages", None, {"text": "x" * 8001, "message_id": "m"}, 422, "text"),
        ("messages", None, {"text": "x" * 70_000, "message_id": "m"}, 413, "body"),
        ("messages", None, {"text": "x", "message_id": "m" * 201}, 422, "message_id"),
        ("messages", None, MESSAGE | {"customer_id": "cus_1"}, 422, "customer_id"),
    ],
)
async def test_a_refusal_is_a_problem_that_names_the_field(
    client: httpx.AsyncClient, path: str, headers: dict[str, str] | None, body: dict[str, str], status: int, field: str
) -> None:
    """Without headers of its own, a request comes with a good session."""
    given = await session(client) if headers is None else headers
    answer = await client.post(f"/v1/chat/{path}", json=body, headers=given)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["field"]) == (status, field)


async def test_an_expired_session_is_refused_everywhere(client: httpx.AsyncClient, chat: ChatDoor) -> None:
    token = chat.sessions.sign(ChatSession("shop", "chat:shop::1", None, SystemClock().now()))
    headers = {"Authorization": f"Bearer {token}"}
    posted = await client.post("/v1/chat/messages", json=MESSAGE, headers=headers)
    read = await client.get(f"/v1/chat/events?session={token}")
    assert (posted.status_code, read.status_code) == (401, 401)
    assert "expired" in posted.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/chat/events", "/widget.js", "/widget-demo"])
async def test_without_a_secret_the_paths_say_what_to_set(doors: Doors, path: str) -> None:
    async with client_of(create_edge(replace(doors, chat=None))) as client:
        answer = await client.get(path)
    assert (answer.status_code, "SLUICE_CHAT_SECRET" in answer.json()["detail"]) == (404, True)


# -- the stream


async def test_a_stream_beats_until_its_session_ends(client: httpx.AsyncClient, chat: ChatDoor) -> None:
    ends = SystemClock().now().replace(microsecond=0) + timedelta(seconds=2)  # a token counts whole seconds
    token = chat.sessions.sign(ChatSession("shop", "chat:shop::1", None, ends))
    answer = await client.get(f"/v1/chat/events?session={token}")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text.startswith("retry: 2000\n\n:\n\n")
    assert chat.feed.streams == 0


async def test_a_conversation_has_so_many_streams_and_no_more(client: httpx.AsyncClient, chat: ChatDoor) -> None:
    headers = await session(client, conversation="c-1")
    chat.feed.open("chat:shop::c-1", None)
    answer = await client.get("/v1/chat/events", headers=headers)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")


async def test_a_reader_that_takes_nothing_is_cut_off(doors: Doors, chat: ChatDoor) -> None:
    token = chat.sessions.sign(ChatSession("shop", "chat:shop::1", None, SystemClock().now() + timedelta(hours=1)))
    scope = {"type": "http", "method": "GET", "path": "/v1/chat/events", "query_string": f"session={token}".encode()}
    stuck = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await stuck.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await stuck.wait()

    await create_edge(doors)({**scope, "headers": [], "http_version": "1.1"}, receive, send)  # type: ignore[arg-type]
    assert chat.feed.streams == 0
    assert doors.metrics.registry.get_sample_value("sluice_chat_cut_total") == 1


# -- browsers


@pytest.mark.parametrize(
    ("path", "origin", "allowed"),
    [
        ("/v1/chat/messages", SHOP, SHOP),
        ("/v1/chat/messages", "https://evil.example", None),
        ("/v1/chat/messages", "null", None),
        ("/v1/tickets", SHOP, None),
    ],
)
async def test_only_named_origins_may_chat(
    client: httpx.AsyncClient, path: str, origin: str, allowed: str | None
) -> None:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    preflight = await client.options(path, headers=asked)
    posted = await client.post(path, json=MESSAGE, headers={"Origin": origin})
    assert [answer.headers.get("access-control-allow-origin") for answer in (preflight, posted)] == [allowed, allowed]


async def test_the_widget_is_a_script_that_is_fetched_once(client: httpx.AsyncClient) -> None:
    first = await client.get("/widget.js")
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    again = await client.get("/widget.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    markup = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "<style")
    assert not [name for name in markup if name in first.text]


@pytest.mark.parametrize(("demo", "status"), [(True, 200), (False, 404)])
async def test_the_demo_page_is_served_where_it_is_allowed(
    doors: Doors, chat: ChatDoor, demo: bool, status: int
) -> None:
    async with client_of(create_edge(replace(doors, chat=replace(chat, demo=demo)))) as client:
        answers = [await client.get("/widget-demo"), await client.get("/widget-demo.css")]
        opened = await client.post("/widget-demo/session")
    assert [answer.status_code for answer in answers] == [status, status]
    assert ("session" in opened.json()) is demo


# -- settings


def test_the_settings_describe_the_chat() -> None:
    env = {"SLUICE_CHAT_SECRET": SECRET, "SLUICE_CHAT_ORIGINS": f"{SHOP}, http://localhost:3000"}
    options = options_of(load_settings(env), "broker:9092").chat
    assert options is not None
    assert options.origins == (SHOP, "http://localhost:3000")
    assert SECRET not in repr(options)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLUICE_CHAT_SECRET", "short"),
        ("SLUICE_CHAT_ORIGINS", "*"),
        ("SLUICE_CHAT_ORIGINS", "https://shop.example/"),
        ("SLUICE_CHAT_ORIGINS", "shop.example"),
        ("SLUICE_CHAT_ARTICLE_URL", "http://help.example/{article}"),
        ("SLUICE_CHAT_ARTICLE_URL", "https://help.example/"),
    ],
)
def test_a_setting_that_would_open_too_much_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load_settings({name: value})
