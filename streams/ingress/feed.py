"""What a chat is told: the events of each conversation, kept for a while, and the open streams that follow them.

An event comes from a record of `tickets.outcome` and has its place there as its id, so every replica of the edge tells
the same events under the same ids. Nothing of an answer is known here before that record exists. A status says what
happens meanwhile; it has no id and is not told again.
"""

import asyncio
import json
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import UUID

from processors.ingress.chat import PROVIDER
from schemas.outcome import Outcome, TicketSettled
from schemas.resolution import Citation, Sentence
from streams.ingress.outcomes import GONE_OUT, OutcomeView, Place

WITH_A_PERSON = frozenset(
    {Outcome.HANDED_OFF, Outcome.SUGGESTED, Outcome.PARKED, Outcome.CONFLICT, Outcome.DEAD, Outcome.TAKEN_OVER}
)
MARK_BYTES = 200  # about what a settled ticket takes
CONVERSATION_BYTES = 1000  # about what a conversation takes, and the status of its ticket


@dataclass(frozen=True)
class FeedLimits:
    """How much is kept and how many may follow."""

    streams: int = 1000  # open at once
    streams_each: int = 8  # of one conversation: tabs of a browser
    waiting: int = 64  # events a slow reader may be behind before it is cut off
    events_each: int = 50  # kept of one conversation
    kept_bytes: int = 64 * 1024 * 1024  # of all conversations; the longest silent is forgotten first


@dataclass(frozen=True)
class ChatEvent:
    """One event as it is told."""

    name: str  # status, answer, handed_over, acknowledged
    data: str  # a JSON object
    place: Place | None = None  # of its record on tickets.outcome; a status has none

    @property
    def encoded(self) -> bytes:
        """As a server-sent event (WHATWG HTML §9.2)."""
        name = f"id: {self.place}\n" if self.place else ""
        return f"{name}event: {self.name}\ndata: {self.data}\n\n".encode()


class TooManyStreams(Exception):
    """No further stream is opened."""

    def __init__(self, *, of_conversation: bool) -> None:
        super().__init__("too many streams are open" + (" for this conversation" if of_conversation else ""))
        self.of_conversation = of_conversation


