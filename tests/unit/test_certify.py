"""Certifying: the score learns, splits stay apart, promises share δ, and the whole keeps its promise over splits."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from evals.certify import Certifying, Promise, certify, choose, every_draft, part, validity
from evals.dataset import LabelledTicket
from evals.train.selective import Judged, fit
from processors.selective import SIGNALS

INTENTS = ("delivery_time", "warranty", "refund_status")


def pool(n: int, seed: int, *, bad: float = 0.03, noise: float = 1.0) -> list[Judged]:
    """Tickets whose first signal says, through noise, whether the answer is bad; a quarter is no candidate."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(n) < bad
    worst = np.where(wrong, -1.0, 2.0) + noise * rng.standard_normal(n)
    others = rng.standard_normal((n, len(SIGNALS) - 1))
    return [
        Judged(
            id=f"{seed}-{at}",
            group=f"{seed}-{at}",
            intent=INTENTS[at % 3],
            signals=dict(zip(SIGNALS, (float(worst[at]), *map(float, others[at])), strict=True)),
            candidate=at % 4 != 0,
            bad=bool(wrong[at]),
        )
        for at in range(n)
    ]


def certified(*promises: Promise, tune: Sequence[Judged] = (), holdout: Sequence[Judged] = ()) -> Certifying:
    """Certified at δ = 0.05 on pools of 800 and 1,200 tickets, unless others are given."""
    return certify(tune or pool(800, 1), holdout or pool(1200, 2), promises, 0.05)


# -- the score


def test_the_score_learns_what_tells_good_from_bad() -> None:
    scored = fit(pool(800, 1, bad=0.2))
    assert scored.auroc is not None
    assert scored.auroc > 0.95
    assert max(scored.model.weights, key=abs) == scored.model.weights[0]


def test_the_score_is_calibrated_on_tickets_it_has_not_seen() -> None:
    rows = pool(3000, 3, bad=0.3, noise=2.0)
    scored = fit(rows[:1500])
    chances = np.array([scored.model.p_good(row.signals, row.intent) for row in rows[1500:]], dtype=float)
    good = np.array([not row.bad for row in rows[1500:]])
    for low, high in ((0.0, 0.4), (0.4, 0.7), (0.7, 0.9), (0.9, 1.0)):
        inside = (chances >= low) & (chances < high)
        assert abs(float(chances[inside].mean() - good[inside].mean())) < 0.09


def test_without_bad_answers_the_worst_sentence_is_the_score() -> None:
    scored = fit(pool(50, 1, bad=0.0))
    assert scored.model.names == ("worst",)
    assert len(scored.held_out) == 50


def test_a_ticket_without_a_draft_has_no_score() -> None:
    rows = [*pool(200, 1, bad=0.2), replace(pool(1, 9)[0], signals={}, candidate=False)]
    assert np.isnan(fit(rows).held_out[-1])


# -- proofs


def test_a_good_desk_is_certified_and_bad_answers_stay_below_the_bound() -> None:
    (proof,) = certified(Promise(0.021)).proofs
    assert proof.finding.certified
    assert proof.finding.bound <= 0.021
    assert 0.5 < proof.deflection <= 0.75
    assert proof.plan.risk == 0.01


def test_what_cannot_be_proved_is_refused_with_the_labels_it_needs() -> None:
    found = certified(Promise(0.021), holdout=pool(120, 2))
    (proof,) = found.proofs
    assert not found.certified
    assert not proof.finding.tried  # too few to pass with any labels
    assert proof.plan.risk == 0.021
    assert (proof.plan.labels or 0) > 120


def test_a_desk_where_nothing_tells_good_from_bad_is_refused() -> None:
    rng = np.random.default_rng(5)
    holdout = [replace(row, bad=bool(rng.random() < 0.1)) for row in pool(1200, 2)]
    tune = [replace(row, bad=bool(rng.random() < 0.1)) for row in pool(800, 1)]
    assert certified(Promise(0.021), tune=tune, holdout=holdout).proofs[0].finding.threshold is None


def test_promises_of_single_intents_share_delta_and_stand_apart() -> None:
    pooled, own = certified(Promise(0.021), Promise(0.04, "refund_status")).proofs
    assert (pooled.intents, own.intents) == (("delivery_time", "warranty"), ("refund_status",))
    assert pooled.finding.delta == own.finding.delta == 0.025


def test_an_intent_that_the_tune_split_never_sent_is_not_covered() -> None:
    (proof,) = certified(Promise(0.021, "never_heard_of")).proofs
    assert proof.intents == ()
    assert not proof.finding.certified


def test_a_customer_in_both_splits_is_refused() -> None:
    rows = pool(100, 1)
    with pytest.raises(ValueError, match="in both splits"):
        certify(rows, rows[:5], (Promise(0.021),), 0.05)


def test_no_threshold_comes_from_the_labels_that_certify() -> None:
    holdout = pool(1200, 2)
    turned = [replace(row, bad=not row.bad) for row in holdout]
    one, other = (certified(Promise(0.021), holdout=rows) for rows in (holdout, turned))
    assert one.proofs[0].grid == other.proofs[0].grid
    assert one.scored.model == other.scored.model
    assert (one.certified, other.certified) == (True, False)


def test_the_walk_starts_where_it_is_likeliest_to_pass() -> None:
    clean = [(1 - at / 1000, False) for at in range(200)]
    assert max(choose(clean, risk=0.021, delta=0.05, labels=400)) <= clean[180][0]
    spoilt_below = [(score, at >= 150) for at, (score, _) in enumerate(clean)]
    assert max(choose(spoilt_below, risk=0.021, delta=0.05, labels=400)) == clean[149][0]
    assert choose([], risk=0.021, delta=0.05, labels=400) == ()


# -- over splits


def test_the_promise_holds_over_repeated_splits_where_the_naive_one_breaks() -> None:
    found = validity(pool(900, 4, bad=0.06, noise=1.6), Promise(0.03), 0.1, splits=40)
    assert found.violated <= binom.isf(1e-3, 40, 0.1)
    assert found.certified > 8
    assert found.naive_violated > 2 * max(found.violated, 4)


def test_the_certificate_alone_is_tested_on_every_draft() -> None:
    rows = [*pool(8, 5), replace(pool(1, 6)[0], signals={})]
    assert [row.candidate for row in every_draft(rows)] == [True] * 8 + [False]


def test_a_pool_is_parted_by_customer() -> None:
    tickets = [LabelledTicket(id=str(at), body="x", proved=False, customer_id=f"c{at // 3}") for at in range(900)]
    tune, holdout = part(tickets)
    assert not {ticket.group for ticket in tune} & {ticket.group for ticket in holdout}
    assert len(tune) == pytest.approx(360, abs=60)
