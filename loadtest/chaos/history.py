"""What happened in a run, as an outside reader can know it: topics, tables, the helpdesk, and the notes of the driver.

Times are of one host's clock and aware. Nothing here judges; `loadtest.chaos.oracle` does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


@dataclass(frozen=True, order=True)
class Place:
    """Where a record stands."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}@{self.offset}"


@dataclass(frozen=True)
class Produced:
    """A record that the driver put on `tickets.inbound` and Kafka acknowledged."""

    place: Place
    at: datetime
    conversation: str | None  # None: nobody can read it, or it has no key
    ticket_id: UUID | None  # None: poison
    body: str = ""  # a digest: the same id with another one is a conflict
    token: str = ""  # a word in its text that stands in no other conversation's


@dataclass(frozen=True)
class Seen:
    """A record that a stage published: on a stage's topic, a retry topic or a dead topic."""

    place: Place
    at: datetime
    key: str | None
    ticket_id: UUID | None  # None: it cannot be read
    revision: int = 0
    outcome: str | None = None  # of a TicketSettled
    actor: str = "bot"
    stage: str = ""  # retry and dead topics: who put it aside,
    reason: str = ""  # why,
    source: Place | None = None  # and where it first stood
    trace: str = ""  # the trace id
    tokens: frozenset[str] = frozenset()  # of all the run's tokens, those that stand in it


class ClaimState(StrEnum):
    """The states of a claim, as the table has them."""

    CLAIMED = "claimed"
    SENT = "sent"
    PARKED = "parked"
    RELEASED = "released"


@dataclass(frozen=True)
class ClaimRow:
    """A row of the claim table after the run."""

    key: str
    conversation: str
    revision: int
    ticket_id: UUID
    actor: str
    state: ClaimState
    claimed_at: datetime


@dataclass(frozen=True)
class AdmittedRow:
    """A row of the admissions after the run: which revision a ticket became."""

    ticket_id: UUID
    conversation: str
    revision: int
    at: datetime


@dataclass(frozen=True)
class ItemRow:
    """A row of the people's queue after the run."""

    key: str
    kind: str
    conversation: str
    ticket_id: UUID | None
    revision: int
    opened_at: datetime


@dataclass(frozen=True)
class Delivered:
    """A reply or hand-over that the helpdesk received, as often as it received it."""

    key: str
    kind: str  # reply, hand-over
    conversation: str
    reference: str  # the helpdesk's own: the same one for the same effect
    tokens: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Commit:
    """A group's committed offset, as it was seen while the run went on."""

    stage: str
    topic: str
    partition: int
    offset: int
    at: datetime


@dataclass(frozen=True)
class Flip:
    """A stop or an arming of the switch, by the database's clock."""

    state: str
    asked_at: datetime
    done_at: datetime  # every claim after this obeys it


@dataclass(frozen=True)
class Applied:
    """A fault that was applied."""

    fault: str
    began: datetime
    ended: datetime
    detail: str = ""


@dataclass(frozen=True)
class Sample:
    """What the processes used at one moment."""

    at: datetime
    worker: str
    rss_mb: float
    in_flight: int | None = None


@dataclass(frozen=True)
class History:
    """Everything about one run."""

    began: datetime
    quiet_at: datetime  # the faults were over, and this is when the driver stopped waiting
    produced: tuple[Produced, ...] = ()
    seen: tuple[Seen, ...] = ()
    claims: tuple[ClaimRow, ...] = ()
    admitted: tuple[AdmittedRow, ...] = ()
    items: tuple[ItemRow, ...] = ()
    delivered: tuple[Delivered, ...] = ()
    commits: tuple[Commit, ...] = ()  # samples, and the last state
    flips: tuple[Flip, ...] = ()
    applied: tuple[Applied, ...] = ()
    samples: tuple[Sample, ...] = ()
    lag: Mapping[str, int] = field(default_factory=dict)  # by stage, after quiet
