"""The figures of an evaluation, by name: what counts, over which tickets, with which interval."""

from typing import Any

import pytest

from evals.curves import chances, reliability, risk_coverage
from evals.dataset import ExpectedSource, LabelledTicket
from evals.measures import PROMISE, Beside, measures
from evals.prediction import CheckedSentence, Prediction, RankedSource, refused
from schemas.router import Band

RIGHT, WRONG = "returns", "shipping"


def row(name: str, *, sent: bool = True, cites: str = RIGHT, chance: float = 0.9, **changes: Any) -> Prediction:
    told = CheckedSentence(
        text="Send it back.", article_id=cites, section_id="s", quote="Send it back.", supported=True
    )
    found = {
        "disposition": "auto" if sent else "suggest",
        "route_band": "auto",
        "rule": "all-clear" if sent else "unsupported",
        "sentences": (told,),
        "answer": told.text,
        "p_good": chance,
        "sources": (RankedSource(article_id=cites, section_id="s", score=0.9),),
    }
    return refused(name, "").model_copy(update={**found, **changes})


def label(name: str, band: Band | None = Band.AUTO, **changes: Any) -> LabelledTicket:
    sources = (ExpectedSource(article_id=RIGHT),) if band is Band.AUTO else ()
    given = {"id": name, "body": "x", "expected_band": band, "expected_sources": sources}
    return LabelledTicket.model_validate({**given, **changes})


PAIRS = [
    (row("a"), label("a")),
    (row("b", cites=WRONG, chance=0.4), label("b")),
    (row("c", chance=0.6), label("c", Band.ESCALATE)),
    (row("d", sent=False), label("d", Band.ESCALATE)),
]


@pytest.mark.parametrize(
    ("name", "value", "n"),
    [
        ("deflection", 3 / 4, 4),
        ("bad_rate", 2 / 3, 3),
        ("escalate_auto_sent", 1 / 2, 2),
        ("auto_auto_sent", 1.0, 2),
        ("auto_sent_with_gold", 1 / 2, 2),
        ("article_at_1_auto", 1 / 2, 2),
        ("article_at_5", 1 / 2, 2),
        ("drafted_with_gold", 1 / 2, 2),
        ("state_promised", 0.0, 4),
    ],
)
def test_a_figure_counts_what_its_name_says(name: str, value: float, n: int) -> None:
    found = {measure.name: measure for measure in measures(PAIRS, Beside(), "gate")}[name]
    assert found.n == n
    assert found.value == pytest.approx(value)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= value <= found.high


def test_rows_without_labels_are_counted_only_where_none_is_needed() -> None:
    names = {found.name for found in measures([(row("a"), label("a", None))], Beside(), "gate")}
    assert {"deflection", "groundedness"} <= names
    assert not names & {"bad_rate", "escalate_auto_sent", "article_at_1", "intent_accuracy", "good_auroc"}


def test_an_internal_document_is_seen_in_what_was_sent_and_in_what_was_found() -> None:
    found = {m.name: m.value for m in measures(PAIRS, Beside(internal={WRONG}), "gate")}
    assert (found["internal_quoted"], found["internal_drafted"]) == (1 / 4, 1 / 4)


def test_planted_faults_carry_the_interval_of_their_own_number() -> None:
    caught = ({"kind": "off-topic", "n": 20, "at_tenth": 18},)
    found = next(m for m in measures(PAIRS, Beside(caught=caught), "gate") if m.name == "stopped_off_topic")
    assert (found.value, found.n) == (0.9, 20)


def test_topics_out_of_scope_are_judged_apart_from_those_in_scope() -> None:
    pairs = [
        (row("a", intent="x", confidence=0.9), label("a", None, intent_label="x")),
        (row("b", intent="x", confidence=0.2), label("b", None, out_of_scope=True)),
        (row("c", intent="y", confidence=0.8), label("c", None, intent_label="x")),
    ]
    found = {m.name: (m.value, m.n) for m in measures(pairs, Beside(precise_from=0.85), "router")}
    assert found["intent_accuracy"] == (1 / 2, 2)
    assert found["out_of_scope_auroc"] == (1.0, 3)
    assert found["coverage_at_90"] == (1 / 3, 3)
    assert found["precision_at_90"] == (1.0, 1)


@pytest.mark.parametrize(
    ("text", "promises"),
    [
        ("I have cancelled your order.", True),
        ("We'll refund the price today.", True),
        ("You can cancel the order until it is packed.", False),
        ("The refund has status: pending.", False),
    ],
)
def test_a_promise_is_told_from_what_the_customer_may_do(text: str, promises: bool) -> None:
    assert (PROMISE.search(text) is not None) is promises


def test_the_curve_sends_the_surest_first_and_equals_together() -> None:
    points = risk_coverage(PAIRS)
    assert [(p.coverage, p.n) for p in points] == [(0.5, 2), (0.75, 3), (1.0, 4)]
    assert [p.risk for p in points] == [pytest.approx(1 / 2), pytest.approx(2 / 3), pytest.approx(3 / 4)]


def test_a_bin_holds_what_was_predicted_alike() -> None:
    (low, high) = reliability([(0.05, False), (0.95, True), (1.0, True)])
    assert (low.found, low.n, high.found, high.n) == (0.0, 1, 1.0, 2)
    assert len(chances(PAIRS)) == 4


@pytest.mark.parametrize("changes", [{"rule": "hard-rule"}, {"rule": "unsupported", "route_band": "suggest"}])
def test_what_no_threshold_would_send_is_on_no_curve(changes: dict[str, str]) -> None:
    kept_back = (row("e", **changes), label("e"))
    assert chances([*PAIRS, kept_back]) == chances(PAIRS)
