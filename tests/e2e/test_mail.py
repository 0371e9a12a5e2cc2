"""E-mail through the whole stack: a question comes in, the answer goes out by SMTP, what answers it joins."""

from typing import Any
from uuid import uuid4

import pytest

from infra.scripted.smtp_server import Manner, Taken, answer_of
from schemas.outcome import Outcome
from tests.e2e.conftest import Stack
from tests.e2e.test_tickets import mail

QUESTION = "How much does express delivery cost?"


def asked(stack: Stack) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """A customer's question by mail, its state once it is sent, and the one mail that went out."""
    sender = f"{uuid4().hex}@example.com"
    state = stack.outcome(stack.mail(mail(QUESTION, sender)))
    assert state["outcome"] == Outcome.SENT, state
    (answer,) = stack.mails(sender)
    return sender, state, answer


def test_an_answer_goes_out_by_mail_and_the_reply_to_it_joins_the_conversation(stack: Stack) -> None:
    sender, state, answer = asked(stack)
    assert "$12.95" in answer["text"]
    assert "An AI system wrote this answer" in answer["text"]
    assert answer["headers"]["Auto-Submitted"] == "auto-replied"
    reply = mail("I want to speak to a person.", sender, In_Reply_To=answer["headers"]["Message-ID"])
    second = stack.outcome(stack.mail(reply))
    assert (second["conversation"], second["revision"]) == (state["conversation"], 2)
    assert second["outcome"] == Outcome.HANDED_OFF


def test_a_stranger_who_answers_our_mail_opens_a_conversation_of_his_own(stack: Stack) -> None:
    _, state, answer = asked(stack)
    reply = mail("And now?", "mallory@example.org", In_Reply_To=answer["headers"]["Message-ID"])
    second = stack.outcome(stack.mail(reply))
    assert (second["conversation"] != state["conversation"], second["revision"]) == (True, 1)


@pytest.mark.parametrize("manner", [Manner.CHANGING, Manner.HEADLESS, Manner.BLUNT, Manner.FRESH])
def test_an_answering_machine_gets_no_second_mail(stack: Stack, manner: Manner) -> None:
    sender, _, answer = asked(stack)
    headers = "\r\n".join(f"{name}: {value}" for name, value in answer["headers"].items())
    taken = Taken(answer["from"], sender, f"{headers}\r\n\r\n{answer['text']}".encode())
    number = uuid4().int  # the machine's Message-IDs are its own
    response = stack.client.post(
        "/v1/email", content=answer_of(taken, manner, number), headers={"Content-Type": "message/rfc822"}
    )
    state = stack.outcome(response.json()["ticket_id"])
    assert state["outcome"] in (Outcome.SUGGESTED, Outcome.HANDED_OFF)  # a person's, whatever its random words say
    assert len(stack.mails(sender)) == 1
