"""The ports: what the processors need of the world, as small Protocols.

Each port ships a real adapter and a scripted one (both under `infra/`), and one contract test class in
`tests/contracts/` that runs against both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, Protocol, TypeVar, runtime_checkable
from uuid import UUID

from pydantic import BaseModel

from processors.guard import Feedback, Watch
from schemas.control import Scope, Stop, SwitchSet, SwitchState
from schemas.gate import Decision, Disposition, ReplyApproved, SentenceCheck
from schemas.ingress import Channel, TicketReceived
from schemas.outcome import Outcome, TicketSettled
from schemas.resolution import Sentence
from schemas.retrieval import Fact, Passage
from schemas.router import Admission, Message

T = TypeVar("T", bound=BaseModel)


class Clock(Protocol):
    """Time. Wall time is for records, monotonic time for leases and deadlines."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...  # seconds


# -- models


@dataclass(frozen=True)
class Prompt:
    """What a model is shown: the instructions of a prompt file, and the payload as JSON."""

    system: str
    user: str  # a pydantic payload, `model_dump_json()`
    hash: str  # SHA-256 of the prompt file, hex


@dataclass(frozen=True)
class Completion(Generic[T]):
    """A model's answer, already validated against the schema it was asked for."""

    value: T
    model: str  # provider/name
    tokens_in: int
    tokens_out: int
    cost_usd: float


class Model(Protocol):
    """A model that answers with a typed value. Named `provider/name`."""

    @property
    def name(self) -> str: ...

    async def complete(self, prompt: Prompt, schema: type[T], deadline: float) -> Completion[T]:
        """Ask once, within `deadline` seconds in all.

        Raises:
            ModelFailed: the answer is missing, cut off, refused, or not of the schema.
            TryLater: a rate limit or passing fault of this call.
            DependencyDown: the server does not answer.
        """
        ...


