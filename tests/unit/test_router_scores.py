"""The router's figures: topics over labelled tickets, calibration over those it read, bands as a confusion."""

import pytest

from evals.dataset import LabelledTicket
from evals.prediction import Prediction
from evals.router import calibration_error, evaluate, parted, precise_from
from schemas.router import Band

EMPTY = Prediction(
    id="t",
    intent="",
    route_band="escalate",
    disposition="handoff",
    rule="",
    tier="commodity",
    confidence=0.0,
    sources=(),
    answer="",
    sentences=(),
    groundedness=0.0,
    reasons=(),
    facts_shown=(),
    model=None,
    tokens_in=0,
    tokens_out=0,
    cost_usd=0.0,
    latency_ms=0.0,
)


def row(intent: str, band: str, confidence: float = 0.9) -> Prediction:
    return EMPTY.model_copy(update={"intent": intent, "route_band": band, "confidence": confidence})


def label(intent: str | None, band: Band | None) -> LabelledTicket:
    return LabelledTicket(id="t", body="x", proved=False, intent_label=intent, expected_band=band)


def test_topics_bands_and_the_worst_cell_are_counted() -> None:
    found = evaluate(
        [
            (row("a", "auto"), label("a", Band.AUTO)),
            (row("b", "auto"), label("a", Band.ESCALATE)),
            (row("legal", "escalate", confidence=0.0), label("legal", Band.ESCALATE)),
            (row("a", "suggest"), label(None, None)),
        ]
    )
    assert found.n == 3
    assert found.accuracy == found.band_accuracy == pytest.approx(2 / 3)
    assert (found.classified, found.accuracy_classified) == (2, 0.5)
    assert found.confusion["escalate"] == {"escalate": 1, "suggest": 0, "auto": 1}
    assert found.escalate_as_auto == 1
    assert found.mistaken == {"a → b": 1}


def test_nothing_labelled_is_nothing_measured() -> None:
    found = evaluate([(row("a", "auto"), label(None, None))])
    assert (found.accuracy, found.calibration_error, found.band_accuracy) == (None, None, None)


@pytest.mark.parametrize(
    ("read", "error"),
    [
        ([(1.0, True)] * 4, 0.0),
        ([(1.0, False)] * 4, 1.0),
        ([(0.5, True), (0.5, False)], 0.0),
        ([(0.9, True), (0.9, False), (0.1, False), (0.1, False)], 0.25),
    ],
)
def test_calibration_is_the_distance_of_confidence_and_accuracy(read: list[tuple[float, bool]], error: float) -> None:
    assert calibration_error(read) == pytest.approx(error)


@pytest.mark.parametrize(
    ("read", "found"),
    [
        ([(0.9, True), (0.8, True), (0.4, False)], 0.8),
        ([(0.9, False), (0.8, False)], None),
        ([(0.99, False), *((0.5, True) for _ in range(9))], 0.5),
        ([], None),
    ],
)
def test_a_confidence_is_precise_where_nine_in_ten_above_it_are_right(
    read: list[tuple[float, bool]], found: float | None
) -> None:
    assert precise_from(read) == found


def test_parts_are_told_apart_the_largest_first() -> None:
    found = parted([("chat", True), ("email", True), ("chat", False)])
    assert [(part.name, part.n, part.accuracy) for part in found] == [("chat", 2, 0.5), ("email", 1, 1.0)]
    assert found[0].low < 0.5 < found[0].high


def test_channels_and_languages_are_reported() -> None:
    german = LabelledTicket(
        id="t", channel="email", body="Wo ist meine Bestellung geblieben?", proved=False, intent_label="a"
    )
    found = evaluate([(row("a", "auto"), label("a", None)), (row("b", "auto"), german)])
    assert {part.name: part.accuracy for part in found.by_channel} == {"api": 1.0, "email": 0.0}
    assert {part.name: part.accuracy for part in found.by_language} == {"too short to tell": 1.0, "de": 0.0}
