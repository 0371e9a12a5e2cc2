"""Deliveries under real claims in Postgres: once, whatever dies between the claim and the mark."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest

from infra.clock import SystemClock
from infra.helpdesk.scripted import ScriptedHelpdesk
from infra.postgres.conversations import PostgresConversations
from infra.postgres.pool import Pool, open_pool
from infra.postgres.switch import PostgresSwitchTable
from infra.settings import as_role
from processors.errors import TryLater
from processors.outcome import Settlement, deliver
from processors.policy import Email
from processors.ports import ClaimRequest, ClaimStatus, Reply, SwitchView
from schemas.control import Scope, Stop, SwitchSet, SwitchState
from schemas.gate import Decision, Disposition, ReplyApproved
from schemas.ingress import Channel, TicketReceived, ticket_id
from schemas.outcome import Outcome
from schemas.resolution import Draft, Sentence
from schemas.retrieval import Evidence
from schemas.router import Band, Route, Tier

CLOCK = SystemClock()
DEADLINE = 1.0  # seconds


class Armed:
    """A worker that knows of no stop: what holds is what the claim says."""

    def view(self, *, channel: Channel, intent: str, customer_id: str | None) -> SwitchView:
        return SwitchView(SwitchState.AUTO, 0, Scope(), "armed")


@pytest.fixture
async def outcome_pool(database: str) -> AsyncIterator[Pool]:
    pool = await open_pool(as_role(database, "sluice_outcome"))
    arming = SwitchSet(
        scope=Scope(), state=SwitchState.AUTO, why="test", actor="test", set_at=CLOCK.now(), lifts=Stop()
    )
    assert await PostgresSwitchTable(pool).set(arming, offset=None)
    yield pool
    await pool.close()


@pytest.fixture
async def approved(database: str) -> ReplyApproved:
    """A reply to an admitted ticket."""
    pool = await open_pool(as_role(database, "sluice_router"))
    ticket = TicketReceived(
        ticket_id=ticket_id("api", "shop", "1"),
        conversation="api:shop::1",
        channel=Channel.API,
        provider="api",
        account="shop",
        provider_message_id="1",
        body="How long do returns take?",
        body_full="How long do returns take?",
        received_at=CLOCK.now(),
    )
    admission = await PostgresConversations(pool).admit(ticket)
    await pool.close()
    decision = Decision(
        disposition=Disposition.AUTO,
        rule="supported",
        floor=0.92,
        retrieval_threshold=0.3,
        verifier="v",
        policy_hash="p",
        config_hash="c",
        switch_state="auto",
        switch_epoch=0,
        decided_at=CLOCK.now(),
    )
    return ReplyApproved(
        ticket=ticket,
        admission=admission,
        route=Route(intent="returns", band=Band.AUTO, tier=Tier.COMMODITY, confidence=0.99),
        evidence=Evidence(),
        draft=Draft(sentences=(Sentence(text="Thirty days."),), model="local/x", prompt_hash="0"),
        decision=decision,
        idempotency_key=f"{ticket.ticket_id}:{admission.revision}",
        switch_epoch=0,
        expires_at=CLOCK.now() + timedelta(hours=1),
    )


async def work(pool: Pool, approved: ReplyApproved, helpdesk: ScriptedHelpdesk) -> Settlement:
    """One delivery by a worker process of its own."""
    return await deliver(
        approved,
        conversations=PostgresConversations(pool, uuid4()),
        helpdesk=helpdesk,
        switch=Armed(),
        clock=CLOCK,
        lease=30.0,
        deadline=DEADLINE,
        email=Email(),
    )


async def die_after(pool: Pool, approved: ReplyApproved, helpdesk: ScriptedHelpdesk, *, done: bool) -> None:
    """What is left of a worker that claimed and then vanished, before or after the helpdesk took the reply."""
    key, admission = approved.idempotency_key, approved.admission
    request = ClaimRequest(
        ticket_id=approved.ticket.ticket_id,
        conversation=approved.ticket.conversation,
        revision=admission.revision,
        actor="bot",
        channel=approved.ticket.channel,
        intent=approved.route.intent,
        customer_id=admission.customer_id,
        key=key,
        lease=0.01,
    )
    assert (await PostgresConversations(pool).claim(request)).status is ClaimStatus.GRANTED
    if done:
        await helpdesk.reply(Reply(key, approved.ticket, approved.draft.text, approved.draft.sentences), DEADLINE)
    await asyncio.sleep(0.05)


def outcome_of(settlement: Settlement) -> Outcome | None:
    return settlement.settled.outcome if settlement.settled else None


async def test_a_redelivery_after_the_send_sends_nothing(outcome_pool: Pool, approved: ReplyApproved) -> None:
    helpdesk = ScriptedHelpdesk()
    first, again = [await work(outcome_pool, approved, helpdesk) for _ in range(2)]
    assert outcome_of(first) is outcome_of(again) is Outcome.SENT
    assert len(helpdesk.deliveries) == 1


async def test_of_many_workers_one_sends(outcome_pool: Pool, approved: ReplyApproved) -> None:
    helpdesk = ScriptedHelpdesk(delay=0.02)
    tries = [work(outcome_pool, approved, helpdesk) for _ in range(8)]
    ended = await asyncio.gather(*tries, return_exceptions=True)
    assert len(helpdesk.deliveries) == 1
    assert {type(end) for end in ended} <= {Settlement, TryLater}


async def test_a_crash_after_the_send_is_found_at_the_helpdesk(outcome_pool: Pool, approved: ReplyApproved) -> None:
    helpdesk = ScriptedHelpdesk()
    await die_after(outcome_pool, approved, helpdesk, done=True)
    assert outcome_of(await work(outcome_pool, approved, helpdesk)) is Outcome.SENT
    assert len(helpdesk.deliveries) == 1


async def test_a_crash_before_the_send_sends_once_by_one_of_many(outcome_pool: Pool, approved: ReplyApproved) -> None:
    helpdesk = ScriptedHelpdesk()
    await die_after(outcome_pool, approved, helpdesk, done=False)
    tries = [work(outcome_pool, approved, helpdesk) for _ in range(8)]
    ended = await asyncio.gather(*tries, return_exceptions=True)
    assert {type(end) for end in ended} <= {Settlement, TryLater}
    assert outcome_of(await work(outcome_pool, approved, helpdesk)) is Outcome.SENT
    assert len(helpdesk.deliveries) == 1


async def test_where_nobody_can_be_asked_it_is_parked_for_good(outcome_pool: Pool, approved: ReplyApproved) -> None:
    helpdesk = ScriptedHelpdesk(can_be_asked=False)
    await die_after(outcome_pool, approved, helpdesk, done=True)
    ends = [outcome_of(await work(outcome_pool, approved, helpdesk)) for _ in range(2)]
    assert ends == [Outcome.PARKED, Outcome.PARKED]
    assert len(helpdesk.deliveries) == 1


async def test_a_reply_that_stayed_here_can_go_out_later(outcome_pool: Pool, approved: ReplyApproved) -> None:
    helpdesk = ScriptedHelpdesk()
    stale = approved.model_copy(update={"expires_at": CLOCK.now()})
    assert (await work(outcome_pool, stale, helpdesk)).divert is not None
    assert outcome_of(await work(outcome_pool, approved, helpdesk)) is Outcome.SENT
