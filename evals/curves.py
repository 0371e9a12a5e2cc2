"""The curves of an evaluation as points: how honest a probability is, and how bad answers are the more are sent."""

from collections.abc import Sequence
from dataclasses import dataclass

from evals.certify import SENT_BUT_FOR
from evals.measures import Pairs, good_chance, good_if_sent
from evals.prediction import Prediction
from evals.router import BINS
from evals.scorers import AUTO, wilson

POINTS = 120  # of a curve
UNSUPPORTED = "unsupported"  # the gate's row of the floor


@dataclass(frozen=True)
class Bin:
    """Predicted probabilities that are alike, and how often they came true."""

    predicted: float
    found: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Point:
    """The share of bad answers among the answers sent from one threshold on, with its 95 % interval."""

    coverage: float  # of all labelled tickets
    risk: float
    low: float
    high: float
    threshold: float
    n: int  # answers sent


def reliability(read: Sequence[tuple[float, bool]]) -> list[Bin]:
    """Equally wide bins of probabilities against outcomes (DeGroot & Fienberg 1983)."""
    bins: dict[int, list[tuple[float, bool]]] = {}
    for probability, hit in read:
        bins.setdefault(min(int(probability * BINS), BINS - 1), []).append((probability, hit))
    return [_bin(rows) for _, rows in sorted(bins.items())]


def _bin(rows: Sequence[tuple[float, bool]]) -> Bin:
    n, hits = len(rows), sum(hit for _, hit in rows)
    low, high = wilson(hits, n) or (0.0, 1.0)
    return Bin(sum(probability for probability, _ in rows) / n, hits / n, low, high, n)


def chances(pairs: Pairs) -> list[tuple[float, bool]]:
    """P(good) of each draft on which nothing else decides, and whether it is good, where its ticket tells.

    What a rule, the policy or a stale source keeps back is not among them: no threshold would send it.
    """
    return [
        (good_chance(row), good_if_sent(row, ticket))
        for row, ticket in pairs
        if row.answer and ticket.expected_band and _is_open(row)
    ]


def _is_open(row: Prediction) -> bool:
    return row.rule in SENT_BUT_FOR or (row.rule == UNSUPPORTED and row.route_band == AUTO)


def risk_coverage(pairs: Pairs) -> list[Point]:
    """Send the surest answers first: how bad they are, the more are sent (El-Yaniv & Wiener 2010)."""
    read = sorted(chances(pairs), key=lambda pair: -pair[0])
    whole = sum(ticket.expected_band is not None for _, ticket in pairs)
    points, bad = [], 0
    for n, (chance, good) in enumerate(read, 1):
        bad += not good
        if n == len(read) or read[n][0] < chance:  # a threshold sends all of one score, or none
            low, high = wilson(bad, n) or (0.0, 1.0)
            points.append(Point(n / whole, bad / n, low, high, chance, n))
    step = max(1, len(points) // POINTS)
    return points[::step]
