"""A chaos run's plan is its seed's alone, and leaves no fault out."""

from collections import Counter

from loadtest.chaos.faults import lanes
from loadtest.chaos.schedule import arrivals, turns

LANES = lanes()
TURNS = {"around": 12, "workers": 5, "tickets": 12}  # that a run of five minutes has time for, and more


def test_the_same_seed_is_the_same_plan_and_another_one_is_not() -> None:
    assert arrivals(7, 60, 6) == arrivals(7, 60, 6) != arrivals(8, 60, 6)
    assert turns(7, LANES) == turns(7, LANES) != turns(8, LANES)


def test_tickets_come_in_time_follow_each_other_and_come_again() -> None:
    plan = arrivals(1, 300, 6)
    assert [arrival.at for arrival in plan] == sorted(arrival.at for arrival in plan)
    assert 1500 < len(plan) < 2500
    again = sum(count - 1 for count in Counter(arrival.number for arrival in plan).values())
    assert 40 < again < 200
    assert sum(arrival.conversation != arrival.number for arrival in plan) > 300
    assert max(Counter(arrival.conversation for arrival in plan).values()) > 20  # a hot key


def test_nothing_follows_a_conversation_that_has_not_begun() -> None:
    assert all(arrival.conversation <= arrival.number for arrival in arrivals(3, 120, 6))


def test_ten_seeds_try_each_fault_at_least_three_times() -> None:
    plans = [turns(seed, LANES) for seed in range(1, 11)]
    tried = Counter(turn.fault for plan in plans for lane, count in TURNS.items() for turn in plan[lane][:count])
    assert all(tried[name] >= 3 for names in LANES.values() for name in names)
