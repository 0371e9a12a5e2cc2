"""The report of an evaluation as one page that needs nothing beside it: every text in it is shown, never obeyed."""

import base64
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from evals.bars import Finding
from evals.curves import chances, reliability, risk_coverage
from evals.dataset import LabelledTicket
from evals.figures import draw_recall, draw_reliability, draw_risk
from evals.measures import Measure, Pairs, good_chance, good_if_sent
from evals.prediction import Prediction, answer_of, label_of
from evals.scorers import AUTO, HANDOFF, SUGGEST, faults

WORST = 20
BANDS = ("escalate", "suggest", "auto")
TOPICAL = ("intent", "tickets", "topic_right")  # what a run to the router says of an intent
PROMISED = 0.021  # the seed's bad-answer budget, drawn into the curve
UNPRINTABLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # among them changes of direction


@dataclass(frozen=True)
class Worst:
    """A ticket that went wrong, or would have, and why."""

    row: Prediction
    ticket: LabelledTicket
    why: str
    chance: float  # how sure the run was of itself

    @property
    def sure(self) -> str:
        """What the chance is one of."""
        return "P(good)" if self.row.answer else "confidence"


@dataclass(frozen=True)
class Against:
    """The last released report of the suite."""

    values: Mapping[str, float | None]  # by measure
    words: str  # which one it is


def render(found: Mapping[str, Any], pairs: Pairs, findings: Sequence[Finding], against: Against) -> str:
    """The page of a report."""
    measured = [Measure(**row) for row in found["measures"]]
    decided = found["provenance"]["stage"] == "gate"
    intents = found["intents"] if decided else [{name: row[name] for name in TOPICAL} for row in found["intents"]]
    page = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)
    page.filters.update(
        rate=_rate, shown=_shown, figure=lambda value: _rate(value) if isinstance(value, float) else value
    )
    return page.get_template("page.html").render(
        origin=found["provenance"],
        n=found["tickets"],
        measures=measured,
        findings=findings,
        released=against.values,
        against=against.words,
        pictures=[(title, base64.b64encode(svg.encode()).decode()) for title, svg in _pictures(pairs, measured)],
        confusions=_confusions(found),
        intents=intents,
        rules=found["gate"]["rules"] if decided else {},
        worst=worst(pairs),
    )


def worst(pairs: Pairs) -> list[Worst]:
    """The gravest faults first: sent in a person's stead, sent and bad; then the surest bad drafts and topics."""
    graded = [
        (grade, Worst(row, ticket, why, chance)) for row, ticket in pairs for grade, why, chance in _fault(row, ticket)
    ]
    graded.sort(key=lambda pair: (pair[0], -pair[1].chance, pair[1].ticket.id))
    return [found for _, found in graded[:WORST]]


def _fault(row: Prediction, ticket: LabelledTicket) -> Iterable[tuple[int, str, float]]:
    """The grade of what is wrong with a row, in words, and how sure the run was; nothing where all is well."""
    if row.disposition == AUTO and (reasons := faults(answer_of(row), label_of(ticket))):
        person = ticket.must_not_auto or label_of(ticket).band == "escalate"
        yield (0 if person else 1), f"sent by itself: {'; '.join(reasons)}", good_chance(row)
    elif row.answer and ticket.expected_band and row.disposition != AUTO and not good_if_sent(row, ticket):
        yield 2, "not sent, and it would have been bad", good_chance(row)
    elif not row.answer and ticket.intent_label and not ticket.out_of_scope and row.intent != ticket.intent_label:
        yield 3, f"topic {row.intent} for {ticket.intent_label}", row.confidence


def _pictures(pairs: Pairs, measured: Sequence[Measure]) -> list[tuple[str, str]]:
    topics = [
        (row.confidence, row.intent == t.intent_label) for row, t in pairs if t.intent_label and row.confidence > 0
    ]
    good, curve = chances(pairs), risk_coverage(pairs)
    recall = [row for row in measured if row.name.startswith(("article_at_", "section_at_"))]
    drawn = [
        (
            "Reliability of P(good)",
            good and draw_reliability(reliability(good), "P(good), where it decides"),
        ),
        ("Risk and coverage", curve and draw_risk(curve, PROMISED)),
        ("Recall by k", recall and draw_recall(recall)),
        ("Reliability of topics", topics and draw_reliability(reliability(topics), "Confidence of the topic")),
    ]
    return [(title, svg) for title, svg in drawn if isinstance(svg, str)]


def _confusions(found: Mapping[str, Any]) -> list[tuple[str, tuple[str, ...], tuple[str, ...], Mapping[str, Any]]]:
    """Expected bands against what the gate did and against what the router said; the worst column first."""
    gate, router = found["gate"]["confusion"], found["router"]["confusion"]
    tables = [
        ("Expected band → what happened", BANDS, (AUTO, SUGGEST, HANDOFF), gate),
        ("Expected band → the router’s band", BANDS, ("auto", "suggest", "escalate"), router),
    ]
    return [table for table in tables if any(count for row in table[3].values() for count in row.values())]


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _shown(text: object) -> str:
    """A text from outside, without what could act on a page or hide in it; markup is escaped by the template."""
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) not in UNPRINTABLE else "\N{REPLACEMENT CHARACTER}"
        for c in str(text)
    )
