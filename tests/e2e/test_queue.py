"""The people's queue end to end: what waits, what a person sends, and who may speak in a conversation."""

import json
from typing import Any
from uuid import UUID, uuid4

import httpx
from confluent_kafka import Producer

from infra.kafka.running import running_kafka
from infra.settings import load_settings
from schemas.outcome import Outcome
from schemas.topics import Topic
from tests.e2e.conftest import Stack, eventually

QUESTION = "How much does express delivery cost?"
FURTHER = "What does standard delivery cost?"
ACTION = "I want my money back, $1,250.00 in total."
UNKNOWN = "Where is my order W00000?"  # no rule holds against what comes later in its conversation
WAITING = (Outcome.HANDED_OFF, Outcome.SUGGESTED)


def queued(stack: Stack, ticket: UUID) -> list[dict[str, Any]]:
    """A ticket's items as a person's own tool lists them."""
    _, header = stack.staff
    listed = stack.client.get("/v1/queue", params={"limit": 1000}, headers=header)
    assert listed.status_code == httpx.codes.OK, listed.text
    return [item for item in listed.json() if item["ticket_id"] == str(ticket)]


def act(stack: Stack, item: str, verb: str) -> None:
    person, header = stack.staff
    done = stack.client.post(f"/v1/queue/{item}/{verb}", headers=header)
    assert (done.status_code, done.json().get("actor")) == (httpx.codes.OK, person), done.text


def garbage(stack: Stack) -> str:
    """Publish what is no ticket; its key."""
    kafka = running_kafka(load_settings(stack.environ))
    assert kafka is not None
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    producer.produce(Topic.INBOUND.value, b"\xc3\x01 no ticket", key=(name := f"garbage-{uuid4()}"))
    producer.flush(10)
    return name


def test_suggestions_hand_overs_and_dead_letters_are_in_one_list(stack: Stack, cautious: str) -> None:
    suggested, handed = stack.send(QUESTION, customer_id=cautious), stack.send(ACTION)
    name = garbage(stack)
    stack.outcome(suggested, Outcome.SUGGESTED)
    stack.outcome(handed, Outcome.HANDED_OFF)
    eventually(lambda: stack.rows("select 1 from item where kind = 'dead' and conversation = %s", name))
    listed = json.loads(stack.command("queue", "list", "--limit", "1000", "--json"))
    kinds = {item["ticket_id"] or item["conversation"]: item["kind"] for item in listed}
    assert [kinds.get(str(key)) for key in (suggested, handed)] == ["suggest", "handoff"]
    assert "dead" in {item["kind"] for item in listed if item["conversation"] == name}


def test_an_approved_suggestion_reaches_the_helpdesk_once(stack: Stack, cautious: str) -> None:
    ticket = stack.send(QUESTION, customer_id=cautious)
    stack.outcome(ticket, Outcome.SUGGESTED)
    assert stack.replies(ticket) == []
    (item,) = queued(stack, ticket)
    for verb in ("take", "approve"):
        stack.command("queue", verb, item["item_id"][:12], "--as", "mia")
    state = stack.outcome(ticket, Outcome.APPROVED)
    assert stack.replies(ticket) == [state["text"]]
    assert "$12.95" in state["text"]
    assert queued(stack, ticket) == []


def test_taking_over_silences_the_bot_until_it_is_given_back(stack: Stack) -> None:
    ours = {"conversation": str(uuid4()), "customer_id": "cus_0002"}
    first = stack.send(UNKNOWN, **ours)
    stack.outcome(first, *WAITING)
    (item,) = queued(stack, first)
    act(stack, item["item_id"], "take")
    silenced = stack.send(FURTHER, **ours)
    assert stack.outcome(silenced, *WAITING, Outcome.SENT)["outcome"] in WAITING
    assert [line["person"] for line in queued(stack, silenced)] == [stack.staff[0]]
    act(stack, item["item_id"], "release")
    answered = stack.send(FURTHER, **ours)
    state = stack.outcome(answered)
    assert state["outcome"] == Outcome.SENT, state
    assert [len(stack.replies(ticket)) for ticket in (first, silenced, answered)] == [0, 0, 1]
