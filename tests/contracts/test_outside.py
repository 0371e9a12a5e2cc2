"""A helpdesk outside claims a reply once, for its own account, and says what came of it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from opentelemetry.context import attach, detach
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from infra.clock import SystemClock
from infra.helpdesk.scripted import ScriptedHelpdesk
from infra.postgres.conversations import PostgresConversations
from infra.postgres.outside import PostgresOutsideClaims
from infra.postgres.pool import open_pool
from infra.postgres.queue import PostgresQueue
from infra.postgres.switch import PostgresSwitchTable
from infra.scripted.conversations import ScriptedConversations
from infra.scripted.outside import ScriptedOutsideClaims
from infra.scripted.queue import ScriptedQueue
from infra.scripted.switch import ScriptedSwitchTable
from infra.settings import as_role
from processors.outside import LEFT, delivered, leave
from processors.policy import Email
from processors.ports import Conversations, ItemState, OutsideClaims, OutsideSettled, Queue, QueueFilter, SwitchTable
from processors.queue import Fault, PeopleDesk, Result, approve, edit, reject, resolve, take
from schemas.control import Scope, Stop, SwitchSet, SwitchState
from schemas.gate import ReplyApproved
from schemas.ingress import Identity
from schemas.outcome import Outcome
from tests.unit.test_outcome import APPROVED

SOON = timedelta(minutes=5)


@dataclass(frozen=True)
class Desk:
    router: Conversations
    outcome: Conversations
    people: Conversations
    switch: SwitchTable
    claims: OutsideClaims
    queue: Queue

    def acting(self, helpdesk: ScriptedHelpdesk) -> PeopleDesk:
        """What people work with; their own replies go out by this helpdesk."""
        return PeopleDesk(self.people, helpdesk, SystemClock(), 30.0, 10.0, self.queue)

    async def taken(self) -> UUID:
        """The item that waits, taken by mia."""
        (item,) = await self.queue.list(QueueFilter(states=(ItemState.OPEN,)))
        assert (await take(item.item_id, "mia", self.acting(ScriptedHelpdesk()))).result is Result.DONE
        return item.item_id


@pytest.fixture(params=["scripted", "postgres"])
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    if request.param == "scripted":
        switch = ScriptedSwitchTable()
        here = ScriptedConversations(SystemClock(), switch)
        yield Desk(here, here, here, switch, ScriptedOutsideClaims(here, SystemClock()), ScriptedQueue(here))
        return
    database: str = request.getfixturevalue("database")
    async with AsyncExitStack() as stack:
        roles = ("sluice_router", "sluice_outcome", "sluice_people")
        router, outcome, people = [
            await stack.enter_async_context(await open_pool(as_role(database, role), size=2)) for role in roles
        ]
        yield Desk(
            PostgresConversations(router),
            PostgresConversations(outcome),
            PostgresConversations(people),
            PostgresSwitchTable(people),
            PostgresOutsideClaims(outcome),
            PostgresQueue(people),
        )


async def left(desk: Desk, within: timedelta = SOON) -> ReplyApproved:
    """An approved reply that waits for the helpdesk of the account shop."""
    now = datetime.now(UTC)
    record = SwitchSet(scope=Scope(), state=SwitchState.AUTO, why="test", actor="test", set_at=now, lifts=Stop())
    await desk.switch.set(record, offset=None)
    ticket = APPROVED.ticket.model_copy(update={"ticket_id": uuid4(), "identity": Identity(), "account": "shop"})
    admission = await desk.router.admit(ticket)
    approved = APPROVED.model_copy(
        update={
            "ticket": ticket,
            "admission": admission,
            "idempotency_key": f"{ticket.ticket_id}:{admission.revision}",
            "expires_at": now + within,
        }
    )
    settlement = await leave(approved, conversations=desk.outcome, clock=SystemClock(), email=Email())
    assert settlement.settled is not None
    assert (settlement.settled.outcome, settlement.settled.reason) == (Outcome.SUGGESTED, LEFT)
    return approved


async def test_a_reply_is_claimed_once_and_settled_as_often_as_it_is_told(desk: Desk) -> None:
    approved = await left(desk)
    ticket = approved.ticket.ticket_id
    granted = await desk.claims.claim(ticket, "shop", 30)
    assert (granted.status, granted.approved) == ("granted", approved)
    assert (await desk.claims.claim(ticket, "shop", 30)).status == "leased"
    first = await desk.claims.settle(ticket, "shop", delivery="d-1", text=None)
    assert (first.approved, first.delivery, first.text) == (approved, "d-1", approved.draft.text)
    assert await desk.claims.settle(ticket, "shop", delivery="d-2", text="Other words.") == first
    assert (await desk.claims.claim(ticket, "shop", 30)).status == "sent"
    follow_up = approved.ticket.model_copy(update={"ticket_id": uuid4()})
    transcript = (await desk.router.admit(follow_up)).transcript
    assert [said.text for said in transcript] == [approved.ticket.body, approved.draft.text]


async def test_a_claim_given_back_is_free_again(desk: Desk) -> None:
    ticket = (await left(desk)).ticket.ticket_id
    await desk.claims.claim(ticket, "shop", 30)
    await desk.claims.release(ticket, "shop")
    assert (await desk.claims.claim(ticket, "shop", 30)).status == "granted"


async def test_another_account_finds_nothing(desk: Desk) -> None:
    ticket = (await left(desk)).ticket.ticket_id
    for account, asked in (("other", ticket), ("shop", UUID(int=0))):
        assert (await desk.claims.claim(asked, account, 30)).status == "unknown"
        with pytest.raises(LookupError):
            await desk.claims.settle(asked, account, delivery="d", text=None)
        with pytest.raises(LookupError):
            await desk.claims.release(asked, account)


async def test_nothing_is_settled_that_was_not_claimed(desk: Desk) -> None:
    ticket = (await left(desk)).ticket.ticket_id
    with pytest.raises(LookupError):
        await desk.claims.settle(ticket, "shop", delivery="d", text=None)


async def test_a_stop_a_person_and_the_clock_refuse_a_claim(desk: Desk) -> None:
    late = (await left(desk, within=timedelta(0))).ticket.ticket_id
    assert (await desk.claims.claim(late, "shop", 30)).status == "expired"
    approved = await left(desk)
    await desk.people.take_over(approved.ticket.conversation, "Pia")
    assert (await desk.claims.claim(approved.ticket.ticket_id, "shop", 30)).status == "taken_over"
    await desk.people.give_back(approved.ticket.conversation)
    now = datetime.now(UTC)
    stop = SwitchSet(scope=Scope(), state=SwitchState.SUGGEST, why="test", actor="test", set_at=now)
    await desk.switch.set(stop, offset=None)
    assert (await desk.claims.claim(approved.ticket.ticket_id, "shop", 30)).status == "stopped"


# -- a helpdesk that says nothing


async def test_what_a_helpdesk_may_have_sent_is_not_sent_again_by_a_person(desk: Desk) -> None:
    ticket = (await left(desk)).ticket.ticket_id
    assert (await desk.claims.claim(ticket, "shop", 0)).status == "granted"
    item, ours = await desk.taken(), ScriptedHelpdesk()
    for _ in range(2):
        assert (await approve(item, "mia", desk.acting(ours))).result is Result.PARKED
    assert ours.deliveries == []
    assert (await desk.claims.claim(ticket, "shop", 30)).status == "parked"


async def test_a_person_who_has_looked_says_what_became_of_it(desk: Desk) -> None:
    ticket = (await left(desk)).ticket.ticket_id
    await desk.claims.claim(ticket, "shop", 0)
    item, ours = await desk.taken(), ScriptedHelpdesk()
    assert (await resolve(item, "mia", desk.acting(ours), sent=False)).result is Result.DONE
    assert (await approve(item, "mia", desk.acting(ours))).result is Result.DONE
    assert len(ours.deliveries) == 1


# -- what a person has decided


async def test_what_a_person_rejected_is_not_claimed(desk: Desk) -> None:
    ticket = (await left(desk)).ticket.ticket_id
    item = await desk.taken()
    assert (await reject(item, "mia", Fault.FACT, desk.acting(ScriptedHelpdesk()))).result is Result.DONE
    claim = await desk.claims.claim(ticket, "shop", 30)
    assert (claim.status, claim.detail, claim.approved) == ("rejected", "by mia", None)


async def test_what_a_person_holds_is_not_claimed(desk: Desk) -> None:
    ticket = (await left(desk)).ticket.ticket_id
    await desk.taken()
    claim = await desk.claims.claim(ticket, "shop", 30)
    assert (claim.status, claim.detail) == ("taken_over", "mia")


async def test_what_a_person_answered_is_not_claimed(desk: Desk) -> None:
    ticket = (await left(desk)).ticket.ticket_id
    item = await desk.taken()
    acted = await edit(item, "mia", "My own words.", desk.acting(ScriptedHelpdesk()), keep=False)
    assert acted.result is Result.DONE
    assert (await desk.claims.claim(ticket, "shop", 30)).status == "sent"
    with pytest.raises(LookupError):
        await desk.claims.settle(ticket, "shop", delivery="never", text="Words nobody sent.")


async def test_the_event_of_a_delivery_is_the_same_however_often_it_is_told(desk: Desk) -> None:
    ticket = (await left(desk)).ticket.ticket_id
    await desk.claims.claim(ticket, "shop", 30)
    settled = [await desk.claims.settle(ticket, "shop", delivery=name, text=name) for name in ("first", "second")]
    events = [delivered(kept, actor="shop", clock=SystemClock()) for kept in settled]
    assert events[0] == events[1]
    assert (events[0].delivery, events[0].text, events[0].sentences) == ("first", "first", ())


async def test_a_helpdesk_that_speaks_late_is_believed_and_ends_the_item(desk: Desk) -> None:
    ticket = (await left(desk)).ticket.ticket_id
    await desk.claims.claim(ticket, "shop", 0)
    item = await desk.taken()
    await approve(item, "mia", desk.acting(ScriptedHelpdesk()))
    assert not (await desk.claims.settle(ticket, "shop", delivery="late", text=None)).told
    found = await desk.queue.get(item)
    assert found is not None
    assert found.answered is not None
    assert (found.answered.state, found.answered.delivery, found.queued.state) == ("sent", "late", ItemState.CLOSED)


async def test_what_a_person_found_sent_is_told_once(desk: Desk) -> None:
    ticket = (await left(desk)).ticket.ticket_id
    await desk.claims.claim(ticket, "shop", 0)
    item = await desk.taken()
    found = await resolve(item, "mia", desk.acting(ScriptedHelpdesk()), sent=True, delivery="seen")
    assert found.result is Result.DONE
    kept = await desk.claims.settle(ticket, "shop", delivery="late", text=None)
    assert (kept.told, kept.delivery) == (True, "seen")


async def test_nobody_settles_what_a_person_sent_after_looking(desk: Desk) -> None:
    ticket = (await left(desk)).ticket.ticket_id
    await desk.claims.claim(ticket, "shop", 0)
    item, acting = await desk.taken(), desk.acting(ScriptedHelpdesk())
    await resolve(item, "mia", acting, sent=False)
    assert (await approve(item, "mia", acting)).result is Result.DONE
    with pytest.raises(LookupError):
        await desk.claims.settle(ticket, "shop", delivery="never", text=None)


async def test_a_reply_the_helpdesk_is_sending_is_not_rejected(desk: Desk) -> None:
    ticket = (await left(desk)).ticket.ticket_id
    await desk.claims.claim(ticket, "shop", 30)
    item, acting = await desk.taken(), desk.acting(ScriptedHelpdesk())
    acted = await reject(item, "mia", Fault.FACT, acting)
    assert (acted.result, acted.detail) == (Result.SENDING, "the helpdesk")
    await desk.claims.release(ticket, "shop")
    assert (await reject(item, "mia", Fault.FACT, acting)).result is Result.DONE


async def test_a_delivery_joins_the_trace_its_reply_was_left_in(desk: Desk) -> None:
    parent = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
    token = attach(TraceContextTextMapPropagator().extract({"traceparent": parent}))
    traced = await delivered_one(desk)
    detach(token)
    assert (traced.traceparent, (await delivered_one(desk)).traceparent) == (parent, None)


async def delivered_one(desk: Desk) -> OutsideSettled:
    ticket = (await left(desk)).ticket.ticket_id
    await desk.claims.claim(ticket, "shop", 30)
    return await desk.claims.settle(ticket, "shop", delivery="d", text=None)
