"""The certificate: the figures of its table, its promise kept over simulated draws, and doors that stay shut."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import beta, binom

from processors.certificate import (
    Certificate,
    CertificateError,
    Certification,
    accepted_needed,
    binomial_tail,
    fewest,
    fingerprint,
    issue,
    labels_for,
    learn_then_test,
    tighter,
    upper_bound,
)

AT = datetime(2026, 11, 24, tzinfo=UTC)
CERTIFICATE = Certificate(
    risk=0.021,
    delta=0.05,
    threshold=0.9,
    intents=("delivery_time", "warranty"),
    n=500,
    accepted=300,
    bad=2,
    bound=upper_bound(2, 300, 0.05),
    frozen="abc",
    issued_at=AT,
)


# -- the statistics


@pytest.mark.parametrize(
    ("risk", "needed"),
    [
        (0.021, (142, 225, 298, 367, 498, 805)),
        (0.01, (299, 473, 628, 773, 1049, 1693)),
        (0.005, (598, 947, 1258, 1549, 2100, 3389)),
    ],
)
def test_so_many_accepted_labels_prove_the_promise(risk: float, needed: Sequence[int]) -> None:
    assert tuple(accepted_needed(bad, risk, 0.05) for bad in (0, 1, 2, 3, 5, 10)) == tuple(needed)
    assert fewest(risk, 0.05) == needed[0]


@given(n=st.integers(1, 3000), share=st.floats(0, 1), rate=st.floats(0.001, 0.999))
def test_the_tail_is_the_binomial_s(n: int, share: float, rate: float) -> None:
    bad = min(int(share * n), 300)
    assert binomial_tail(bad, n, rate) == pytest.approx(binom.cdf(bad, n, rate), rel=1e-6, abs=1e-12)


@given(n=st.integers(1, 2000), share=st.floats(0, 0.2), delta=st.sampled_from([0.01, 0.05, 0.1]))
def test_the_bound_is_clopper_and_pearson_s(n: int, share: float, delta: float) -> None:
    bad = int(share * n)
    assert upper_bound(bad, n, delta) == pytest.approx(beta.ppf(1 - delta, bad + 1, n - bad), rel=1e-6)


# -- the walk


def scored(*cells: tuple[float, int, int]) -> list[tuple[float, bool]]:
    """Tickets that score so much: how many are good, how many bad."""
    return [(score, at < bad) for score, good, bad in cells for at in range(good + bad)]


@pytest.mark.parametrize(
    ("cells", "threshold", "tried"),
    [
        ([(0.9, 200, 0), (0.8, 200, 1), (0.7, 100, 50)], 0.8, 3),  # the last that passed
        ([(0.9, 100, 0), (0.8, 60, 0)], 0.7, 2),  # too few at 0.9 to pass with any labels: skipped
        ([(0.9, 142, 9), (0.8, 3000, 0)], None, 1),  # the first failure ends it, though 0.8 would pass
        ([(0.9, 100, 0)], None, 0),
        ([], None, 0),
        ([(nan, 900, 0), (0.9, 141, 0)], None, 0),  # NaN is accepted by no threshold
    ],
)
def test_the_walk_stops_at_the_first_failure(
    cells: list[tuple[float, int, int]], threshold: float | None, tried: int
) -> None:
    finding = learn_then_test(scored(*cells), risk=0.021, delta=0.05, grid=(0.7, 0.8, 0.9))
    assert (finding.threshold, len(finding.tried)) == (threshold, tried)
    assert finding.certified == (threshold is not None)


@pytest.mark.parametrize(("risk", "delta"), [(0, 0.05), (1, 0.05), (0.02, 0), (0.02, 1), (nan, 0.05), (0.02, nan)])
def test_a_promise_that_is_none_is_refused(risk: float, delta: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        learn_then_test([], risk=risk, delta=delta, grid=())


# -- the promise, over simulated draws


@dataclass(frozen=True)
class World:
    """A help desk's tickets by score, best first: how many there are of each, and how many of them are bad."""

    weights: tuple[float, ...]
    risks: tuple[float, ...]

    @property
    def grid(self) -> tuple[float, ...]:
        return tuple(1 - at / 100 for at in range(len(self.weights)))

    def true_rate(self, threshold: float) -> float:
        """The rate of bad answers among all that score the threshold."""
        taken = [at for at, score in enumerate(self.grid) if score >= threshold]
        weights, risks = np.array(self.weights)[taken], np.array(self.risks)[taken]
        return float(weights @ risks / weights.sum())

    def draw(self, n: int, rng: np.random.Generator) -> list[tuple[float, bool]]:
        """Labelled tickets."""
        counts = rng.multinomial(n, np.array(self.weights) / sum(self.weights))
        bad = [int(rng.binomial(count, risk)) for count, risk in zip(counts, self.risks, strict=True)]
        return scored(*((s, int(n) - b, b) for s, n, b in zip(self.grid, counts, bad, strict=True)))


WORLDS = {
    "a hair above the promise everywhere": World((2, 2, 2, 2, 2), (0.0212,) * 5),
    "worse the laxer": World((3, 2, 2, 2, 1), (0.002, 0.01, 0.03, 0.06, 0.1)),
    "worst at the top, fine below": World((3, 1, 4, 1, 1), (0.025, 0.02, 0.02, 0.012, 0.08)),
    "up and down around the promise": World((3, 1, 1, 1, 2, 2), (0.0215, 0.001, 0.06, 0.001, 0.03, 0.012)),
    "hopeless": World((1, 1, 1), (0.2, 0.3, 0.4)),
}
RISK, DELTA, DRAWS, LABELS = 0.021, 0.05, 600, 500
TOLERATED = int(
    binom.isf(1e-4, DRAWS, DELTA)
)  # of the draws: so many break the promise by chance once in 10,000 worlds

