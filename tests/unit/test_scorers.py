"""The judgement of one answer: what makes it bad."""

from typing import Any

import pytest

from evals.scorers import Answer, Label, cites_expected, contains, faults, quality, wilson

LABEL = Label(band="auto", sources=(("shipping", "cost"),), facts=("$4.95",), intent="shipping_cost")


def answer(**changes: Any) -> Answer:
    values: dict[str, Any] = {
        "disposition": "auto",
        "intent": "shipping_cost",
        "text": "Standard delivery costs **$4.95**.",
        "cited": (("shipping", "cost"),),
        "supported": True,
    }
    return Answer(**(values | changes))


def test_a_cited_answer_with_its_fact_is_good() -> None:
    assert faults(answer(), LABEL) == ()


@pytest.mark.parametrize(
    ("given", "label", "fault"),
    [
        (answer(), Label(band="suggest"), "expected suggest"),
        (answer(), Label(band="escalate"), "expected escalate"),
        (answer(), Label(band="auto", must_not_auto=True), "expected auto"),
        (answer(cited=(("shipping", "times"),)), LABEL, "no expected source cited"),
        (answer(cited=()), LABEL, "no expected source cited"),
        (answer(text="Delivery is cheap."), LABEL, "fact missing: $4.95"),
    ],
)
def test_an_auto_sent_answer_is_bad_when(given: Answer, label: Label, fault: str) -> None:
    assert fault in faults(given, label)


def test_an_answer_that_was_not_sent_is_never_bad() -> None:
    assert faults(answer(disposition="suggest", cited=()), Label(band="escalate")) == ()


@pytest.mark.parametrize(
    ("text", "fact", "there"),
    [
        ("It takes 3 to 5 Working Days.", "3 to 5 working days", True),
        ("It takes 3\u20135 days.", "3-5 days", True),
        ("It takes  3 to\n5 working days.", "3 to 5 working days", True),
        ("It takes 13 to 5 days.", "3 to 5 days", False),
        ("It costs $14.95.", "4.95", False),
        ("It costs $4.955.", "$4.95", False),
        ("You have 450 days.", "45", False),
    ],
)
def test_a_fact_stands_in_a_text(text: str, fact: str, there: bool) -> None:
    assert contains(text, fact) is there


def test_a_label_without_a_section_accepts_any_section_of_its_article() -> None:
    assert cites_expected([("shipping", "cost")], [("shipping", None)])
    assert not cites_expected([("returns", "cost")], [("shipping", None)])


def test_quality_counts_what_it_says() -> None:
    pairs = [(answer(), LABEL), (answer(cited=(), intent="other"), LABEL), (answer(disposition="handoff"), LABEL)]
    counted = quality(pairs)
    assert (counted.tickets, counted.auto_sent, counted.bad, counted.intents_right) == (3, 2, 1, 2)
    assert counted.deflection == pytest.approx(2 / 3)


def test_rates_of_nothing_are_unknown_not_perfect() -> None:
    empty = quality([])
    assert (empty.deflection, empty.groundedness, empty.bad_rate) == (None, None, None)


def test_the_interval_matches_a_published_value() -> None:
    # 81 of 263: Wilson's interval as worked by Newcombe (1998), table I.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
