"""Conversations in memory: admission, claims and the people's queue with the rules of the ones in Postgres."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from infra.crm import Customer, Record
from infra.postgres.conversations import ACKNOWLEDGE_EVERY, body_hash, intent_of, returning
from infra.scripted.switch import ScriptedSwitchTable
from infra.trace_context import traceparent
from processors.errors import Conflict, TryLater
from processors.ports import (
    AcknowledgeAnswer,
    AcknowledgeRequest,
    Claim,
    ClaimRequest,
    ClaimStatus,
    Clock,
    Conversations,
    Item,
    ItemKind,
    MailRequest,
    Reopened,
    Reopenings,
    Told,
)
from schemas.gate import Decision
from schemas.ingress import Identity, Proof, TicketReceived
from schemas.outcome import Outcome
from schemas.router import Admission, Author, EarlierTicket, Message

TRANSCRIPT = 20  # messages
EARLIER = 5  # tickets
ANSWER = 400  # characters of the answer to each


@dataclass(frozen=True)
class _Written:
    """A message as it is kept; `ticket` where a customer wrote it."""

    conversation: str
    revision: int
    customer_id: str | None
    message: Message
    ticket: TicketReceived | None = None
    intent: str | None = None
    outcome: str | None = None


@dataclass(frozen=True)
class Place:
    revision: int = 0
    person: str | None = None  # who took it over


@dataclass(frozen=True)
class Claimed:
    request: ClaimRequest
    state: str  # claimed, sent, parked, released
    holder: UUID
    until: float  # monotonic seconds
    delivery: str | None = None
    settled_at: datetime | None = None
    outside: bool = False  # granted to a helpdesk that delivers by itself
    reopened_by: str | None = None


@dataclass
class State:
    """What all workers share."""

    places: dict[str, Place] = field(default_factory=dict)
    messages: list[_Written] = field(default_factory=list)
    claims: dict[tuple[str, int], Claimed] = field(default_factory=dict)
    items: dict[str, tuple[UUID, Item]] = field(default_factory=dict)
    opened: dict[str, datetime] = field(default_factory=dict)  # item key to when
    held: dict[str, str] = field(default_factory=dict)  # item key to person
    # item key to by whom, as what, when; nobody where a helpdesk outside had sent it
    closed: dict[str, tuple[str | None, Outcome | None, datetime]] = field(default_factory=dict)
    acknowledged: dict[str, datetime] = field(default_factory=dict)  # conversation to the last time
    traces: dict[str, str | None] = field(default_factory=dict)  # of items, by key
    notes: dict[str, AcknowledgeAnswer] = field(default_factory=dict)  # what became of each, by its key
    mails: dict[str, dict[str, datetime]] = field(default_factory=dict)  # address to its automatic mails, by key
    decisions: dict[tuple[UUID, int], Decision] = field(default_factory=dict)


class ScriptedConversations(Conversations, Reopenings):
    """One worker's view of conversations in memory; `another` is a second worker on the same ones."""

    def __init__(
        self,
        clock: Clock,
        switch: ScriptedSwitchTable,
        customers: Iterable[Customer] = (),
        state: State | None = None,
    ) -> None:
        self._clock = clock
        self._switch = switch
        self._customers = tuple(customers)
        self._state = state or State()
        self._holder = uuid4()

    def another(self) -> "ScriptedConversations":
        """Another worker."""
        return ScriptedConversations(self._clock, self._switch, self._customers, self._state)

    @property
    def state(self) -> State:
        """What all workers share; the scripted queue works on it too."""
        return self._state

    @property
    def clock(self) -> Clock:
        """The clock of this worker."""
        return self._clock

    @property
    def items(self) -> tuple[Item, ...]:
        """The people's queue, in the order it was opened."""
        return tuple(item for _, item in self._state.items.values())

    @property
    def decisions(self) -> dict[tuple[UUID, int], Decision]:
        """The recorded decisions by ticket and revision."""
        return dict(self._state.decisions)

    # -- admission

    async def admit(self, ticket: TicketReceived) -> Admission:
        """Give the ticket its revision, or find the one it has."""
        state = self._state
        known = self._ticket(ticket.ticket_id)
        if known is not None and known.ticket is not None and body_hash(known.ticket) != body_hash(ticket):
            raise Conflict(f"ticket {ticket.ticket_id} was admitted before with another body")
        place = state.places.setdefault(ticket.conversation, Place())
        written = known or _Written(
            ticket.conversation,
            place.revision + 1,
            self._proved(ticket.identity),
            Message(author=Author.CUSTOMER, text=ticket.body, at=ticket.received_at),
            ticket,
        )
        if known is None:
            state.messages.append(written)
            state.places[ticket.conversation] = replace(place, revision=written.revision)
        before = state.messages[: state.messages.index(written)]
        return Admission(
            revision=written.revision,
            customer_id=written.customer_id,
            owner="bot" if place.person is None else "person",
            redelivered=known is not None,
            transcript=tuple(m.message for m in before if _readable(m, written))[-TRANSCRIPT:],
            earlier_tickets=self._earlier(before, written, ticket.received_at),
        )

    def _earlier(self, before: Iterable[_Written], written: _Written, at: datetime) -> tuple[EarlierTicket, ...]:
        """The last tickets of the proved customer in other conversations, and those their record tells of."""
        records = [r for c in self._customers if c.customer_id == written.customer_id for r in c.records]
        told = [ticket for record in records if (ticket := _told(record)) and ticket.received_at < at]
        found = [*told, *(self._earlier_one(m) for m in before if _is_earlier(m, written))]
        return tuple(sorted(found, key=lambda ticket: ticket.received_at)[-EARLIER:])

    def _earlier_one(self, written: _Written) -> EarlierTicket:
        """A ticket with its answer; what follows one that was not sent is an acknowledgement, and no answer."""
        assert written.ticket is not None
        place = (written.conversation, written.revision, written.customer_id)
        said = [
            each.message
            for each in self._state.messages
            if each.ticket is None and (each.conversation, each.revision, each.customer_id) == place
        ]
        answer = said[-1] if said and written.outcome == "sent" else None
        return EarlierTicket(
            ticket_id=str(written.ticket.ticket_id),
            subject=written.ticket.subject,
            intent=written.intent,
            outcome=written.outcome,
            received_at=written.ticket.received_at,
            answer=answer.text[:ANSWER] if answer else None,
            answered_by=answer.author if answer else None,
        )

    def _proved(self, identity: Identity) -> str | None:
        """The one customer a proof names. An address that several share proves nobody."""
        value = (identity.value or "").lower()
        match identity.proof:
            case Proof.API_KEY | Proof.SESSION:
                found = [c.customer_id for c in self._customers if c.customer_id == identity.value]
            case Proof.DMARC:
                found = [c.customer_id for c in self._customers if value and (c.email or "").lower() == value]
            case Proof.PHONE:
                found = [c.customer_id for c in self._customers if value and c.phone == value]
            case _:
                found = []
        return found[0] if len(found) == 1 else None

    def _ticket(self, ticket_id: UUID) -> _Written | None:
        return next((m for m in self._state.messages if m.ticket and m.ticket.ticket_id == ticket_id), None)

    # -- claims

    async def claim(self, request: ClaimRequest) -> Claim:
        """Ask for the right to send the one reply to a revision."""
        return self._claim(request, outside=False)

    def claim_outside(self, request: ClaimRequest) -> Claim:
        """Ask for it for a helpdesk that delivers by itself."""
        return self._claim(request, outside=True)

    def _claim(self, request: ClaimRequest, *, outside: bool) -> Claim:
        answer = self._refusal(request)
        if answer is None:
            until = self._clock.monotonic() + request.lease
            claimed = Claimed(request, "claimed", self._holder, until, outside=outside)
            self._state.claims[request.conversation, request.revision] = claimed
        return answer or Claim(ClaimStatus.GRANTED)

    def _refusal(self, request: ClaimRequest) -> Claim | None:
        place = self._state.places.get(request.conversation)
        known = self._ticket(request.ticket_id)
        asked = (request.conversation, request.revision, request.customer_id)
        if place is None or known is None or (known.conversation, known.revision, known.customer_id) != asked:
            return Claim(ClaimStatus.UNKNOWN, "no such ticket at this revision of the conversation")
        earlier = self._state.claims.get((request.conversation, request.revision))
        if earlier is not None and earlier.state != "released":
            return self._settled(earlier)
        if request.actor == "bot" and request.key in self._state.items:
            return Claim(ClaimStatus.TAKEN_OVER, "it is on the people's queue")
        if request.revision < place.revision:
            if known.outcome is None:
                self._note(request.ticket_id, "superseded", None)
            self._close_dead(request.ticket_id)
            return Claim(ClaimStatus.SUPERSEDED, f"revision {place.revision} is current")
        if request.actor != "bot":
            return self._not_held(request)
        if place.person is not None:
            return Claim(ClaimStatus.TAKEN_OVER, place.person)
        stop = self._switch.stopping(request.channel, request.intent, request.customer_id)
        return None if stop is None else Claim(ClaimStatus.STOPPED, stop)

    def _settled(self, claimed: Claimed) -> Claim:
        if claimed.state == "claimed" and claimed.until > self._clock.monotonic():
            return Claim(ClaimStatus.LEASED)
        if claimed.state == "claimed" and claimed.outside:
            self.end_claim(claimed, "parked")
            return Claim(ClaimStatus.PARKED, "the helpdesk outside may have sent it")
        if claimed.state == "claimed":
            return Claim(ClaimStatus.AMBIGUOUS)
        return Claim(ClaimStatus(claimed.state), delivery=claimed.delivery)

    def _not_held(self, request: ClaimRequest) -> Claim | None:
        revision = (request.conversation, request.revision)
        items = [item for item in self.items if (item.conversation, item.revision) == revision]
        holders = [self._state.held[item.key] for item in items if item.key in self._state.held]
        if request.actor in holders:
            return None
        return Claim(ClaimStatus.TAKEN_OVER, f"{holders[0] if holders else 'nobody'} holds this item")

    async def mark_sent(self, key: str, *, delivery: str, text: str) -> None:
        """Note that a claimed reply went out, and add it to the transcript."""
        claimed = self._claimed(key)
        if claimed is None or claimed.state == "released":
            raise LookupError(f"no claim {key}")
        if claimed.state == "sent":
            return
        request = claimed.request
        self.end_claim(claimed, "sent", delivery)
        author = Author.BOT if request.actor == "bot" else Author.PERSON
        message = Message(author=author, text=text, at=self._clock.now())
        self._note(request.ticket_id, "sent", request.intent)
        self._close_dead(request.ticket_id)
        self._state.messages.append(_Written(request.conversation, request.revision, request.customer_id, message))

    async def came_back(
        self, conversation: str, revision: int, *, within: timedelta, topic: str | None = None
    ) -> Reopened | None:
        """The bot's answer that this later revision comes back on, marked as such."""
        places = [place for place, claimed in self._state.claims.items() if claimed.state == "sent"]
        before = max((place for place in places if place[0] == conversation and place[1] < revision), default=None)
        if before is None or (at := self._state.claims[before].settled_at) is None:
            return None
        if topic not in (None, self._state.claims[before].request.intent):
            return None
        return self._reopen(before, returning(revision)) if at > self._clock.now() - within else None

    async def reopen(self, ticket_id: UUID, *, by: str) -> Reopened | None:
        """The bot's answer to a ticket, marked as reopened."""
        known = self._ticket(ticket_id)
        return self._reopen((known.conversation, known.revision), by) if known else None

    def _reopen(self, place: tuple[str, int], by: str) -> Reopened | None:
        claimed = self._state.claims.get(place)
        if claimed is None or claimed.state != "sent" or claimed.request.actor != "bot":
            return None
        if claimed.reopened_by not in (None, by):
            return None
        self._state.claims[place] = replace(claimed, reopened_by=by)
        request, known = claimed.request, self._ticket(claimed.request.ticket_id)
        assert known is not None
        return Reopened(request.ticket_id, *place, request.channel, request.intent, known.message.at)

    async def release_claim(self, key: str) -> None:
        """End a claim under which nothing was sent."""
        self._end_own(key, "released")

    async def park(self, key: str) -> None:
        """End a claim under which something may have been sent."""
        self._end_own(key, "parked")

    def _end_own(self, key: str, state: str) -> None:
        claimed = self._claimed(key)
        if claimed is None or claimed.state not in ("claimed", state):
            raise LookupError(f"no claim {key} to end as {state}")
        if claimed.state == "claimed":
            if claimed.holder != self._holder and (claimed.outside or claimed.until > self._clock.monotonic()):
                raise TryLater(f"claim {key} is another worker's")
            self.end_claim(claimed, state)

    def _claimed(self, key: str) -> Claimed | None:
        return next((claimed for claimed in self._state.claims.values() if claimed.request.key == key), None)

    def close_left(self, item: Item) -> None:
        """End an item whose reply a helpdesk outside has sent; no person did."""
        self._state.held.pop(item.key, None)
        self._state.closed.setdefault(item.key, (None, None, self._clock.now()))

    def _close_dead(self, ticket_id: UUID | None) -> None:
        """End the dead items of a ticket that has ended otherwise, where nobody has taken them."""
        for item in self.items:
            if item.kind is ItemKind.DEAD and item.ticket_id == ticket_id and item.key not in self._state.held:
                self.close_left(item)

    def said_under(self, claimed: Claimed) -> str:
        """The text that went out under a claim, the last of its author in that revision."""
        author = Author.BOT if claimed.request.actor == "bot" else Author.PERSON
        place = (claimed.request.conversation, claimed.request.revision)
        said = [m.message for m in self._state.messages if (m.conversation, m.revision) == place]
        return [message.text for message in said if message.author is author][-1]

    def end_claim(self, claimed: Claimed, state: str, delivery: str | None = None) -> None:
        """Leave a claim in another state."""
        place = (claimed.request.conversation, claimed.request.revision)
        self._state.claims[place] = replace(claimed, state=state, delivery=delivery, settled_at=self._clock.now())

    # -- people

    async def take_over(self, conversation: str, person: str) -> None:
        """Make a conversation a person's, with its open items."""
        place = self._state.places.get(conversation, Place())
        self._state.places[conversation] = replace(place, person=person)
        mine = (item.key for item in self.items if item.conversation == conversation)
        self._state.held |= {key: person for key in mine if key not in self._state.closed}

    async def give_back(self, conversation: str) -> None:
        """Make a conversation the bot's again."""
        place = self._state.places.get(conversation, Place())
        self._state.places[conversation] = replace(place, person=None)
        for item in self.items:
            if item.conversation == conversation:
                self._state.held.pop(item.key, None)

    async def may_acknowledge(self, request: AcknowledgeRequest) -> AcknowledgeAnswer:
        """Take the right to say that a person will answer, once a day and conversation; or what is known of it."""
        if (known := self._state.notes.get(request.key)) is not None:
            return known
        place = self._state.places.get(request.conversation)
        stop = self._switch.stopping(request.channel, request.intent, request.customer_id)
        if place is None or place.person is not None or stop is not None:
            return AcknowledgeAnswer(Told.REFUSED)
        since = self._clock.now() - ACKNOWLEDGE_EVERY
        said = [m.message for m in self._state.messages if m.conversation == request.conversation]
        lately = any(m.author is Author.BOT and m.at > since for m in said)
        before = self._state.acknowledged.get(request.conversation)
        if lately or (before is not None and before > since):
            return AcknowledgeAnswer(Told.REFUSED)
        self._state.acknowledged[request.conversation] = self._clock.now()
        self._state.notes[request.key] = AcknowledgeAnswer(Told.UNKNOWN)
        return AcknowledgeAnswer(Told.GRANTED)

    async def acknowledged(self, request: AcknowledgeRequest, *, delivery: str, text: str) -> None:
        """Note once that the acknowledgement went out, and add it to the transcript."""
        if self._state.notes[request.key].told is not Told.UNKNOWN:
            return
        self._state.notes[request.key] = AcknowledgeAnswer(Told.SENT, text, delivery)
        revision = self._state.places[request.conversation].revision
        message = Message(author=Author.BOT, text=text, at=self._clock.now())
        self._state.messages.append(_Written(request.conversation, revision, request.customer_id, message))

    async def may_mail(self, request: MailRequest) -> bool:
        """Take the right to one more automatic mail to an address. The same key takes it once and keeps it."""
        mails = self._state.mails.setdefault(request.address, {})
        lately = sum(at > self._clock.now() - request.within for at in mails.values())
        if request.key in mails or lately < request.most:
            mails.setdefault(request.key, self._clock.now())
            return True
        return False

    async def open_item(self, item: Item) -> UUID | None:
        """Put something on the people's queue, once per key; None where its revision has ended otherwise."""
        if item.key not in self._state.items:
            if item.kind in (ItemKind.SUGGEST, ItemKind.HANDOFF) and self._ended(item):
                return None
            self._state.items[item.key] = (uuid4(), item)
            self._state.opened[item.key] = self._clock.now()
            self._state.traces[item.key] = traceparent()
            if item.ticket_id is not None:
                self._note(item.ticket_id, item.kind.value, intent_of(item.event))
            if item.kind in (ItemKind.SUGGEST, ItemKind.HANDOFF):
                self._close_dead(item.ticket_id)
        opened, standing = self._state.items[item.key]
        return opened if standing.kind is item.kind else None

    def _ended(self, item: Item) -> bool:
        """Whether the item's revision was sent, parked or overtaken.

        Raises:
            TryLater: its reply is on its way.
        """
        claimed = self._state.claims.get((item.conversation, item.revision))
        if claimed is not None and claimed.state == "claimed":
            raise TryLater("its reply is on its way: how that ends decides")
        ends = {w.outcome for w in self._state.messages if w.ticket and w.ticket.ticket_id == item.ticket_id}
        parked = claimed is not None and claimed.state in ("sent", "parked")
        return parked or bool(ends & {"sent", "superseded", "parked"})

    async def record_decision(self, ticket_id: UUID, revision: int, decision: Decision) -> None:
        """Keep the gate's decision; the first one of a revision stays."""
        self._state.decisions.setdefault((ticket_id, revision), decision)

    def _note(self, ticket_id: UUID, outcome: str, intent: str | None) -> None:
        """What became of a ticket; one that was sent stays so."""
        for number, written in enumerate(self._state.messages):
            if written.ticket and written.ticket.ticket_id == ticket_id and written.outcome != "sent":
                self._state.messages[number] = replace(written, outcome=outcome, intent=intent or written.intent)


def _readable(message: _Written, by: _Written) -> bool:
    """A proved customer reads their own messages and those nobody proved; anybody else the latter only."""
    return message.conversation == by.conversation and message.customer_id in (None, by.customer_id)


def _is_earlier(message: _Written, of: _Written) -> bool:
    return bool(
        message.ticket
        and of.customer_id
        and message.customer_id == of.customer_id
        and message.conversation != of.conversation
    )


def _told(record: Record) -> EarlierTicket | None:
    """A ticket as the shop's own record tells of it; None where the record is another or has no date."""
    try:
        moment = datetime.fromisoformat(record.fields["created_at"])
    except (KeyError, TypeError, ValueError):
        return None
    return (
        EarlierTicket(
            ticket_id=record.record.removeprefix("ticket/"),
            subject=record.fields.get("subject") or "",
            intent=None,
            outcome=record.fields.get("status"),
            received_at=moment if moment.tzinfo else moment.replace(tzinfo=UTC),
        )
        if record.kind == "ticket"
        else None
    )
