"""A ticket with its place in the conversation and its route."""

from enum import StrEnum

from schemas.event import Aware, Event, Probability, Step, Value
from schemas.ingress import TicketReceived


class Author(StrEnum):
    """Who wrote a message of the transcript."""

    PERSON = "person"
    CUSTOMER = "customer"
    BOT = "bot"


class Message(Value):
    """One message of a conversation."""

    author: Author
    text: str
    at: Aware


class EarlierTicket(Value):
    """A ticket the same proved customer sent before, in another conversation."""

    ticket_id: str
    subject: str
    intent: str | None
    outcome: str | None
    received_at: Aware
    answer: str | None = None  # the beginning of what was sent
    answered_by: Author | None = None


class Admission(Value):
    """What the conversation knew when the ticket was admitted."""

    revision: int  # 1 for the first message of a conversation, then one more for each
    customer_id: str | None = None  # the *proved* customer, resolved from the channel's proof
    owner: str = "person"  # "bot", or "person" once somebody took the conversation over
    redelivered: bool = False  # the same message was admitted before: same revision again
    transcript: tuple[Message, ...] = ()  # earlier messages, oldest first
    earlier_tickets: tuple[EarlierTicket, ...] = ()


class Band(StrEnum):
    """How far the router lets a ticket go without a person."""

    ESCALATE = "escalate"
    SUGGEST = "suggest"
    AUTO = "auto"


class Tier(StrEnum):
    """Which class of model may draft the reply."""

    COMMODITY = "commodity"
    FRONTIER = "frontier"


class Route(Value):
    """The router's decision."""

    intent: str
    band: Band
    tier: Tier
    confidence: Probability  # calibrated P(intent is right)
    rule: str | None = None  # the hard rule or policy line that decided, if one did
    reasons: tuple[str, ...] = ()  # in words, for the person who takes the ticket over
    model: str = ""  # provider/name of the classifier; empty when a rule decided before it


class TicketRouted(Event):
    """A ticket with its revision, transcript and route."""

    ticket: TicketReceived
    admission: Admission
    route: Route
    steps: tuple[Step, ...] = ()
