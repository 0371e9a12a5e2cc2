"""The waterfall of `sluice trace`: milliseconds as bars, what people do hours later as moments."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from schemas.event import Stage, Step
from schemas.outcome import Outcome, TicketSettled
from sluice.trace import waterfall

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
STEPS = (
    Step(stage=Stage.INGRESS, started_at=NOW, took_ms=10),
    Step(stage=Stage.OUTCOME, started_at=NOW + timedelta(milliseconds=60), took_ms=40),
)


def settled(outcome: Outcome, after: timedelta, actor: str = "mia", steps: tuple[Step, ...] = ()) -> TicketSettled:
    return TicketSettled(
        ticket_id=UUID(int=1),
        conversation="c",
        revision=1,
        outcome=outcome,
        actor=actor,
        settled_at=NOW + after,
        steps=steps,
    )


SUGGESTED = settled(Outcome.SUGGESTED, timedelta(milliseconds=100), "bot", STEPS)


def test_an_act_hours_later_is_a_moment_behind_a_gap_and_the_bars_keep_their_scale() -> None:
    taken, approved = settled(Outcome.TAKEN_OVER, timedelta(hours=3)), settled(Outcome.APPROVED, timedelta(days=2))
    assert waterfall([SUGGESTED, taken, approved]) == [
        f"   ingress {'█' * 4:<41} +    0.0 ms, took 10.0 ms",
        f"   outcome {' ' * 24 + '█' * 16:<41} +   60.0 ms, took 40.0 ms",
        "         ⋮ 3 h later",
        "taken_over ◆ by a person, 2026-11-20 15:00:00 UTC",
        "         ⋮ 2 d later",
        "  approved ◆ by a person, 2026-11-22 12:00:00 UTC",
    ]


def test_acts_stand_in_their_order_once_however_often_they_were_published() -> None:
    taken, released = settled(Outcome.TAKEN_OVER, timedelta(0)), settled(Outcome.RELEASED, timedelta(milliseconds=900))
    lines = waterfall([released, taken, released, None])
    assert [line.split()[0] for line in lines] == ["taken_over", "released"]


def test_a_helpdesk_outside_is_no_person_and_nobody_is_named() -> None:
    (line,) = waterfall([settled(Outcome.SENT, timedelta(0), actor="acme")])
    assert line == "      sent ◆ by a helpdesk outside, 2026-11-20 12:00:00 UTC"


def test_what_the_bot_says_beside_the_path_is_no_act() -> None:
    assert waterfall([settled(Outcome.ACKNOWLEDGED, timedelta(0), actor="bot")]) == []


@pytest.mark.parametrize(("actor", "who"), [("customer", "the customer"), ("acme", "the helpdesk")])
def test_who_reopened_an_answer_is_told(actor: str, who: str) -> None:
    (line,) = waterfall([settled(Outcome.REOPENED, timedelta(0), actor=actor)])
    assert line == f"  reopened ◆ by {who}, 2026-11-20 12:00:00 UTC"
