"""Which dead letters go on their way again: each once, and none that is answered or hopeless."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.kafka.history import Entry
from infra.kafka.reader import Record
from infra.kafka.security import Address
from schemas.event import Stage
from schemas.ingress import Channel, TicketReceived
from schemas.outcome import Outcome, TicketSettled
from schemas.topics import Topic
from sluice.letters import Since, Wanted, copies, in_order, mark_of, origin_of, place_of, since_then, why_not

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
        (letter(), Since(closed=frozenset({TICKET})), "a person closed it since", None),
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


@pytest.mark.parametrize("outcome", Outcome)
def test_what_a_person_ended_without_a_reply_counts_as_closed(outcome: Outcome) -> None:
    def read(_: Address, topics: tuple[str, ...], since: datetime | None) -> Iterator[Entry]:
        yield from [settled(outcome)] if topics == (Topic.OUTCOME,) else []

    assert since_then("kafka", [letter()], read).closed == ({TICKET} if outcome is Outcome.REJECTED else set())


def died(place: str, origin: str, minute: int = 0, key: bytes | None = b"c") -> Entry:
    """A letter at TOPIC/PARTITION@OFFSET whose message first stood at another, and came so many minutes after NOW."""
    (topic, partition, offset), (source, at, number) = map(placed, (place, origin))
    told = {"source-topic": source.encode(), "source-partition": b"%d" % at, "source-offset": b"%d" % number}
    event = RECEIVED.model_copy(update={"received_at": NOW + timedelta(minutes=minute)})
    return Entry(Record(topic, partition, offset, key, b"", told, NOW), event)


def placed(place: str) -> tuple[str, int, int]:
    topic, _, rest = place.partition("/")
    partition, _, offset = rest.partition("@")
    return topic, int(partition), int(offset)


def test_letters_of_one_conversation_go_in_the_order_their_messages_first_stood() -> None:
    letters = [
        died("router.dead/0@5", "tickets.inbound/1@30"),
        died("router.dead/2@1", "tickets.inbound/1@29", minute=9),  # its producer's clock was ahead
        died("resolution.dead/1@7", "tickets.retrieval/1@4", minute=2),
        died("gate.dead/1@0", "tickets.resolution/1@2", minute=-1),
        died("router.dead/1@8", "tickets.inbound/1@31", minute=3),
    ]
    wanted = ["gate.dead/1@0", "resolution.dead/1@7", "router.dead/2@1", "router.dead/0@5", "router.dead/1@8"]
    assert [place_of(entry) for entry in in_order(letters)] == wanted


@given(st.permutations(range(12)))
def test_the_order_is_the_same_however_the_letters_are_found(found: list[int]) -> None:
    letters = [
        died(f"router.dead/{n % 3}@{n}", f"tickets.inbound/0@{n}", minute=-n, key=b"%d" % (n % 4)) for n in range(12)
    ]
    went = [origin_of(entry)[2] for entry in in_order([letters[number] for number in found])]
    assert went == [origin_of(entry)[2] for entry in in_order(letters)]
    assert all(went.index(n) < went.index(n + 4) for n in range(8))


def test_a_letter_without_a_readable_origin_stands_where_it_was_found() -> None:
    assert origin_of(Entry(record("router.dead", source_partition=b"x"), None)) == ("router.dead", 1, 17)


def test_a_message_that_died_twice_goes_once() -> None:
    twice = [died(place, "tickets.inbound/1@30") for place in ("router.dead/0@5", "router.dead/0@6")]
    assert copies([*twice, died("router.dead/0@7", "tickets.inbound/1@31")]) == {"router.dead/0@6": "router.dead/0@5"}


def test_which_of_two_copies_goes_does_not_depend_on_how_they_are_found() -> None:
    twice = [died(place, "tickets.inbound/1@30") for place in ("router.dead/2@9", "router.dead/0@10")]
    assert copies(twice) == copies(reversed(twice)) == {"router.dead/2@9": "router.dead/0@10"}


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        (Wanted(), True),
        (Wanted(reason="ModelFailed", ticket=TICKET, conversation="c", since=NOW), True),
        (Wanted(reason="Undecodable"), False),
        (Wanted(ticket=UUID(int=8)), False),
        (Wanted(conversation="another"), False),
        (Wanted(since=NOW + timedelta(seconds=1)), False),
        (Wanted(until=NOW), False),
        (Wanted(until=NOW + timedelta(seconds=1)), True),
    ],
)
def test_letters_are_chosen_by_what_a_person_knows_of_them(wanted: Wanted, taken: bool) -> None:
    assert wanted.takes(letter()) is taken


def test_a_stages_letters_stand_on_its_own_topic() -> None:
    assert Wanted(stage=Stage.GATE).topics == ("gate.dead",)
    assert len(Wanted().topics) == 5


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
