"""Bugs of conversations that were seen in the field, on real Kafka, Postgres and mail: each must not happen again."""

from email.message import EmailMessage
from uuid import uuid4

import pytest

from infra.scripted.smtp_server import Manner, Taken, answer_of
from schemas.ingress import TicketReceived
from schemas.outcome import Outcome
from schemas.topics import Topic
from tests.integration.field import Field, eventually
from tests.integration.field_worker import GIFTS, RETURNS

QUESTION = "How long do I have to return an item?"
FURTHER = "When does a gift card expire?"
UNSURE = "I am unsure what this is about."  # goes to a person, and no rule holds against what comes later
REFUND = "Please refund me $12."  # drafted, for a person to send


def mail(text: str, sender: str, **headers: str) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, "support@shop.example", "A question"
    message["Message-ID"] = f"<{uuid4()}@example.com>"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message.as_bytes()


def test_the_bot_does_not_answer_after_a_person_took_over(field: Field) -> None:
    ours = str(uuid4())
    first = field.ask(UNSURE, ours)
    assert field.ended(first) == [Outcome.HANDED_OFF]
    with field.while_there("taken-over"):
        second = field.ask(f"{QUESTION} [wait taken-over]", ours)
        eventually(lambda: field.shown("taken-over"))
        item = field.take(first)
    assert field.ended(second) == [Outcome.SUGGESTED]
    assert field.replies(second) == []
    field.command("queue", "release", item, "--as", "mia")


def test_one_question_never_gets_two_answers(field: Field) -> None:
    ticket = field.send(field.ask(QUESTION), times=4)
    assert field.ended(ticket) == [Outcome.SENT]
    approved = [record for record in field.records(Topic.AUTO_SEND) if record.key == ticket.conversation.encode()]
    for _ in range(3):
        field.publish(Topic.AUTO_SEND, ticket.conversation, approved[0].value or b"")
    field.ended(field.ask(FURTHER, ticket.conversation))
    eventually(lambda: len(field.settled(ticket)) >= len(approved) + 3)
    assert {settled.outcome for settled in field.settled(ticket)} == {Outcome.SENT}
    assert field.replies(ticket) == [RETURNS]


def test_an_answer_to_revision_1_that_arrives_after_revision_2_was_asked_is_not_sent(field: Field) -> None:
    ours = str(uuid4())
    with field.while_there("revision-1"):
        first = field.ask(f"{QUESTION} [wait revision-1]", ours)
        eventually(lambda: field.shown("revision-1"))
        second = field.ask(FURTHER, ours)
        eventually(lambda: field.admitted(second))
    assert field.ended(first, second) == [Outcome.SUPERSEDED, Outcome.SENT]
    assert (field.replies(first), field.replies(second)) == ([], [GIFTS])


@pytest.mark.parametrize(
    ("dies", "asked", "ends", "sent"),
    [
        ("reply-before", True, Outcome.SENT, 1),
        ("mark_sent-before", True, Outcome.SENT, 1),
        ("reply-before", False, Outcome.PARKED, 0),
        ("mark_sent-before", False, Outcome.PARKED, 1),
    ],
)
def test_a_reply_whose_worker_died_between_claim_and_send_surfaces_as_sent_or_parked(
    field: Field, dies: str, asked: bool, ends: Outcome, sent: int
) -> None:
    with field.while_there(dies), field.while_there("heard" if asked else "deaf"):
        ticket = field.ask(QUESTION)
        assert field.died() == 137
        field.start()
        assert field.ended(ticket) == [ends]
    assert len(field.replies(ticket)) == sent
    assert [kind for kind, _ in field.items(ticket)] == ([] if asked else ["parked"])


def test_ping_pong_with_an_auto_responder_ends_after_one_message(field: Field) -> None:
    machines = {f"{manner.value}.{uuid4().hex}@example.com": manner for manner in Manner}
    field.ended(*[field.mail(mail(QUESTION, machine)) for machine in machines])
    answered = 0
    while taken := field.mails.taken[answered:]:
        answered += len(taken)
        assert answered <= 2 * len(machines)
        back = [answer_of(one, machines[one.recipient], answered) for one in taken if one.recipient in machines]
        field.ended(*map(field.mail, back))
    assert sorted(recipients(field.mails.taken)) == sorted(machines)


def recipients(taken: list[Taken]) -> list[str]:
    return [one.recipient for one in taken]


def test_a_reopened_ticket_is_not_answered_from_the_old_draft(field: Field) -> None:
    ours = str(uuid4())
    first = field.ask(REFUND, ours)
    assert field.ended(first) == [Outcome.SUGGESTED]
    second = field.ask(FURTHER, ours)
    assert field.ended(second) == [Outcome.SENT]
    item = field.take(first)
    field.command("queue", "approve", item, "--as", "mia", expect=1)
    field.command("queue", "release", item, "--as", "mia")
    third = field.ask(QUESTION, ours)
    assert field.ended(third) == [Outcome.SENT]
    assert [field.replies(ticket) for ticket in (first, second, third)] == [[], [GIFTS], [RETURNS]]


