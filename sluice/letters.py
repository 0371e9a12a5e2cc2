"""Which dead letters may go on their way again: not what is settled, hopeless, or on its way already."""

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from infra.kafka.history import Entry, entries
from infra.kafka.security import Address
from processors.errors import Conflict
from schemas.outcome import Outcome, TicketSettled
from schemas.topics import Header, Topic

HOPELESS = {Conflict.__name__: "its id came with another body"}  # reasons that no other try can mend
ANSWERED = frozenset({Outcome.SENT, Outcome.APPROVED, Outcome.EDITED, Outcome.PARKED})  # parked: may have been sent


@dataclass(frozen=True)
class Since:
    """What the topics say has happened since the letters died."""

    answered: Set[UUID] = frozenset()  # tickets
    redriven: Set[str] = frozenset()  # places of letters


def place_of(entry: Entry) -> str:
    """Where a letter stands, as `sluice dead` names it."""
    return f"{entry.record.topic}/{entry.record.partition}@{entry.record.offset}"


def source_of(entry: Entry) -> Topic | None:
    """The topic it came from; None where the header names none of ours."""
    header = entry.record.headers.get(Header.SOURCE_TOPIC.value, b"").decode(errors="replace")
    return Topic(header) if header in set(Topic) else None


def mark_of(entry: Entry) -> list[tuple[str, bytes]]:
    """The headers a redriven letter travels with: its trace, and the place it was taken from."""
    name = Header.TRACEPARENT.value
    trace = [(name, entry.record.headers[name])] if name in entry.record.headers else []
    return [*trace, (Header.REDRIVEN.value, place_of(entry).encode())]


def why_not(entry: Entry, since: Since, *, force: bool) -> str | None:
    """Why a letter stays where it is, in words; None where it may go. `force` never sends what was answered."""
    if source_of(entry) is None:
        return "nobody knows where it came from"
    if entry.ticket_id in since.answered:
        return "its ticket was answered since"
    if force:
        return None
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
    settled = (event for event in outcomes if isinstance(event, TicketSettled))
    mark = Header.REDRIVEN.value
    again = (entry.record.headers.get(mark) for entry in read(brokers, tuple(sorted(sources)), oldest))
    return Since(
        frozenset(event.ticket_id for event in settled if event.outcome in ANSWERED),
        frozenset(place.decode(errors="replace") for place in again if place is not None),
    )
