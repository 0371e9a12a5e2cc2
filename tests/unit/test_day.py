"""A planned day is the same for the same seed, and is what it says it is."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.day import MIX, Shape, busiest, plan
from loadtest.measure import END_TO_END, by_stage, over_time, spread
from schemas.event import Stage, Step
from schemas.ingress import Channel
from schemas.outcome import Outcome, TicketSettled

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@given(st.integers(0, 2**32), st.integers(1, 400))
def test_a_day_is_in_order_and_every_follow_up_continues_its_own_channel(seed: int, tickets: int) -> None:
    day = plan(seed, Shape(tickets=tickets))
    assert [arrival.number for arrival in day] == list(range(tickets))
    assert all(one.at <= other.at for one, other in pairwise(day))
    assert all(0 <= arrival.at < 24 * 3600 for arrival in day)
    continued = [arrival.follows for arrival in day if arrival.follows is not None]
    assert len(continued) == len(set(continued))
    assert all(day[a.follows].channel is a.channel and a.follows < a.number for a in day if a.follows is not None)


def test_the_same_seed_is_the_same_day_and_another_is_not() -> None:
    assert plan(7) == plan(7)
    assert plan(7) != plan(8)


def test_a_day_has_its_bursts_its_nights_and_its_mix() -> None:
    day = plan(1)
    calm = plan(1, Shape(bursts=0))
    hours = Counter(int(arrival.at // 3600) for arrival in calm)
    assert len(day) == 5000
    assert busiest(day) > 4 * busiest(calm)
    assert hours[3] * 5 < hours[10]
    shares = Counter(arrival.channel for arrival in calm)
    assert all(abs(shares[channel] / 5000 - share) < 0.03 for channel, share in MIX.items())
    assert 500 < sum(arrival.follows is not None for arrival in day) < 900


@pytest.mark.parametrize("wrong", [{"tickets": 0}, {"follow_ups": 1.0}, {"burst_factor": 0.5}, {"bursts": -1}])
def test_a_day_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a day needs"):
        plan(1, Shape(**wrong))  # type: ignore[arg-type]


def test_a_shape_of_one_channel_has_no_other() -> None:
    assert {arrival.channel for arrival in plan(1, Shape(tickets=50, mix={Channel.API: 1.0}))} == {Channel.API}


def settled(number: int, after: float, *steps: Step) -> TicketSettled:
    return TicketSettled(
        ticket_id=UUID(int=number),
        conversation="c",
        revision=1,
        outcome=Outcome.SENT,
        settled_at=NOON + timedelta(seconds=after),
        steps=steps,
    )


def test_latency_counts_from_the_intended_time_stage_by_stage() -> None:
    router = Step(stage=Stage.ROUTER, started_at=NOON + timedelta(seconds=1), took_ms=500)
    told = by_stage({UUID(int=1): NOON, UUID(int=2): NOON}, [settled(1, 2, router), settled(1, 9), settled(3, 1)])
    assert told["router"].p50_ms == 1500
    assert told[END_TO_END] == spread([2000])


def test_latency_over_the_day_is_told_by_when_it_was_meant_to_be_sent() -> None:
    intended = {UUID(int=1): NOON, UUID(int=2): NOON + timedelta(seconds=61)}
    told = over_time(intended, [settled(1, 1), settled(2, 62)], NOON, 60)
    assert told == [(0, spread([1000])), (60, spread([1000]))]


def test_nothing_has_no_percentiles() -> None:
    assert spread([]).p99_ms is None
    assert spread(range(1, 101)).p99_ms == 99
