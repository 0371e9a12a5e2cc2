"""The one decision on a ticket's revision: send, suggest, or hand over."""

from enum import StrEnum

from schemas.event import Aware, Event, Step, Value
from schemas.ingress import TicketReceived
from schemas.resolution import Draft
from schemas.retrieval import Evidence
from schemas.router import Admission, Route


class Disposition(StrEnum):
    """What becomes of a revision."""

    HANDOFF = "handoff"
    SUGGEST = "suggest"
    AUTO = "auto"


class SentenceCheck(Value):
    """The verifier's finding on one sentence."""

    text: str
    supported: bool  # no veto fired and score >= the floor
    score: float  # calibrated P(supported); 0 when a veto fired or the check failed
    vetoes: tuple[str, ...] = ()  # quote-not-verbatim, number-not-in-quote, ...


class SourceUsed(Value):
    """A source the draft cites, pinned to its version."""

    article_id: str
    section_id: str | None = None
    version: int | None = None
    score: float | None = None


class Decision(Value):
    """The record of the gate's decision: enough to explain it, replay it and audit it."""

    disposition: Disposition
    rule: str  # the row of the gate's table that matched first
    reasons: tuple[str, ...] = ()
    checks: tuple[SentenceCheck, ...] = ()
    groundedness: float = 0.0  # the worst sentence's score; 0 without a draft
    floor: float
    retrieval_threshold: float
    sources: tuple[SourceUsed, ...] = ()
    model: str | None = None
    prompt_hash: str | None = None
    verifier: str  # which verifier, with the hash of its trained parts
    policy_hash: str
    config_hash: str
    switch_state: str
    switch_epoch: int  # offset of the last switch record seen, -1 when there is none
    decided_at: Aware
    p_good: float | None = None  # P(the answer is good), as the certificate's score; None where nothing computes it


class ReplyApproved(Event):
    """A request to send. Not a permission: only the holder of a claim delivers."""

    ticket: TicketReceived
    admission: Admission
    route: Route
    evidence: Evidence
    draft: Draft
    decision: Decision
    idempotency_key: str  # "<ticket id>:<revision>"
    switch_epoch: int
    expires_at: Aware
    steps: tuple[Step, ...] = ()


class TicketEscalated(Event):
    """A draft for approval (suggest) or a hand-over, with all a person needs to go on."""

    ticket: TicketReceived
    admission: Admission
    route: Route
    evidence: Evidence
    draft: Draft | None = None
    decision: Decision
    summary: str
    due_at: Aware  # the SLA clock: when a person should have acted
    steps: tuple[Step, ...] = ()
