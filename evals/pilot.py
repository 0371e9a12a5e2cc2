"""What people did with the drafts they were shown: sent unchanged, edited (and how), rejected; and what that earns.

An edit is classed by rules that look at the two texts alone, the gravest first:

* fact: a number, date, amount or address of the draft is gone or another, a changed sentence has a new one, or the
  texts say *no* a different number of times;
* policy: what may, must or will be done differs (refund, replace, free, must, allowed, guarantee, ...);
* missing information: a sentence was added that says something new;
* tone: anything else.

They err towards the graver class. What a person said of their edit goes before them.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from evals.replay import end_of
from evals.scorers import wilson
from processors.certificate import accepted_needed, binomial_tail, upper_bound
from processors.edits import facts_of
from processors.policy import Policy
from processors.ports import Handled
from processors.queue import Fault, case_of
from processors.sentences import stems
from schemas.gate import Disposition, TicketEscalated
from schemas.outcome import Outcome, TicketSettled
from schemas.router import Band

NEW_WORDS = 3  # content words that an added sentence brings, from which it says something new

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_DUTY = re.compile(  # what may, must or will be done, beside the acts themselves
    r"\b(?:must|have to|has to|need to|needs to|required?|oblig\w+|allow\w*|permit\w*|entitle\w*|eligib\w+|guarantee\w*"
    r"|promis\w+|exception\w*|goodwill|polic(?:y|ies)|terms|liab\w+|warrant\w*|may|shall|prohibit\w*|forbid\w*)\b"
)
_COURTESY = frozenset(
    stems(
        "hi hello dear hey thank thanks thankful please sorry apologise apologize apologies regret inconvenience kind"
        " regards best wishes warm sincerely team support customer service happy glad pleased hope help helps let know"
        " reach contact reply further question questions anything else feel free great day patience understanding"
        " appreciate writing message understand frustrating look forward"
    )
)


class Ending(StrEnum):
    """What became of a draft."""

    UNCHANGED = "unchanged"  # sent as it was
    TONE = "tone"  # edited, and says the same
    MISSING = "missing"  # edited: something was added
    POLICY = "policy"
    FACT = "fact"
    OTHER = "other"  # edited, and the person said only that
    REJECTED = "rejected"


GOOD = (Ending.UNCHANGED, Ending.TONE)  # what would have done no harm had it gone out by itself

BY_FAULT = {
    Fault.FACT: Ending.FACT,
    Fault.POLICY: Ending.POLICY,
    Fault.TONE: Ending.TONE,
    Fault.MISSING: Ending.MISSING,
    Fault.OTHER: Ending.OTHER,
}


@dataclass(frozen=True)
class Row:
    """A draft's end."""

    intent: str
    week: str  # ISO 8601, as 2026-W47
    ending: Ending
    fault: Fault | None  # why it was rejected
    ready: bool  # it would have gone out, had the switch, the certificate and the policy's band let it


def row_of(handled: Handled, policy: Policy) -> Row | None:
    """What a person's act on a draft says; None where there was no draft to judge."""
    act, case = handled.act, case_of(handled.event)
    draft = case.draft
    if draft is None or not isinstance(case.event, TicketEscalated):
        return None
    year, week, _ = act.settled_at.isocalendar()
    intent = case.event.route.intent
    return Row(
        intent=intent,
        week=f"{year}-W{week:02}",
        ending=ending_of(act, draft),
        fault=_said(act.reason) or Fault.OTHER if act.outcome is Outcome.REJECTED else None,
        ready=_ready(case.event, intent, policy),
    )


def _ready(event: TicketEscalated, intent: str, policy: Policy) -> bool:
    channels = dict.fromkeys(policy.channels, Band.AUTO) | {event.ticket.channel: Band.AUTO}
    opened = policy.model_copy(update={"intents": {**policy.intents, intent: Band.AUTO}, "channels": channels})
    return end_of(event, policy, opened).disposition is Disposition.AUTO


def ending_of(act: TicketSettled, draft: str) -> Ending:
    """What an act made of a draft."""
    text = act.text or ""
    if act.outcome is Outcome.REJECTED:
        return Ending.REJECTED
    if act.outcome is Outcome.APPROVED or text.split() == draft.split():
        return Ending.UNCHANGED
    fault = _said(act.reason)
    return BY_FAULT[fault] if fault else edit_class(draft, text)


