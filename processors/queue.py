"""What people do with the queue's items: take, approve, edit, reject, resolve and release.

A person's reply goes out under the same claim as the bot's, so a revision is answered once, by whoever was first. The
switch does not stop it: the switch stops what nobody has looked at. Every act is kept in the queue's own transaction
and published after it (`announce`); done again by the same person, it changes nothing and is published again.
"""

import difflib
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID, uuid5

from pydantic import ValidationError

from processors.delivery import Delivery, Desk, Sent, deliver_once
from processors.outcome import BOT
from processors.ports import Act, ClaimRequest, Hold, ItemState, Queue, QueueAnswer, QueueItem, Reply
from schemas.gate import Decision, ReplyApproved, TicketEscalated
from schemas.ingress import TICKET_NAMESPACE, TicketReceived
from schemas.outcome import Outcome, TicketSettled
from schemas.resolution import Sentence

MAX_REPLY = 20_000  # characters
MAX_NAME = 80
ITEM_NAME = re.compile(r"[0-9a-f]{4}[0-9a-f-]{0,32}")  # an item's id, or the beginning of it
OUTSIDE = "outside"  # said of a reply that a helpdesk outside may have sent
PARKED = "it may have been sent: look in the helpdesk, then resolve it as sent or not sent"


class Fault(StrEnum):
    """Why a draft is rejected."""

    FACT = "fact"  # it says something untrue
    POLICY = "policy"  # true, and not to be said or promised
    TONE = "tone"
    MISSING = "missing"  # it does not answer what was asked
    OTHER = "other"


class Result(StrEnum):
    """What came of an act."""

    DONE = "done"
    HELD = "held"  # another person has it; the detail is their name
    NOT_HELD = "not_held"  # take it first
    CLOSED = "closed"  # somebody ended it before; the detail is who
    UNKNOWN = "unknown"  # no such item
    SENDING = "sending"  # its reply is being sent at this moment; the detail is by whom
    NOT_PARKED = "not_parked"  # nothing suggests that it may have been sent
    NO_DRAFT = "no_draft"  # there is nothing to approve: write an answer
    NO_TICKET = "no_ticket"  # the message could not be read, or was never admitted: nobody to answer here
    ANSWERED = "answered"  # a reply to this revision went out before; what was asked for was not done
    SUPERSEDED = "superseded"  # the customer has written again: answer that
    PARKED = "parked"  # it may have been sent
    REFUSED = "refused"  # it was not sent, for good


@dataclass(frozen=True)
class PeopleDesk(Desk):
    """What people work with."""

    queue: Queue


@dataclass(frozen=True)
class Acted:
    """The end of an act."""

    result: Result
    detail: str = ""
    settled: TicketSettled | None = None  # the act's event, where it was done


@dataclass(frozen=True)
class Case:
    """What an item's event says, as far as it can be read."""

    ticket: TicketReceived | None = None
    event: TicketEscalated | ReplyApproved | None = None  # with draft, evidence and decision
    source: str | None = None  # of a dead letter: topic/partition/offset

    @property
    def draft(self) -> str | None:
        """The text a person may approve."""
        return self.event.draft.text if self.event and self.event.draft else None

    @property
    def sentences(self) -> tuple[Sentence, ...]:
        """The draft's sentences with their citations."""
        return self.event.draft.sentences if self.event and self.event.draft else ()

    @property
    def decision(self) -> Decision | None:
        """Why it is here, where the gate decided it."""
        return self.event.decision if self.event else None


def case_of(event: str) -> Case:
    """Read an item's event: a hand-over, an approved reply, or a dead letter; never fails."""
    try:
        told = json.loads(event)
        kind = ReplyApproved if "idempotency_key" in told else TicketEscalated if "admission" in told else None
        if kind is not None:
            whole = kind.model_validate_json(event)
            return Case(whole.ticket, whole)
        ticket = TicketReceived.model_validate(told["ticket"]) if told["ticket"] else None
        return Case(ticket, source=told["source"])
    except (ValueError, ValidationError, KeyError, TypeError, AttributeError):
        return Case()


