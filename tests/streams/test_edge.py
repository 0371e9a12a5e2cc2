"""The edge in process: what it takes and refuses, what it promises, and who may read what."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, generate_latest

from infra.clock import SystemClock
from infra.settings import load_settings
from processors.errors import DependencyDown
from processors.ingress.api import ApiKey
from processors.ingress.email import Mailbox
from schemas.event import Event
from schemas.ingress import Channel, Proof, TicketReceived, ticket_id
from schemas.outcome import Outcome, TicketSettled
from schemas.topics import Topic
from streams.ingress.doors import Doors, EdgeLimits, keys_of
from streams.ingress.edge import create_edge
from streams.ingress.outcomes import OutcomeView
from streams.ingress.serve import options_of
from streams.metrics import Metrics

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
SERVICE, CUSTOMER, OTHER = {"X-API-Key": "s"}, {"X-API-Key": "c"}, {"X-API-Key": "o"}
PUBLIC = {"X-API-Key": "p"}  # of the account that SERVICE has
MAIL = b"From: Ada <ada@example.net>\r\nMessage-ID: <m1@example.net>\r\nSubject: Order\r\n\r\nWhere is it?"
RFC822 = {"Content-Type": "message/rfc822"}


@dataclass
class Published:
    """A topic that takes everything, or nothing."""

    messages: list[tuple[str, object, TicketReceived, object]] = field(default_factory=list)
    failure: Exception | None = None

    async def __call__(self, topic: str, key: object, event: Event | bytes | None, headers: object) -> None:
        if self.failure:
            raise self.failure
        assert isinstance(event, TicketReceived)
        self.messages.append((topic, key, event, headers))

    @property
    def ticket(self) -> TicketReceived:
        (message,) = self.messages
        return message[2]


@pytest.fixture
def published() -> Published:
    return Published()


@pytest.fixture
def doors(published: Published) -> Doors:
    keys = [
        ("s", ApiKey("shop", "service")),
        ("c", ApiKey("widget", "customer")),
        ("p", ApiKey("shop", "customer")),
        ("o", ApiKey("another", "service", (Channel.CHAT,))),
    ]
    return Doors(
        publish=published,
        keys=keys_of(keys),
        mailbox=Mailbox("support@shop.example"),
        outcomes=OutcomeView(),
        clock=SystemClock(),
        metrics=Metrics(CollectorRegistry()),
        limits=EdgeLimits(ticket_bytes=2000, mail_bytes=3000, publish_within=0.2),
    )


@pytest.fixture
def app(doors: Doors) -> FastAPI:
    return create_edge(doors)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://edge") as client:
        yield client


# -- what is taken


async def test_a_ticket_is_accepted_once_kafka_has_it(client: httpx.AsyncClient, published: Published) -> None:
    sent = {"body": "Where is my order?", "customer_id": "cus_0001"}
    answer = await client.post("/v1/tickets", json=sent, headers={**SERVICE, "Idempotency-Key": "k-1"})
    assert answer.status_code == 202
    ticket = published.ticket
    assert answer.json() == {"ticket_id": str(ticket.ticket_id), "conversation": ticket.conversation}
    assert ticket.ticket_id == ticket_id("api", "shop", "k-1")
    assert (ticket.identity.proof, ticket.identity.value) == (Proof.API_KEY, "cus_0001")
    assert published.messages[0][:2] == (Topic.INBOUND, ticket.conversation)
    assert [step.stage for step in ticket.steps] == ["ingress"]


async def test_raw_mail_is_accepted(client: httpx.AsyncClient, published: Published) -> None:
    answer = await client.post("/v1/email", content=MAIL, headers=SERVICE | RFC822)
    assert answer.status_code == 202
    assert published.ticket.ticket_id == ticket_id("email", "support@shop.example", "m1@example.net")
    assert published.ticket.body == "Where is it?"


async def test_a_bearer_token_is_a_key_too(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/tickets", json={"body": "Hello"}, headers={"Authorization": "Bearer s"})
    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("parent", "passed"),
    [(f"00-{'a' * 32}-{'b' * 16}-01", True), ("00-nonsense", False), ("", False)],
)
async def test_a_trace_goes_on_with_the_ticket(
    client: httpx.AsyncClient, published: Published, parent: str, passed: bool
) -> None:
    await client.post("/v1/tickets", json={"body": "Hello"}, headers={**SERVICE, "traceparent": parent})
    assert published.messages[0][3] == ((("traceparent", parent.encode()),) if passed else ())


# -- what is refused

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("path", "headers", "content", "status", "field"),
    [
        ("/v1/tickets", JSON, b"{}", 401, "Authorization"),
        ("/v1/tickets", JSON | {"X-API-Key": "wrong"}, b"{}", 401, "Authorization"),
        ("/v1/tickets", JSON | {"Authorization": "Basic s"}, b"{}", 401, "Authorization"),
        ("/v1/email", RFC822, MAIL, 401, "Authorization"),
        ("/v1/email", RFC822 | CUSTOMER, MAIL, 403, "Authorization"),
        ("/v1/tickets", JSON | OTHER, b'{"body": "x", "channel": "api"}', 403, "channel"),
        ("/v1/tickets", JSON | SERVICE, b"{", 400, "body"),
        ("/v1/tickets", JSON | SERVICE, b"\xff\xfe", 400, "body"),
        ("/v1/tickets", JSON | SERVICE, b"", 400, "body"),
        ("/v1/tickets", JSON | SERVICE, b"[1]", 422, "body"),
        ("/v1/tickets", JSON | SERVICE, b"{}", 422, "body"),
        ("/v1/tickets", JSON | SERVICE, b'{"body": "x", "colour": 1}', 422, "colour"),
        ("/v1/tickets", JSON | SERVICE, b'{"body": "x", "attachments": [{}]}', 422, "attachments.0.name"),
        ("/v1/tickets", JSON | SERVICE, b'{"body": "\\u0000 "}', 422, "body"),
        ("/v1/tickets", JSON | SERVICE | {"Idempotency-Key": "x" * 300}, b'{"body": "x"}', 422, "Idempotency-Key"),
        ("/v1/tickets", SERVICE, b'{"body": "x"}', 415, "Content-Type"),
        ("/v1/tickets", JSON | SERVICE | {"Content-Encoding": "gzip"}, b"x", 415, "Content-Encoding"),
        ("/v1/tickets", JSON | SERVICE, b'{"body": "' + b"x" * 2000 + b'"}', 413, "body"),
        ("/v1/email", JSON | SERVICE, MAIL, 415, "Content-Type"),
        ("/v1/email", RFC822 | SERVICE, b"no message", 422, "From"),
        ("/v1/email", RFC822 | SERVICE, MAIL + b"x" * 3000, 413, "body"),
    ],
)
async def test_a_refusal_is_a_problem_that_names_the_field(
    client: httpx.AsyncClient,
    published: Published,
    path: str,
    headers: dict[str, str],
    content: bytes,
    status: int,
    field: str,
) -> None:
    answer = await client.post(path, content=content, headers=headers)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["field"]) == (status, status, field)
    assert problem["detail"]
    assert published.messages == []


async def test_a_body_is_read_no_further_than_its_limit(client: httpx.AsyncClient) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while read < 1_000_000:
            read += 500
            yield b"x" * 500

    answer = await client.post("/v1/tickets", content=endless(), headers=JSON | SERVICE)
    assert answer.status_code == 413
    assert read < 5000


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/v1/tickets", 405)])
async def test_a_wrong_address_is_a_problem_too(client: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["status"]) == (status, status)


@pytest.mark.parametrize("failure", [DependencyDown("Kafka"), TimeoutError()])
async def test_without_kafka_nothing_is_promised(
    client: httpx.AsyncClient, published: Published, failure: Exception
) -> None:
    published.failure = failure
    answer = await client.post("/v1/tickets", json={"body": "Hello"}, headers=SERVICE | {"Idempotency-Key": "k"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    known = await client.get(f"/v1/tickets/{ticket_id('api', 'shop', 'k')}", headers=SERVICE)
    assert known.status_code == 404


async def test_a_bug_is_a_problem_that_tells_no_text(
    client: httpx.AsyncClient, published: Published, caplog: pytest.LogCaptureFixture
) -> None:
    published.failure = KeyError("a customer's secret")
    answer = await client.post("/v1/tickets", json={"body": "Hello"}, headers=SERVICE)
    assert answer.status_code == 500
    assert "KeyError" in caplog.text
    assert "secret" not in caplog.text + answer.text


# -- what became of it


def settled(ticket: UUID, outcome: Outcome, **more: object) -> TicketSettled:
    return TicketSettled.model_validate(
        {"ticket_id": ticket, "conversation": "c", "revision": 1, "account": "shop", "outcome": outcome}
        | {"text": "Monday.", "reason": "because", "settled_at": NOW}
        | more
    )


async def test_an_accepted_ticket_is_pending_until_it_is_settled(client: httpx.AsyncClient, doors: Doors) -> None:
    taken = (await client.post("/v1/tickets", json={"body": "Hello"}, headers=SERVICE)).json()
    where = f"/v1/tickets/{taken['ticket_id']}"
    assert (await client.get(where, headers=SERVICE)).json()["state"] == "pending"
    doors.outcomes.settle(settled(UUID(taken["ticket_id"]), Outcome.SENT))
    state = (await client.get(where, headers=SERVICE)).json()
    assert (state["state"], state["outcome"], state["text"]) == ("settled", "sent", "Monday.")


@pytest.mark.parametrize(
    ("account", "reader", "status"),
    [
        ("shop", SERVICE, 200),
        ("shop", CUSTOMER, 404),
        ("shop", OTHER, 404),
        ("shop", {}, 401),
        ("support@shop.example", SERVICE, 200),
        ("support@shop.example", CUSTOMER, 404),
        (None, SERVICE, 404),
    ],
)
async def test_a_ticket_is_read_by_the_account_that_sent_it(
    client: httpx.AsyncClient, doors: Doors, account: str | None, reader: dict[str, str], status: int
) -> None:
    ticket = uuid4()
    doors.outcomes.settle(settled(ticket, Outcome.SENT, account=account))
    assert (await client.get(f"/v1/tickets/{ticket}", headers=reader)).status_code == status


async def test_a_draft_and_its_reasons_are_not_shown_to_customers(client: httpx.AsyncClient, doors: Doors) -> None:
    ticket = uuid4()
    doors.outcomes.settle(settled(ticket, Outcome.SUGGESTED, account="widget", conversation="api~public:widget::c"))
    state = (await client.get(f"/v1/tickets/{ticket}", headers=CUSTOMER)).json()
    assert (state["outcome"], state["text"], state["reason"]) == ("suggested", None, None)


@pytest.mark.parametrize("outcome", [None, Outcome.SENT])
async def test_a_public_key_learns_nothing_of_what_a_service_key_of_its_account_sent(
    client: httpx.AsyncClient, doors: Doors, published: Published, outcome: Outcome | None
) -> None:
    sent = {"body": "Where is my order?", "customer_id": "cus_0001"}
    await client.post("/v1/tickets", json=sent, headers={**SERVICE, "Idempotency-Key": "order-1001"})
    ticket = published.ticket
    if outcome:
        doors.outcomes.settle(settled(ticket.ticket_id, outcome, conversation=ticket.conversation))
    where = f"/v1/tickets/{ticket.ticket_id}"
    assert (await client.get(where, headers=SERVICE)).status_code == 200
    assert (await client.get(where, headers=PUBLIC)).status_code == 404


async def test_a_public_key_reads_the_reply_to_what_was_posted_unproved(
    client: httpx.AsyncClient, doors: Doors, published: Published
) -> None:
    await client.post("/v1/tickets", json={"body": "Do you ship?", "customer_id": "cus_0001"}, headers=PUBLIC)
    ticket = published.ticket
    doors.outcomes.settle(settled(ticket.ticket_id, Outcome.SENT, conversation=ticket.conversation))
    state = (await client.get(f"/v1/tickets/{ticket.ticket_id}", headers=PUBLIC)).json()
    assert (state["state"], state["text"], state["reason"]) == ("settled", "Monday.", None)


@pytest.mark.parametrize(("path", "status"), [("7b4c1f4e-7a55-4d0e-9a0c-2f6f0f1d7c11", 404), ("no-id", 422)])
async def test_an_unknown_ticket_is_not_found(client: httpx.AsyncClient, path: str, status: int) -> None:
    answer = await client.get(f"/v1/tickets/{path}", headers=SERVICE)
    assert (answer.status_code, answer.json()["field"]) == (status, "ticket_id")


@pytest.mark.parametrize(
    ("outcome", "beside"), [(Outcome.SENT, Outcome.CONFLICT), (Outcome.HANDED_OFF, Outcome.ACKNOWLEDGED)]
)
def test_what_goes_beside_an_outcome_does_not_hide_it(outcome: Outcome, beside: Outcome) -> None:
    view, ticket = OutcomeView(), uuid4()
    view.settle(settled(ticket, outcome))
    view.settle(settled(ticket, beside, revision=0))
    known = view.get(ticket)
    assert known is not None
    assert known.outcome is outcome


def test_a_later_act_does_not_unsend_the_reply() -> None:
    view, ticket = OutcomeView(), uuid4()
    view.settle(settled(ticket, Outcome.SENT))
    view.settle(settled(ticket, Outcome.RATED, text=None))
    known = view.get(ticket)
    assert known is not None
    assert (known.outcome, known.text) == (Outcome.RATED, "Monday.")


def test_the_view_forgets_the_oldest_first() -> None:
    view, tickets = OutcomeView(kept=2), [uuid4() for _ in range(3)]
    for ticket in tickets:
        view.settle(settled(ticket, Outcome.SENT))
    assert [view.get(ticket) is None for ticket in tickets] == [True, False, False]


# -- operations


@pytest.mark.parametrize(
    ("caught_up", "silent", "wrong"),
    [
        (False, 0, "tickets.outcome is not read to its end yet"),
        (True, 0, None),
        (True, 60, "Kafka has not answered for 60 s"),
    ],
)
async def test_the_edge_is_ready_while_it_has_the_outcomes_and_kafka_answers(
    client: httpx.AsyncClient, doors: Doors, caught_up: bool, silent: float, wrong: str | None
) -> None:
    doors.outcomes.caught_up, doors.outcomes.answered_at = caught_up, doors.clock.monotonic() - silent
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json().get("detail")) == ((503, wrong) if wrong else (200, None))
    assert (await client.get("/livez")).status_code == 200


async def test_what_happens_is_counted(client: httpx.AsyncClient, doors: Doors) -> None:
    await client.post("/v1/tickets", json={"body": "Hello"}, headers=SERVICE)
    await client.post("/v1/tickets", json={"body": "Hello"})
    counted = generate_latest(doors.metrics.registry).decode()
    assert 'sluice_accepted_total{channel="api"} 1.0' in counted
    assert 'sluice_refused_total{status="401"} 1.0' in counted


@pytest.mark.parametrize("path", ["/metrics", "/docs", "/redoc"])
async def test_what_is_not_for_customers_is_not_on_the_public_port(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


async def test_the_page_of_the_description_is_there_where_it_is_wanted(doors: Doors) -> None:
    transport = httpx.ASGITransport(create_edge(doors, docs=True))
    async with httpx.AsyncClient(transport=transport, base_url="http://edge") as client:
        assert (await client.get("/docs")).status_code == 200


async def test_the_description_names_every_body_and_refusal(client: httpx.AsyncClient) -> None:
    described = (await client.get("/openapi.json")).json()
    post = described["paths"]["/v1/tickets"]["post"]
    assert post["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/TicketRequest")
    assert {"202", "400", "401", "403", "413", "415", "422", "503"} <= set(post["responses"])
    assert "customer_id" in described["components"]["schemas"]["TicketRequest"]["properties"]
    assert {"HTTPBearer", "APIKeyHeader", "ChatSession"} == set(described["components"]["securitySchemes"])
    used = {word for word in str(described).split("'") if word.startswith("#/components/schemas/")}
    assert {name.rpartition("/")[2] for name in used} <= set(described["components"]["schemas"])


@pytest.mark.parametrize(
    ("path", "body", "required"),
    [
        ("/v1/queue/{item_id}/take", "TakeBody", False),
        ("/v1/queue/{item_id}/approve", "ApproveBody", False),
        ("/v1/queue/{item_id}/edit", "EditBody", True),
        ("/v1/queue/{item_id}/reject", "RejectBody", True),
        ("/v1/queue/{item_id}/resolve", "ResolveBody", True),
        ("/v1/claims/{ticket_id}", "ClaimBody", True),
        ("/v1/claims/{ticket_id}/settle", "SettleBody", True),
    ],
)
async def test_bodies_that_are_read_by_hand_are_described(
    client: httpx.AsyncClient, path: str, body: str, required: bool
) -> None:
    described = (await client.get("/openapi.json")).json()
    asked = described["paths"][path]["post"]["requestBody"]
    assert asked["required"] is required
    assert asked["content"]["application/json"]["schema"] == {"$ref": f"#/components/schemas/{body}"}
    assert described["components"]["schemas"][body]["properties"]


def test_keys_are_held_as_hashes(doors: Doors) -> None:
    assert all(len(name) == 64 for name in doors.keys)


def test_the_settings_name_the_keys_and_the_mailbox() -> None:
    settings = load_settings(
        {
            "SLUICE_API_KEYS": "s=shop:service,c=widget:customer",
            "SLUICE_EMAIL_MAILBOXES": "Support@Shop.example,orders@shop.example",
            "SLUICE_EMAIL_DOMAINS": "@Shop.example",
            "SLUICE_EMAIL_AUTHSERV_IDS": "MX.shop.example",
        }
    )
    options = options_of(settings, "broker:9092")
    assert [(secret, key.proves_customer) for secret, key in options.keys] == [("s", True), ("c", False)]
    assert options.mailbox.account == "support@shop.example"
    assert options.mailbox.domains == {"shop.example"}
    assert options.mailbox.authserv_ids == {"mx.shop.example"}
