"""The live guard: false alarms are as rare as promised, a bad turn is found soon, and only a person starts it again."""

from datetime import UTC, datetime, timedelta
from functools import reduce
from random import Random
from statistics import fmean, median
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.edits import changes_fact
from processors.guard import (
    Alarm,
    Detector,
    Feedback,
    Guard,
    Watch,
    armed_again,
    feed,
    of,
    rates,
    signal,
    stopped,
    unstopped,
    watch,
    why,
)
from processors.queue import diff
from schemas.control import Scope, Stop
from schemas.gate import Decision, Disposition
from schemas.outcome import Outcome, TicketSettled

BUDGET = 0.021
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
INTENT = "intent:refund_status"
answers = st.lists(st.booleans(), max_size=60)


def fed(found: list[bool], *, budget: float = BUDGET, trip: float = 1e4) -> Guard:
    return reduce(lambda guard, bad: feed(guard, bad, trip=trip), found, Guard(budget=budget))


def until_trip(start: Guard, rate: float, chance: Random, *, trip: float = 1e4) -> int:
    guard, answered = start, 0
    while not guard.tripped:
        guard, answered = feed(guard, chance.random() < rate, trip=trip), answered + 1
    return answered


def found(*bad: bool, intent: str = "refund_status", at: datetime | None = None) -> list[Feedback]:
    return [Feedback(intent=intent, bad=each, answered_at=at) for each in bad]


def test_false_alarms_are_as_rare_as_promised_at_the_budget_itself() -> None:
    chance, limit = Random(5), 60.0
    lengths = [until_trip(Guard(budget=0.05), 0.05, chance, trip=limit) for _ in range(300)]
    assert fmean(lengths) >= limit


def test_five_times_the_budget_is_found_soon_after_thousands_of_good_answers() -> None:
    start, chance = fed([False] * 3000), Random(7)
    assert median(until_trip(start, 5 * BUDGET, chance) for _ in range(25)) <= 90


def test_good_answers_alone_never_warn() -> None:
    assert fed([False] * 2000).alarm() is Alarm.QUIET


def test_a_run_of_bad_answers_warns_and_then_trips() -> None:
    alarms = [fed([True] * count).alarm() for count in range(7)]
    assert alarms == sorted(alarms, key=list(Alarm).index)
    assert {Alarm.QUIET, Alarm.WARN, Alarm.TRIPPED} == set(alarms)


def test_the_rates_looked_for_are_multiples_of_the_budget_below_one() -> None:
    assert rates(0.02) == pytest.approx((0.03, 0.04, 0.06, 0.1, 0.16, 0.24))
    assert rates(0.3) == pytest.approx((0.45, 0.6, 0.9))


@given(answers)
def test_what_is_kept_goes_on_as_if_it_had_never_been_put_away(found: list[bool]) -> None:
    guard = fed(found)
    again = Guard.model_validate_json(guard.model_dump_json())
    assert again == guard
    assert feed(again, True) == feed(guard, True)


@given(answers, st.data())
def test_a_bad_answer_in_a_good_ones_place_never_lessens_the_evidence(found: list[bool], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(found)))
    good, bad = ([*found[:place], each, *found[place:]] for each in (False, True))
    assert fed(bad, trip=float("inf")).e_value >= fed(good, trip=float("inf")).e_value


@given(answers)
def test_later_answers_never_lift_a_trip(found: list[bool]) -> None:
    guard = reduce(feed, found, fed([True] * 8))
    assert guard.tripped
    assert guard.feedbacks == 8 + len(found)


@given(answers, st.integers(0, 60))
def test_how_answers_come_in_batches_makes_no_difference(bad: list[bool], cut: int) -> None:
    one = watch(Watch(), Detector.AUDITS, found(*bad), budget=BUDGET)
    first = watch(Watch(), Detector.AUDITS, found(*bad[:cut]), budget=BUDGET)
    assert watch(first, Detector.AUDITS, found(*bad[cut:]), budget=BUDGET) == one


def test_an_answer_counts_in_its_intent_and_overall_and_nowhere_else() -> None:
    held = watch(Watch(), Detector.AUDITS, [*found(True), *found(False, intent="gift_card")], budget=BUDGET)
    assert {scope: (w.guard.feedbacks, w.guard.bad) for scope, w in held.audits.items()} == {
        INTENT: (1, 1),
        "intent:gift_card": (1, 0),
        "all": (2, 1),
    }
    assert held.signals == {}


def test_a_guard_of_another_budget_starts_anew_and_a_tripped_one_stays() -> None:
    quiet = watch(Watch(), Detector.AUDITS, found(True), budget=BUDGET)
    loud = watch(Watch(), Detector.AUDITS, found(*[True] * 8), budget=BUDGET)
    again = [watch(held, Detector.AUDITS, found(False), budget=0.1).audits["all"].guard for held in (quiet, loud)]
    assert [(guard.budget, guard.feedbacks, guard.tripped) for guard in again] == [(0.1, 1, False), (BUDGET, 9, True)]


def tripped_and_stopped() -> Watch:
    held = watch(Watch(), Detector.AUDITS, found(*[True] * 8), budget=BUDGET)
    for detector, scope in unstopped(held):
        held = stopped(held, detector, scope, Stop(sequence=4), published=True)
    return held


