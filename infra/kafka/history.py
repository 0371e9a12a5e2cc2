"""One ticket's records on every topic, decoded: what `sluice trace` and `sluice dead` show."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from infra.kafka.reader import Reader, Record
from infra.kafka.security import Address
from schemas.codec import EVENT_ON, Undecodable, decode
from schemas.control import SwitchSet
from schemas.event import Event
from schemas.ingress import TicketReceived
from schemas.outcome import TicketSettled
from schemas.topics import RETRY_DELAYS, STAGES, Header, Topic, dead_topic, retry_topic

PATH = tuple(topic.value for topic, event in EVENT_ON.items() if event is not SwitchSet)
RETRIES = tuple(retry_topic(stage, delay) for stage in STAGES for delay in RETRY_DELAYS)
DEAD = tuple(dead_topic(stage) for stage in STAGES)


@dataclass(frozen=True)
class Entry:
    """A record, and the event it holds; None where nobody can read it."""

    record: Record
    event: Event | None

    @property
    def ticket_id(self) -> UUID | None:
        """The ticket it is about."""
        if isinstance(self.event, TicketReceived | TicketSettled):
            return self.event.ticket_id
        received = getattr(self.event, "ticket", None)
        return received.ticket_id if isinstance(received, TicketReceived) else None

    @property
    def reason(self) -> str | None:
        """Why it stands on a retry or dead topic: the type of an error."""
        reason = self.record.headers.get(Header.REASON.value)
        return reason.decode(errors="replace") if reason else None


def entries(bootstrap: Address, topics: tuple[str, ...], since: datetime | None) -> Iterator[Entry]:
    """Every record of these topics since a moment, up to now."""
    with Reader(bootstrap, topics, since=since) as reader:
        for record in reader.until_end():
            yield Entry(record, _event(record))


def history(bootstrap: Address, ticket_id: UUID, since: datetime | None) -> list[Entry]:
    """Everything the topics hold of one ticket, oldest first."""
    found = [entry for entry in entries(bootstrap, PATH + RETRIES + DEAD, since) if entry.ticket_id == ticket_id]
    return sorted(found, key=lambda entry: entry.record.at)


def _event(record: Record) -> Event | None:
    source = record.headers.get(Header.SOURCE_TOPIC.value)
    topic = source.decode(errors="replace") if source else record.topic
    kind = EVENT_ON.get(Topic(topic)) if topic in set(Topic) else None
    if kind is None:
        return None
    try:
        return decode(kind, record.value)
    except Undecodable:
        return None
