"""What audits of a random sample say: how many answers to draw, and how many were bad, with an interval."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from evals.scorers import wilson
from processors.ports import AuditCounts, AuditorKind, Label, Verdict

OVERALL = "all"
CALLED = {AuditorKind.PERSON: "person", AuditorKind.MACHINE: "machine audit"}  # the words every report uses


@dataclass(frozen=True)
class AuditLine:
    """What one kind of auditors found in one intent, on the random sample alone."""

    auditors: str  # person, or machine audit
    intent: str  # or `all`
    n: int  # answers with a clear verdict
    bad: int
    rate: float | None
    low: float | None  # Wilson's 95 % interval of the rate
    high: float | None
    unsure: int  # answers on which nobody was sure; no part of n

    @property
    def interval(self) -> str:
        """The interval in words."""
        return "-" if self.low is None or self.high is None else f"{self.low:.1%} to {self.high:.1%}"


def to_draw(share: float, counts: AuditCounts) -> int:
    """How many more answers to draw so that this share of them is drawn, rounded up."""
    return max(0, ceil(share * counts.answers - 1e-9) - counts.drawn)


def report(labels: Iterable[Label]) -> tuple[AuditLine, ...]:
    """A line per kind of auditor and intent, people first, each kind's total before its intents.

    An answer counts once per kind, by its first clear verdict. What somebody picked does not count: it is no sample.
    """
    drawn = [label for label in labels if label.drawn]
    return tuple(
        line for kind in AuditorKind for line in _lines(kind, [label for label in drawn if label.kind is kind])
    )


def _lines(kind: AuditorKind, labels: Sequence[Label]) -> list[AuditLine]:
    settled = first_clear(labels)
    if not settled:
        return []
    intents = sorted({label.intent for label in settled})
    return [_line(kind, OVERALL, settled)] + [
        _line(kind, intent, [label for label in settled if label.intent == intent]) for intent in intents
    ]


def first_clear(labels: Iterable[Label]) -> list[Label]:
    """One verdict an answer: its first clear one, or an unsure one where there is no other."""
    found: dict[object, Label] = {}
    for label in sorted(labels, key=lambda label: label.label_id):
        known = found.get((label.ticket_id, label.revision))
        if known is None or (known.verdict is Verdict.UNSURE and label.verdict is not Verdict.UNSURE):
            found[label.ticket_id, label.revision] = label
    return list(found.values())


def judged_by_people(labels: Iterable[Label]) -> list[Label]:
    """People's verdicts on drawn answers, one an answer: a random sample of what went out."""
    return first_clear(label for label in labels if label.drawn and label.kind is AuditorKind.PERSON)


def _line(kind: AuditorKind, intent: str, settled: Sequence[Label]) -> AuditLine:
    n = sum(label.verdict is not Verdict.UNSURE for label in settled)
    bad = sum(label.verdict is Verdict.BAD for label in settled)
    low, high = wilson(bad, n) or (None, None)
    return AuditLine(CALLED[kind], intent, n, bad, bad / n if n else None, low, high, len(settled) - n)