def test_a_trip_is_to_be_stopped_until_both_paths_have_it() -> None:
    held = watch(Watch(), Detector.AUDITS, found(*[True] * 8), budget=BUDGET)
    assert unstopped(held) == ((Detector.AUDITS, INTENT), (Detector.AUDITS, "all"))
    half = stopped(held, Detector.AUDITS, INTENT, Stop(sequence=3), published=False)
    assert (Detector.AUDITS, INTENT) in unstopped(half)
    assert unstopped(tripped_and_stopped()) == ()


@pytest.mark.parametrize(("sequence", "lifted"), [(3, False), (4, False), (5, True)])
def test_only_an_arming_after_the_stop_starts_it_again(sequence: int, lifted: bool) -> None:
    held = armed_again(tripped_and_stopped(), Scope.parse(INTENT), Stop(sequence=sequence), NOON)
    assert held.audits[INTENT].guard.tripped is not lifted
    assert held.audits["all"].guard.tripped
    assert (held.audits[INTENT].guard == Guard(budget=BUDGET)) is lifted


def test_what_was_answered_before_the_arming_speaks_no_more() -> None:
    held = armed_again(tripped_and_stopped(), Scope.parse(INTENT), Stop(sequence=5), NOON)
    late = [*found(True, at=NOON - timedelta(hours=1)), *found(False, at=NOON)]
    guard = watch(held, Detector.AUDITS, late, budget=BUDGET).audits[INTENT].guard
    assert (guard.feedbacks, guard.bad) == (1, 0)


@given(answers)
def test_everything_that_is_kept_survives_as_json(bad: list[bool]) -> None:
    held = watch(tripped_and_stopped(), Detector.SIGNALS, found(*bad, at=NOON), budget=0.15)
    held = held.model_copy(update={"labels": 9, "offsets": {0: 4, 11: 2}})
    assert Watch.model_validate_json(held.model_dump_json()) == held


def test_the_reason_of_a_stop_has_the_figures() -> None:
    held = watch(Watch(), Detector.AUDITS, found(False, *[True] * 3), budget=BUDGET)
    told = why(Detector.AUDITS, of(held, Detector.AUDITS)["all"].guard)
    assert told.startswith("the live guard: 3 of 4 audited answers were bad, e-value ")
    assert told.endswith("against a budget of 2.1%")


# -- what customers and agents did


def settled(outcome: Outcome, *, rule: str = "switched-to-suggest", **more: object) -> TicketSettled:
    decision = Decision(
        disposition=Disposition.SUGGEST,
        rule=rule,
        floor=0.92,
        retrieval_threshold=0.3,
        verifier="v",
        policy_hash="p",
        config_hash="c",
        switch_state="suggest",
        switch_epoch=1,
        decided_at=NOON,
    )
    given = {"actor": "mia", "intent": "refund_status", "decision": decision, **more}
    return TicketSettled(ticket_id=UUID(int=1), conversation="c", revision=1, outcome=outcome, settled_at=NOON, **given)


AUTO = settled(Outcome.SENT).decision.model_copy(update={"disposition": Disposition.AUTO})  # type: ignore[union-attr]


def edit(before: str, after: str, **more: object) -> TicketSettled:
    return settled(Outcome.EDITED, diff=diff(before, after), **more)


@pytest.mark.parametrize(
    ("act", "bad"),
    [
        (settled(Outcome.SENT, actor="bot"), False),
        (settled(Outcome.SENT), None),
        (settled(Outcome.SENT, actor="acme", decision=AUTO), False),
        (settled(Outcome.REOPENED), True),
        (settled(Outcome.REOPENED, item_id=UUID(int=2)), None),
        (settled(Outcome.REOPENED, intent=None), None),
        (settled(Outcome.APPROVED), False),
        (settled(Outcome.APPROVED, rule="route-suggests"), None),
        (edit("It takes 5 days.", "It takes 8 days."), True),
        (edit("It takes 5 days.", "It takes 8 days.", rule="unsupported"), None),
        (edit("It takes 5 days.", "Hello Ann, it takes 5 days."), False),
        (settled(Outcome.REJECTED, reason="fact: the days"), True),
        (settled(Outcome.REJECTED, reason="policy"), True),
        (settled(Outcome.REJECTED, reason="tone"), None),
        (settled(Outcome.RATED), None),
    ],
)
def test_what_an_act_says_of_an_answer(act: TicketSettled, bad: bool | None) -> None:
    told = signal(act)
    assert (told.bad if told else None) is bad


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("You can return it within 45 days.", "Of course: you can return it within 45 days!", False),
        ("You can return it within 45 days.", "You can return it within 30 days.", True),
        ("It ships on Monday.", "It ships on Tuesday.", True),
        ("We refund it.", "We replace it.", True),
        ("You can use it twice.", "You cannot use it twice.", True),
        ("Write to a@shop.example.", "Write to b@shop.example.", True),
        ("See https://shop.example/a.", "See https://shop.example/a, please.", False),
        ("Best wishes, the team", "Kind regards, Mia", False),
    ],
)
def test_an_edit_is_bad_only_if_it_changes_a_fact_or_an_action(before: str, after: str, changed: bool) -> None:
    assert changes_fact(diff(before, after)) is changed
