"""P(good): what it is computed from, that whatever is unknown gives none, and what a certificate makes of it."""

from math import nan

import pytest
from pydantic import ValidationError

from processors.selective import SIGNALS, Certified, Selective, SelectiveError, signals
from schemas.gate import SentenceCheck
from schemas.resolution import Draft, ReplyDrafted
from tests.unit.test_gate import (
    AT,
    BY_WORST,
    CERTIFICATION,
    CERTIFIED,
    DRAFT,
    DRAFTED,
    OF_ORDER,
    ORDER,
    PASSAGE,
    supported,
    with_part,
    with_sentence,
)


def seen(drafted: ReplyDrafted, checks: tuple[SentenceCheck, ...] | None = None) -> dict[str, float]:
    """The signals of a drafted reply."""
    found = supported(drafted) if checks is None else checks
    return signals(drafted.ticket, drafted.route, drafted.evidence, drafted.draft, found)


def admitted(drafted: ReplyDrafted, certified: Certified = CERTIFIED, score: float = 0.97) -> tuple[float | None, bool]:
    """P(good) and whether it may be sent."""
    parts = (drafted.ticket, drafted.route, drafted.evidence, drafted.draft)
    found = certified.assess(*parts, supported(drafted, score), AT)
    return found.p_good, found.admitted


# -- signals


def test_every_signal_has_its_value() -> None:
    found = seen(DRAFTED)
    assert tuple(found) == SIGNALS
    assert (found["cited"], found["from-records"], found["own-record"], found["off-kind"]) == (0.7, 0.0, 0.0, 0.0)
    assert found["lead"] == pytest.approx(0.1)
    assert found["worst"] == found["mean"] == pytest.approx(3.476, abs=0.001)


def test_the_worst_sentence_is_a_signal_of_its_own() -> None:
    twice = DRAFTED.model_copy(update={"draft": DRAFT.model_copy(update={"sentences": DRAFT.sentences * 2})})
    good, bad = supported(twice)
    found = seen(twice, (good, bad.model_copy(update={"score": 0.1})))
    assert found["worst"] < 0 < found["mean"]


def test_a_record_is_known_from_an_article() -> None:
    found = seen(with_sentence(OF_ORDER, facts=(ORDER,)))
    assert (found["from-records"], found["own-record"], found["off-kind"]) == (1.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("draft", "checks"),
    [(None, ()), (DRAFT, ()), (DRAFT.model_copy(update={"sentences": ()}), ())],
)
def test_nothing_is_known_of_what_was_not_drafted_or_not_checked(
    draft: Draft | None, checks: tuple[SentenceCheck, ...]
) -> None:
    assert seen(DRAFTED.model_copy(update={"draft": draft}), checks) == {}


# -- the score


def test_a_score_reads_back_as_it_was_written() -> None:
    assert Selective.parse(BY_WORST.model_dump_json()) == BY_WORST
    assert BY_WORST.model_copy(update={"made_of": {"drafts": 3}}).hash == BY_WORST.hash
    assert BY_WORST.model_copy(update={"intercept": 0.1}).hash != BY_WORST.hash


@pytest.mark.parametrize("text", ["", "{}", BY_WORST.model_dump_json().replace('"scale":[1.0]', '"scale":[0.0]')])
def test_a_file_that_is_no_score_is_refused(text: str) -> None:
    with pytest.raises(SelectiveError):
        Selective.parse(text)


def test_parts_of_other_lengths_are_no_score() -> None:
    with pytest.raises(ValidationError, match="fit together"):
        Selective.model_validate({**BY_WORST.model_dump(), "weights": (1.0, 2.0)})


@pytest.mark.parametrize("found", [{}, {"worst": nan}, {"worst": float("inf")}, {"mean": 1.0}])
def test_a_missing_signal_gives_no_probability(found: dict[str, float]) -> None:
    assert BY_WORST.p_good(found, "delivery_time") is None


def test_an_intent_that_was_never_seen_adds_the_least() -> None:
    by_intent = BY_WORST.model_copy(update={"intents": {"warranty": 2.0, "refund_status": -3.0}})
    chances = [by_intent.p_good({"worst": 0.0}, intent) for intent in ("warranty", "refund_status", "never_heard_of")]
    assert chances == [pytest.approx(0.881, abs=0.001), pytest.approx(0.047, abs=0.001), chances[1]]


# -- the certificate on it


def test_an_answer_that_reaches_the_threshold_is_admitted() -> None:
    assert admitted(DRAFTED) == (pytest.approx(0.97), True)
    assert admitted(DRAFTED, score=0.94) == (pytest.approx(0.94), False)


@pytest.mark.parametrize(
    ("drafted", "certified"),
    [
        (DRAFTED, Certified(BY_WORST, None, "now")),
        (DRAFTED, Certified(None, CERTIFICATION, "now")),
        (DRAFTED, Certified(BY_WORST, CERTIFICATION, "changed")),
        (with_part("route", intent="warranty"), CERTIFIED),
        (with_part("evidence", passages=(PASSAGE.model_copy(update={"text": "Standard delivery takes"}),)), CERTIFIED),
        (DRAFTED.model_copy(update={"draft": None}), CERTIFIED),
    ],
    ids=["no certificate", "no score", "another deployment", "not covered", "an edited section", "no draft"],
)
def test_without_a_certificate_for_it_nothing_is_admitted(drafted: ReplyDrafted, certified: Certified) -> None:
    assert admitted(drafted, certified, 0.99)[1] is False


def test_a_verifier_that_says_nan_is_not_admitted() -> None:
    unsound = supported(DRAFTED)[0].model_copy(update={"score": nan})
    parts = (DRAFTED.ticket, DRAFTED.route, DRAFTED.evidence, DRAFTED.draft)
    assert CERTIFIED.assess(*parts, (unsound,), AT).admitted is False