Rule = Callable[[Sequence[tuple[float, bool]], Sequence[float]], float | None]


def ours(labels: Sequence[tuple[float, bool]], grid: Sequence[float]) -> float | None:
    return learn_then_test(labels, risk=RISK, delta=DELTA, grid=grid).threshold


def naive(labels: Sequence[tuple[float, bool]], grid: Sequence[float]) -> float | None:
    """The laxest threshold whose rate among the labels keeps the promise."""
    kept = [t for t in grid if (taken := [bad for s, bad in labels if s >= t]) and sum(taken) / len(taken) <= RISK]
    return min(kept, default=None)


def broken(rule: Rule, world: World) -> int:
    """In how many draws the rule sends at a threshold whose true rate breaks the promise."""
    rng = np.random.default_rng(20261124)
    chosen = (rule(world.draw(LABELS, rng), world.grid) for _ in range(DRAWS))
    return sum(threshold is not None and world.true_rate(threshold) > RISK for threshold in chosen)


@pytest.mark.parametrize("name", WORLDS)
def test_the_promise_is_broken_no_more_often_than_delta(name: str) -> None:
    assert broken(ours, WORLDS[name]) <= TOLERATED


def test_the_naive_rule_breaks_its_promise() -> None:
    found = {name: broken(naive, world) / DRAWS for name, world in WORLDS.items()}
    assert found.pop("hopeless") == 0
    assert min(found.values()) > 0.2, found  # the same check would catch it in each world
    assert TOLERATED / DRAWS < 0.1


def test_the_promise_is_also_given_where_it_can_be() -> None:
    good, rng = World((6, 2, 2), (0.0005, 0.001, 0.02)), np.random.default_rng(7)
    given_ = [ours(good.draw(LABELS, rng), good.grid) for _ in range(100)]
    assert sum(threshold is not None for threshold in given_) > 90


# -- what it costs


def test_the_next_promise_costs_labels_at_the_rate_seen() -> None:
    finding = learn_then_test(scored((0.9, 300, 0), (0.1, 300, 0)), risk=0.021, delta=0.05, grid=(0.9,))
    plan = labels_for(finding, tighter(0.021))
    assert (plan.risk, plan.accepted, plan.labels) == (0.01, 299, 598)


def test_no_number_of_labels_proves_what_is_not_so() -> None:
    finding = learn_then_test(scored((0.9, 290, 10)), risk=0.1, delta=0.05, grid=(0.9,))
    assert finding.certified
    assert labels_for(finding, 0.02).labels is None


# -- the value


@pytest.mark.parametrize(
    ("p_good", "intent", "frozen", "may"),
    [
        (0.9, "warranty", "abc", True),
        (0.8999, "warranty", "abc", False),
        (nan, "warranty", "abc", False),
        (float("inf"), "warranty", "abc", False),
        (1.1, "warranty", "abc", False),
        (None, "warranty", "abc", False),
        (0.99, "refund_status", "abc", False),
        (0.99, "", "abc", False),
        (0.99, "warranty", "abd", False),
        (0.99, "warranty", "", False),
    ],
)
def test_whatever_is_unknown_or_changed_is_not_admitted(
    p_good: float | None, intent: str, frozen: str, may: bool
) -> None:
    assert CERTIFICATE.admits(p_good, intent, frozen) is may


@pytest.mark.parametrize(
    ("at", "may"), [(AT, True), (AT + timedelta(days=1), False), (AT + timedelta(days=2), False), (None, False)]
)
def test_a_certificate_with_an_end_ends(at: datetime | None, may: bool) -> None:
    ending = CERTIFICATE.model_copy(update={"expires_at": AT + timedelta(days=1)})
    assert ending.admits(0.95, "warranty", "abc", at) is may


@pytest.mark.parametrize(
    "changed",
    [
        {"bad": 3},
        {"accepted": 200},
        {"risk": 0.01},
        {"delta": 0.001},
        {"bad": -1},
        {"n": 299},
        {"frozen": ""},
        {"x": 1},
    ],
)
def test_figures_that_prove_nothing_are_no_certificate(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Certificate.model_validate({**CERTIFICATE.model_dump(), **changed})


def test_a_finding_becomes_a_certificate_only_when_proved() -> None:
    finding = learn_then_test(scored((0.9, 300, 2)), risk=0.021, delta=0.05, grid=(0.9,))
    issued = issue(finding, intents=("warranty", "delivery_time"), frozen="abc", issued_at=AT)
    assert issued == CERTIFICATE.model_copy(update={"n": 302, "accepted": 302, "bound": finding.bound})
    assert issue(replace(finding, threshold=None), intents=(), frozen="abc", issued_at=AT) is None


# -- the file

FILE = Certification(certificates=(CERTIFICATE,), sections=frozenset({fingerprint("text")}), made_of={"suite": "shop"})


def test_the_file_reads_back_as_it_was_written() -> None:
    assert Certification.parse(FILE.model_dump_json()) == FILE


@pytest.mark.parametrize("text", ["", "{}", "[]", FILE.model_dump_json().replace('"bad":2', '"bad":20')])
def test_a_file_that_proves_nothing_is_refused(text: str) -> None:
    with pytest.raises(CertificateError):
        Certification.parse(text)


def test_an_intent_is_under_one_certificate() -> None:
    with pytest.raises(ValidationError, match="two certificates"):
        Certification(certificates=(CERTIFICATE, CERTIFICATE), sections=frozenset())


def test_the_certificate_of_an_intent_is_the_one_that_names_it() -> None:
    assert FILE.of("warranty") == CERTIFICATE
    assert FILE.of("never_heard_of") is None
