"""Which dead letters may go on their way again, and in what order: not what is settled, hopeless, or on its way."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from uuid import UUID, uuid5

from infra.kafka.history import DEAD, Entry, entries
from infra.kafka.security import Address
from processors.errors import Conflict
from schemas.event import Stage
from schemas.ingress import TICKET_NAMESPACE
from schemas.outcome import Outcome, TicketSettled
from schemas.topics import Header, Topic, dead_topic

HOPELESS = {Conflict.__name__: "its id came with another body"}  # reasons that no other try can mend
ANSWERED = frozenset({Outcome.SENT, Outcome.APPROVED, Outcome.EDITED, Outcome.PARKED})  # parked: may have been sent


Place = tuple[str, int, int]  # topic, partition, offset


@dataclass(frozen=True)
class Wanted:
    """Which letters a command is about: what is None is not looked at."""

    stage: Stage | None = None
    reason: str | None = None
    ticket: UUID | None = None
    conversation: str | None = None
    since: datetime | None = None
    until: datetime | None = None  # not included

    @property
    def topics(self) -> tuple[str, ...]:
        """Where they stand."""
        return DEAD if self.stage is None else (dead_topic(self.stage),)

    def takes(self, entry: Entry) -> bool:
        """Whether this is one of them."""
        return (
            (self.reason is None or entry.reason == self.reason)
            and (self.ticket is None or ticket_of(entry) == self.ticket)
            and (self.conversation is None or conversation_of(entry) == self.conversation)
            and (self.since is None or entry.record.at >= self.since)
            and (self.until is None or entry.record.at < self.until)
        )


@dataclass(frozen=True)
class Since:
    """What the topics say has happened since the letters died."""

    answered: Set[UUID] = frozenset()  # tickets
    closed: Set[UUID] = frozenset()  # tickets that a person ended without a reply
    redriven: Set[str] = frozenset()  # places of letters


def place_of(entry: Entry) -> str:
    """Where a letter stands, as `sluice dead` names it."""
    return f"{entry.record.topic}/{entry.record.partition}@{entry.record.offset}"


def source_of(entry: Entry) -> Topic | None:
    """The topic it came from; None where the header names none of ours."""
    header = entry.record.headers.get(Header.SOURCE_TOPIC.value, b"").decode(errors="replace")
    return Topic(header) if header in set(Topic) else None


def origin_of(entry: Entry) -> Place:
    """Where its message first stood, before any retry; where the headers do not say, where the letter stands."""
    names = (Header.SOURCE_TOPIC, Header.SOURCE_PARTITION, Header.SOURCE_OFFSET)
    topic, partition, offset = (entry.record.headers.get(name.value, b"").decode(errors="replace") for name in names)
    try:
        return topic, int(partition), int(offset)
    except ValueError:
        return entry.record.topic, entry.record.partition, entry.record.offset


def ticket_of(entry: Entry) -> UUID:
    """Its ticket; where nobody can read it, the id under which it stands on the people's queue."""
    return entry.ticket_id or uuid5(TICKET_NAMESPACE, "/".join(map(str, origin_of(entry))))


def conversation_of(entry: Entry) -> str | None:
    """The key of its message."""
    return None if entry.record.key is None else entry.record.key.decode(errors="replace")


def in_order(letters: Iterable[Entry]) -> list[Entry]:
    """The letters as their messages first stood, so that a conversation is told in its own order.

    Those that come from one partition keep its order, whichever dead topic they ended on, and after however many
    retries. Between partitions and conversations the older ticket goes first.
    """
    conversations: dict[object, dict[tuple[str, int], list[Entry]]] = defaultdict(lambda: defaultdict(list))
    for entry in sorted(letters, key=origin_of):
        topic, partition, _ = origin_of(entry)
        conversations[entry.record.key or place_of(entry)][topic, partition].append(entry)
    return list(merge(*(merge(*sources.values(), key=_came) for sources in conversations.values()), key=_came))


def _came(entry: Entry) -> datetime:
    received = getattr(entry.event, "received_at", None) or getattr(
        getattr(entry.event, "ticket", None), "received_at", None
    )
    return received if isinstance(received, datetime) else entry.record.at


def _died(entry: Entry) -> tuple[datetime, str, int, int]:
    record = entry.record
    return record.at, record.topic, record.partition, record.offset


def copies(letters: Iterable[Entry]) -> Mapping[str, str]:
    """The letters that a worker wrote again after a crash, each with the first one of the same message; by place."""
    first: dict[Place, str] = {}
    ordered = sorted(letters, key=_died)  # whichever way they are found, the same one goes
    found = ((place_of(entry), first.setdefault(origin_of(entry), place_of(entry))) for entry in ordered)
    return {place: original for place, original in found if place != original}


def mark_of(entry: Entry) -> list[tuple[str, bytes]]:
    """The headers a redriven letter travels with: its trace, and the place it was taken from."""
    name = Header.TRACEPARENT.value
    trace = [(name, entry.record.headers[name])] if name in entry.record.headers else []
    return [*trace, (Header.REDRIVEN.value, place_of(entry).encode())]


def why_not(entry: Entry, since: Since, *, force: bool) -> str | None:
    """Why a letter stays where it is, in words; None where it may go. `force` never sends what was answered."""
    if source_of(entry) is None:
        return "nobody knows where it came from"
    if ticket_of(entry) in since.answered:
        return "its ticket was answered since"
    if force:
        return None
    if ticket_of(entry) in since.closed:
        return "a person closed it since"
    if place_of(entry) in since.redriven:
        return "redriven before"
    return HOPELESS.get(entry.reason or "")


Read = Callable[[Address, tuple[str, ...], datetime | None], Iterable[Entry]]


def since_then(brokers: Address, letters: Sequence[Entry], read: Read = entries) -> Since:
    """Read what became of the letters' tickets, and which letters are on their topics again."""
    if not letters:
        return Since()
    oldest = min(entry.record.at for entry in letters)
    sources = {source.value for entry in letters if (source := source_of(entry)) is not None}
    outcomes = (entry.event for entry in read(brokers, (Topic.OUTCOME.value,), oldest))
    settled = [event for event in outcomes if isinstance(event, TicketSettled)]
    mark = Header.REDRIVEN.value
    again = (entry.record.headers.get(mark) for entry in read(brokers, tuple(sorted(sources)), oldest))
    return Since(
        frozenset(event.ticket_id for event in settled if event.outcome in ANSWERED),
        frozenset(event.ticket_id for event in settled if event.outcome is Outcome.REJECTED),
        frozenset(place.decode(errors="replace") for place in again if place is not None),
    )