def named_person(name: str) -> str:
    """A person's name as acts carry it.

    Raises:
        ValueError: it is empty, too long, unprintable, or the bot's.
    """
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise ValueError(f"a person's name has 1 to {MAX_NAME} printable characters")
    if name.casefold() == BOT:
        raise ValueError(f"{name!r} is not a person's name")
    return name


# -- taking and releasing


async def take(item_id: UUID, person: str, desk: PeopleDesk, *, from_person: str | None = None) -> Acted:
    """Make the item and its conversation this person's; the bot is silent in it until it is given back.

    `from_person` takes over from that colleague, and from nobody else.

    Raises:
        DependencyDown: Postgres does not answer.
    """
    item = await desk.queue.get(item_id)
    if item is None:
        return Acted(Result.UNKNOWN)
    act = _act(item, Outcome.TAKEN_OVER, person, desk)
    return _ended(await desk.queue.take(item_id, act, from_person=from_person), act)


async def release(item_id: UUID, person: str, desk: PeopleDesk) -> Acted:
    """Put the item back; the conversation is the bot's again when none of its other items is held.

    Of a closed item it gives back the conversation alone.

    Raises:
        DependencyDown: Postgres does not answer.
    """
    item = await desk.queue.get(item_id)
    if item is None:
        return Acted(Result.UNKNOWN)
    act = _act(item, Outcome.RELEASED, person, desk)
    return _ended(await desk.queue.release(item_id, act), act)


# -- answering


async def approve(item_id: UUID, person: str, desk: PeopleDesk, *, keep: bool = False) -> Acted:
    """Send the draft as it is. The conversation is the bot's again, unless it is kept.

    Raises:
        TryLater: another sender holds the claim, or the helpdesk asks to wait.
        DependencyDown: Postgres or the helpdesk does not answer. The same call again finds out what happened.
    """
    item = await desk.queue.get(item_id)
    if item is None:
        return Acted(Result.UNKNOWN)
    case = case_of(item.event)
    if case.draft is None:
        return Acted(Result.NO_DRAFT, "write the answer yourself: edit")
    answer = _Answer(item, case, person, case.draft, Outcome.APPROVED, keep)
    return await _answered(answer, desk)


async def edit(
    item_id: UUID, person: str, text: str, desk: PeopleDesk, *, keep: bool = True, fault: Fault | None = None
) -> Acted:
    """Send this text in the draft's place, or where there is no draft. The conversation stays theirs, if it is kept.

    `fault` is what they say was wrong with the draft.

    Raises:
        ValueError: the text is empty or too long.
        TryLater, DependencyDown: as `approve`.
    """
    text = text.strip()
    if not text or len(text) > MAX_REPLY:
        raise ValueError(f"a reply has 1 to {MAX_REPLY} characters; this one has {len(text)}")
    item = await desk.queue.get(item_id)
    if item is None:
        return Acted(Result.UNKNOWN)
    answer = _Answer(item, case_of(item.event), person, text, Outcome.EDITED, keep, fault)
    return await _answered(answer, desk)


@dataclass(frozen=True)
class _Answer:
    """A reply a person wants to send."""

    item: QueueItem
    case: Case
    person: str
    text: str
    outcome: Outcome
    keep: bool
    fault: Fault | None = None  # of the draft that was edited

    @property
    def key(self) -> str:
        """The revision's idempotency key, whoever answers it."""
        return f"{self.item.queued.ticket_id}:{self.item.queued.revision}"


async def _answered(answer: _Answer, desk: PeopleDesk) -> Acted:
    queued = answer.item.queued
    if (obstacle := _obstacle(answer)) is not None:
        return obstacle
    if answer.case.ticket is None or queued.ticket_id is None or queued.revision == 0:
        return Acted(Result.NO_TICKET, "it can't be answered from here; reject it once it is dealt with")
    delivery = await _deliver(answer, answer.case.ticket, queued.ticket_id, desk)
    if delivery.sent is Sent.PARKED:
        delivery = await _cleared(answer, answer.case.ticket, queued.ticket_id, desk)
    match delivery.sent:
        case Sent.NOW:
            return await _close(answer, answer.text, delivery.reference, desk)
        case Sent.BEFORE:
            return await _sent_before(answer, delivery.reference, desk)
        case Sent.PARKED:
            return Acted(Result.PARKED, PARKED)
        case Sent.SUPERSEDED:
            return Acted(Result.SUPERSEDED, f"the customer has written again: {delivery.detail}")
        case Sent.REFUSED:
            return Acted(Result.REFUSED, f"not sent ({delivery.why.replace('_', ' ')}): {delivery.detail}")


