"""The live guard as pure logic: audits and complaints in, a stop of what they speak against out; never an arming.

A restarted mixture e-process (Shiryaev-Roberts): for bad rates q above the budget α, an answer multiplies
(SR_q + 1) by q/α where it was bad and by (1-q)/(1-α) where it was good; the guard trips when the mean of SR_q reaches
the limit A. While the true rate is at most α, A answers or more go by on average before a false alarm.
Sources: Shiryaev 1963, Roberts 1966; as an e-detector Shin, Ramdas, Rinaldo 2022, arXiv:2203.03532.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from math import fsum

from pydantic import Field, field_validator

from processors.edits import changes_fact
from schemas.control import Scope, ScopeKind, Stop
from schemas.event import Aware, Value
from schemas.gate import Disposition
from schemas.outcome import Outcome, TicketSettled

MULTIPLES = (1.5, 2.0, 3.0, 5.0, 8.0, 12.0)  # of the budget: the rates that are looked for
TRIP = 1e4  # answers on average to a false alarm
WARN = 1e2
GUARD = "guard"  # the actor of its stops
BOT = "bot"
WORST_REJECTED = ("fact", "policy")  # reasons of a rejection that speak against the answer itself
# Rules under which a draft would have gone out, had somebody not stopped all of its kind.
WOULD_BE_SENT = frozenset({"switched-to-suggest", "no-certificate", "outcome-stopped", "outcome-expired"})


class Alarm(StrEnum):
    """How much speaks against the answers."""

    QUIET = "quiet"
    WARN = "warn"
    TRIPPED = "tripped"


class Guard(Value):
    """The evidence that more answers are bad than the budget allows, since the guard was last started."""

    budget: float = Field(gt=0, lt=0.5)  # α, the bad rate that is put up with
    evidence: tuple[float, ...] = ()  # SR_q for each q of the grid; empty before the first answer
    feedbacks: int = 0
    bad: int = 0
    tripped: bool = False  # until a person starts it again

    @field_validator("evidence")
    @classmethod
    def _sound(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(found < 0 for found in value):
            raise ValueError("evidence is never negative")
        return value

    @property
    def e_value(self) -> float:
        """The mean evidence: 0 before the first answer."""
        return fsum(self.evidence) / len(self.evidence) if self.evidence else 0.0

    def alarm(self, *, warn: float = WARN) -> Alarm:
        """What it amounts to."""
        if self.tripped:
            return Alarm.TRIPPED
        return Alarm.WARN if self.e_value >= warn else Alarm.QUIET


def rates(budget: float) -> tuple[float, ...]:
    """The bad rates that are looked for: multiples of the budget below one."""
    return tuple(rate for multiple in MULTIPLES if (rate := budget * multiple) < 1)


def feed(guard: Guard, bad: bool, *, trip: float = TRIP) -> Guard:
    """Take in one answer. A tripped guard counts on, and its evidence stays as it was when it tripped."""
    counted = {"feedbacks": guard.feedbacks + 1, "bad": guard.bad + bad}
    if guard.tripped:
        return guard.model_copy(update=counted)
    grid = rates(guard.budget)
    before = guard.evidence if len(guard.evidence) == len(grid) else (0.0,) * len(grid)
    evidence = tuple((held + 1) * _step(rate, guard.budget, bad=bad) for held, rate in zip(before, grid, strict=True))
    fed = guard.model_copy(update={**counted, "evidence": evidence})
    return fed.model_copy(update={"tripped": fed.e_value >= trip})


def _step(rate: float, budget: float, *, bad: bool) -> float:
    return rate / budget if bad else (1 - rate) / (1 - budget)


# -- what it is fed


class Feedback(Value):
    """What somebody found of one answer."""

    intent: str
    bad: bool
    answered_at: Aware | None = None  # when the answer went out; None: not known


def signal(settled: TicketSettled) -> Feedback | None:
    """What a later act says of an answer; None where it says nothing.

    Biased, as only some customers and agents say anything: it may stop, and speaks for nothing. A reply that went out
    by itself counts as good until its ticket is reopened; an agent's edit is bad where it changes a fact or an action,
    and only of a draft that would have gone out by itself.
    """
    bad = _spoken(settled)
    intent = (settled.intent or "").strip()
    if bad is None or not intent:
        return None
    reopened = settled.outcome is Outcome.REOPENED and settled.received_at is not None
    return Feedback(intent=intent, bad=bad, answered_at=settled.received_at if reopened else settled.settled_at)


def _spoken(settled: TicketSettled) -> bool | None:
    match settled.outcome:
        case Outcome.SENT:
            return False if settled.actor == BOT or _by_itself(settled) else None
        case Outcome.REOPENED:
            return True if settled.item_id is None else None  # an item's act says that a parked reply never went out
    if settled.decision is None or settled.decision.rule not in WOULD_BE_SENT:
        return None
    match settled.outcome:
        case Outcome.APPROVED:
            return False
        case Outcome.EDITED:
            return changes_fact(settled.diff or "")
        case Outcome.REJECTED:
            return (settled.reason or "").partition(":")[0] in WORST_REJECTED or None
    return None


def _by_itself(settled: TicketSettled) -> bool:
    """Whether nobody decided on a reply that a helpdesk outside delivered."""
    return settled.decision is not None and settled.decision.disposition is Disposition.AUTO


# -- all its scopes


class Watched(Value):
    """The guard of one scope, and the stop it has set."""

    guard: Guard
    stop: Stop | None = None  # the place of its stop, once the table has it
    published: bool = False  # whether the topic has it too
    started_at: Aware | None = None  # when a person last started it again; answers from before are not counted


class Watch(Value):
    """Everything the guard keeps: what it has read, and the evidence per scope and detector."""

    labels: int = 0  # the last label that was read
    offsets: dict[int, int] = Field(default_factory=dict)  # of tickets.outcome: the next offset of each partition
    audits: dict[str, Watched] = Field(default_factory=dict)  # by scope, as it is written
    signals: dict[str, Watched] = Field(default_factory=dict)


class Detector(StrEnum):
    """Which of the two: a random sample that people read, or what customers and agents did."""

    AUDITS = "audits"
    SIGNALS = "signals"


def scopes_of(intent: str) -> tuple[Scope, Scope]:
    """The scopes that an answer of an intent speaks for."""
    return Scope(kind=ScopeKind.INTENT, value=intent), Scope()


def scope_of(text: str) -> Scope:
    """The scope that is written so."""
    kind, _, value = text.partition(":")
    return Scope(kind=ScopeKind(kind), value=value)


def watch(held: Watch, detector: Detector, found: Iterable[Feedback], *, budget: float, trip: float = TRIP) -> Watch:
    """Take in feedback in its order, each in its intent and overall.

    A guard of another budget starts anew with this one, unless it has tripped: that is for a person to look at.
    """
    scopes = dict(of(held, detector))
    for feedback in found:
        for scope in map(str, scopes_of(feedback.intent)):
            watched = scopes.get(scope) or Watched(guard=Guard(budget=budget))
            scopes[scope] = _fed(watched, feedback, budget, trip)
    return held.model_copy(update={detector.value: scopes})


def _fed(watched: Watched, feedback: Feedback, budget: float, trip: float) -> Watched:
    since, answered = watched.started_at, feedback.answered_at
    if since is not None and answered is not None and answered < since:
        return watched
    same = watched.guard.budget == budget or watched.guard.tripped
    guard = watched.guard if same else Guard(budget=budget)
    return watched.model_copy(update={"guard": feed(guard, feedback.bad, trip=trip)})


def of(held: Watch, detector: Detector) -> dict[str, Watched]:
    """The scopes of one detector."""
    return held.audits if detector is Detector.AUDITS else held.signals


def unstopped(held: Watch) -> tuple[tuple[Detector, str], ...]:
    """The scopes that tripped and whose stop is not in the table and on the topic yet."""
    return tuple(
        (detector, scope)
        for detector in Detector
        for scope, watched in of(held, detector).items()
        if watched.guard.tripped and not (watched.stop and watched.published)
    )


def stopped(held: Watch, detector: Detector, scope: str, stop: Stop, *, published: bool) -> Watch:
    """Note where the stop of a scope stands."""
    watched = of(held, detector)[scope].model_copy(update={"stop": stop, "published": published})
    return _with(held, detector, scope, watched)


def armed_again(held: Watch, scope: Scope, place: Stop, at: datetime) -> Watch:
    """Start the guards of a scope anew where a person has lifted their stop: the arming comes after it in the table."""
    for detector in Detector:
        watched = of(held, detector).get(str(scope))
        if watched is not None and watched.stop is not None and place.sequence > watched.stop.sequence:
            held = _with(held, detector, str(scope), Watched(guard=Guard(budget=watched.guard.budget), started_at=at))
    return held


def _with(held: Watch, detector: Detector, scope: str, watched: Watched) -> Watch:
    return held.model_copy(update={detector.value: {**of(held, detector), scope: watched}})


def why(detector: Detector, guard: Guard) -> str:
    """The reason that its stop gives."""
    told = "audited answers" if detector is Detector.AUDITS else "answers, by reopened tickets and edits,"
    return (
        f"the live guard: {guard.bad} of {guard.feedbacks} {told} were bad,"
        f" e-value {guard.e_value:.3g} against a budget of {guard.budget:.1%}"
    )
