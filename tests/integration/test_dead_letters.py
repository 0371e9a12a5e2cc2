"""Dead letters end to end: before a person within a minute, and back on their way without a second answer."""

from uuid import uuid4

import pytest

from infra.kafka.reader import Record
from schemas.codec import decode
from schemas.ingress import TicketReceived
from schemas.outcome import Outcome
from schemas.retrieval import EvidenceFound
from schemas.topics import Topic
from tests.integration.field import Field, eventually
from tests.integration.field_worker import RETURNS

BROKEN = "How long do I have to return an item? [bug broken]"
WITHIN = 60.0  # seconds
BUG = "ZeroDivisionError"


def dead(field: Field, ticket: TicketReceived) -> TicketReceived:
    """The ticket, once it is before a person as a dead one."""
    assert field.outcome(ticket).outcome is Outcome.DEAD
    assert [kind for kind, _ in field.items(ticket)] == ["dead"]
    return ticket


def letters(field: Field, ticket: TicketReceived) -> list[Record]:
    return [record for record in field.records("resolution.dead") if record.key == ticket.conversation.encode()]


def states(field: Field, ticket: TicketReceived) -> list[str]:
    return [state for (state,) in field.rows("select state from item where ticket_id = %s", ticket.ticket_id)]


def redrive(field: Field, ticket: TicketReceived, *options: str, expect: int = 0) -> None:
    field.command("dead", "redrive", "--ticket", str(ticket.ticket_id), *options, expect=expect)


@pytest.mark.parametrize("poison", [b"\xc3\x01 no ticket", b"", b'{"ticket_id": 1}'])
def test_what_nobody_can_read_is_on_a_persons_list_within_a_minute(field: Field, poison: bytes) -> None:
    name = f"poison-{uuid4()}"
    field.publish(Topic.INBOUND, name, poison)
    waiting = "select kind from item where conversation = %s and state = 'open'"
    assert eventually(lambda: field.rows(waiting, name), WITHIN) == [("dead",)]
    assert 'sluice_dead_total{reason="Undecodable",stage="router"}' in field.metrics()
    assert name in {item["conversation"] for item in field.command("queue", "list", "--kind", "dead")}


def test_a_ticket_that_a_bug_killed_is_on_a_persons_list_within_a_minute(field: Field) -> None:
    with field.while_there("broken"):
        ticket = field.ask(BROKEN)
        eventually(lambda: field.items(ticket), WITHIN)
    dead(field, ticket)
    assert f'sluice_dead_total{{reason="{BUG}",stage="resolution"}}' in field.metrics()
    (listed,) = field.command("dead", "list", "--ticket", str(ticket.ticket_id))
    assert (listed["reason"], listed["from"]) == (BUG, Topic.RETRIEVAL)


def test_a_redriven_ticket_is_answered_once_even_by_two_who_redrive_at_once(field: Field) -> None:
    with field.while_there("broken"):
        ticket = dead(field, field.ask(BROKEN))
    (letter,) = letters(field, ticket)
    redrive(field, ticket)
    field.publish(Topic.RETRIEVAL, letter.key, *[letter.value or b""] * 2)
    eventually(lambda: [end.outcome for end in field.settled(ticket)].count(Outcome.SENT) == 3)
    assert field.replies(ticket) == [RETURNS]
    assert states(field, ticket) == ["closed"]
    redrive(field, ticket, "--force", expect=1)


def test_a_ticket_that_a_person_answered_meanwhile_is_never_sent_again(field: Field) -> None:
    with field.while_there("broken"):
        ticket = dead(field, field.ask(BROKEN))
    item = field.take(ticket)
    field.command("queue", "edit", item, "--file", "-", "--give-back", "--as", "mia", text="Thirty days, I checked.")
    redrive(field, ticket, "--force", expect=1)
    (letter,) = letters(field, ticket)
    field.publish(Topic.RETRIEVAL, letter.key, letter.value or b"")  # as one who had looked before the person answered
    eventually(lambda: Outcome.SENT in {end.outcome for end in field.settled(ticket)})
    assert field.replies(ticket) == ["Thirty days, I checked."]


def test_a_ticket_that_a_person_closed_stays_closed(field: Field) -> None:
    with field.while_there("broken"):
        ticket = dead(field, field.ask(BROKEN))
    item = field.take(ticket)
    field.command("queue", "reject", item, "--reason", "other", "--note", "by phone", "--give-back", "--as", "mia")
    redrive(field, ticket, expect=1)
    assert field.replies(ticket) == []


def test_a_conversation_is_redriven_in_its_order_and_its_newest_question_answered(field: Field) -> None:
    ours = str(uuid4())
    with field.while_there("broken"):
        tickets = [
            dead(field, field.ask(f"I bought the {word} one. {BROKEN}", ours)) for word in ("first", "second", "third")
        ]
    field.command("dead", "redrive", "--conversation", tickets[0].conversation, "--rate", "1000")
    eventually(lambda: len([end for ticket in tickets for end in field.settled(ticket)]) == 6)
    assert [field.settled(ticket)[-1].outcome for ticket in tickets] == [*[Outcome.SUPERSEDED] * 2, Outcome.SENT]
    mine = [record for record in field.records(Topic.RETRIEVAL) if record.key == tickets[0].conversation.encode()]
    again = [revision_of(record) for record in mine if "redriven" in record.headers]
    assert again == [1, 2, 3]
    assert [len(field.replies(ticket)) for ticket in tickets] == [0, 0, 1]
    assert [states(field, ticket) for ticket in tickets] == [["closed"]] * 3


def revision_of(record: Record) -> int:
    return decode(EvidenceFound, record.value).admission.revision
