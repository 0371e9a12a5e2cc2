"""How good the router is: the right topic, an honest confidence, and the band a careful support lead would choose."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evals.dataset import LabelledTicket
from evals.prediction import Prediction
from evals.scorers import wilson
from infra.language import detect_language

BANDS = ("escalate", "suggest", "auto")
BINS = 15
PRECISE = 0.9  # share of right topics at which the coverage is read


@dataclass(frozen=True)
class Part:
    """Topics over one part of the tickets: a channel, a language."""

    name: str
    n: int
    accuracy: float
    low: float  # 95 % interval
    high: float


@dataclass(frozen=True)
class Routing:
    """Topics and bands over labelled tickets."""

    n: int  # tickets with a labelled intent
    accuracy: float | None
    accuracy_interval: tuple[float, float] | None  # 95 %
    classified: int  # of them, those a classifier read: no hard rule decided before it
    accuracy_classified: float | None
    calibration_error: float | None  # expected, 15 bins (Guo et al. 2017), over those
    band_accuracy: float | None
    confusion: dict[str, dict[str, int]]  # expected band → the router's band → tickets
    escalate_as_auto: int  # the worst cell: a person's ticket that the router would let through
    mistaken: dict[str, int]  # "expected → found" → tickets, most frequent first
    by_channel: tuple[Part, ...]
    by_language: tuple[Part, ...]


def evaluate(pairs: Iterable[tuple[Prediction, LabelledTicket]]) -> Routing:
    """Judge the router over labelled tickets."""
    rows = list(pairs)
    named = [(row, ticket) for row, ticket in rows if ticket.intent_label]
    right = sum(row.intent == ticket.intent_label for row, ticket in named)
    read = [(row.confidence, row.intent == ticket.intent_label) for row, ticket in named if row.confidence > 0]
    cells = Counter((ticket.expected_band.value, row.route_band) for row, ticket in rows if ticket.expected_band)
    wrong = Counter(
        f"{ticket.intent_label} → {row.intent}" for row, ticket in named if row.intent != ticket.intent_label
    )
    return Routing(
        n=len(named),
        accuracy=_share(right, len(named)),
        accuracy_interval=wilson(right, len(named)),
        classified=len(read),
        accuracy_classified=_share(sum(hit for _, hit in read), len(read)),
        calibration_error=calibration_error(read) if read else None,
        band_accuracy=_share(sum(cells[(band, band)] for band in BANDS), cells.total()),
        confusion={expected: {found: cells[(expected, found)] for found in BANDS} for expected in BANDS},
        escalate_as_auto=cells[("escalate", "auto")],
        mistaken=dict(wrong.most_common()),
        by_channel=parted((ticket.channel, row.intent == ticket.intent_label) for row, ticket in named),
        by_language=parted((language_of(ticket.text), row.intent == ticket.intent_label) for row, ticket in named),
    )


def parted(hits: Iterable[tuple[str, bool]]) -> tuple[Part, ...]:
    """The share of right topics by part, the largest part first."""
    found: dict[str, list[bool]] = {}
    for name, hit in hits:
        found.setdefault(name, []).append(hit)
    parts = sorted(found.items(), key=lambda part: (-len(part[1]), part[0]))
    return tuple(Part(name, len(part), sum(part) / len(part), *_interval(part)) for name, part in parts)


def language_of(text: str) -> str:
    """ISO 639-1, or a word for what cannot be told."""
    return detect_language(text) or "too short to tell"


def _interval(hits: Sequence[bool]) -> tuple[float, float]:
    return wilson(sum(hits), len(hits)) or (0.0, 1.0)


def calibration_error(read: Sequence[tuple[float, bool]]) -> float:
    """Expected calibration error: mean distance of confidence and accuracy, over equally wide bins."""
    bins: dict[int, list[tuple[float, bool]]] = {}
    for confidence, hit in read:
        bins.setdefault(min(int(confidence * BINS), BINS - 1), []).append((confidence, hit))
    gaps = (abs(sum(confidence for confidence, _ in rows) - sum(hit for _, hit in rows)) for rows in bins.values())
    return sum(gaps) / len(read)


def precise_from(read: Sequence[tuple[float, bool]], precision: float = PRECISE) -> float | None:
    """The lowest confidence from which on that share is right; None where no confidence reaches it."""
    best, right = None, 0
    for accepted, (confidence, hit) in enumerate(sorted(read, reverse=True), 1):
        right += hit
        if right >= precision * accepted:
            best = confidence
    return best


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
