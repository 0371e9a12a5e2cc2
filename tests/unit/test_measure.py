"""The judgement of a run: what counts as settled, lost and sent twice."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import pytest

from loadtest.measure import percentile, summarise
from schemas.ingress import TICKET_NAMESPACE
from schemas.outcome import Outcome, TicketSettled

START = datetime(2026, 11, 20, tzinfo=UTC)


def ident(name: str) -> UUID:
    return uuid5(TICKET_NAMESPACE, name)


def settled(name: str, outcome: Outcome, *, after_ms: float = 100, cost: float = 0.0) -> TicketSettled:
    return TicketSettled(
        ticket_id=ident(name),
        conversation=name,
        revision=1,
        outcome=outcome,
        cost_usd=cost,
        settled_at=START + timedelta(milliseconds=after_ms),
    )


def test_a_ticket_without_a_terminal_event_is_lost() -> None:
    run = summarise({ident("a"): START, ident("b"): START}, [settled("a", Outcome.SENT)], [])
    assert (run.tickets, run.settled, run.lost) == (2, 1, 1)


def test_a_later_act_does_not_settle_a_ticket() -> None:
    assert summarise({ident("a"): START}, [settled("a", Outcome.APPROVED)], []).lost == 1


def test_a_ticket_settled_twice_counts_once_by_its_first_event() -> None:
    run = summarise({ident("a"): START}, [settled("a", Outcome.SENT), settled("a", Outcome.HANDED_OFF)], [])
    assert (run.settled, run.auto_sent, run.handed_off) == (1, 1, 0)


def test_two_replies_under_one_key_are_a_double_send() -> None:
    assert summarise({}, [], ["a:1", "b:1", "a:1"]).double_sent == 1


def test_events_of_other_runs_are_left_out() -> None:
    run = summarise({ident("a"): START}, [settled("a", Outcome.SENT), settled("other", Outcome.SENT, cost=9)], [])
    assert (run.settled, run.cost_usd) == (1, 0.0)


@pytest.mark.parametrize(("percent", "expected"), [(50, 2), (95, 4), (100, 4), (1, 1)])
def test_percentiles_are_nearest_rank(percent: float, expected: float) -> None:
    assert percentile([1, 2, 3, 4], percent) == expected


def test_there_is_no_percentile_of_nothing() -> None:
    assert percentile([], 50) is None
