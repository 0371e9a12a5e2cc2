"""Deliver what was approved, at most once; put the rest on the people's queue, at least once.

A reply goes out under a claim, and a claim is asked for before anything else is looked at: whether this reply went out
before is known only there, and a sent reply must not become a draft because the switch was thrown meanwhile.

An ambiguous claim (a worker died between claim and mark) is settled by asking the helpdesk under the idempotency key.
It knows the reply: sent. It cannot be asked: parked on a person's list, never sent again. It says that it did nothing:
the claim is released and asked for anew, which only one worker is granted, and the same key goes out again. The first
worker cannot still be sending: it starts a call only when the lease outlives the call's deadline.
"""

import base64
import json
from dataclasses import dataclass
from uuid import UUID, uuid5

from processors.errors import Conflict, DependencyDown, TryLater, Undeliverable
from processors.ports import (
    Claim,
    ClaimRequest,
    ClaimStatus,
    Clock,
    Conversations,
    HandOver,
    Helpdesk,
    Item,
    ItemKind,
    Reply,
    Switch,
)
from schemas.control import SwitchState
from schemas.gate import Disposition, ReplyApproved, TicketEscalated
from schemas.ingress import TICKET_NAMESPACE, TicketReceived
from schemas.outcome import Outcome, TicketSettled

BOT = "bot"
SHOWN_BYTES = 32 * 1024  # of a dead message's raw bytes; the dead topic keeps them whole


@dataclass(frozen=True)
class Settlement:
    """What became of an event: exactly one of the two."""

    settled: TicketSettled | None = None  # for tickets.outcome
    divert: TicketEscalated | None = None  # for tickets.escalation


@dataclass(frozen=True)
class _Desk:
    """What a delivery works with."""

    conversations: Conversations
    helpdesk: Helpdesk
    switch: Switch
    clock: Clock
    lease: float  # seconds
    deadline: float  # seconds


async def deliver(  # noqa: PLR0913  each is a port or a limit of its own
    approved: ReplyApproved,
    *,
    conversations: Conversations,
    helpdesk: Helpdesk,
    switch: Switch,
    clock: Clock,
    lease: float,
    deadline: float,
) -> Settlement:
    """Send the reply if this caller may, or say why a person has to.

    `lease` and `deadline` are seconds; the lease must be longer, or nothing is ever sent.

    Raises:
        TryLater: another worker holds the claim, or the helpdesk asks to wait; nothing was sent by this call.
        DependencyDown: Postgres or the helpdesk does not answer. The same call again finds out what happened.
    """
    desk = _Desk(conversations, helpdesk, switch, clock, lease, deadline)
    began = clock.monotonic()
    claim = await conversations.claim(_request(approved, lease))
    if claim.status is ClaimStatus.AMBIGUOUS:
        return await _clear_up(approved, desk)
    return await _act(approved, claim, began, desk)


async def _clear_up(approved: ReplyApproved, desk: _Desk) -> Settlement:
    """A lease ran out between claim and mark."""
    key = approved.idempotency_key
    try:
        delivery = await desk.helpdesk.find(key, approved.ticket.channel)
    except LookupError:
        return await _park(approved, desk)
    if delivery is not None:
        return await _mark(approved, delivery, desk)
    await _give_back(key, desk)
    began = desk.clock.monotonic()
    claim = await desk.conversations.claim(_request(approved, desk.lease))
    return await _act(approved, claim, began, desk)


async def _act(approved: ReplyApproved, claim: Claim, began: float, desk: _Desk) -> Settlement:
    match claim.status:
        case ClaimStatus.GRANTED:
            return await _send(approved, began, desk)
        case ClaimStatus.SENT:
            return await _sent(approved, claim.delivery, desk)
        case ClaimStatus.PARKED:
            return await _parked(approved, desk)
        case ClaimStatus.SUPERSEDED:
            return Settlement(_settled(approved, Outcome.SUPERSEDED, desk.clock, reason=claim.detail or None))
        case ClaimStatus.LEASED | ClaimStatus.AMBIGUOUS:
            raise TryLater("another worker holds the claim", after=desk.lease)
        case ClaimStatus.TAKEN_OVER | ClaimStatus.STOPPED | ClaimStatus.UNKNOWN:
            return _divert(approved, claim.status.value, claim.detail)


async def _send(approved: ReplyApproved, began: float, desk: _Desk) -> Settlement:
    """Send under the claim just granted. Whoever is certain that nothing went out gives the claim back."""
    key = approved.idempotency_key
    if (obstacle := _obstacle(approved, desk)) is not None:
        await _give_back(key, desk)
        return _divert(approved, *obstacle)
    if desk.clock.monotonic() - began + desk.deadline >= desk.lease:
        await _give_back(key, desk)
        raise TryLater("too little of the lease is left for the call")
    reply = Reply(key, approved.ticket, approved.draft.text, approved.draft.sentences)
    try:
        delivery = await desk.helpdesk.reply(reply, desk.deadline)
    except Undeliverable as refused:
        await _give_back(key, desk)
        return _divert(approved, "undeliverable", str(refused))
    except (TryLater, DependencyDown) as failure:
        if not isinstance(failure, DependencyDown) or failure.untouched:
            await _give_back(key, desk)
        raise
    return await _mark(approved, delivery, desk)


