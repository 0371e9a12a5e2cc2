"""What is remembered of a customer fits its budget, and is theirs."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.memory import LONGEST, line_of, recalled
from schemas.router import Admission, Author, EarlierTicket


def earlier(day: int, **changes: object) -> EarlierTicket:
    fields = {"ticket_id": str(day), "subject": f"Day {day}", "intent": "returns", "outcome": "sent"}
    return EarlierTicket.model_validate({**fields, "received_at": datetime(2026, 5, day, tzinfo=UTC), **changes})


def of(*tickets: EarlierTicket, customer: str | None = "cus_1") -> Admission:
    return Admission(revision=1, customer_id=customer, earlier_tickets=tickets)


def test_the_newest_that_fit_are_kept_oldest_first() -> None:
    tickets = [earlier(day) for day in (3, 1, 2)]
    budget = 2 * len(line_of(tickets[0]))
    assert [ticket.subject for ticket in recalled(of(*tickets), budget)] == ["Day 2", "Day 3"]


def test_of_nobody_in_particular_nothing_is_remembered() -> None:
    assert recalled(of(earlier(1), customer=None)) == ()


@given(st.lists(st.builds(earlier, st.integers(1, 28), subject=st.text(max_size=400)), max_size=8), st.integers(0, 900))
def test_the_budget_holds_whatever_was_written(tickets: list[EarlierTicket], budget: int) -> None:
    lines = [line_of(ticket) for ticket in recalled(of(*tickets), budget)]
    assert sum(map(len, lines)) <= budget
    assert all(len(line) <= LONGEST and "\n" not in line for line in lines)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"answered_by": Author.BOT, "answer": "It\nleft."}, "2026-05-01: Day 1; answered automatically: It left."),
        ({"answered_by": Author.PERSON, "answer": "Done."}, "2026-05-01: Day 1; answered by a person: Done."),
        ({"outcome": "handoff"}, "2026-05-01: Day 1; left to a person"),
        ({"outcome": "solved", "intent": None}, "2026-05-01: Day 1; solved"),
        ({"outcome": None, "subject": ""}, "2026-05-01: returns; no outcome noted"),
        ({"outcome": "never_heard_of"}, "2026-05-01: Day 1; never heard of"),
    ],
)
def test_a_line_says_when_what_about_and_what_became_of_it(changes: dict[str, object], line: str) -> None:
    assert line_of(earlier(1, **changes)) == line