@pytest.mark.parametrize("dies", ["open_item-after", "hand_over-after"])
def test_a_hand_off_is_not_lost_when_its_worker_dies_half_way(field: Field, dies: str) -> None:
    with field.while_there(dies):
        ticket = field.ask(UNSURE)
        assert field.died() == 137
    field.start()
    assert field.ended(ticket) == [Outcome.HANDED_OFF]
    assert [kind for kind, _ in field.items(ticket)] == ["handoff"]
    told = field.rows("select key from helpdesk_delivery where ticket_id = %s", ticket.ticket_id)
    assert set(told) == {(f"{ticket.ticket_id}:1:hand-over",)}
    assert field.rows("select 1 from decision where ticket_id = %s", ticket.ticket_id) == [(1,)]


def test_internal_notes_are_never_taken_for_the_customers_words(field: Field) -> None:
    ours, note = str(uuid4()), "their lawyer will sue us"
    first = field.ask(UNSURE, ours)
    field.ended(first)
    item = field.take(first)
    field.command("queue", "reject", item, "--reason", "other", "--note", note, "--give-back", "--as", "mia")
    second = field.ask(f"{QUESTION} Please be brief.", ours)
    assert field.ended(second) == [Outcome.SENT]
    (shown,) = field.shown("be brief")
    assert [(said["author"], said["text"]) for said in shown["transcript"]] == [("customer", UNSURE)]


def test_what_a_person_wrote_is_never_taken_for_the_customers_words(field: Field) -> None:
    ours, words = str(uuid4()), "Our lawyer says so; you need not close your account."
    first = field.ask(UNSURE, ours)
    field.ended(first)
    item = field.take(first)
    field.command("queue", "edit", item, "--file", "-", "--give-back", "--as", "mia", text=words)
    second = field.ask(f"{QUESTION} Please be exact.", ours)
    assert field.ended(second) == [Outcome.SENT]
    (shown,) = field.shown("be exact")
    assert ("person", words) in [(said["author"], said["text"]) for said in shown["transcript"]]


def test_a_colleagues_mail_is_no_customers(field: Field) -> None:
    customer, asked = f"{uuid4().hex}@example.com", f"<{uuid4()}@example.com>"
    theirs = field.mail(mail(QUESTION, customer, In_Reply_To=asked))
    inside = field.mail(mail(FURTHER, "mia@shop.example", In_Reply_To=asked))
    assert field.ended(theirs, inside) == [Outcome.SENT, Outcome.SUGGESTED]
    assert inside.conversation != theirs.conversation
    assert "mia@shop.example" not in recipients(field.mails.taken)


def test_own_replies_that_come_back_by_webhook_are_not_answered(field: Field) -> None:
    ours = str(uuid4())
    first = field.ask(QUESTION, ours)
    assert field.ended(first) == [Outcome.SENT]
    back = field.ask(field.replies(first)[0], ours)
    faster = field.ask(RETURNS)  # before anybody has noted that it was sent
    assert field.ended(back, faster) == [Outcome.SUGGESTED] * 2
    assert {rule(field, ticket) for ticket in (back, faster)} == {"own-words"}
    assert field.replies(back) == field.replies(faster) == []


def rule(field: Field, ticket: TicketReceived) -> str:
    decision = field.outcome(ticket).decision
    assert decision is not None
    return decision.rule


def test_own_mail_that_comes_back_is_not_answered(field: Field) -> None:
    sender = f"{uuid4().hex}@example.com"
    field.ended(field.mail(mail(QUESTION, sender)))
    (ours,) = [one for one in field.mails.taken if one.recipient == sender]
    back = field.mail(ours.content)
    assert field.ended(back) == [Outcome.HANDED_OFF]
    assert back.marks.loop
    assert "support@shop.example" not in recipients(field.mails.taken)


def test_a_customer_who_writes_again_reopens_the_answer_once(field: Field) -> None:
    ours = str(uuid4())
    first = field.ask(QUESTION, ours)
    assert field.ended(first) == [Outcome.SENT]
    assert field.ended(field.ask(UNSURE, ours), field.ask(UNSURE, ours))
    eventually(lambda: len(field.settled(first)) > 1)
    field.ended(field.ask(UNSURE))
    acts = [(act.outcome, act.revision, act.intent, act.actor) for act in field.settled(first)[1:]]
    assert acts == [(Outcome.REOPENED, 1, field.outcome(first).intent, "customer")]
