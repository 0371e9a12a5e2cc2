"""How good the gate is: what it lets out of what should have stayed, and the other way round."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from evals.dataset import LabelledTicket
from evals.prediction import Prediction, answer_of, label_of
from evals.scorers import AUTO, HANDOFF, SUGGEST, faults, wilson

BANDS = ("escalate", "suggest", "auto")
DISPOSITIONS = (HANDOFF, SUGGEST, AUTO)


@dataclass(frozen=True)
class Gate:
    """The confusion of expected band and disposition, the rules that decided, and the risk of what was sent."""

    confusion: dict[str, dict[str, int]]  # expected band → disposition → tickets
    rules: dict[str, int]  # the gate's row → tickets
    auto_sent: int
    bad: int
    bad_interval: tuple[float, float] | None  # 95 %, of bad ÷ auto-sent
    escalate_auto_sent: int  # the worst cell: a person's ticket that was answered by itself


def evaluate(pairs: Iterable[tuple[Prediction, LabelledTicket]]) -> Gate:
    """Judge the gate over labelled tickets."""
    rows = list(pairs)
    cells = Counter((label_of(ticket).band, row.disposition) for row, ticket in rows)
    sent = [(row, ticket) for row, ticket in rows if row.disposition == AUTO]
    bad = sum(bool(faults(answer_of(row), label_of(ticket))) for row, ticket in sent)
    return Gate(
        confusion={band: {name: cells[(band, name)] for name in DISPOSITIONS} for band in BANDS},
        rules=dict(Counter(row.rule for row, _ in rows).most_common()),
        auto_sent=len(sent),
        bad=bad,
        bad_interval=wilson(bad, len(sent)),
        escalate_auto_sent=cells[("escalate", AUTO)],
    )
