"""The door by which a helpdesk says that a ticket was reopened: it counts once, for the account whose ticket it is."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from prometheus_client import CollectorRegistry

from infra.clock import SystemClock
from processors.ingress.api import ApiKey
from processors.ingress.email import Mailbox
from processors.ports import Reopened
from schemas.ingress import Channel
from schemas.outcome import Outcome, TicketSettled
from streams.ingress.doors import Doors, keys_of
from streams.ingress.edge import create_edge
from streams.ingress.outcomes import OutcomeView
from streams.metrics import Metrics

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TICKET = uuid4()
ANSWERED = Reopened(TICKET, "k", 1, Channel.EMAIL, "gift_card", NOON)


@dataclass
class Answers:
    """One answer that can be reopened, by whoever says so first."""

    by: str | None = None

    async def came_back(
        self, conversation: str, revision: int, *, within: timedelta, topic: str | None = None
    ) -> Reopened | None:
        return None

    async def reopen(self, ticket_id: UUID, *, by: str) -> Reopened | None:
        self.by = self.by or by
        return ANSWERED if (ticket_id, self.by) == (TICKET, by) else None


@dataclass
class Desk:
    """A door, and what went out of it."""

    doors: Doors
    told: list[TicketSettled] = field(default_factory=list)
    client: httpx.AsyncClient = field(default_factory=httpx.AsyncClient)

    async def reopen(self, ticket: UUID = TICKET, key: str = "s") -> tuple[int, bool | None]:
        answer = await self.client.post(f"/v1/tickets/{ticket}/reopened", headers={"X-API-Key": key})
        return answer.status_code, answer.json().get("counted")


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    told: list[TicketSettled] = []

    async def publish(topic: str, key: object, event: object, headers: object) -> None:
        assert isinstance(event, TicketSettled)
        told.append(event)
        doors.outcomes.settle(event)

    keys = [(name, ApiKey(account, scope)) for name, account, scope in KEYS]
    doors = Doors(
        publish=publish,
        keys=keys_of(keys),
        mailbox=Mailbox("support@shop.example"),
        outcomes=OutcomeView(),
        clock=SystemClock(),
        metrics=Metrics(CollectorRegistry()),
        reopenings=Answers(),
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_edge(doors)), base_url="http://edge") as client:
        yield Desk(doors, told, client)


KEYS = (("s", "shop", "service"), ("c", "shop", "customer"), ("o", "other", "service"))


async def test_a_reopened_ticket_is_told_once(desk: Desk) -> None:
    assert [await desk.reopen() for _ in range(2)] == [(200, True), (200, True)]
    (act,) = desk.told
    assert (act.outcome, act.ticket_id, act.revision, act.intent) == (Outcome.REOPENED, TICKET, 1, "gift_card")
    assert (act.actor, act.conversation, act.received_at) == ("shop", "k", NOON)


async def test_a_ticket_that_was_not_answered_by_itself_counts_nothing(desk: Desk) -> None:
    assert await desk.reopen(uuid4()) == (200, False)
    assert desk.told == []


@pytest.mark.parametrize(("key", "status"), [("c", 403), ("nobody", 401)])
async def test_only_keys_of_scope_service_may_say_so(desk: Desk, key: str, status: int) -> None:
    assert (await desk.reopen(key=key), desk.told) == ((status, None), [])


async def test_another_account_s_ticket_is_not_found(desk: Desk) -> None:
    await desk.reopen()
    assert await desk.reopen(key="o") == (404, None)


async def test_without_a_helpdesk_there_is_no_such_door(desk: Desk) -> None:
    app = create_edge(replace(desk.doors, reopenings=None))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://edge") as desk.client:
        assert await desk.reopen() == (404, None)