def _obstacle(approved: ReplyApproved, desk: _Desk) -> tuple[str, str] | None:
    """Why a granted reply stays here all the same: too old, or stopped by what this worker knows of the switch."""
    if desk.clock.now() >= approved.expires_at:
        return "expired", f"it was to go out before {approved.expires_at.isoformat(timespec='seconds')}"
    view = desk.switch.view(
        channel=approved.ticket.channel,
        intent=approved.route.intent,
        customer_id=approved.admission.customer_id,
    )
    return None if view.state is SwitchState.AUTO else ("stopped", f"the switch is {view.state}: {view.why}")


def _request(approved: ReplyApproved, lease: float) -> ClaimRequest:
    return ClaimRequest(
        ticket_id=approved.ticket.ticket_id,
        conversation=approved.ticket.conversation,
        revision=approved.admission.revision,
        actor=BOT,
        channel=approved.ticket.channel,
        intent=approved.route.intent,
        customer_id=approved.admission.customer_id,
        key=approved.idempotency_key,
        lease=lease,
    )


async def _mark(approved: ReplyApproved, delivery: str, desk: _Desk) -> Settlement:
    await desk.conversations.mark_sent(approved.idempotency_key, delivery=delivery, text=approved.draft.text)
    return await _sent(approved, delivery, desk)


async def _sent(approved: ReplyApproved, delivery: str | None, desk: _Desk) -> Settlement:
    """Settle a reply that is marked as sent, now or before."""
    await desk.conversations.record_decision(approved.ticket.ticket_id, approved.admission.revision, approved.decision)
    return Settlement(_settled(approved, Outcome.SENT, desk.clock, delivery=delivery))


async def _give_back(key: str, desk: _Desk) -> None:
    """Release a claim under which nothing was sent.

    Raises:
        TryLater: another worker has it, or has ended it meanwhile: the next try sees how.
    """
    try:
        await desk.conversations.release_claim(key)
    except LookupError:
        raise TryLater("another worker ended the claim") from None


async def _park(approved: ReplyApproved, desk: _Desk) -> Settlement:
    try:
        await desk.conversations.park(approved.idempotency_key)
    except LookupError:
        raise TryLater("another worker ended the claim") from None
    return await _parked(approved, desk)


async def _parked(approved: ReplyApproved, desk: _Desk) -> Settlement:
    reason = "it may have been sent, and the helpdesk cannot be asked: look there before answering"
    item = await desk.conversations.open_item(_item(approved, ItemKind.PARKED, f"{_key(approved)}:parked", reason))
    return Settlement(_settled(approved, Outcome.PARKED, desk.clock, reason=reason, item_id=item))


def _divert(approved: ReplyApproved, status: str, detail: str) -> Settlement:
    """The approved reply as a draft for a person, due when it was to be out."""
    reason = f"approved, but not sent ({status.replace('_', ' ')}){': ' + detail if detail else ''}"
    decision = approved.decision.model_copy(
        update={
            "disposition": Disposition.SUGGEST,
            "rule": f"outcome-{status.replace('_', '-')}",
            "reasons": (*approved.decision.reasons, reason),
        }
    )
    escalated = TicketEscalated(
        ticket=approved.ticket,
        admission=approved.admission,
        route=approved.route,
        evidence=approved.evidence,
        draft=approved.draft,
        decision=decision,
        summary=f"A reply was {reason}. It waits as a draft.",
        due_at=approved.expires_at,
        steps=approved.steps,
    )
    return Settlement(divert=escalated)


# -- people


async def hand_over(
    escalated: TicketEscalated, *, conversations: Conversations, helpdesk: Helpdesk, clock: Clock, deadline: float
) -> Settlement:
    """Open the item, tell the helpdesk, keep the decision. Each may happen twice: their keys make it once.

    A helpdesk that refuses the hand-over for good does not undo it: the item stands on the people's queue.

    Raises:
        TryLater: the helpdesk asks to wait.
        DependencyDown: Postgres or the helpdesk does not answer.
    """
    suggest = escalated.decision.disposition is not Disposition.HANDOFF
    kind = ItemKind.SUGGEST if suggest else ItemKind.HANDOFF
    reason = "; ".join(escalated.decision.reasons) or escalated.decision.rule
    item = await conversations.open_item(_item(escalated, kind, _key(escalated), reason))
    await conversations.record_decision(escalated.ticket.ticket_id, escalated.admission.revision, escalated.decision)
    try:
        delivery = await helpdesk.hand_over(_hand_over(escalated), deadline)
    except Undeliverable as refused:
        delivery, reason = None, f"{reason}; the helpdesk refused it: {refused}"
    outcome = Outcome.SUGGESTED if suggest else Outcome.HANDED_OFF
    return Settlement(_settled(escalated, outcome, clock, reason=reason, delivery=delivery, item_id=item))


