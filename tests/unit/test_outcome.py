"""Deliveries: what each answer to a claim leads to, when a claim is given back, and what reaches a person."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import pytest

from infra.helpdesk.scripted import Fault, ScriptedHelpdesk
from processors.errors import DependencyDown, TryLater, Undeliverable
from processors.outcome import DeadLetter, Settlement, bury, deliver, hand_over
from processors.policy import Email
from processors.ports import Claim, ClaimRequest, ClaimStatus, Item, ItemKind, SwitchView
from schemas.control import SwitchState
from schemas.gate import Decision, Disposition, ReplyApproved, TicketEscalated
from schemas.ingress import TICKET_NAMESPACE, Channel, TicketReceived, ticket_id
from schemas.outcome import Outcome
from schemas.resolution import Draft, Sentence
from schemas.retrieval import Evidence
from schemas.router import Admission, Band, Route, Tier

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
LEASE, DEADLINE = 30.0, 10.0
TICKET = TicketReceived(
    ticket_id=ticket_id("api", "shop", "1"),
    conversation="api:shop::1",
    channel=Channel.API,
    provider="api",
    account="shop",
    provider_message_id="1",
    body="How long do returns take?",
    body_full="How long do returns take?",
    received_at=NOW,
)
KEY = f"{TICKET.ticket_id}:1"
COMMON = {
    "ticket": TICKET,
    "admission": Admission(revision=1, customer_id="cus_0001", owner="bot"),
    "route": Route(intent="returns", band=Band.AUTO, tier=Tier.COMMODITY, confidence=0.99),
    "evidence": Evidence(),
    "draft": Draft(sentences=(Sentence(text="Thirty days."),), model="local/x", prompt_hash="0", cost_usd=0.01),
}


def decision(disposition: Disposition) -> Decision:
    return Decision(
        disposition=disposition,
        rule="supported",
        reasons=("every sentence is supported",),
        floor=0.92,
        retrieval_threshold=0.3,
        verifier="v",
        policy_hash="p",
        config_hash="c",
        switch_state="auto",
        switch_epoch=3,
        decided_at=NOW,
    )


APPROVED = ReplyApproved.model_validate(
    {
        **COMMON,
        "decision": decision(Disposition.AUTO),
        "idempotency_key": KEY,
        "switch_epoch": 3,
        "expires_at": LATER,
    }
)


def escalated(disposition: Disposition) -> TicketEscalated:
    return TicketEscalated.model_validate(
        {**COMMON, "decision": decision(disposition), "summary": "Asks about returns.", "due_at": LATER}
    )


@dataclass
class FakeConversations:
    """Answers claims as it is told, and writes down what is done to them."""

    answers: list[ClaimStatus] = field(default_factory=lambda: [ClaimStatus.GRANTED])
    done: list[str] = field(default_factory=list)
    items: dict[str, Item] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    ended: bool = False  # another worker ends each claim first
    ended_before: bool = False  # the revision was sent or overtaken

    async def claim(self, request: ClaimRequest) -> Claim:
        self.done.append("claim")
        return Claim(self.answers.pop(0), "detail", "earlier")

    async def mark_sent(self, key: str, *, delivery: str, text: str) -> None:
        self.done.append(f"sent {delivery}")

    async def release_claim(self, key: str) -> None:
        if self.ended:
            raise LookupError(key)
        self.done.append("release")

    async def park(self, key: str) -> None:
        if self.ended:
            raise LookupError(key)
        self.done.append("park")

    async def open_item(self, item: Item) -> UUID | None:
        if self.ended_before:
            return None
        self.items.setdefault(item.key, item)
        return uuid5(TICKET_NAMESPACE, item.key)

    async def record_decision(self, ticket_id: UUID, revision: int, decision: Decision) -> None:
        self.decisions.append(decision)


@dataclass
class FakeSwitch:
    state: SwitchState = SwitchState.AUTO

    def view(self, *, channel: Channel, intent: str, customer_id: str | None) -> SwitchView:
        return SwitchView(self.state, 3, None, "drill")


@dataclass
class FakeClock:
    """Each look at the monotonic clock finds `step` seconds passed."""

    at: datetime = NOW
    step: float = 0.0
    passed: float = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        self.passed += self.step
        return self.passed


async def run(
    conversations: FakeConversations,
    helpdesk: ScriptedHelpdesk,
    switch: FakeSwitch | None = None,
    clock: FakeClock | None = None,
) -> Settlement:
    return await deliver(
        APPROVED,
        conversations=conversations,
        helpdesk=helpdesk,
        switch=switch or FakeSwitch(),
        clock=clock or FakeClock(),
        lease=LEASE,
        deadline=DEADLINE,
        email=Email(),
    )


def sends(helpdesk: ScriptedHelpdesk) -> int:
    return len(helpdesk.deliveries)


# -- a reply


async def test_a_granted_claim_sends_marks_and_settles() -> None:
    conversations, helpdesk = FakeConversations(), ScriptedHelpdesk()
    settlement = await run(conversations, helpdesk)
    assert conversations.done == ["claim", "sent scripted-1"]
    assert [(delivery.key, delivery.payload["text"]) for delivery in helpdesk.deliveries] == [(KEY, "Thirty days.")]
    assert settlement.settled is not None
    assert settlement.divert is None
    assert (settlement.settled.outcome, settlement.settled.delivery) == (Outcome.SENT, "scripted-1")
    assert (settlement.settled.text, settlement.settled.cost_usd) == ("Thirty days.", 0.01)
    assert conversations.decisions == [APPROVED.decision]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (ClaimStatus.SENT, Outcome.SENT),
        (ClaimStatus.SUPERSEDED, Outcome.SUPERSEDED),
        (ClaimStatus.PARKED, Outcome.PARKED),
    ],
)
async def test_what_is_decided_elsewhere_settles_without_a_send(status: ClaimStatus, outcome: Outcome) -> None:
    helpdesk = ScriptedHelpdesk()
    settlement = await run(FakeConversations([status]), helpdesk)
    assert settlement.settled is not None
    assert settlement.settled.outcome is outcome
    assert sends(helpdesk) == 0


@pytest.mark.parametrize("status", [ClaimStatus.TAKEN_OVER, ClaimStatus.STOPPED, ClaimStatus.UNKNOWN])
async def test_a_refused_claim_becomes_a_draft_for_a_person(status: ClaimStatus) -> None:
    helpdesk = ScriptedHelpdesk()
    settlement = await run(FakeConversations([status]), helpdesk)
    assert settlement.settled is None
    assert settlement.divert is not None
    assert settlement.divert.decision.disposition is Disposition.SUGGEST
    assert settlement.divert.draft == APPROVED.draft
    assert "detail" in settlement.divert.decision.reasons[-1]
    assert sends(helpdesk) == 0


@pytest.mark.parametrize(
    ("switch", "clock", "rule"),
    [
        (FakeSwitch(SwitchState.SUGGEST), FakeClock(), "outcome-stopped"),
        (FakeSwitch(SwitchState.OFF), FakeClock(), "outcome-stopped"),
        (FakeSwitch(), FakeClock(at=LATER), "outcome-expired"),
    ],
)
async def test_what_is_stopped_or_too_old_gives_its_claim_back(switch: FakeSwitch, clock: FakeClock, rule: str) -> None:
    conversations, helpdesk = FakeConversations(), ScriptedHelpdesk()
    settlement = await run(conversations, helpdesk, switch, clock)
    assert conversations.done == ["claim", "release"]
    assert settlement.divert is not None
    assert settlement.divert.decision.rule == rule
    assert sends(helpdesk) == 0


async def test_a_reply_sent_before_stays_sent_when_the_switch_is_thrown() -> None:
    settlement = await run(FakeConversations([ClaimStatus.SENT]), ScriptedHelpdesk(), FakeSwitch(SwitchState.OFF))
    assert settlement.settled is not None
    assert settlement.settled.outcome is Outcome.SENT


async def test_a_leased_claim_is_tried_again_after_its_lease() -> None:
    with pytest.raises(TryLater) as later:
        await run(FakeConversations([ClaimStatus.LEASED]), ScriptedHelpdesk())
    assert later.value.after == LEASE


async def test_a_lease_shorter_than_the_call_sends_nothing() -> None:
    conversations, helpdesk = FakeConversations(), ScriptedHelpdesk()
    with pytest.raises(TryLater, match="lease"):
        await run(conversations, helpdesk, clock=FakeClock(step=LEASE - DEADLINE))
    assert conversations.done == ["claim", "release"]
    assert sends(helpdesk) == 0


@pytest.mark.parametrize(
    ("error", "released"),
    [
        (TryLater("429"), True),
        (DependencyDown("helpdesk", "refused", untouched=True), True),
        (DependencyDown("helpdesk", "500"), False),
    ],
)
async def test_a_failed_call_gives_its_claim_back_only_when_nothing_was_done(error: Exception, released: bool) -> None:
    conversations, helpdesk = FakeConversations(), ScriptedHelpdesk()
    helpdesk.fail(Fault(error))
    with pytest.raises(type(error)):
        await run(conversations, helpdesk)
    assert ("release" in conversations.done) is released


async def test_a_reply_the_helpdesk_refuses_for_good_goes_to_a_person() -> None:
    conversations, helpdesk = FakeConversations(), ScriptedHelpdesk()
    helpdesk.fail(Fault(Undeliverable("no such address")))
    settlement = await run(conversations, helpdesk)
    assert conversations.done == ["claim", "release"]
    assert settlement.divert is not None
    assert "no such address" in settlement.divert.summary


# -- an ambiguous claim


async def test_a_reply_that_turns_out_to_be_sent_is_marked_and_not_sent_again() -> None:
    helpdesk = ScriptedHelpdesk()
    helpdesk.fail(Fault(DependencyDown("helpdesk", "the answer was lost"), done=True))
    with pytest.raises(DependencyDown):
        await run(FakeConversations(), helpdesk)
    conversations = FakeConversations([ClaimStatus.AMBIGUOUS])
    settlement = await run(conversations, helpdesk)
    assert conversations.done == ["claim", "sent scripted-1"]
    assert settlement.settled is not None
    assert settlement.settled.delivery == "scripted-1"
    assert sends(helpdesk) == 1


async def test_a_helpdesk_that_cannot_be_asked_parks_the_reply() -> None:
    conversations, helpdesk = FakeConversations([ClaimStatus.AMBIGUOUS]), ScriptedHelpdesk(can_be_asked=False)
    settlement = await run(conversations, helpdesk)
    assert conversations.done == ["claim", "park"]
    assert [item.kind for item in conversations.items.values()] == [ItemKind.PARKED]
    assert settlement.settled is not None
    assert settlement.settled.outcome is Outcome.PARKED
    assert settlement.settled.item_id is not None
    assert sends(helpdesk) == 0


async def test_a_reply_that_was_certainly_not_sent_goes_out_under_a_fresh_claim() -> None:
    conversations, helpdesk = FakeConversations([ClaimStatus.AMBIGUOUS, ClaimStatus.GRANTED]), ScriptedHelpdesk()
    settlement = await run(conversations, helpdesk)
    assert conversations.done == ["claim", "release", "claim", "sent scripted-1"]
    assert settlement.settled is not None
    assert settlement.settled.outcome is Outcome.SENT


@pytest.mark.parametrize("second", [ClaimStatus.LEASED, ClaimStatus.AMBIGUOUS])
async def test_whoever_loses_the_fresh_claim_waits(second: ClaimStatus) -> None:
    helpdesk = ScriptedHelpdesk()
    with pytest.raises(TryLater):
        await run(FakeConversations([ClaimStatus.AMBIGUOUS, second]), helpdesk)
    assert sends(helpdesk) == 0


@pytest.mark.parametrize("can_be_asked", [True, False])
async def test_whoever_comes_to_an_ended_claim_looks_again(can_be_asked: bool) -> None:
    conversations, helpdesk = (
        FakeConversations([ClaimStatus.AMBIGUOUS], ended=True),
        ScriptedHelpdesk(can_be_asked=can_be_asked),
    )
    with pytest.raises(TryLater, match="ended"):
        await run(conversations, helpdesk)
    assert sends(helpdesk) == 0


# -- a hand-over


@pytest.mark.parametrize(
    ("disposition", "kind", "outcome"),
    [
        (Disposition.HANDOFF, ItemKind.HANDOFF, Outcome.HANDED_OFF),
        (Disposition.SUGGEST, ItemKind.SUGGEST, Outcome.SUGGESTED),
    ],
)
async def test_a_hand_over_opens_one_item_however_often_it_runs(
    disposition: Disposition, kind: ItemKind, outcome: Outcome
) -> None:
    conversations, helpdesk = FakeConversations(), ScriptedHelpdesk()
    for _ in range(2):
        settlement = await hand_over(
            escalated(disposition),
            conversations=conversations,
            helpdesk=helpdesk,
            clock=FakeClock(),
            deadline=DEADLINE,
        )
    assert [(item.key, item.kind) for item in conversations.items.values()] == [(KEY, kind)]
    assert {delivery.reference for delivery in helpdesk.deliveries} == {"scripted-1"}
    assert settlement.settled is not None
    assert (settlement.settled.outcome, settlement.settled.item_id) == (outcome, uuid5(TICKET_NAMESPACE, KEY))
    assert conversations.decisions[0].disposition is disposition


async def test_a_revision_that_has_ended_is_not_handed_over_and_nothing_is_told() -> None:
    conversations, helpdesk = FakeConversations(ended_before=True), ScriptedHelpdesk()
    settlement = await hand_over(
        escalated(Disposition.SUGGEST),
        conversations=conversations,
        helpdesk=helpdesk,
        clock=FakeClock(),
        deadline=DEADLINE,
    )
    assert settlement == Settlement()
    assert (conversations.items, conversations.decisions, helpdesk.deliveries) == ({}, [], [])


async def test_a_hand_over_is_never_found_under_the_replys_key() -> None:
    helpdesk = ScriptedHelpdesk()
    await hand_over(
        escalated(Disposition.SUGGEST),
        conversations=FakeConversations(),
        helpdesk=helpdesk,
        clock=FakeClock(),
        deadline=DEADLINE,
    )
    assert await helpdesk.find(KEY, Channel.API) is None


async def test_a_hand_over_the_helpdesk_refuses_stands_on_the_queue() -> None:
    conversations, helpdesk = FakeConversations(), ScriptedHelpdesk()
    helpdesk.fail(Fault(Undeliverable("status 400")))
    settlement = await hand_over(
        escalated(Disposition.HANDOFF),
        conversations=conversations,
        helpdesk=helpdesk,
        clock=FakeClock(),
        deadline=DEADLINE,
    )
    assert KEY in conversations.items
    assert settlement.settled is not None
    assert "status 400" in (settlement.settled.reason or "")


# -- the dead


@pytest.mark.parametrize(
    ("reason", "kind", "outcome"),
    [
        ("Undecodable", ItemKind.DEAD, Outcome.DEAD),
        ("Conflict", ItemKind.CONFLICT, Outcome.CONFLICT),
        ("KeyError", ItemKind.DEAD, Outcome.DEAD),
    ],
)
async def test_a_dead_ticket_reaches_a_person(reason: str, kind: ItemKind, outcome: Outcome) -> None:
    conversations = FakeConversations()
    letter = DeadLetter("router", reason, "tickets.inbound/3/41", TICKET.conversation, b"...", ticket=TICKET)
    settlement = await bury(letter, conversations=conversations, clock=FakeClock())
    (item,) = conversations.items.values()
    assert (item.kind, item.ticket_id) == (kind, TICKET.ticket_id)
    assert json.loads(item.event)["ticket"]["body"] == TICKET.body
    assert settlement.settled is not None
    assert (settlement.settled.ticket_id, settlement.settled.outcome) == (TICKET.ticket_id, outcome)


@pytest.mark.parametrize(("key", "data"), [("c-1", b"\xff\x00garbage"), (None, None), (None, b"")])
async def test_bytes_nobody_can_read_reach_a_person_once(key: str | None, data: bytes | None) -> None:
    conversations = FakeConversations()
    letter = DeadLetter("router", "Undecodable", "tickets.inbound/3/41", key, data)
    first, again = [await bury(letter, conversations=conversations, clock=FakeClock()) for _ in range(2)]
    assert first == again
    assert len(conversations.items) == 1
    assert first.settled is not None
    assert first.settled.conversation == (key or "dead:tickets.inbound/3/41")
