"""Learning to choose: what the right ones have in common weighs, and nothing moves without a right one."""

import numpy as np
import pytest

from evals.train.choice import Offered, likeliest

ZERO = np.zeros(2)


def offered(right: int) -> Offered:
    """Three to choose from: the first feature tells the first one, the second one the last."""
    return np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]), np.arange(3) == right


def test_what_the_right_ones_have_weighs_more() -> None:
    first, second = likeliest([offered(0)] * 3 + [offered(2)], ZERO, near=0.001)
    assert first > second > 0


def test_a_weight_stays_nearer_the_start_where_leaving_costs_more() -> None:
    free, held = (likeliest([offered(0)], ZERO, near=near)[0] for near in (0.001, 1.0))
    assert free > held > 0


def test_no_weight_goes_below_the_least() -> None:
    assert likeliest([offered(0)], ZERO, near=0.001)[1] < 0
    assert likeliest([offered(0)], ZERO, near=0.001, least=0.0)[1] == pytest.approx(0.0)


def test_nothing_moves_where_nothing_is_right() -> None:
    start = np.array([1.0, 2.0])
    assert likeliest([(np.eye(2), np.array([False, False]))], start, near=0.001) is start
