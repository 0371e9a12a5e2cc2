"""Audits: people's and machines' are told apart, an answer counts once, and what was picked is no sample."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from evals.audit import report, to_draw
from processors.ports import AuditCounts, AuditorKind, Label, Verdict

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PERSON, MACHINE = AuditorKind.PERSON, AuditorKind.MACHINE
GOOD, BAD, UNSURE = Verdict.GOOD, Verdict.BAD, Verdict.UNSURE


def label(
    number: int,
    verdict: Verdict,
    *,
    answer: int | None = None,
    kind: AuditorKind = PERSON,
    intent: str = "gift_card",
    drawn: bool = True,
) -> Label:
    ticket = UUID(int=number if answer is None else answer)
    return Label(number, ticket, 1, intent, "mia", kind, verdict, "", drawn, NOON, NOON)


@pytest.mark.parametrize(
    ("share", "answers", "drawn", "more"),
    [(0.1, 100, 0, 10), (0.1, 101, 0, 11), (0.1, 100, 10, 0), (0.1, 100, 40, 0), (1, 7, 2, 5), (0.05, 0, 0, 0)],
)
def test_a_share_is_rounded_up_and_counts_what_was_drawn(share: float, answers: int, drawn: int, more: int) -> None:
    assert to_draw(share, AuditCounts(answers, drawn)) == more


def test_people_and_machines_are_told_apart() -> None:
    lines = report([label(1, GOOD), label(2, BAD, kind=MACHINE)])
    assert [(line.auditors, line.intent, line.n, line.bad) for line in lines] == [
        ("person", "all", 1, 0),
        ("person", "gift_card", 1, 0),
        ("machine audit", "all", 1, 1),
        ("machine audit", "gift_card", 1, 1),
    ]


def test_a_line_has_wilsons_interval() -> None:
    line = report([label(number, BAD if number < 2 else GOOD) for number in range(50)])[0]
    assert (line.n, line.bad, line.rate) == (50, 2, 0.04)
    assert (line.low, line.high) == pytest.approx((0.0110, 0.1346), abs=1e-4)
    assert line.interval == "1.1% to 13.5%"


def test_each_intent_has_a_line_and_all_of_them_together() -> None:
    lines = report([label(1, BAD), label(2, GOOD, intent="return_policy"), label(3, GOOD, intent="return_policy")])
    assert {line.intent: (line.n, line.bad) for line in lines} == {
        "all": (3, 1),
        "gift_card": (1, 1),
        "return_policy": (2, 0),
    }


def test_an_answer_counts_once_by_its_first_clear_verdict() -> None:
    lines = report([label(3, GOOD, answer=1), label(1, UNSURE, answer=1), label(2, BAD, answer=1)])
    assert (lines[0].n, lines[0].bad, lines[0].unsure) == (1, 1, 0)


def test_what_nobody_was_sure_of_is_shown_and_no_part_of_the_rate() -> None:
    line = report([label(1, UNSURE), label(2, GOOD)])[0]
    assert (line.n, line.unsure) == (1, 1)
    assert report([label(1, UNSURE)])[0].interval == "-"


def test_what_was_picked_is_no_sample() -> None:
    assert report([label(1, BAD, drawn=False)]) == ()
