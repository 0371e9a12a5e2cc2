"""The demo's tickets: posted to the edge, and followed through the topics until they are settled."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from evals.dataset import LabelledTicket, Suite
from infra.kafka.reader import Reader
from loadtest.traffic import Accepted, Posting, post
from schemas.codec import EVENT_ON, Undecodable, decode
from schemas.event import Event
from schemas.gate import ReplyApproved, TicketEscalated
from schemas.ingress import TicketReceived
from schemas.outcome import TERMINAL, TicketSettled
from schemas.topics import STAGES, Topic, dead_topic
from sluice.demo.postings import Senders, senders_of, waves
from sluice.demo.stack import Stack

QUIET = 45.0  # seconds without news after which what is missing counts as lost
FOLLOWED = (Topic.INBOUND, Topic.ROUTER, Topic.RETRIEVAL, Topic.RESOLUTION, Topic.OUTCOME)
LEFT_THE_GATE = (Topic.AUTO_SEND, Topic.ESCALATION)


@dataclass
class Seen:
    """What the topics have said so far."""

    accepted: dict[str, UUID] = field(default_factory=dict)  # label id → ticket id
    received: dict[UUID, datetime] = field(default_factory=dict)
    tickets: dict[str, set[UUID]] = field(default_factory=dict)  # topic → tickets on it
    outcomes: list[TicketSettled] = field(default_factory=list)
    gated: dict[UUID, ReplyApproved | TicketEscalated] = field(default_factory=dict)  # first decision of each

    @property
    def settled(self) -> set[UUID]:
        """Tickets with a terminal event."""
        return {event.ticket_id for event in self.outcomes if event.outcome in TERMINAL}


async def send(stack: Stack, suite: Suite, tickets: Sequence[LabelledTicket], rate: float, screen: Console) -> Seen:
    """Post everything and follow it until it is settled; what continues another ticket is posted after that settled."""
    seen, senders = Seen(), senders_of(stack, suite)
    columns = (TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn())
    with Reader(stack.brokers, [*FOLLOWED, *LEFT_THE_GATE, *map(dead_topic, STAGES)]) as reader:
        list(reader.until_end())  # what earlier runs left
        with Progress(*columns, console=screen) as progress:
            bars = {name: progress.add_task(name, total=len(tickets)) for name in ("edge", *map(_bar, FOLLOWED))}
            for wave in waves(tickets):
                posting = asyncio.create_task(_post(senders, await senders.postings(wave), rate, seen))
                await _follow(reader, posting, seen, progress, bars)
    return seen


async def _post(senders: Senders, postings: Sequence[Posting], rate: float, seen: Seen) -> None:
    def accepted(taken: Accepted) -> None:
        seen.accepted[taken.name] = taken.ticket_id

    await post(senders.edge, senders.key, postings, rate=rate, on_accept=accepted)


async def _follow(
    reader: Reader, posting: "asyncio.Task[None]", seen: Seen, progress: Progress, bars: dict[str, TaskID]
) -> None:
    """Read the topics until every accepted ticket is settled, or nothing has come for a while."""
    news = time.monotonic()
    while not posting.done() or (set(seen.accepted.values()) - seen.settled and time.monotonic() - news < QUIET):
        for record in await asyncio.to_thread(reader.poll, 0.1):
            kind = EVENT_ON.get(Topic(record.topic)) if record.topic in set(Topic) else None
            if kind is not None:
                _note(record.topic, kind, record.value, seen)
                news = time.monotonic()
        progress.update(bars["edge"], completed=len(seen.accepted))
        for topic in FOLLOWED:
            progress.update(bars[_bar(topic)], completed=len(_ours(topic, seen)))
    await posting


def _bar(topic: Topic) -> str:
    return {Topic.INBOUND: "Kafka", Topic.OUTCOME: "settled"}.get(topic, topic.value.removeprefix("tickets."))


def _ours(topic: Topic, seen: Seen) -> set[UUID]:
    return (seen.settled if topic is Topic.OUTCOME else seen.tickets.get(topic, set())) & set(seen.accepted.values())


def _note(topic: str, kind: type[Event], value: bytes | None, seen: Seen) -> None:
    try:
        event = decode(kind, value)
    except Undecodable:
        return
    if isinstance(event, TicketSettled):
        seen.outcomes.append(event)
        return
    ticket = event if isinstance(event, TicketReceived) else getattr(event, "ticket", None)
    if isinstance(ticket, TicketReceived):
        seen.tickets.setdefault(topic, set()).add(ticket.ticket_id)
        seen.received.setdefault(ticket.ticket_id, ticket.received_at)
    if isinstance(event, ReplyApproved | TicketEscalated):
        seen.gated.setdefault(event.ticket.ticket_id, event)