def _hand_over(escalated: TicketEscalated) -> HandOver:
    return HandOver(
        key=f"{_key(escalated)}:hand-over",  # not the reply's key: asking for one must never find the other
        disposition=escalated.decision.disposition,
        ticket=escalated.ticket,
        summary=escalated.summary,
        draft=escalated.draft.text if escalated.draft else None,
        event=escalated.model_dump_json(),
    )


def _key(event: ReplyApproved | TicketEscalated) -> str:
    return f"{event.ticket.ticket_id}:{event.admission.revision}"


def _item(event: ReplyApproved | TicketEscalated, kind: ItemKind, key: str, reason: str) -> Item:
    return Item(
        key=key,
        kind=kind,
        conversation=event.ticket.conversation,
        ticket_id=event.ticket.ticket_id,
        revision=event.admission.revision,
        customer_id=event.admission.customer_id,
        reason=reason,
        event=event.model_dump_json(),
        due_at=event.due_at if isinstance(event, TicketEscalated) else event.expires_at,
    )


def _settled(
    event: ReplyApproved | TicketEscalated,
    outcome: Outcome,
    clock: Clock,
    *,
    reason: str | None = None,
    delivery: str | None = None,
    item_id: UUID | None = None,
) -> TicketSettled:
    return TicketSettled(
        ticket_id=event.ticket.ticket_id,
        conversation=event.ticket.conversation,
        revision=event.admission.revision,
        channel=event.ticket.channel,
        account=event.ticket.account,
        intent=event.route.intent,
        outcome=outcome,
        reason=reason,
        text=event.draft.text if event.draft else None,
        sentences=event.draft.sentences if event.draft else (),
        decision=event.decision,
        item_id=item_id,
        delivery=delivery,
        cost_usd=event.draft.cost_usd if event.draft else 0.0,
        received_at=event.ticket.received_at,
        settled_at=clock.now(),
        steps=event.steps,
    )


# -- the dead


@dataclass(frozen=True)
class DeadLetter:
    """What a stage could not handle, and what is known about it."""

    stage: str  # that gave up
    reason: str  # the type of the error
    source: str  # topic/partition/offset where the message first stood: the same letter is always the same item
    key: str | None  # the message's key, the conversation
    data: bytes | None  # the message as it was
    ticket: TicketReceived | None = None  # as far as it could be read
    revision: int = 0  # 0 where it was never admitted
    customer_id: str | None = None  # the proved customer, where it was admitted


async def bury(letter: DeadLetter, *, conversations: Conversations, clock: Clock) -> Settlement:
    """Put a dead letter on the people's queue with whatever could be read of it, so that it ends with a person.

    Raises:
        DependencyDown: Postgres does not answer.
    """
    conflict = letter.reason == Conflict.__name__
    reason = "the same id came with another body" if conflict else f"{letter.stage} gave up: {letter.reason}"
    item = await conversations.open_item(_dead_item(letter, ItemKind.CONFLICT if conflict else ItemKind.DEAD, reason))
    ticket = letter.ticket
    settled = TicketSettled(
        ticket_id=ticket.ticket_id if ticket else uuid5(TICKET_NAMESPACE, letter.source),
        conversation=_conversation(letter),
        revision=letter.revision,
        channel=ticket.channel if ticket else None,
        account=ticket.account if ticket else None,
        outcome=Outcome.CONFLICT if conflict else Outcome.DEAD,
        reason=reason,
        item_id=item,
        received_at=ticket.received_at if ticket else None,
        settled_at=clock.now(),
        steps=ticket.steps if ticket else (),
    )
    return Settlement(settled)


def _conversation(letter: DeadLetter) -> str:
    return letter.ticket.conversation if letter.ticket else letter.key or f"dead:{letter.source}"


def _dead_item(letter: DeadLetter, kind: ItemKind, reason: str) -> Item:
    told = {
        "stage": letter.stage,
        "reason": letter.reason,
        "source": letter.source,
        "ticket": letter.ticket.model_dump(mode="json") if letter.ticket else None,
        "raw_base64": None if letter.ticket else base64.b64encode((letter.data or b"")[:SHOWN_BYTES]).decode(),
    }
    return Item(
        key=f"{kind}:{letter.source}",
        kind=kind,
        conversation=_conversation(letter),
        ticket_id=letter.ticket.ticket_id if letter.ticket else None,
        revision=letter.revision,
        customer_id=letter.customer_id,
        reason=reason,
        event=json.dumps(told),
    )