def _obstacle(answer: _Answer) -> Acted | None:
    """Why nothing is to be sent, before a claim is asked for. A reply of theirs that went out is still to be closed."""
    queued, answered = answer.item.queued, answer.item.answered
    if queued.state is ItemState.CLOSED:
        again = queued.closed_by == answer.person and queued.closed_as is answer.outcome
        return Acted(Result.DONE, "it was done before") if again else Acted(Result.CLOSED, queued.closed_by or "")
    if queued.held_by == answer.person or (answered and answered.state == "sent" and answered.actor == answer.person):
        return None
    return Acted(Result.NOT_HELD) if queued.held_by is None else Acted(Result.HELD, queued.held_by)


async def _deliver(answer: _Answer, ticket: TicketReceived, ticket_id: UUID, desk: PeopleDesk) -> Delivery:
    """Send under the revision's one claim. What went out under the bot's claim was its draft."""
    queued, answered = answer.item.queued, answer.item.answered
    by_bot = answered is not None and answered.actor == BOT
    unchanged = answer.text == answer.case.draft
    request = ClaimRequest(
        ticket_id=ticket_id,
        conversation=queued.conversation,
        revision=queued.revision,
        actor=answer.person,
        channel=ticket.channel,
        intent=queued.intent or "",
        customer_id=queued.customer_id,
        key=answer.key,
        lease=desk.lease,
    )
    return await deliver_once(
        Reply(answer.key, ticket, answer.text, answer.case.sentences if unchanged else (), actor=answer.person),
        request,
        desk,
        earlier_text=answer.case.draft if by_bot else None,
    )


async def _cleared(answer: _Answer, ticket: TicketReceived, ticket_id: UUID, desk: PeopleDesk) -> Delivery:
    """A parked reply: ask the helpdesk, where it can be asked by now; send only if it is certain that nothing went.

    What a helpdesk outside may have sent, ours knows nothing of: that stays parked until a person has looked.
    """
    try:
        reference = await desk.helpdesk.find(answer.key, ticket.channel)
    except LookupError:
        return Delivery(Sent.PARKED)
    if reference is not None:
        await desk.conversations.mark_sent(answer.key, delivery=reference, text=answer.case.draft or answer.text)
        return Delivery(Sent.BEFORE, reference=reference)
    unparked = await desk.queue.unpark(answer.item.queued.item_id, answer.person, None)
    if unparked == QueueAnswer(Hold.NOT_PARKED, OUTSIDE):
        return Delivery(Sent.PARKED)
    if unparked.hold is not Hold.DONE:
        return Delivery(Sent.REFUSED, unparked.hold.value, unparked.detail)
    return await _deliver(answer, ticket, ticket_id, desk)


async def _sent_before(answer: _Answer, reference: str | None, desk: PeopleDesk) -> Acted:
    """The revision was answered before this call: theirs, or the same text, settles it; anything else does not."""
    look = await desk.queue.get(answer.item.queued.item_id)
    sent = look.answered if look else None
    if sent is None or (sent.actor != answer.person and sent.text != answer.text):
        who = sent.actor if sent else "somebody"
        return Acted(Result.ANSWERED, f"{who} answered it before, as {reference}; your text was not sent")
    return await _close(answer, sent.text or answer.text, reference, desk)


async def _close(answer: _Answer, text: str, reference: str | None, desk: PeopleDesk) -> Acted:
    draft = answer.case.draft or ""
    act = _act(answer.item, answer.outcome, answer.person, desk).model_copy(
        update={
            "text": text,
            "sentences": answer.case.sentences if text == draft else (),
            "diff": diff(draft, text) if answer.outcome is Outcome.EDITED else None,
            "reason": answer.fault.value if answer.fault else None,
            "delivery": reference,
        }
    )
    return _ended(await desk.queue.close(answer.item.queued.item_id, act, give_back=not answer.keep), act)


