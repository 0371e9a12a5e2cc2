"""Conversations admit once, let one reply out per revision, and leave to a person what is a person's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.clock import SystemClock
from infra.crm import customers_of
from infra.postgres.conversations import PostgresConversations
from infra.postgres.ingest import load_customers
from infra.postgres.pool import open_pool
from infra.postgres.switch import PostgresSwitchTable
from infra.scripted.conversations import ScriptedConversations
from infra.scripted.switch import ScriptedSwitchTable
from infra.settings import as_role
from processors.errors import Conflict, TryLater
from processors.ports import (
    AcknowledgeAnswer,
    AcknowledgeRequest,
    ClaimRequest,
    ClaimStatus,
    Conversations,
    Item,
    ItemKind,
    MailRequest,
    Reopened,
    Reopenings,
    SwitchTable,
    Told,
)
from schemas.control import Scope, Stop, SwitchSet, SwitchState
from schemas.gate import Decision, Disposition
from schemas.ingress import Channel, Identity, Proof, TicketReceived, ticket_id

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ANN = Identity(proof=Proof.API_KEY, value="cus_1")
BEN = Identity(proof=Proof.API_KEY, value="cus_2")
CUSTOMERS: list[dict[str, Any]] = [
    {
        "customer_id": "cus_1",
        "email": "Ann@example.com",
        "phone": "+1 (555) 010-0017",
        "orders": [],
        "tickets": [{"ticket_id": "t-9", "subject": "Old", "status": "solved", "created_at": "2025-01-01T00:00:00Z"}],
    },
    {"customer_id": "cus_2", "email": "ben@example.com", "phone": "555-0100018", "orders": []},
    {"customer_id": "cus_3", "email": "shared@example.com", "phone": "+15550100019", "orders": []},
    {"customer_id": "cus_4", "email": "shared@example.com", "phone": "001 555 010 00 19", "orders": []},
]
DECISION = Decision(
    disposition=Disposition.AUTO,
    rule="6",
    floor=0.92,
    retrieval_threshold=0.3,
    verifier="v",
    policy_hash="p",
    config_hash="c",
    switch_state="auto",
    switch_epoch=3,
    decided_at=NOON,
)


@dataclass(frozen=True)
class Desk:
    """The same conversations as each login role sees them; `second` is another outcome worker."""

    router: Conversations
    outcome: Conversations
    second: Conversations
    people: Conversations
    switch: SwitchTable
    reopenings: Reopenings  # as the role outcome


@pytest.fixture(params=["scripted", "postgres"])
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    if request.param == "scripted":
        switch = ScriptedSwitchTable()
        here = ScriptedConversations(SystemClock(), switch, customers_of(CUSTOMERS))
        yield Desk(here, here, here.another(), here, switch, here)
        return
    database: str = request.getfixturevalue("database")
    async with AsyncExitStack() as stack:
        roles = ("sluice_owner", "sluice_router", "sluice_outcome", "sluice_people")
        pools = [await stack.enter_async_context(await open_pool(as_role(database, role), size=2)) for role in roles]
        owner, router, outcome, people = pools
        await load_customers(owner, CUSTOMERS)
        yield Desk(
            router=PostgresConversations(router),
            outcome=PostgresConversations(outcome),
            second=PostgresConversations(outcome),
            people=PostgresConversations(people),
            switch=PostgresSwitchTable(people),
            reopenings=PostgresConversations(outcome),
        )


def ticket(number: int = 1, conversation: str = "k", identity: Identity = ANN, body: str = "Hello?") -> TicketReceived:
    return TicketReceived(
        ticket_id=ticket_id("api", "shop", str(number)),
        conversation=conversation,
        channel=Channel.API,
        provider="api",
        account="shop",
        provider_message_id=str(number),
        identity=identity,
        subject=f"Subject {number}",
        body=body,
        body_full=body,
        received_at=NOON,
    )


def request_for(
    number: int = 1, revision: int = 1, actor: str = "bot", customer: str | None = "cus_1", lease: float = 30.0
) -> ClaimRequest:
    return ClaimRequest(
        ticket_id=ticket_id("api", "shop", str(number)),
        conversation="k",
        revision=revision,
        actor=actor,
        channel=Channel.API,
        intent="order_status",
        customer_id=customer,
        key=f"{number}:{revision}",
        lease=lease,
    )


def item(number: int = 1, revision: int = 1, kind: ItemKind = ItemKind.SUGGEST) -> Item:
    ticket_uuid = ticket_id("api", "shop", str(number))
    return Item(f"item {number}", kind, "k", ticket_uuid, revision, "cus_1", "r", '{"route": {"intent": "gift_card"}}')


async def arm(desk: Desk) -> None:
    await desk.switch.set(switch_set(Scope(), SwitchState.AUTO, Stop()), offset=None)


def switch_set(scope: Scope, state: SwitchState, lifts: Stop | None = None) -> SwitchSet:
    return SwitchSet(scope=scope, state=state, why="drill", actor="ops", set_at=NOON, lifts=lifts)


async def status(desk: Desk, request: ClaimRequest) -> ClaimStatus:
    return (await desk.outcome.claim(request)).status


class TestAdmission:
    async def test_a_new_conversation_begins_at_revision_one_and_is_the_bot_s(self, desk: Desk) -> None:
        admission = await desk.router.admit(ticket())
        assert (admission.revision, admission.owner, admission.redelivered) == (1, "bot", False)
        assert admission.transcript == ()

    async def test_a_follow_up_is_the_next_revision_and_brings_what_was_said(self, desk: Desk) -> None:
        await desk.router.admit(ticket(1, body="First"))
        admission = await desk.router.admit(ticket(2, body="Second"))
        assert admission.revision == 2
        assert [message.text for message in admission.transcript] == ["First"]

    async def test_the_same_message_again_keeps_its_revision_and_its_transcript(self, desk: Desk) -> None:
        await desk.router.admit(ticket(1, body="First"))
        once = await desk.router.admit(ticket(2, body="Second"))
        await desk.router.admit(ticket(3, body="Third"))
        again = await desk.router.admit(ticket(2, body="Second"))
        assert again == once.model_copy(update={"redelivered": True})

    @pytest.mark.parametrize(
        "other",
        [
            ticket(body="Something else"),
            ticket(conversation="elsewhere"),
            ticket(identity=BEN),
            ticket(identity=Identity()),
        ],
        ids=["body", "conversation", "customer", "no proof"],
    )
    async def test_the_same_id_with_another_message_is_a_conflict(self, desk: Desk, other: TicketReceived) -> None:
        await desk.router.admit(ticket())
        with pytest.raises(Conflict):
            await desk.router.admit(other)
        assert (await desk.router.admit(ticket(2))).revision == 2

    @pytest.mark.parametrize(
        ("proof", "value", "customer"),
        [
            (Proof.API_KEY, "cus_1", "cus_1"),
            (Proof.API_KEY, "cus_99", None),
            (Proof.API_KEY, "ann@example.com", None),
            (Proof.SESSION, "cus_1", "cus_1"),
            (Proof.SESSION, "ann@example.com", None),
            (Proof.DMARC, "ann@EXAMPLE.com", "cus_1"),
            (Proof.DMARC, "nobody@example.com", None),
            (Proof.DMARC, "cus_1", None),
            (Proof.DMARC, "shared@example.com", None),
            (Proof.DMARC, None, None),
            (Proof.PHONE, "15550100017", "cus_1"),
            (Proof.PHONE, "5550100018", None),
            (Proof.PHONE, "15550100019", None),
            (Proof.PHONE, "15550100099", None),
            (Proof.PHONE, "cus_1", None),
            (Proof.PHONE, "", None),
            (Proof.PHONE, None, None),
            (Proof.NONE, "cus_1", None),
            (Proof.NONE, "15550100017", None),
        ],
    )
    async def test_a_proof_names_one_customer_or_nobody(
        self, desk: Desk, proof: Proof, value: str | None, customer: str | None
    ) -> None:
        admission = await desk.router.admit(ticket(identity=Identity(claimed="cus_2", proof=proof, value=value)))
        assert admission.customer_id == customer

    async def test_somebody_unproved_does_not_read_what_a_proved_customer_wrote(self, desk: Desk) -> None:
        await desk.router.admit(ticket(1, body="My order is W1"))
        admission = await desk.router.admit(ticket(2, identity=Identity(), body="And which is it?"))
        assert (admission.revision, admission.transcript) == (2, ())

    async def test_another_proved_customer_does_not_read_it_either(self, desk: Desk) -> None:
        await desk.router.admit(ticket(1, body="My order is W1"))
        assert (await desk.router.admit(ticket(2, identity=BEN))).transcript == ()

    async def test_a_proved_customer_reads_on_from_before_they_were_proved(self, desk: Desk) -> None:
        await desk.router.admit(ticket(1, identity=Identity(), body="Who am I?"))
        admission = await desk.router.admit(ticket(2, body="Ann"))
        assert [message.text for message in admission.transcript] == ["Who am I?"]

    async def test_earlier_tickets_of_the_customer_come_along_with_their_outcome(self, desk: Desk) -> None:
        await desk.router.admit(ticket(1, conversation="earlier"))
        await desk.outcome.open_item(item(1))
        found = (await desk.router.admit(ticket(2))).earlier_tickets
        assert [(t.subject, t.intent, t.outcome) for t in found] == [
            ("Old", None, "solved"),
            ("Subject 1", "gift_card", "suggest"),
        ]

    async def test_an_earlier_ticket_tells_what_was_answered_and_by_whom(self, desk: Desk) -> None:
        await arm(desk)
        await desk.router.admit(ticket(1))
        await desk.outcome.claim(request_for(1))
        await desk.outcome.mark_sent("1:1", delivery="d", text="It is " + "long. " * 100)
        found = (await desk.router.admit(ticket(2, conversation="later"))).earlier_tickets[-1]
        assert (found.subject, found.outcome, found.answered_by) == ("Subject 1", "sent", "bot")
        assert found.answer == ("It is " + "long. " * 100)[:400]

    async def test_an_acknowledgement_is_no_answer(self, desk: Desk) -> None:
        await arm(desk)
        await desk.router.admit(ticket(1))
        await desk.outcome.open_item(item(1))
        wish = AcknowledgeRequest("k", "ack 1", Channel.API, "order_status", "cus_1")
        await desk.outcome.may_acknowledge(wish)
        await desk.outcome.acknowledged(wish, delivery="d", text="A person will answer.")
        found = (await desk.router.admit(ticket(2, conversation="later"))).earlier_tickets[-1]
        assert (found.outcome, found.answer, found.answered_by) == ("suggest", None, None)

    async def test_nobody_in_particular_has_no_earlier_tickets(self, desk: Desk) -> None:
        await desk.router.admit(ticket(1, conversation="earlier", identity=Identity()))
        assert (await desk.router.admit(ticket(2, identity=Identity()))).earlier_tickets == ()

    async def test_text_that_no_database_can_hold_is_admitted_all_the_same(self, desk: Desk) -> None:
        admission = await desk.router.admit(ticket(body="nul \x00 inside"))
        assert admission.revision == 1


class TestClaims:
    async def test_a_fresh_deployment_sends_nothing(self, desk: Desk) -> None:
        await desk.router.admit(ticket())
        answer = await desk.outcome.claim(request_for())
        assert answer.status is ClaimStatus.STOPPED
        assert answer.detail.startswith("all is suggest")

    async def test_an_armed_bot_is_granted_the_claim_once(self, desk: Desk) -> None:
        await arm(desk)
        await desk.router.admit(ticket())
        assert await status(desk, request_for()) is ClaimStatus.GRANTED
        assert (await desk.second.claim(request_for())).status is ClaimStatus.LEASED

    async def test_what_was_sent_stays_sent_and_says_so(self, desk: Desk) -> None:
        await arm(desk)
        await desk.router.admit(ticket())
        await desk.outcome.claim(request_for())
        await desk.outcome.mark_sent("1:1", delivery="d-1", text="Here.")
        await desk.outcome.mark_sent("1:1", delivery="d-1", text="Here.")
        answer = await desk.second.claim(request_for())
        assert (answer.status, answer.delivery) == (ClaimStatus.SENT, "d-1")

    async def test_a_sent_reply_joins_the_transcript_once(self, desk: Desk) -> None:
        await arm(desk)
        await desk.router.admit(ticket())
        await desk.outcome.claim(request_for())
        await desk.outcome.mark_sent("1:1", delivery="d-1", text="Here.")
        await desk.outcome.mark_sent("1:1", delivery="d-1", text="Here.")
        transcript = (await desk.router.admit(ticket(2))).transcript
        assert [(m.author, m.text) for m in transcript] == [("customer", "Hello?"), ("bot", "Here.")]

    async def test_a_lease_that_ran_out_is_ambiguous_and_never_granted_again(self, desk: Desk) -> None:
        await arm(desk)
        await desk.router.admit(ticket())
        await desk.outcome.claim(request_for(lease=0.0))
        assert [await status(desk, request_for()) for _ in range(2)] == [ClaimStatus.AMBIGUOUS] * 2

    async def test_a_parked_claim_stays_parked(self, desk: Desk) -> None:
        await arm(desk)
        await desk.router.admit(ticket())
        await desk.outcome.claim(request_for(lease=0.0))
        await desk.second.park("1:1")
        assert await status(desk, request_for()) is ClaimStatus.PARKED

    async def test_a_released_claim_may_be_claimed_anew(self, desk: Desk) -> None:
        await arm(desk)
        await desk.router.admit(ticket())
        await desk.outcome.claim(request_for())
        await desk.outcome.release_claim("1:1")
        assert (await desk.second.claim(request_for())).status is ClaimStatus.GRANTED

    @pytest.mark.parametrize("end", ["release_claim", "park"])
    async def test_no_worker_ends_the_claim_of_another_within_its_lease(self, desk: Desk, end: str) -> None:
        await arm(desk)
        await desk.router.admit(ticket())
        await desk.outcome.claim(request_for())
        with pytest.raises(TryLater):
            await getattr(desk.second, end)("1:1")
        assert await status(desk, request_for()) is ClaimStatus.LEASED

    async def test_what_nobody_claimed_can_not_be_marked_or_ended(self, desk: Desk) -> None:
        for act in (
            desk.outcome.mark_sent("1:1", delivery="d", text="t"),
            desk.outcome.release_claim("1:1"),
            desk.outcome.park("1:1"),
        ):
            with pytest.raises(LookupError):
                await act

    async def test_an_older_revision_is_superseded(self, desk: Desk) -> None:
        await arm(desk)
        await desk.router.admit(ticket(1))
        await desk.router.admit(ticket(2))
        assert await status(desk, request_for(1, revision=1)) is ClaimStatus.SUPERSEDED
        assert await status(desk, request_for(2, revision=2)) is ClaimStatus.GRANTED

    @pytest.mark.parametrize(
        "request_",
        [
            replace(request_for(), revision=2),
            replace(request_for(), conversation="elsewhere"),
            replace(request_for(), ticket_id=ticket_id("api", "shop", "7")),
            replace(request_for(), customer_id="cus_2"),
            replace(request_for(), customer_id=None),
        ],
        ids=["revision", "conversation", "ticket", "another customer", "no customer"],
    )
    async def test_what_was_not_admitted_so_is_unknown(self, desk: Desk, request_: ClaimRequest) -> None:
        await arm(desk)
        await desk.router.admit(ticket())
        assert await status(desk, request_) is ClaimStatus.UNKNOWN

    @pytest.mark.parametrize(
        ("scope", "stops"),
        [
            ("channel:api", True),
            ("intent:order_status", True),
            ("customer:cus_1", True),
            ("channel:email", False),
            ("intent:gift_card", False),
            ("customer:cus_2", False),
        ],
    )
    async def test_a_stop_holds_in_its_scope_only(self, desk: Desk, scope: str, stops: bool) -> None:
        await arm(desk)
        await desk.router.admit(ticket())
        await desk.switch.set(switch_set(Scope.parse(scope), SwitchState.OFF), offset=None)
        expected = ClaimStatus.STOPPED if stops else ClaimStatus.GRANTED
        assert await status(desk, request_for()) is expected


class TestPeople:
    async def test_a_conversation_taken_over_is_no_longer_the_bot_s(self, desk: Desk) -> None:
        await arm(desk)
        await desk.router.admit(ticket())
        await desk.people.take_over("k", "mia")
        answer = await desk.outcome.claim(request_for())
        assert (answer.status, answer.detail) == (ClaimStatus.TAKEN_OVER, "mia")
        assert (await desk.router.admit(ticket(2))).owner == "person"

    async def test_a_conversation_given_back_is_the_bot_s_again(self, desk: Desk) -> None:
        await arm(desk)
        await desk.router.admit(ticket())
        await desk.people.take_over("k", "mia")
        await desk.people.give_back("k")
        assert await status(desk, request_for()) is ClaimStatus.GRANTED

    async def test_a_conversation_can_be_taken_over_before_its_first_ticket(self, desk: Desk) -> None:
        await desk.people.take_over("k", "mia")
        assert (await desk.router.admit(ticket())).owner == "person"

    async def test_a_person_answers_what_they_hold_whatever_the_switch_says(self, desk: Desk) -> None:
        await desk.router.admit(ticket())
        await desk.outcome.open_item(item())
        await desk.people.take_over("k", "mia")
        assert (await desk.people.claim(request_for(actor="ben"))).status is ClaimStatus.TAKEN_OVER
        assert (await desk.people.claim(request_for(actor="mia"))).status is ClaimStatus.GRANTED
        await desk.people.mark_sent("1:1", delivery="d", text="By hand.")
        assert (await desk.router.admit(ticket(2))).transcript[-1].author == "person"

    async def test_a_person_without_the_item_may_not_answer(self, desk: Desk) -> None:
        await desk.router.admit(ticket())
        await desk.outcome.open_item(item())
        answer = await desk.people.claim(request_for(actor="mia"))
        assert (answer.status, answer.detail) == (ClaimStatus.TAKEN_OVER, "nobody holds this item")

    async def test_the_same_key_opens_one_item(self, desk: Desk) -> None:
        await desk.router.admit(ticket())
        opened = [await desk.outcome.open_item(item()) for _ in range(2)]
        assert opened[0] == opened[1]
        assert await desk.outcome.open_item(item(2)) != opened[0]

    async def test_an_item_may_hold_anything(self, desk: Desk) -> None:
        dead = Item("dead 1", ItemKind.DEAD, "", None, 0, None, "undecodable \x00", 'not JSON \x00 "\\u0000"')
        assert await desk.outcome.open_item(dead) == await desk.outcome.open_item(dead)

    async def test_a_decision_is_recorded_once_for_admitted_and_unknown_tickets(self, desk: Desk) -> None:
        await desk.router.admit(ticket())
        for number in (1, 1, 2):
            await desk.outcome.record_decision(ticket(number).ticket_id, 1, DECISION)


# -- a revision ends once, whatever order contrary decisions come in


def waiting(kind: ItemKind = ItemKind.SUGGEST) -> Item:
    """The item of ticket 1, under the key of its reply."""
    return replace(item(), key="1:1", kind=kind)


@pytest.mark.parametrize("kind", [ItemKind.SUGGEST, ItemKind.HANDOFF])
async def test_what_is_on_the_people_s_queue_the_bot_does_not_send(desk: Desk, kind: ItemKind) -> None:
    await arm(desk)
    await desk.router.admit(ticket())
    await desk.outcome.open_item(waiting(kind))
    answer = await desk.second.claim(request_for())
    assert (answer.status, answer.detail) == (ClaimStatus.TAKEN_OVER, "it is on the people's queue")
    await desk.router.admit(ticket(2))
    assert await status(desk, request_for()) is ClaimStatus.TAKEN_OVER


@pytest.mark.parametrize("kind", [ItemKind.SUGGEST, ItemKind.HANDOFF])
async def test_what_was_sent_is_not_put_on_the_people_s_queue(desk: Desk, kind: ItemKind) -> None:
    await arm(desk)
    await desk.router.admit(ticket())
    await desk.outcome.claim(request_for())
    await desk.outcome.mark_sent("1:1", delivery="d", text="Answer")
    assert await desk.second.open_item(waiting(kind)) is None


async def test_what_was_overtaken_is_not_put_on_the_people_s_queue(desk: Desk) -> None:
    await arm(desk)
    await desk.router.admit(ticket())
    await desk.router.admit(ticket(2))
    assert await status(desk, request_for()) is ClaimStatus.SUPERSEDED
    assert await desk.outcome.open_item(waiting()) is None


async def test_what_waits_as_one_kind_is_not_put_there_as_another(desk: Desk) -> None:
    await desk.router.admit(ticket())
    opened = await desk.outcome.open_item(waiting(ItemKind.HANDOFF))
    assert await desk.second.open_item(waiting(ItemKind.SUGGEST)) is None
    assert await desk.outcome.open_item(waiting(ItemKind.HANDOFF)) == opened


async def test_what_is_being_sent_is_put_on_no_queue_until_it_is_known_how_it_ends(desk: Desk) -> None:
    await arm(desk)
    await desk.router.admit(ticket())
    await desk.outcome.claim(request_for())
    with pytest.raises(TryLater):
        await desk.second.open_item(waiting())
    await desk.outcome.release_claim("1:1")
    assert await desk.second.open_item(waiting()) is not None


async def test_what_may_have_been_sent_waits_as_parked_alone(desk: Desk) -> None:
    await arm(desk)
    await desk.router.admit(ticket())
    await desk.outcome.claim(request_for())
    await desk.outcome.park("1:1")
    assert await desk.second.open_item(waiting()) is None
    assert await desk.outcome.open_item(replace(waiting(ItemKind.PARKED), key="1:1:parked")) is not None
    assert await desk.second.open_item(waiting()) is None


async def test_what_a_person_sent_is_found_again_as_their_item(desk: Desk) -> None:
    await desk.router.admit(ticket())
    opened = await desk.outcome.open_item(waiting())
    await desk.people.take_over("k", "mia")
    await desk.people.claim(request_for(actor="mia"))
    await desk.people.mark_sent("1:1", delivery="d", text="By hand.")
    assert await desk.outcome.open_item(waiting()) == opened


async def test_what_was_sent_may_still_become_a_dead_letter_s_item(desk: Desk) -> None:
    await arm(desk)
    await desk.router.admit(ticket())
    await desk.outcome.claim(request_for())
    await desk.outcome.mark_sent("1:1", delivery="d", text="Answer")
    assert await desk.outcome.open_item(replace(waiting(ItemKind.DEAD), key="dead:t/0/1")) is not None


# -- acknowledgements


def note(number: int = 1) -> AcknowledgeRequest:
    return AcknowledgeRequest("k", f"{number}:acknowledge", Channel.API, "order_status", "cus_1")


async def told(conversations: Conversations, number: int = 1) -> Told:
    return (await conversations.may_acknowledge(note(number))).told


async def test_a_hand_over_is_acknowledged_once_a_conversation(desk: Desk) -> None:
    await desk.router.admit(ticket())
    await arm(desk)
    assert await told(desk.outcome) is Told.GRANTED
    await desk.outcome.acknowledged(note(), delivery="d", text="A colleague will answer.")
    assert await told(desk.second, 2) is Told.REFUSED
    admitted = await desk.router.admit(ticket(2))
    assert [said.text for said in admitted.transcript] == ["Hello?", "A colleague will answer."]


async def test_the_same_acknowledgement_is_told_again_and_noted_once(desk: Desk) -> None:
    await desk.router.admit(ticket())
    await arm(desk)
    await desk.outcome.may_acknowledge(note())
    assert await told(desk.second) is Told.UNKNOWN
    for worker in (desk.outcome, desk.second):
        await worker.acknowledged(note(), delivery="d", text="A colleague will answer.")
    expected = AcknowledgeAnswer(Told.SENT, "A colleague will answer.", "d")
    assert await desk.second.may_acknowledge(note()) == expected
    assert len((await desk.router.admit(ticket(2))).transcript) == 2


async def test_nothing_is_acknowledged_after_an_automatic_reply(desk: Desk) -> None:
    await desk.router.admit(ticket())
    await arm(desk)
    await desk.outcome.claim(request_for())
    await desk.outcome.mark_sent("1:1", delivery="d", text="Answer")
    await desk.router.admit(ticket(2))
    assert await told(desk.outcome, 2) is Told.REFUSED


async def test_nothing_is_acknowledged_while_stopped_or_where_a_person_is(desk: Desk) -> None:
    await desk.router.admit(ticket())
    assert await told(desk.outcome) is Told.REFUSED  # nobody armed it
    await arm(desk)
    await desk.people.take_over("k", "Pia")
    assert await told(desk.outcome) is Told.REFUSED


# -- automatic mail


def mail_to(address: str, key: str, most: int = 1) -> MailRequest:
    return MailRequest(address, key, most, timedelta(days=1))


async def test_an_address_gets_its_automatic_mail_and_no_more(desk: Desk) -> None:
    assert await desk.outcome.may_mail(mail_to("ann@example.com", "1"))
    assert not await desk.second.may_mail(mail_to("ann@example.com", "2"))
    assert await desk.second.may_mail(mail_to("ben@example.com", "2"))
    assert await desk.second.may_mail(mail_to("ann@example.com", "3", most=2))


async def test_the_same_mail_is_counted_once(desk: Desk) -> None:
    assert await desk.outcome.may_mail(mail_to("ann@example.com", "1"))
    assert await desk.second.may_mail(mail_to("ann@example.com", "1"))


async def test_of_workers_that_would_write_at_once_one_may(desk: Desk) -> None:
    asked = [
        worker.may_mail(mail_to("a@example.com", str(n))) for n, worker in enumerate([desk.outcome, desk.second] * 8)
    ]
    assert sum(await asyncio.gather(*asked)) == 1


class TestReopening:
    async def answered(self, desk: Desk, number: int = 1, revision: int = 1) -> None:
        await desk.router.admit(ticket(number))
        await desk.outcome.claim(request_for(number, revision))
        await desk.outcome.mark_sent(f"{number}:{revision}", delivery="d", text="So it is.")

    async def test_who_writes_again_comes_back_on_the_last_answer(self, desk: Desk) -> None:
        await arm(desk)
        await self.answered(desk, 1, 1)
        await self.answered(desk, 2, 2)
        await desk.router.admit(ticket(3))
        found = await desk.reopenings.came_back("k", 3, within=timedelta(days=1))
        assert found == Reopened(ticket_id("api", "shop", "2"), "k", 2, Channel.API, "order_status", NOON)

    async def test_an_answer_is_told_once_however_often_they_write(self, desk: Desk) -> None:
        await arm(desk)
        await self.answered(desk)
        for number in (2, 3):
            await desk.router.admit(ticket(number))
        told = [await desk.reopenings.came_back("k", revision, within=timedelta(days=1)) for revision in (2, 2, 3)]
        assert [found and found.revision for found in told] == [1, 1, None]

    async def test_who_comes_back_late_or_on_no_answer_reopens_nothing(self, desk: Desk) -> None:
        await arm(desk)
        await desk.router.admit(ticket(9, conversation="other"))
        assert await desk.reopenings.came_back("other", 2, within=timedelta(days=1)) is None
        await self.answered(desk)
        assert await desk.reopenings.came_back("k", 1, within=timedelta(days=1)) is None
        assert await desk.reopenings.came_back("k", 2, within=timedelta(0)) is None

    async def test_who_asks_about_something_else_comes_back_on_nothing_and_may_do_so_later(self, desk: Desk) -> None:
        await arm(desk)
        await self.answered(desk)
        for number in (2, 3):
            await desk.router.admit(ticket(number))
        day = timedelta(days=1)
        assert await desk.reopenings.came_back("k", 2, within=day, topic="gift_card") is None
        assert await desk.reopenings.came_back("k", 3, within=day, topic="order_status") is not None

    async def test_a_person_s_answer_is_not_reopened(self, desk: Desk) -> None:
        await arm(desk)
        await self.answered(desk)
        await desk.router.admit(ticket(2))
        await desk.outcome.open_item(item(2, 2))
        await desk.people.take_over("k", "mia")
        assert (await desk.people.claim(request_for(2, 2, actor="mia"))).status is ClaimStatus.GRANTED
        await desk.people.mark_sent("2:2", delivery="d", text="Let me see.")
        assert await desk.reopenings.came_back("k", 3, within=timedelta(days=1)) is None

    async def test_a_helpdesk_reopens_an_answer_by_its_ticket(self, desk: Desk) -> None:
        await arm(desk)
        await self.answered(desk)
        await desk.router.admit(ticket(2))
        one, two = (ticket_id("api", "shop", str(number)) for number in (1, 2))
        found = await desk.reopenings.reopen(one, by="desk")
        assert found == await desk.reopenings.reopen(one, by="desk")
        assert (found and found.revision, await desk.reopenings.reopen(two, by="desk")) == (1, None)
        assert await desk.reopenings.came_back("k", 2, within=timedelta(days=1)) is None
