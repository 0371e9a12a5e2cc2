"""The people's queue over HTTP: who may ask, what they see, and how an act that is not done is told."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prometheus_client import CollectorRegistry

from infra.clock import SystemClock
from infra.helpdesk.scripted import ScriptedHelpdesk
from infra.scripted.conversations import ScriptedConversations
from infra.scripted.queue import ScriptedQueue
from infra.scripted.switch import ScriptedSwitchTable
from processors.errors import DependencyDown
from processors.ingress.api import ApiKey
from processors.ingress.email import Mailbox
from processors.ports import Item, ItemKind
from processors.queue import PeopleDesk
from schemas.gate import Disposition
from schemas.outcome import TicketSettled
from schemas.router import Admission
from schemas.topics import Topic
from streams.ingress.doors import Doors, EdgeLimits, PeopleDoor, keys_of
from streams.ingress.edge import create_edge
from streams.ingress.outcomes import OutcomeView
from streams.metrics import Metrics
from tests.unit.test_outcome import KEY, TICKET, escalated

MIA, BEN, SERVICE = ({"Authorization": f"Bearer {key}"} for key in ("m", "b", "s"))


class Published:
    """Kafka, which may be down."""

    def __init__(self) -> None:
        self.acts: list[TicketSettled] = []
        self.down = False

    async def __call__(self, topic: str, key: object, event: Any, headers: object) -> None:
        if self.down:
            raise DependencyDown("Kafka")
        assert topic == Topic.OUTCOME
        self.acts.append(event)


class Away(ScriptedQueue):
    """A queue whose database does not answer."""

    async def list(self, wanted: object) -> tuple[()]:
        raise DependencyDown("Postgres")


@pytest.fixture
def published() -> Published:
    return Published()


@pytest.fixture
def helpdesk() -> ScriptedHelpdesk:
    return ScriptedHelpdesk()


@pytest.fixture
def conversations() -> ScriptedConversations:
    return ScriptedConversations(SystemClock(), ScriptedSwitchTable())


@pytest.fixture
def doors(published: Published, helpdesk: ScriptedHelpdesk, conversations: ScriptedConversations) -> Doors:
    desk = PeopleDesk(conversations, helpdesk, SystemClock(), 30.0, 10.0, ScriptedQueue(conversations))
    return Doors(
        publish=published,
        keys=keys_of([("s", ApiKey("shop", "service"))]),
        mailbox=Mailbox("support@shop.example"),
        outcomes=OutcomeView(),
        clock=SystemClock(),
        metrics=Metrics(CollectorRegistry()),
        limits=EdgeLimits(publish_within=0.2),
        people=PeopleDoor(desk, keys_of([("m", "mia"), ("b", "ben")])),
    )


def client_of(doors: Doors) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_edge(doors)), base_url="http://edge", headers=MIA)


@pytest.fixture
async def client(doors: Doors) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(doors) as client:
        yield client


@pytest.fixture
async def item(conversations: ScriptedConversations) -> str:
    """A suggestion on the queue, as the path of its acts."""
    await conversations.admit(TICKET)
    event = escalated(Disposition.SUGGEST).model_copy(update={"admission": Admission(revision=1, owner="bot")})
    due = datetime(2026, 1, 1, tzinfo=UTC)
    ticket, conversation = TICKET.ticket_id, TICKET.conversation
    opened = Item(KEY, ItemKind.SUGGEST, conversation, ticket, 1, None, "why", event.model_dump_json(), due)
    return f"/v1/queue/{await conversations.open_item(opened)}"


# -- who asks


@pytest.mark.parametrize("headers", [SERVICE, {"Authorization": "Bearer x"}, {"Authorization": ""}])
async def test_only_staff_keys_open_the_queue(client: httpx.AsyncClient, item: str, headers: dict[str, str]) -> None:
    for path in ("/v1/queue", "/v1/queue/stats", item):
        assert (await client.get(path, headers=headers)).status_code == 401
    assert (await client.post(f"{item}/take", headers=headers)).status_code == 401


async def test_a_staff_key_sends_no_tickets(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/tickets", json={"body": "Hello"})).status_code == 401


async def test_an_edge_without_staff_keys_names_the_setting(doors: Doors) -> None:
    async with client_of(replace(doors, people=None)) as client:
        answer = await client.get("/v1/queue")
    assert (answer.status_code, "SLUICE_STAFF_KEYS" in answer.json()["detail"]) == (404, True)


# -- looking


async def test_the_list_shows_what_waits(client: httpx.AsyncClient, item: str) -> None:
    (line,) = (await client.get("/v1/queue")).json()
    assert (f"/v1/queue/{line['item_id']}", line["kind"], line["state"]) == (item, "suggest", "open")
    assert (line["intent"], line["channel"], line["overdue"], line["held_by"]) == ("returns", "api", True, None)


@pytest.mark.parametrize(
    ("query", "found"),
    [("kind=dead", 0), ("kind=dead&kind=suggest", 1), ("mine=true", 0), ("state=closed", 0), ("channel=email", 0)],
)
async def test_the_list_is_filtered(client: httpx.AsyncClient, item: str, query: str, found: int) -> None:
    assert len((await client.get(f"/v1/queue?{query}")).json()) == found


@pytest.mark.parametrize("query", ["kind=odd", "limit=0", "limit=9999", "channel=fax"])
async def test_a_list_nobody_can_make_is_refused(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/v1/queue?{query}")
    assert (answer.status_code, answer.json()["field"].partition(".")[0]) == (422, query.partition("=")[0])


async def test_an_item_comes_with_its_draft_and_its_event(client: httpx.AsyncClient, item: str) -> None:
    shown = (await client.get(item)).json()
    assert shown["draft"] == "Thirty days."
    assert shown["event"]["ticket"]["body"] == TICKET.body
    assert (await client.get(f"/v1/queue/{uuid4()}")).status_code == 404


async def test_the_figures_say_who_has_what(client: httpx.AsyncClient, item: str) -> None:
    await client.post(f"{item}/take")
    figures = (await client.get("/v1/queue/stats")).json()
    assert [(count["items"], count["overdue"]) for count in figures["counts"]] == [(1, 1)]
    assert figures["holders"] == [{"person": "mia", "items": 1, "conversations": 1}]


# -- acting


async def test_an_item_is_taken_by_the_name_of_the_key_and_by_nobody_else(
    client: httpx.AsyncClient, item: str, published: Published
) -> None:
    assert (await client.post(f"{item}/take")).json()["actor"] == "mia"
    answer = await client.post(f"{item}/take", headers=BEN)
    assert (answer.status_code, answer.json()["detail"]) == (409, "held: mia")
    assert [(act.outcome.value, act.actor) for act in published.acts] == [("taken_over", "mia")]
    assert (await client.post(f"{item}/take", headers=BEN, json={"from_person": "mia"})).status_code == 200


@pytest.mark.parametrize(
    ("act", "body", "sent", "outcome"),
    [
        ("approve", None, ["Thirty days."], "approved"),
        ("edit", {"text": "Soon."}, ["Soon."], "edited"),
        ("reject", {"reason": "tone"}, [], "rejected"),
        ("release", None, [], "released"),
    ],
)
async def test_each_act_does_what_it_says_and_is_told(
    client: httpx.AsyncClient,
    item: str,
    helpdesk: ScriptedHelpdesk,
    published: Published,
    act: str,
    body: dict[str, str] | None,
    sent: list[str],
    outcome: str,
) -> None:
    await client.post(f"{item}/take")
    answer = await client.post(f"{item}/{act}", json=body) if body else await client.post(f"{item}/{act}")
    assert answer.status_code == 200, answer.text
    assert [delivery.payload["text"] for delivery in helpdesk.deliveries] == sent
    assert published.acts[-1].outcome == outcome


@pytest.mark.parametrize(
    ("act", "body", "status"),
    [
        ("approve", {}, 409),  # nobody has taken it
        ("edit", {"text": "Soon."}, 409),
        ("edit", {"text": "  "}, 422),
        ("edit", {}, 422),
        ("reject", {"reason": "because"}, 422),
        ("resolve", {"sent": True}, 409),
        ("nothing", {}, 404),
    ],
)
async def test_what_is_not_done_is_a_problem(
    client: httpx.AsyncClient, item: str, act: str, body: dict[str, object], status: int
) -> None:
    answer = await client.post(f"{item}/{act}", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_an_act_that_kafka_was_not_told_of_is_told_when_it_is_sent_again(
    client: httpx.AsyncClient, item: str, helpdesk: ScriptedHelpdesk, published: Published
) -> None:
    await client.post(f"{item}/take")
    published.down = True
    assert (await client.post(f"{item}/approve")).status_code == 503
    published.down = False
    assert (await client.post(f"{item}/approve")).status_code == 200
    assert [act.outcome.value for act in published.acts] == ["taken_over", "approved"]
    assert len(helpdesk.deliveries) == 1


async def test_without_its_database_the_queue_says_so(doors: Doors, conversations: ScriptedConversations) -> None:
    assert doors.people is not None
    away = replace(doors.people, desk=replace(doors.people.desk, queue=Away(conversations)))
    async with client_of(replace(doors, people=away)) as client:
        answer = await client.get("/v1/queue")
    assert (answer.status_code, "Postgres" in answer.json()["detail"]) == (503, True)