def diff(draft: str, text: str) -> str:
    """A person's edit as a unified diff, three lines of context."""
    lines = difflib.unified_diff(draft.splitlines(), text.splitlines(), "draft", "sent", lineterm="")
    return "\n".join(lines)


# -- ending without a reply


async def reject(
    item_id: UUID, person: str, fault: Fault, desk: PeopleDesk, *, note: str = "", keep: bool = False
) -> Acted:
    """Close the item without a reply: not while one is being sent, nor after it.

    Raises:
        DependencyDown: Postgres does not answer.
    """
    item = await desk.queue.get(item_id)
    if item is None:
        return Acted(Result.UNKNOWN)
    reason = f"{fault.value}: {note}" if note else fault.value
    act = _act(item, Outcome.REJECTED, person, desk).model_copy(
        update={"reason": reason, "text": case_of(item.event).draft}
    )
    return _ended(await desk.queue.close(item_id, act, give_back=not keep), act)


async def resolve(item_id: UUID, person: str, desk: PeopleDesk, *, sent: bool, delivery: str | None = None) -> Acted:
    """Say what became of a reply that may have been sent: close the item, or let it be answered.

    `delivery` is the helpdesk's own reference of what was found there.

    Raises:
        DependencyDown: Postgres does not answer.
    """
    item = await desk.queue.get(item_id)
    if item is None:
        return Acted(Result.UNKNOWN)
    if not sent:
        act = _act(item, Outcome.REOPENED, person, desk).model_copy(update={"reason": "it was not sent"})
        return _ended(await desk.queue.unpark(item_id, person, act), act)
    return await _found_sent(item, person, delivery, desk)


async def _found_sent(item: QueueItem, person: str, delivery: str | None, desk: PeopleDesk) -> Acted:
    queued, answered = item.queued, item.answered
    if queued.state is not ItemState.CLOSED and queued.held_by != person:
        return Acted(Result.HELD, queued.held_by) if queued.held_by else Acted(Result.NOT_HELD)
    if answered is None or answered.state not in ("parked", "sent"):
        return Acted(Result.NOT_PARKED, "no reply to it is known to have been tried")
    text = answered.text or case_of(item.event).draft or ""
    reference = answered.delivery or delivery or f"found by {person}"
    if answered.state == "parked":
        await desk.conversations.mark_sent(f"{queued.ticket_id}:{queued.revision}", delivery=reference, text=text)
    act = _act(item, Outcome.APPROVED, person, desk).model_copy(
        update={"text": text, "delivery": reference, "reason": "it had been sent"}
    )
    return _ended(await desk.queue.close(queued.item_id, act, give_back=True), act)


# -- events


def _act(item: QueueItem, outcome: Outcome, person: str, desk: PeopleDesk) -> TicketSettled:
    queued, case = item.queued, case_of(item.event)
    return TicketSettled(
        ticket_id=queued.ticket_id or uuid5(TICKET_NAMESPACE, case.source or str(queued.item_id)),
        conversation=queued.conversation,
        revision=queued.revision,
        channel=queued.channel,
        account=case.ticket.account if case.ticket else None,
        intent=queued.intent,
        outcome=outcome,
        actor=person,
        decision=case.decision,
        item_id=queued.item_id,
        received_at=case.ticket.received_at if case.ticket else None,
        settled_at=desk.clock.now(),
    )


def _ended(answer: QueueAnswer, act: TicketSettled) -> Acted:
    done = answer.hold is Hold.DONE
    return Acted(Result(answer.hold.value), answer.detail, act if done else None)


async def announce(item_id: UUID, queue: Queue, publish: Callable[[Act], Awaitable[object]]) -> int:
    """Publish the acts that are not known to be published; how many there were.

    Raises:
        DependencyDown: Kafka or Postgres does not answer. The acts stand; the same call again publishes them.
    """
    acts = await queue.unpublished(item_id)
    for act in acts:
        await publish(act)
        await queue.published(act.act_id)
    return len(acts)
