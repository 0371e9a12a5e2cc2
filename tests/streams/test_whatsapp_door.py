"""WhatsApp's door in process: the handshake, what is taken and refused, and that a batch is safe or comes again."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from infra.clock import SystemClock
from infra.scripted.whatsapp_server import signed, webhook_of
from infra.settings import load_settings
from processors.errors import DependencyDown
from processors.ingress.api import ApiKey
from processors.ingress.email import Mailbox
from processors.ingress.whatsapp import MetaApp
from schemas.event import Event
from schemas.ingress import Proof, TicketReceived
from schemas.topics import Topic
from streams.ingress.doors import Doors, EdgeLimits, keys_of
from streams.ingress.edge import create_edge
from streams.ingress.outcomes import OutcomeView
from streams.ingress.serve import options_of
from streams.metrics import Metrics

SECRET, NUMBER, ADA = "app-secret", "106540352242922", "15550100017"
PATH = "/v1/whatsapp"


@dataclass
class Published:
    """A topic that takes everything, but for the tickets it is told to lose."""

    tickets: list[TicketReceived] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)  # message ids

    async def __call__(self, topic: str, key: object, event: Event | bytes | None, headers: object) -> None:
        assert isinstance(event, TicketReceived)
        assert (topic, key) == (Topic.INBOUND, event.conversation)
        if event.provider_message_id in self.lost:
            raise DependencyDown("Kafka")
        self.tickets.append(event)


@pytest.fixture
def published() -> Published:
    return Published()


@pytest.fixture
def doors(published: Published) -> Doors:
    return Doors(
        publish=published,
        keys=keys_of([("s", ApiKey("shop", "service")), ("c", ApiKey("widget", "customer"))]),
        mailbox=Mailbox("support@shop.example"),
        outcomes=OutcomeView(),
        clock=SystemClock(),
        metrics=Metrics(CollectorRegistry()),
        limits=EdgeLimits(publish_within=0.2),
        whatsapp=MetaApp((SECRET, "old-secret"), "agreed"),
    )


@pytest.fixture
async def client(doors: Doors) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_edge(doors))
    async with httpx.AsyncClient(transport=transport, base_url="http://edge") as client:
        yield client


def message(number: int = 1, age: timedelta = timedelta(), **more: object) -> dict[str, Any]:
    at = str(int((SystemClock().now() - age).timestamp()))
    said = {"type": "text", "text": {"body": "Where is my order? \U0001f600 é"}}
    return {"from": ADA, "id": f"wamid.{number}", "timestamp": at, **said, **more}


async def post(client: httpx.AsyncClient, body: bytes, secret: str = SECRET) -> httpx.Response:
    return await client.post(PATH, content=body, headers=signed(body, secret))


def counted(doors: Doors, name: str, **labels: str) -> float:
    return doors.metrics.registry.get_sample_value(f"sluice_{name}_total", {"channel": "whatsapp", **labels}) or 0.0


# -- the handshake

HANDSHAKE = {"hub.mode": "subscribe", "hub.verify_token": "agreed", "hub.challenge": "<b>1158201444</b>"}


async def test_the_handshake_echoes_the_challenge_as_it_stands(client: httpx.AsyncClient) -> None:
    answer = await client.get(PATH, params=HANDSHAKE)
    assert (answer.status_code, answer.text) == (200, "<b>1158201444</b>")
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "change", [{"hub.verify_token": "wrong"}, {"hub.verify_token": ""}, {"hub.mode": "unsubscribe"}]
)
async def test_a_handshake_of_somebody_else_is_refused_and_counted(
    client: httpx.AsyncClient, doors: Doors, change: dict[str, str]
) -> None:
    answer = await client.get(PATH, params=HANDSHAKE | change)
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    assert counted(doors, "signatures_refused", reason="verify-token") == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_where_whatsapp_is_not_set_up_the_setting_is_named(doors: Doors, method: str) -> None:
    transport = httpx.ASGITransport(create_edge(replace(doors, whatsapp=None)))
    async with httpx.AsyncClient(transport=transport, base_url="http://edge") as client:
        answer = await client.request(method, PATH, content=b"{}", headers=signed(b"{}", SECRET))
    assert (answer.status_code, "WHATSAPP_APP_SECRET" in answer.json()["detail"]) == (404, True)


# -- batches


@pytest.mark.parametrize("secret", [SECRET, "old-secret"])
async def test_every_message_of_a_signed_batch_is_a_ticket(
    client: httpx.AsyncClient, published: Published, secret: str
) -> None:
    statuses = [{"id": "wamid.out", "status": "read"}]
    answer = await post(client, webhook_of(NUMBER, [message(1), message(2)], statuses), secret)
    assert (answer.status_code, answer.json()) == (200, {"tickets": 2, "others": 1})
    assert [ticket.provider_message_id for ticket in published.tickets] == ["wamid.1", "wamid.2"]
    assert published.tickets[0].identity.proof is Proof.PHONE
    assert [step.stage for step in published.tickets[0].steps] == ["ingress"]


@pytest.mark.parametrize(("key", "status"), [("s", 200), ("c", 404)])
async def test_the_company_s_own_keys_may_ask_what_became_of_it(
    client: httpx.AsyncClient, published: Published, key: str, status: int
) -> None:
    await post(client, webhook_of(NUMBER, [message()]))
    answer = await client.get(f"/v1/tickets/{published.tickets[0].ticket_id}", headers={"X-API-Key": key})
    assert answer.status_code == status


async def test_a_batch_that_is_not_safe_as_a_whole_comes_again_as_the_same_tickets(
    client: httpx.AsyncClient, published: Published, doors: Doors
) -> None:
    body = webhook_of(NUMBER, [message(1), message(2)])
    published.lost = {"wamid.2"}
    assert (await post(client, body)).status_code == 503
    published.lost = set()
    assert (await post(client, body)).status_code == 200
    assert [ticket.provider_message_id for ticket in published.tickets] == ["wamid.1", "wamid.1", "wamid.2"]
    assert published.tickets[0].ticket_id == published.tickets[1].ticket_id
    assert counted(doors, "webhook_events", kind="redelivered") == 1


async def test_statuses_alone_are_counted_and_a_failed_one_is_logged_without_words(
    client: httpx.AsyncClient, published: Published, doors: Doors, caplog: pytest.LogCaptureFixture
) -> None:
    failed = {"id": "wamid.out", "status": "failed", "errors": [{"code": 131026, "title": "secret words"}]}
    answer = await post(client, webhook_of(NUMBER, statuses=[failed, failed]))
    assert (answer.status_code, published.tickets) == (200, [])
    assert counted(doors, "webhook_events", kind="status-failed") == 2
    assert "wamid.out: code 131026" in caplog.text
    assert "secret words" not in caplog.text


async def test_a_batch_of_failed_replies_is_one_line_of_the_log(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    failed = [{"id": f"wamid.{n}", "status": "failed", "errors": [{"code": 131026}]} for n in range(2000)]
    await post(client, webhook_of(NUMBER, statuses=failed))
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "wamid.4: code 131026 and 1995 more" in line


# -- what is refused


async def test_what_meta_did_not_sign_is_refused_and_counted(
    client: httpx.AsyncClient, published: Published, doors: Doors
) -> None:
    body = webhook_of(NUMBER, [message()])
    headers, reserialised = signed(body, SECRET), json.dumps(json.loads(body), ensure_ascii=False).encode()
    tried = [
        (body, signed(body, "forged")),
        (reserialised, headers),
        (body[:-1] + b" }", headers),
        (body, {**headers, "x-hub-signature-256": "sha1=00"}),
        (body, {"content-type": "application/json"}),
    ]
    answers = [await client.post(PATH, content=content, headers=given) for content, given in tried]
    assert [answer.status_code for answer in answers] == [401] * len(tried)
    assert {answer.json()["field"] for answer in answers} == {"X-Hub-Signature-256"}
    assert counted(doors, "signatures_refused", reason="forged") == 4
    assert counted(doors, "signatures_refused", reason="unsigned") == 1
    assert published.tickets == []


async def test_a_batch_that_meta_gave_up_long_ago_is_refused_as_stale(
    client: httpx.AsyncClient, published: Published, doors: Doors
) -> None:
    answer = await post(client, webhook_of(NUMBER, [message(age=timedelta(days=9))]))
    assert (answer.status_code, published.tickets) == (400, [])
    assert counted(doors, "signatures_refused", reason="stale") == 1


@pytest.mark.parametrize(
    ("body", "status"), [(b"{}", 422), (b"[", 422), (b'{"object": "page", "entry": []}', 422), (b" " * 3_200_000, 413)]
)
async def test_a_signed_body_of_another_form_is_a_problem(client: httpx.AsyncClient, body: bytes, status: int) -> None:
    answer = await post(client, body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


# -- settings


def test_the_settings_make_the_door_and_show_no_secret() -> None:
    given = {"WHATSAPP_APP_SECRET": "one, two", "WHATSAPP_VERIFY_TOKEN": "agreed"}
    options = options_of(load_settings(given), "k:9092")
    assert options.whatsapp == MetaApp(("one", "two"), "agreed")
    assert "two" not in repr(options.whatsapp)
    assert options_of(load_settings({}), "k:9092").whatsapp is None
