"""Outcome: deliver what was approved, hand over what was not, and bring every dead letter before a person."""

from dataclasses import dataclass, replace
from datetime import timedelta

from processors.acknowledge import acknowledge
from processors.errors import Conflict
from processors.outcome import DeadLetter, Settlement, bury, deliver, hand_over
from processors.outside import leave
from processors.policy import Policy
from processors.ports import Clock, Conversations, Helpdesk, Reopenings, Switch
from processors.reopened import came_back
from schemas.codec import EVENT_ON, Undecodable, decode
from schemas.event import Stage
from schemas.gate import ReplyApproved, TicketEscalated
from schemas.ingress import Channel, TicketReceived
from schemas.topics import STAGES, Header, Topic, dead_topic
from streams.metrics import Metrics
from streams.step import Incoming, Input, Outgoing, Record, StageDefinition, carrying, letter_header


@dataclass(frozen=True)
class OutcomeLimits:
    """How long a delivery may take."""

    lease: float  # seconds a claim is held; longer than the deadline, or nothing is ever sent
    deadline: float  # seconds of one call of the helpdesk
    outside: frozenset[Channel] = frozenset()  # channels whose replies a helpdesk claims and delivers by itself


def outcome(  # noqa: PLR0913  each is a port or a limit of its own
    *,
    conversations: Conversations,
    reopenings: Reopenings,
    helpdesk: Helpdesk,
    switch: Switch,
    policy: Policy,
    clock: Clock,
    limits: OutcomeLimits,
    metrics: Metrics,
) -> StageDefinition:
    """`tickets.auto-send`, `tickets.escalation` and every dead topic to `tickets.outcome`.

    What may not be sent any more goes to `tickets.escalation`. A customer who comes back on an automatic answer is
    told beside how the new message ends. A dead letter is never dead again: it is tried until it is on the people's
    queue.
    """
    within = timedelta(hours=policy.guard.reopened_hours)

    async def told(settlement: Settlement, event: ReplyApproved | TicketEscalated) -> tuple[Outgoing, ...]:
        if settlement == Settlement():
            metrics.ended_before.inc()
        if settlement.settled is None:
            return outgoing(settlement)
        act = await came_back(event, reopenings=reopenings, clock=clock, within=within)
        return (*outgoing(settlement), *outgoing(Settlement(act)))

    async def send(incoming: Incoming[ReplyApproved]) -> tuple[Outgoing, ...]:
        if incoming.event.ticket.channel in limits.outside:
            left = await leave(incoming.event, conversations=conversations, clock=clock, email=policy.email)
            return await told(left, incoming.event)
        settlement = await deliver(
            incoming.event,
            conversations=conversations,
            helpdesk=helpdesk,
            switch=switch,
            clock=clock,
            lease=limits.lease,
            deadline=limits.deadline,
            email=policy.email,
        )
        return await told(settlement, incoming.event)

    async def to_person(incoming: Incoming[TicketEscalated]) -> tuple[Outgoing, ...]:
        settlement = await hand_over(
            incoming.event, conversations=conversations, helpdesk=helpdesk, clock=clock, deadline=limits.deadline
        )
        ended = await told(settlement, incoming.event)
        if settlement.settled is None:
            return ended
        note = await acknowledge(
            incoming.event,
            policy.acknowledgement(incoming.event.ticket.channel),
            conversations=conversations,
            helpdesk=helpdesk,
            switch=switch,
            clock=clock,
            deadline=limits.deadline,
            email=policy.email,
        )
        metrics.acknowledgements.labels(note.result).inc()
        return (*ended, *outgoing(Settlement(note.settled)))

    async def the_dead(incoming: Incoming[DeadLetter]) -> tuple[Outgoing, ...]:
        return outgoing(await bury(incoming.event, conversations=conversations, clock=clock))

    dead = (Input(dead_topic(stage), letter_of, the_dead, last_resort=True) for stage in STAGES)
    return StageDefinition(
        Stage.OUTCOME,
        (
            Input(Topic.AUTO_SEND, carrying(ReplyApproved), send),
            Input(Topic.ESCALATION, carrying(TicketEscalated), to_person),
            *dead,
        ),
    )


def outgoing(settlement: Settlement) -> tuple[Outgoing, ...]:
    """What a settlement publishes."""
    sent = []
    if (settled := settlement.settled) is not None:
        sent.append(Outgoing(Topic.OUTCOME, settled.conversation, settled))
    if (divert := settlement.divert) is not None:
        sent.append(Outgoing(Topic.ESCALATION, divert.ticket.conversation, divert))
    return tuple(sent)


def letter_of(record: Record) -> DeadLetter:
    """A dead message with whatever can be read of it. Never fails: behind it there is nobody else."""
    source = [letter_header(record, name) for name in PLACE]
    letter = DeadLetter(
        stage=letter_header(record, Header.STAGE),
        reason=letter_header(record, Header.REASON),
        source="/".join(source),
        key=None if record.key is None else record.key.decode(errors="replace"),
        data=record.value,
    )
    return _with_ticket(letter, source[0])


PLACE = (Header.SOURCE_TOPIC, Header.SOURCE_PARTITION, Header.SOURCE_OFFSET)


def _with_ticket(letter: DeadLetter, topic: str) -> DeadLetter:
    """Add what an event on this topic says. A ticket that conflicts has another's revision, so none of its own."""
    kind = next((event for name, event in EVENT_ON.items() if name == topic), None)
    if kind is None:
        return letter
    try:
        event = decode(kind, letter.data)
    except Undecodable:
        return letter
    ticket = event if isinstance(event, TicketReceived) else getattr(event, "ticket", None)
    admission = getattr(event, "admission", None)
    if admission is None or letter.reason == Conflict.__name__:
        return replace(letter, ticket=ticket)
    return replace(letter, ticket=ticket, revision=admission.revision, customer_id=admission.customer_id)