def _said(reason: str | None) -> Fault | None:
    """What the person said is wrong, as acts carry it: the word, or the word and a note."""
    word = (reason or "").partition(":")[0].strip()
    return Fault(word) if word in set(Fault) else None


# -- the classes of an edit


def edit_class(draft: str, text: str) -> Ending:
    """Which kind of edit makes `text` of `draft`, by the rules in this module's docstring."""
    before, after = _sentences(draft), _sentences(text)
    added = [sentence for sentence in after if sentence not in before]
    whole = all(sentence in after for sentence in before)  # nothing of the draft was touched
    old, new = facts_of(draft), facts_of(text)
    if old.named - new.named or old.negations != new.negations or (not whole and new.named - old.named):
        return Ending.FACT
    if old.acts != new.acts or _duties(draft) != _duties(text):
        return Ending.POLICY
    known = stems(draft) | _COURTESY
    wholly_new = [sentence for sentence in added if len(stems(sentence) - known) >= NEW_WORDS]
    if (whole and new.named - old.named) or (len(after) > len(before) and wholly_new):
        return Ending.MISSING
    return Ending.TONE


def _sentences(text: str) -> list[str]:
    return [" ".join(sentence.split()) for sentence in _SENTENCE_END.split(text) if sentence.strip()]


def _duties(text: str) -> frozenset[str]:
    return frozenset(_DUTY.findall(text.casefold()))


# -- what they add up to


@dataclass(frozen=True)
class Line:
    """The drafts of one intent, or of one week of it."""

    intent: str
    week: str | None  # None: all weeks
    counts: Mapping[Ending, int]
    faults: Mapping[Fault, int]  # of the rejected ones
    ready: int  # drafts that only the switch, the certificate or the policy's band held back
    good: int  # of them, sent unchanged or with another tone

    @property
    def n(self) -> int:
        """Drafts."""
        return sum(self.counts.values())

    def share(self, *endings: Ending) -> float:
        """Of the drafts."""
        return sum(self.counts[ending] for ending in endings) / self.n

    def interval(self, *endings: Ending) -> tuple[float, float] | None:
        """The share's 95 % interval (Wilson)."""
        return wilson(sum(self.counts[ending] for ending in endings), self.n)


@dataclass(frozen=True)
class Earned:
    """Whether people's acts say that an intent may be answered without them."""

    earned: bool
    bound: float  # the rate of drafts that had to be changed in substance is below it, at confidence 1 − δ
    more: int  # drafts to be sent unchanged from here on, until it is earned


def earned(line: Line, *, risk: float, delta: float) -> Earned:
    """Whether so few drafts had to be changed that a rate of `risk` is proved at confidence 1 − δ (exact binomial).

    It is the certificate's own test, so it needs the certificate's number of drafts at the least. It is no certificate:
    people choose what they work on, and read with more or less care.
    """
    bad = line.ready - line.good
    proved = line.ready > 0 and binomial_tail(bad, line.ready, risk) <= delta
    more = 0 if proved else accepted_needed(bad, risk, delta) - line.ready
    return Earned(proved, upper_bound(bad, line.ready, delta), more)


def lines(rows: Sequence[Row]) -> list[Line]:
    """For each intent, most drafts first, all its weeks and then each."""
    by_intent = Counter(row.intent for row in rows)
    found = []
    for intent in sorted(by_intent, key=lambda name: (-by_intent[name], name)):
        of_intent = [row for row in rows if row.intent == intent]
        found.append(_line(intent, None, of_intent))
        for week in sorted({row.week for row in of_intent}):
            found.append(_line(intent, week, [row for row in of_intent if row.week == week]))
    return found


def total(rows: Sequence[Row]) -> Line:
    """All intents and weeks as one line."""
    return _line("all", None, rows)


def _line(intent: str, week: str | None, rows: Sequence[Row]) -> Line:
    counts = Counter(row.ending for row in rows)
    ready = [row for row in rows if row.ready]
    return Line(
        intent=intent,
        week=week,
        counts={ending: counts[ending] for ending in Ending},
        faults=Counter(row.fault for row in rows if row.fault is not None),
        ready=len(ready),
        good=sum(row.ending in GOOD for row in ready),
    )


def read(handled: Iterable[Handled], policy: Policy, on_row: Callable[[], None] = lambda: None) -> list[Row]:
    """The rows of what people did."""
    found = []
    for each in handled:
        row = row_of(each, policy)
        on_row()
        found += [row] if row is not None else []
    return found
