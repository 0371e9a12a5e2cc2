"""Deliver what was approved, at most once; put the rest on the people's queue, at least once.

A reply goes out under a claim, and a claim is asked for before anything else is looked at: whether this reply went out
before is known only there, and a sent reply must not become a draft because the switch was thrown meanwhile.
"""

import base64
import json
from dataclasses import dataclass
from uuid import UUID, uuid5

from processors.automatic_mail import ENOUGH, may_mail
from processors.delivery import Desk, Obstacle, Sent, deliver_once
from processors.errors import Conflict, Undeliverable
from processors.policy import Email
from processors.ports import (
    ClaimRequest,
    Clock,
    Conversations,
    HandOver,
    Helpdesk,
    Item,
    ItemKind,
    Link,
    Reply,
    Switch,
)
from schemas.control import SwitchState
from schemas.gate import Disposition, ReplyApproved, TicketEscalated
from schemas.ingress import TICKET_NAMESPACE, TicketReceived
from schemas.outcome import Outcome, TicketSettled

BOT = "bot"
TOO_MUCH_MAIL = ("too_much_mail", ENOUGH)
SHOWN_BYTES = 32 * 1024  # of a dead message's raw bytes; the dead topic keeps them whole


@dataclass(frozen=True)
class Settlement:
    """What became of an event: one of the two, or neither where its revision had ended before."""

    settled: TicketSettled | None = None  # for tickets.outcome
    divert: TicketEscalated | None = None  # for tickets.escalation


async def deliver(  # noqa: PLR0913  each is a port or a limit of its own
    approved: ReplyApproved,
    *,
    conversations: Conversations,
    helpdesk: Helpdesk,
    switch: Switch,
    clock: Clock,
    lease: float,
    deadline: float,
    email: Email,
) -> Settlement:
    """Send the reply if this caller may, or say why a person has to.

    `lease` and `deadline` are seconds; the lease must be longer, or nothing is ever sent.

    Raises:
        TryLater: another worker holds the claim, or the helpdesk asks to wait; nothing was sent by this call.
        DependencyDown: Postgres or the helpdesk does not answer. The same call again finds out what happened.
    """
    delivery = await deliver_once(
        _reply(approved),
        _request(approved, lease),
        Desk(conversations, helpdesk, clock, lease, deadline),
        obstacle=lambda: _obstacle(approved, switch, clock, conversations, email),
    )
    match delivery.sent:
        case Sent.NOW | Sent.BEFORE:
            await conversations.record_decision(
                approved.ticket.ticket_id, approved.admission.revision, approved.decision
            )
            return Settlement(settled_of(approved, Outcome.SENT, clock, delivery=delivery.reference))
        case Sent.PARKED:
            return await _parked(approved, conversations, clock)
        case Sent.SUPERSEDED:
            return Settlement(settled_of(approved, Outcome.SUPERSEDED, clock, reason=delivery.detail or None))
        case Sent.REFUSED:
            return divert(approved, delivery.why, delivery.detail)


def _reply(approved: ReplyApproved) -> Reply:
    draft = approved.draft
    cited = {(s.citation.article_id, s.citation.section_id) for s in draft.sentences if s.citation}
    passages = (p for p in approved.evidence.passages if (p.article_id, p.section_id) in cited)
    links = tuple(dict.fromkeys(Link(p.title, p.url) for p in passages if p.url))
    return Reply(approved.idempotency_key, approved.ticket, draft.text, draft.sentences, links=links)


async def _obstacle(
    approved: ReplyApproved, switch: Switch, clock: Clock, conversations: Conversations, email: Email
) -> Obstacle | None:
    """Why a granted reply stays here all the same: too old, stopped by what this worker knows, or too much mail."""
    if clock.now() >= approved.expires_at:
        return Obstacle("expired", f"it was to go out before {approved.expires_at.isoformat(timespec='seconds')}")
    view = switch.view(
        channel=approved.ticket.channel,
        intent=approved.route.intent,
        customer_id=approved.admission.customer_id,
    )
    if view.state is not SwitchState.AUTO:
        return Obstacle("stopped", f"the switch is {view.state}: {view.why}")
    return None if await may_mail_reply(approved, conversations, email) else Obstacle(*TOO_MUCH_MAIL)


async def may_mail_reply(approved: ReplyApproved, conversations: Conversations, email: Email) -> bool:
    """Whether the address has not had too much automatic mail for this reply; see `may_mail`."""
    proved = approved.admission.customer_id is not None
    key = approved.idempotency_key
    return await may_mail(approved.ticket, key, proved=proved, policy=email, conversations=conversations)


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


async def _parked(approved: ReplyApproved, conversations: Conversations, clock: Clock) -> Settlement:
    reason = "it may have been sent, and the helpdesk cannot be asked: look there before answering"
    item = await conversations.open_item(item_of(approved, ItemKind.PARKED, f"{_key(approved)}:parked", reason))
    return Settlement(settled_of(approved, Outcome.PARKED, clock, reason=reason, item_id=item))


def divert(approved: ReplyApproved, status: str, detail: str) -> Settlement:
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

    A revision ends once: nothing is opened for one that was sent or overtaken before. A helpdesk that refuses the
    hand-over for good does not undo it: the item stands on the people's queue.

    Raises:
        TryLater: the helpdesk asks to wait.
        DependencyDown: Postgres or the helpdesk does not answer.
    """
    suggest = escalated.decision.disposition is not Disposition.HANDOFF
    kind = ItemKind.SUGGEST if suggest else ItemKind.HANDOFF
    reason = "; ".join(escalated.decision.reasons) or escalated.decision.rule
    item = await conversations.open_item(item_of(escalated, kind, _key(escalated), reason))
    if item is None:
        return Settlement()
    await conversations.record_decision(escalated.ticket.ticket_id, escalated.admission.revision, escalated.decision)
    try:
        delivery = await helpdesk.hand_over(_hand_over(escalated), deadline)
    except Undeliverable as refused:
        delivery, reason = None, f"{reason}; the helpdesk refused it: {refused}"
    outcome = Outcome.SUGGESTED if suggest else Outcome.HANDED_OFF
    return Settlement(settled_of(escalated, outcome, clock, reason=reason, delivery=delivery, item_id=item))


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


def item_of(event: ReplyApproved | TicketEscalated, kind: ItemKind, key: str, reason: str) -> Item:
    """An event as something a person has to look at."""
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


def settled_of(
    event: ReplyApproved | TicketEscalated,
    outcome: Outcome,
    clock: Clock,
    *,
    reason: str | None = None,
    delivery: str | None = None,
    item_id: UUID | None = None,
) -> TicketSettled:
    """What happened to an event's ticket."""
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
