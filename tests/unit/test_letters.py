"""Which dead letters go on their way again: each once, and none that is answered or hopeless."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from infra.kafka.history import Entry
from infra.kafka.reader import Record
from infra.kafka.security import Address
from schemas.ingress import Channel, TicketReceived
from schemas.outcome import Outcome, TicketSettled
from schemas.topics import Topic
from sluice.letters import Since, mark_of, since_then, why_not

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TICKET = UUID(int=7)
RECEIVED = TicketReceived(
    ticket_id=TICKET,
    conversation="c",
    channel=Channel.API,
    provider="api",
    account="shop",
    provider_message_id="m",
    body="Where is it?",
    body_full="Where is it?",
    received_at=NOW,
)


def record(topic: str, **headers: bytes) -> Record:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return Record(topic, 1, 17, b"c", b"", told, NOW)


def letter(reason: str = "ModelFailed", source: str = "tickets.inbound") -> Entry:
    return Entry(record("router.dead", reason=reason.encode(), source_topic=source.encode()), RECEIVED)


def settled(outcome: Outcome) -> Entry:
    event = TicketSettled(ticket_id=TICKET, conversation="c", revision=1, outcome=outcome, settled_at=NOW)
    return Entry(record("tickets.outcome"), event)


@pytest.mark.parametrize(
    ("found", "since", "why", "by_force"),
    [
        (letter(), Since(), None, None),
        (letter(), Since(redriven=frozenset({"router.dead/1@16"})), None, None),
        (letter(), Since(redriven=frozenset({"router.dead/1@17"})), "redriven before", None),
        (letter("Conflict"), Since(), "its id came with another body", None),
        (letter(), Since(answered=frozenset({TICKET})), *["its ticket was answered since"] * 2),
        (letter(source="elsewhere"), Since(), *["nobody knows where it came from"] * 2),
    ],
)
def test_a_letter_stays_for_a_reason(found: Entry, since: Since, why: str | None, by_force: str | None) -> None:
    assert why_not(found, since, force=False) == why
    assert why_not(found, since, force=True) == by_force


@pytest.mark.parametrize("outcome", Outcome)
def test_only_what_went_out_or_may_have_counts_as_answered(outcome: Outcome) -> None:
    def read(_: Address, topics: tuple[str, ...], since: datetime | None) -> Iterator[Entry]:
        yield from [settled(outcome)] if topics == (Topic.OUTCOME,) else []

    went_out = outcome in (Outcome.SENT, Outcome.APPROVED, Outcome.EDITED, Outcome.PARKED)
    assert since_then("kafka", [letter()], read).answered == ({TICKET} if went_out else set())


def test_a_redriven_record_names_its_letter_and_keeps_its_trace() -> None:
    found = Entry(record("router.dead", traceparent=b"00-a-b-01", reason=b"x"), RECEIVED)
    assert mark_of(found) == [("traceparent", b"00-a-b-01"), ("redriven", b"router.dead/1@17")]


def test_what_is_on_its_topic_again_is_looked_for_since_the_oldest_letter() -> None:
    asked: list[tuple[tuple[str, ...], datetime | None]] = []

    def read(_: Address, topics: tuple[str, ...], since: datetime | None) -> Iterator[Entry]:
        asked.append((topics, since))
        yield from [Entry(record("tickets.router", redriven=b"router.dead/1@17"), None)]

    younger = Entry(Record("router.dead", 1, 18, None, None, {}, NOW + timedelta(hours=1)), None)
    assert since_then("kafka", [younger, letter(source="tickets.router")], read).redriven == {"router.dead/1@17"}
    assert asked == [(("tickets.outcome",), NOW), (("tickets.router",), NOW)]