class Embedder(Protocol):
    """Texts to unit vectors."""

    @property
    def name(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    async def embed(self, texts: Sequence[str]) -> list[list[float]]: ...  # len(texts) × dimensions, L2 norm 1


@dataclass(frozen=True)
class Classification:
    """A classifier's view of a text."""

    intent: str
    confidence: float  # calibrated P(intent is right), 0-1
    in_scope: float  # P(the text is about something this company answers), 0-1
    agreed: bool  # whether the independent models behind it name the same intent
    model: str  # provider/name
    alternatives: tuple[tuple[str, float], ...] = ()  # further intents with their probabilities, best first


class Classifier(Protocol):
    """Text to intent."""

    @property
    def name(self) -> str: ...

    @property
    def prompt_hash(self) -> str | None: ...  # of the prompt file; None where no prompt goes to a model

    async def classify(self, text: str) -> Classification:
        """Classify one ticket's subject and body.

        Raises:
            ModelFailed: no valid answer; the router escalates.
            DependencyDown: the model server does not answer.
        """
        ...


@dataclass(frozen=True)
class Source:
    """A text a sentence may cite: a passage, or a record rendered as `field: value` lines."""

    article_id: str
    section_id: str | None
    text: str
    heading: str = ""  # of a passage, "title: heading": what the text is about; it can't be quoted


class Verifier(Protocol):
    """Is each sentence supported by the source it cites? Every failure means no."""

    @property
    def name(self) -> str: ...  # with the hash of its trained parts

    @property
    def floor(self) -> float: ...  # the score a sentence needs, 0-1

    async def verify(
        self, question: str, sentences: Sequence[Sentence], sources: Sequence[Source]
    ) -> tuple[SentenceCheck, ...]: ...  # one per sentence, in order


# -- Postgres


@dataclass(frozen=True)
class Spoken:
    """The language of who asks. Sections in it alone are found where one of them may answer; else those of all."""

    language: str  # ISO 639-1
    enough: float  # the score at which a section may answer


class Knowledge(Protocol):
    """The help centre: sections valid at a moment, public ones only."""

    async def search(
        self, query: str, *, at: datetime, limit: int, context: str = "", spoken: Spoken | None = None
    ) -> tuple[Passage, ...]:
        """The best sections for a query, best first, whatever their score.

        Args:
            query: what the customer writes now.
            context: the same with what was said just before it; empty where nothing was.
            spoken: the language it is written in, where that is known.

        Raises:
            DependencyDown: Postgres does not answer.
        """
        ...


@dataclass(frozen=True)
class Whose:
    """The proved customer whose records a search reads too."""

    customer_id: str
    kinds: tuple[str, ...]  # of records, those that the intent may use


@dataclass(frozen=True)
class Gathered:
    """What one query found: sections, best first, and records."""

    passages: tuple[Passage, ...]
    facts: tuple[Fact, ...]


@runtime_checkable
class Joined(Knowledge, Protocol):
    """A help centre beside the customers' records: one query reads both, the records under row-level security."""

    async def gather(
        self,
        query: str,
        *,
        at: datetime,
        limit: int,
        context: str = "",
        spoken: Spoken | None = None,
        whose: Whose | None = None,
    ) -> Gathered:
        """What `search` finds and, of `whose`, the records. Raises as `search` does."""
        ...


class Reranker(Protocol):
    """A second look at what was found: the same passages, none added, changed or left out, in a better order."""

    @property
    def name(self) -> str: ...

    async def rerank(self, query: str, context: str, passages: Sequence[Passage]) -> tuple[Passage, ...]: ...


class Customers(Protocol):
    """Records of one proved customer, guarded by row-level security."""

    async def facts(self, customer_id: str, intent: str) -> tuple[Fact, ...]: ...


class ClaimStatus(StrEnum):
    """What the claim function answered."""

    GRANTED = "granted"  # this caller, and nobody else, may send now
    SENT = "sent"  # it was sent before: done
    LEASED = "leased"  # another caller holds it within its lease: wait
    AMBIGUOUS = "ambiguous"  # a lease ran out between claim and mark: it may have been sent
    PARKED = "parked"  # it was ambiguous before and is on a person's list
    SUPERSEDED = "superseded"  # a newer revision was admitted
    TAKEN_OVER = "taken_over"  # the conversation is a person's
    STOPPED = "stopped"  # the switch is not `auto` in a scope that matches
    UNKNOWN = "unknown"  # no such conversation or revision


@dataclass(frozen=True)
class ClaimRequest:
    """A wish to send the one reply to a revision."""

    ticket_id: UUID
    conversation: str
    revision: int
    actor: str  # "bot", or a person's name
    channel: Channel
    intent: str
    customer_id: str | None
    key: str  # idempotency key
    lease: float  # seconds; longer than the helpdesk call's total deadline


@dataclass(frozen=True)
class Claim:
    """The answer to a claim."""

    status: ClaimStatus
    detail: str = ""  # who took over, which scope is closed, ...
    delivery: str | None = None  # the helpdesk's reference where status is SENT


class ItemKind(StrEnum):
    """Why something is on the people's queue."""

    HANDOFF = "handoff"
    SUGGEST = "suggest"
    PARKED = "parked"
    CONFLICT = "conflict"
    DEAD = "dead"


@dataclass(frozen=True)
class Item:
    """Something a person has to look at. `key` makes opening it idempotent."""

    key: str
    kind: ItemKind
    conversation: str
    ticket_id: UUID | None
    revision: int
    customer_id: str | None
    reason: str
    event: str  # the event it came from, JSON: transcript, draft, sources, facts
    due_at: datetime | None = None


@dataclass(frozen=True)
class AcknowledgeRequest:
    """A wish to tell a customer that a person will answer."""

    conversation: str
    key: str  # of the revision that was handed over
    channel: Channel
    intent: str
    customer_id: str | None


class Told(StrEnum):
    """What may be done about an acknowledgement."""

    GRANTED = "granted"  # send it: nobody else may
    SENT = "sent"  # it went out under this very key
    UNKNOWN = "unknown"  # it was granted under this key, and nobody noted what became of it
    REFUSED = "refused"  # not now: it went out before, the switch is closed, or the conversation is a person's


@dataclass(frozen=True)
class AcknowledgeAnswer:
    """The answer to a wish to acknowledge."""

    told: Told
    text: str | None = None  # what went out, where it is SENT
    delivery: str | None = None


@dataclass(frozen=True)
class MailRequest:
    """A wish to write to an address without a person."""

    address: str  # of the mailbox; Postgres keeps its hash alone
    key: str  # of the message: the same one is counted once
    most: int  # automatic messages to it,
    within: timedelta  # all told, in this time


@dataclass(frozen=True)
class Reopened:
    """An answer of the bot's that its customer came back on, or that the helpdesk reopened."""

    ticket_id: UUID  # the answered one
    conversation: str
    revision: int
    channel: Channel
    intent: str
    received_at: datetime  # when the answered ticket was received


class Reopenings(Protocol):
    """What speaks against an answer after it was sent. Each answer is told once; again under the same `by`."""

    async def came_back(
        self, conversation: str, revision: int, *, within: timedelta, topic: str | None = None
    ) -> Reopened | None:
        """The bot's answer that this later revision comes back on: the last one sent before it, if not long ago.

        With a topic, only an answer about that one.
        """
        ...

    async def reopen(self, ticket_id: UUID, *, by: str) -> Reopened | None:
        """The bot's answer to a ticket that somebody says was reopened; None where it is none, or known."""
        ...


class Conversations(Protocol):
    """Admission, claims and the people's queue: what must be exact. One idempotent transaction each."""

    async def admit(self, ticket: TicketReceived) -> Admission:
        """Give the ticket its revision, or find the one it has.

        Raises:
            Conflict: the same id was admitted with another body.
            DependencyDown: Postgres does not answer.
        """
        ...

    async def claim(self, request: ClaimRequest) -> Claim: ...

    async def mark_sent(self, key: str, *, delivery: str, text: str) -> None: ...

    async def release_claim(self, key: str) -> None: ...  # the helpdesk refused: nothing was sent

    async def park(self, key: str) -> None: ...

    async def take_over(self, conversation: str, person: str) -> None: ...

    async def give_back(self, conversation: str) -> None: ...

    async def may_acknowledge(self, request: AcknowledgeRequest) -> AcknowledgeAnswer: ...  # granted once for good

    async def acknowledged(self, request: AcknowledgeRequest, *, delivery: str, text: str) -> None: ...  # it went out

    async def may_mail(self, request: MailRequest) -> bool: ...  # taken for good; again under the same key

    async def open_item(self, item: Item) -> UUID | None:
        """Put something on the people's queue; the same key opens it once.

        None: a suggestion or hand-over of a revision that was sent, overtaken, or put there as the other of the two
        before. It ends once.
        """
        ...

    async def record_decision(self, ticket_id: UUID, revision: int, decision: Decision) -> None: ...


@dataclass(frozen=True)
class OutsideClaim:
    """What a helpdesk outside is told when it claims a reply."""

    status: str  # a ClaimStatus, or expired
    detail: str = ""
    approved: ReplyApproved | None = None  # what to deliver; only where it was granted
    lease_until: datetime | None = None


@dataclass(frozen=True)
class OutsideSettled:
    """What is kept of a reply that a helpdesk outside sent: what it said first, however often it says it."""

    approved: ReplyApproved
    delivery: str  # the helpdesk's own reference
    text: str  # what went out
    at: datetime
    told: bool = False  # a person found it sent, and that was told as theirs
    traceparent: str | None = None  # of the ticket, where it was traced


class OutsideClaims(Protocol):
    """Approved replies that a helpdesk outside claims, delivers by itself, and reports back, each for its account."""

    async def claim(self, ticket_id: UUID, account: str, lease: float) -> OutsideClaim: ...  # lease in seconds

    async def settle(self, ticket_id: UUID, account: str, *, delivery: str, text: str | None) -> OutsideSettled:
        """Note that it was delivered, with the text that went out where it is not the draft's.

        Said again, it answers what was kept the first time.

        Raises:
            LookupError: this account has no claim on this ticket, or somebody else answered it.
        """
        ...

    async def release(self, ticket_id: UUID, account: str) -> None:
        """Give a claim back under which nothing was delivered.

        Raises:
            LookupError: this account has no claim on this ticket.
        """
        ...


# -- the people's queue


class ItemState(StrEnum):
    """Where an item of the people's queue is."""

    OPEN = "open"
    HELD = "held"  # by one person, and with it the whole conversation
    CLOSED = "closed"


@dataclass(frozen=True)
class Queued:
    """An item as the list shows it."""

    item_id: UUID
    kind: ItemKind
    state: ItemState
    conversation: str
    ticket_id: UUID | None
    revision: int  # 0 where the ticket was never admitted
    customer_id: str | None
    channel: Channel | None
    intent: str | None
    subject: str
    reason: str
    opened_at: datetime
    due_at: datetime | None = None
    held_by: str | None = None
    person: str | None = None  # whose the conversation is; None: the bot's
    closed_at: datetime | None = None
    closed_by: str | None = None
    closed_as: Outcome | None = None


@dataclass(frozen=True)
class Answered:
    """The claim on an item's revision, and what went out under it."""

    state: str  # claimed, sent, parked, released
    actor: str  # "bot", or a person's name
    delivery: str | None = None
    text: str | None = None  # where it was sent


@dataclass(frozen=True)
class QueueItem:
    """An item with all that a person needs to act on it."""

    queued: Queued
    event: str  # the event it came from, JSON
    current_revision: int  # of the conversation; above the item's: the customer has written again
    answered: Answered | None = None


@dataclass(frozen=True)
class QueueFilter:
    """Which items to list; an empty part matches all. Overdue ones come first, then those due next."""

    kinds: tuple[ItemKind, ...] = ()
    states: tuple[ItemState, ...] = (ItemState.OPEN, ItemState.HELD)
    person: str | None = None  # items this person holds, or of conversations that are theirs
    channel: Channel | None = None
    intent: str | None = None
    limit: int = 50
    ticket_id: UUID | None = None
    after: UUID | None = None  # the last item of the page before; after an unknown one there are none


@dataclass(frozen=True)
class QueueCount:
    """How many items wait, of one kind and state, and for how long."""

    kind: ItemKind
    state: ItemState
    items: int
    overdue: int
    p50_seconds: float  # median age
    oldest_at: datetime


@dataclass(frozen=True)
class Holder:
    """What one person has."""

    person: str
    items: int  # held
    conversations: int  # theirs, with or without a held item


@dataclass(frozen=True)
class QueueStats:
    """The people's queue in figures; closed items do not count."""

    counts: tuple[QueueCount, ...]
    holders: tuple[Holder, ...]


class Hold(StrEnum):
    """What the queue answered to an act."""

    DONE = "done"  # now, or before by the same person
    HELD = "held"  # by another person; the detail is their name
    NOT_HELD = "not_held"  # by anybody: take it first
    CLOSED = "closed"  # before; the detail is who closed it
    SENDING = "sending"  # its reply is being sent at this moment; the detail is by whom
    ANSWERED = "answered"  # its reply went out: it can't be rejected any more
    NOT_PARKED = "not_parked"  # nothing suggests that it may have been sent
    UNKNOWN = "unknown"  # no such item


@dataclass(frozen=True)
class QueueAnswer:
    """The answer to an act."""

    hold: Hold
    detail: str = ""


@dataclass(frozen=True)
class Act:
    """An act as it is to be published."""

    act_id: int
    settled: TicketSettled
    traceparent: str | None = None  # of the item, where its ticket was traced


@dataclass(frozen=True)
class Handled:
    """How a person ended a draft: approved, edited or rejected it."""

    act_id: int  # in the order they acted
    act: TicketSettled
    event: str  # the item's, JSON: what they were shown


class Queue(Protocol):
    """The people's queue: one transaction an act. Each act keeps its event, to be published once it is done.

    An act that was done before by the same person is done again without a second event.

    Raises (every method):
        DependencyDown: Postgres does not answer.
    """

    async def list(self, wanted: QueueFilter) -> tuple[Queued, ...]: ...

    async def get(self, item_id: UUID) -> QueueItem | None: ...

    async def named(self, prefix: str) -> tuple[UUID, ...]:
        """The items whose id begins so, two at most; none where it is less than four characters, or of no id."""
        ...

    async def stats(self) -> QueueStats: ...

    async def take(self, item_id: UUID, act: TicketSettled, *, from_person: str | None = None) -> QueueAnswer:
        """Make the item's conversation, with all its items, the actor's; the bot sends nothing in it any more.

        What another person has is taken only from the one who is named.
        """
        ...

    async def release(self, item_id: UUID, act: TicketSettled) -> QueueAnswer:
        """Put the item back; without another held item, the conversation is the bot's again."""
        ...

    async def close(self, item_id: UUID, act: TicketSettled, *, give_back: bool) -> QueueAnswer:
        """End an item the actor holds, or whose reply they sent; the act's outcome says as what.

        Not while its reply is being sent; and what was answered is not rejected.
        """
        ...

    async def unpark(self, item_id: UUID, person: str, act: TicketSettled | None) -> QueueAnswer:
        """Let the item's holder send, as it is certain by now that the parked reply never went out.

        Of a reply that a helpdesk outside may have sent only a person can be: without an act it stays as it is.
        """
        ...

    async def unpublished(self, item_id: UUID) -> tuple[Act, ...]:
        """The acts on an item whose event is not known to be published, and those of others left long ago, in order."""
        ...

    async def published(self, act_id: int) -> None: ...

    async def handled(
        self, since: datetime, until: datetime, *, after: int = 0, limit: int = 200
    ) -> tuple[Handled, ...]:
        """What people did with the drafts they were shown, from a moment until before another, in order.

        A page of it: `after` is the last act of the page before. A reply that was found to be out is no act of theirs.
        """
        ...


# -- the ledger


@dataclass(frozen=True)
class Shown:
    """One thing a model is about to be shown: `field` is an article's section, a record's field, the ticket."""

    kind: str  # ticket, transcript, passage, fact
    ref: str  # "article#section@version", "crm:order/W10023"
    fields: tuple[str, ...]


@dataclass(frozen=True)
class LedgerEntry:
    """What is about to be shown to which model, written before the call."""

    ticket_id: UUID
    revision: int
    customer_id: str | None
    stage: str
    model: str
    prompt_hash: str
    shown: tuple[Shown, ...]


@dataclass(frozen=True)
class LedgerHead:
    """The end of a hash chain after an append."""

    chain: str
    sequence: int
    hash: str  # SHA-256, hex


class Ledger(Protocol):
    """The append-only record of everything models were shown."""

    async def append(self, entry: LedgerEntry) -> LedgerHead: ...


# -- the helpdesk


@dataclass(frozen=True)
class Link:
    """A page that a reply rests on."""

    title: str
    url: str


@dataclass(frozen=True)
class Reply:
    """A reply to the customer."""

    key: str  # idempotency key
    ticket: TicketReceived
    text: str
    sentences: tuple[Sentence, ...]
    actor: str = "bot"  # or the name of the person who sends it
    links: tuple[Link, ...] = ()  # the cited pages that customers can open


@dataclass(frozen=True)
class HandOver:
    """A ticket for a person: hand-over, or draft to approve."""

    key: str
    disposition: Disposition
    ticket: TicketReceived
    summary: str
    draft: str | None
    event: str  # the whole event, JSON


class Replies(Protocol):
    """A way to the customer.

    Raises (every method):
        TryLater: a rate limit or passing fault; nothing was done.
        Undeliverable: refused for good; nothing was done.
        DependencyDown: no answer; it is unknown whether anything was done.
    """

    async def reply(self, reply: Reply, deadline: float) -> str: ...  # the reference of what went out

    async def find(self, key: str, channel: Channel) -> str | None:
        """The reference of what was done under this key on this channel, or None when nothing was.

        Raises:
            LookupError: it cannot be asked.
        """
        ...


class Helpdesk(Replies, Protocol):
    """Where replies go out and people work. It raises as `Replies` does."""

    async def hand_over(self, hand_over: HandOver, deadline: float) -> str: ...


class Listener(Protocol):
    """A system outside that is told of every outcome. It may be told twice, with the same id.

    Raises (every method) as `Replies` does.
    """

    async def tell(self, settled: TicketSettled, deadline: float) -> None: ...  # seconds


# -- the switch


@dataclass(frozen=True)
class SwitchView:
    """The state that applies to one ticket, at this moment."""

    state: SwitchState
    epoch: int  # offset of the newest record read, -1 before the first
    scope: Scope | None  # the scope that decided; None while unknown, stale or fresh
    why: str


class Switch(Protocol):
    """The kill switch as a worker sees it. Unknown or stale reads as `suggest`: nothing is sent."""

    def view(self, *, channel: Channel, intent: str, customer_id: str | None) -> SwitchView: ...


@dataclass(frozen=True)
class SwitchRow:
    """One scope of the switch table."""

    scope: Scope
    state: SwitchState
    why: str
    actor: str
    set_at: datetime
    stop: Stop  # its place: offset on the topic (-1 if none), sequence in the table


class SwitchTable(Protocol):
    """The switch as Postgres holds it: what a claim obeys."""

    async def rows(self) -> tuple[SwitchRow, ...]: ...

    async def set(self, record: SwitchSet, *, offset: int | None) -> SwitchRow | None: ...  # None: ignored


# -- audits of what went out by itself, and the live guard


class Verdict(StrEnum):
    """What an auditor finds of an answer."""

    BAD = "bad"  # something in it is wrong, or it promises what it must not
    UNSURE = "unsure"
    GOOD = "good"


class AuditorKind(StrEnum):
    """Who audits: only a person's audit counts as one, everything else is a machine audit."""

    PERSON = "person"
    MACHINE = "machine"


@dataclass(frozen=True)
class Drawn:
    """An answer that went out by itself."""

    ticket_id: UUID
    revision: int
    intent: str
    channel: str
    answered_at: datetime
    drawn_at: datetime | None = None  # when it was drawn at random; None: it was not


@dataclass(frozen=True)
class AuditCounts:
    """How many answers went out by themselves in a time, and how many of them were drawn."""

    answers: int
    drawn: int


@dataclass(frozen=True)
class CitedText:
    """A source as an answer cites it."""

    source: str  # article#section, or crm:<record>
    title: str
    text: str
    version: int | None = None  # of the article; None for a record, which is shown as it is now


@dataclass(frozen=True)
class Audited:
    """An answer with all that an auditor needs: what was asked, what went out, what it cites."""

    drawn: Drawn
    subject: str
    body: str
    transcript: tuple[Message, ...]  # what was written before, oldest first
    answer: str
    decision: Decision | None
    cited: tuple[CitedText, ...]
    lost: tuple[str, ...] = ()  # sources it cites whose text is not there any more


@dataclass(frozen=True)
class Label:
    """One auditor's verdict on one answer, as it is kept."""

    label_id: int  # in the order they were committed
    ticket_id: UUID
    revision: int
    intent: str
    auditor: str
    kind: AuditorKind
    verdict: Verdict
    reason: str
    drawn: bool  # of the random sample
    answered_at: datetime
    at: datetime


class Labels(Protocol):
    """Audits: a random sample of the answers that went out by themselves, and the verdicts on them.

    Raises (every method):
        DependencyDown: Postgres does not answer.
    """

    async def counts(self, since: datetime) -> AuditCounts: ...

    async def draw(self, limit: int, *, seed: str, since: datetime) -> int:
        """Draw up to `limit` answers that were never drawn, in the order of SHA-256 of seed:ticket:revision.

        How many were drawn.
        """
        ...

    async def waiting(self, kind: AuditorKind, auditor: str) -> tuple[Drawn, ...]:
        """The drawn answers without a verdict of any person, or of this machine, in the order they were drawn."""
        ...

    async def audited(self, ticket_id: UUID, revision: int) -> Audited | None:
        """The answer, or None where nothing went out by itself."""
        ...

    async def label(
        self, ticket_id: UUID, revision: int, verdict: Verdict, *, auditor: str, kind: AuditorKind, reason: str = ""
    ) -> int | None:
        """Keep a verdict for good; its number. None: no such answer, or they judged it before."""
        ...

    async def labels(self, after: int = 0, limit: int = 1000) -> tuple[Label, ...]:
        """The verdicts after a number, in their order."""
        ...


@dataclass(frozen=True)
class GuardState:
    """What the guard knows, and the version that a change of it must name."""

    version: int  # 0 before it was ever saved
    watch: Watch


@dataclass(frozen=True)
class CountedLabels:
    """The next verdicts as the guard takes them in."""

    found: tuple[Feedback, ...]  # those that count
    last: int  # the number of the last one read, counted or not


class GuardMemory(Protocol):
    """What the live guard reads and keeps.

    Raises (every method):
        DependencyDown: Postgres does not answer.
    """

    async def load(self) -> GuardState: ...

    async def save(self, version: int, watch: Watch) -> int | None:
        """Put it in the place of that version; the new version. None: another was faster, load again."""
        ...

    async def labels(self, after: int, *, machines: bool, limit: int = 500) -> CountedLabels:
        """The verdicts after a number.

        On a drawn answer the first clear one counts: a person's, or with `machines` anybody's.
        """
        ...
