"""What happened to a ticket: the public result that consumers read."""

from enum import StrEnum
from uuid import UUID

from schemas.event import Aware, Event, Step
from schemas.gate import Decision
from schemas.ingress import Channel
from schemas.resolution import Sentence


class Outcome(StrEnum):
    """How a revision ended, or what was done about it afterwards."""

    DEAD = "dead"  # undecodable or hopeless; on a person's list
    PARKED = "parked"  # may have been sent; on a person's list
    CONFLICT = "conflict"  # the same id came with another body; on a person's list
    HANDED_OFF = "handed_off"  # an item was opened for a person
    SUGGESTED = "suggested"  # a draft waits for a person's approval
    SUPERSEDED = "superseded"  # a newer revision or a person's takeover made it void
    SENT = "sent"
    # later acts on a settled revision
    ACKNOWLEDGED = "acknowledged"
    APPROVED = "approved"
    EDITED = "edited"
    REJECTED = "rejected"
    TAKEN_OVER = "taken_over"
    RELEASED = "released"
    REOPENED = "reopened"
    RATED = "rated"


TERMINAL = frozenset(
    {
        Outcome.DEAD,
        Outcome.PARKED,
        Outcome.CONFLICT,
        Outcome.HANDED_OFF,
        Outcome.SUGGESTED,
        Outcome.SUPERSEDED,
        Outcome.SENT,
    }
)


class TicketSettled(Event):
    """The terminal event of a revision, or a later act on it."""

    ticket_id: UUID
    conversation: str
    revision: int  # 0 where the ticket was never admitted (conflict, dead)
    channel: Channel | None = None
    account: str | None = None
    intent: str | None = None
    outcome: Outcome
    actor: str = "bot"
    reason: str | None = None
    text: str | None = None  # what was sent, or drafted
    sentences: tuple[Sentence, ...] = ()
    diff: str | None = None  # an agent's edit, unified diff
    decision: Decision | None = None
    item_id: UUID | None = None  # the item on the people's queue, if one was opened
    delivery: str | None = None  # the helpdesk's own reference of the reply
    cost_usd: float = 0.0
    received_at: Aware | None = None
    settled_at: Aware
    steps: tuple[Step, ...] = ()
