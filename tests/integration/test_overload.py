"""More than can be worked on: a stage's own limit, what waits too long, and a worker that stands still."""

from datetime import UTC, datetime, timedelta

from schemas.ingress import TicketReceived
from schemas.outcome import Outcome
from tests.integration.field import Field, eventually
from tests.integration.field_worker import RETURNS

QUESTION = "How long do I have to return an item?"


def aged(field: Field, age: timedelta) -> TicketReceived:
    """A ticket that has stood in the queue for so long."""
    return field.ask(QUESTION, received_at=datetime.now(UTC) - age)


def test_overloaded_by_policy_it_sheds_to_suggest_and_drops_nothing(field: Field) -> None:
    fresh, late = aged(field, timedelta(0)), [aged(field, timedelta(minutes=61)) for _ in range(5)]
    assert field.ended(fresh, *late) == [Outcome.SENT, *[Outcome.SUGGESTED] * 5]
    told = field.outcome(late[0])
    assert told.decision is not None
    assert (told.decision.rule, told.text) == ("overload", RETURNS)
    assert "it waited 61 minutes" in (told.reason or "")
    assert 'sluice_decided_total{disposition="suggest",rule="overload"} 5.0' in field.metrics()
    assert [field.replies(ticket) for ticket in late] == [[]] * 5


def test_a_stage_works_on_no_more_than_its_own_limit(field: Field) -> None:
    with field.while_there("slow"):
        tickets = [field.ask(f"{QUESTION} [wait slow]") for _ in range(12)]
        eventually(lambda: 'sluice_window{stage="resolution"} 12.0' in field.metrics())
        assert 'sluice_in_flight{stage="resolution"} 3.0' in field.metrics()
        assert len(field.shown("[wait slow]")) == 3
    assert set(field.ended(*tickets)) == {Outcome.SENT}


def test_what_a_blocked_worker_had_in_hand_is_done_by_another_and_has_no_second_effect(field: Field) -> None:
    (field.folder / "blocked").write_text("18")  # longer than the session, and its silence before that
    tickets = [field.ask(f"{QUESTION} [block blocked]"), *(field.ask(QUESTION) for _ in range(4))]
    eventually(lambda: not (field.folder / "blocked").exists())
    field.start(slot="1")
    assert set(field.ended(*tickets)) == {Outcome.SENT}
    assert len(field.shown("[block blocked]")) > 1  # drafted again by the other
    eventually(lambda: field.asked("/readyz", 0) == 200)  # the first is awake, and a member again
    assert set(field.ended(*(field.ask(QUESTION) for _ in range(4)))) == {Outcome.SENT}
    assert [field.replies(ticket) for ticket in tickets] == [[RETURNS]] * 5