class ChatStream:
    """One reader of a conversation: what it has not been told yet, in order, and nothing twice."""

    def __init__(self, waiting: int, after: Place | None) -> None:
        self._events: deque[ChatEvent] = deque()
        self._waiting, self._after = waiting, after
        self._something = asyncio.Event()
        self.closed = False
        self.too_slow = False

    def offer(self, event: ChatEvent) -> None:
        """Tell it. A reader that is too far behind is cut off: it comes back and says where it stopped."""
        if self.closed or (event.place and not event.place.follows(self._after)):
            return
        self._after = event.place or self._after
        self._events.append(event)
        self._something.set()
        if len(self._events) > self._waiting:
            self._events.clear()
            self.too_slow = True
            self.close()

    def close(self) -> None:
        """End it, once it has told what waits."""
        self.closed = True
        self._something.set()

    async def next(self, within: float) -> ChatEvent | None:
        """The next event; None after `within` seconds without one, or at the end."""
        if not self._events and not self.closed:
            try:
                await asyncio.wait_for(self._something.wait(), within)
            except TimeoutError:
                return None
        event = self._events.popleft() if self._events else None
        if not self._events and not self.closed:
            self._something.clear()
        return event

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to come."""
        return self.closed and not self._events


@dataclass
class _Conversation:
    events: deque[ChatEvent]
    told: set[tuple[UUID, int, Outcome]] = field(default_factory=set)
    newest: Place | None = None
    status: tuple[UUID, ChatEvent] | None = None  # of the ticket that is worked on
    size: int = 0  # bytes


class ChatFeed:
    """The events of the latest conversations, and who follows them. `article_url` holds `{article}`, or is None."""

    def __init__(
        self, outcomes: OutcomeView, limits: FeedLimits = FeedLimits(), article_url: str | None = None
    ) -> None:
        self._outcomes, self._limits, self._article_url = outcomes, limits, article_url
        self._conversations: OrderedDict[str, _Conversation] = OrderedDict()
        self._streams: dict[str, set[ChatStream]] = {}
        self._size = 0

    @property
    def streams(self) -> int:
        """How many are open."""
        return sum(map(len, self._streams.values()))

    @property
    def size(self) -> int:
        """Bytes kept of events."""
        return self._size

    # -- what happens

    def settled(self, settled: TicketSettled, place: Place) -> None:
        """A record of tickets.outcome was read; read again, it says nothing new."""
        if not is_chat(settled.conversation):
            return
        conversation = self._conversation(settled.conversation)
        mark = (settled.ticket_id, settled.revision, settled.outcome)
        if not place.follows(conversation.newest) or mark in conversation.told:
            return
        conversation.newest = place
        conversation.told.add(mark)
        self._grow(conversation, MARK_BYTES)
        over = conversation.status is not None and conversation.status[0] == settled.ticket_id
        if over:
            conversation.status = None
        if (event := event_of(settled, place, self._article_url)) is not None:
            self._keep(conversation, event)
            self._tell(settled.conversation, event)
        elif over:
            self._tell(settled.conversation, _status(settled.ticket_id, "over"))
        self._forget()

    def progress(self, conversation: str, ticket: UUID, state: str) -> None:
        """A ticket of a chat is being worked on; late news of one that is settled is dropped."""
        known = self._outcomes.get(ticket)
        if not is_chat(conversation) or (known is not None and known.outcome is not None):
            return
        event = _status(ticket, state)
        self._conversation(conversation).status = (ticket, event)
        self._tell(conversation, event)
        self._forget()

    # -- who follows

    def open(self, conversation: str, after: Place | None) -> ChatStream:
        """A stream of what followed `after`, or of all that is kept. Whoever opens one closes it by `leave`.

        Raises:
            TooManyStreams: the limit is reached.
        """
        mine = self._streams.get(conversation, set())
        if len(mine) >= self._limits.streams_each:
            raise TooManyStreams(of_conversation=True)
        if self.streams >= self._limits.streams:
            raise TooManyStreams(of_conversation=False)
        stream = ChatStream(self._limits.waiting, after)
        if (known := self._conversations.get(conversation)) is not None:
            for event in (*known.events, *((known.status[1],) if known.status else ())):
                stream.offer(event)
        self._streams.setdefault(conversation, set()).add(stream)
        return stream

    def followed(self, conversation: str) -> bool:
        """Whether anybody would be told."""
        return conversation in self._streams

    def leave(self, conversation: str, stream: ChatStream) -> None:
        """A stream is read no more."""
        mine = self._streams.get(conversation, set())
        mine.discard(stream)
        if not mine:
            self._streams.pop(conversation, None)

    def close(self) -> None:
        """End every stream: the edge stops."""
        for stream in (stream for mine in self._streams.values() for stream in mine):
            stream.close()

    # -- bookkeeping

    def _conversation(self, name: str) -> _Conversation:
        found = self._conversations.get(name)
        if found is None:
            found = self._conversations[name] = _Conversation(deque(maxlen=self._limits.events_each))
            self._grow(found, len(name) + CONVERSATION_BYTES)
        self._conversations.move_to_end(name)
        return found

    def _keep(self, conversation: _Conversation, event: ChatEvent) -> None:
        events, lost = conversation.events, 0
        if len(events) == events.maxlen:
            lost = len(events[0].data)
        events.append(event)
        self._grow(conversation, len(event.data) - lost)

    def _grow(self, conversation: _Conversation, by: int) -> None:
        conversation.size += by
        self._size += by

    def _forget(self) -> None:
        while self._size > self._limits.kept_bytes and len(self._conversations) > 1:
            _, forgotten = self._conversations.popitem(last=False)
            self._size -= forgotten.size

    def _tell(self, conversation: str, event: ChatEvent) -> None:
        for stream in self._streams.get(conversation, ()):
            stream.offer(event)


def is_chat(conversation: str) -> bool:
    """Whether a conversation is one that sessions open."""
    return conversation.startswith(f"{PROVIDER}:")


# -- what an outcome says to a customer


def event_of(settled: TicketSettled, place: Place, article_url: str | None = None) -> ChatEvent | None:
    """What the customer is told, or None. Drafts, reasons, scores and names of agents are never part of it."""
    told: dict[str, Any] = {"ticket_id": str(settled.ticket_id), "at": settled.settled_at.isoformat()}
    if settled.outcome in GONE_OUT and settled.text:
        by_bot = settled.outcome is Outcome.SENT and settled.actor == "bot"
        told |= {"text": settled.text, "by": "ai" if by_bot else "person"}
        told["sources"] = _sources(settled.sentences, article_url) if by_bot else []
        return ChatEvent("answer", json.dumps(told), place)
    if settled.outcome is Outcome.ACKNOWLEDGED and settled.text:
        return ChatEvent("acknowledged", json.dumps(told | {"text": settled.text}), place)
    if settled.outcome in WITH_A_PERSON:
        return ChatEvent("handed_over", json.dumps(told), place)
    return None


def _status(ticket: UUID, state: str) -> ChatEvent:
    return ChatEvent("status", json.dumps({"ticket_id": str(ticket), "state": state}))


def _sources(sentences: tuple[Sentence, ...], article_url: str | None) -> list[Mapping[str, str | None]]:
    """Each cited source once, in the order of the answer."""
    cited = {citation.article_id: citation for sentence in sentences if (citation := sentence.citation)}
    return [_source(citation, article_url) for citation in cited.values()]


def _source(citation: Citation, article_url: str | None) -> Mapping[str, str | None]:
    if citation.article_id.startswith("crm:"):
        kind, _, name = citation.article_id.removeprefix("crm:").partition("/")
        title = "Your account" if kind == "account" else f"Your {kind} {name}".strip()
        return {"kind": "record", "title": title, "url": None}
    title = citation.article_id.replace("-", " ").replace("_", " ").strip()
    url = article_url.replace("{article}", quote(citation.article_id, safe="")) if article_url else None
    return {"kind": "article", "title": title[:1].upper() + title[1:], "url": url}
