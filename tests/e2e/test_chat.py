"""A chat down the whole path: what the stages say while it works, then the answer, with its sources."""

import json
from collections.abc import Iterator
from uuid import UUID

import httpx

from schemas.outcome import Outcome
from tests.e2e.conftest import SOON, Stack


def opened(stack: Stack, customer: str) -> tuple[dict[str, str], Iterator[tuple[str, dict[str, str]]]]:
    """A session's header, and its events as they come."""
    session = stack.client.post("/v1/chat/sessions", json={"customer_id": customer}).json()["session"]
    header = {"Authorization": f"Bearer {session}"}
    return header, events(httpx.Client(base_url=stack.client.base_url, headers=header, timeout=SOON))


def events(client: httpx.Client) -> Iterator[tuple[str, dict[str, str]]]:
    with client, client.stream("GET", "/v1/chat/events") as answer:
        name = ""
        for line in answer.iter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, json.loads(value)


def test_a_signed_in_customer_gets_the_state_of_an_order_and_no_helpdesk_is_called(stack: Stack) -> None:
    customer, order, status = stack.rows(
        "select customer_id, record, fields->>'status' from crm_record where kind = 'order' order by 2 limit 1"
    )[0]
    header, told = opened(stack, customer)
    message = {"text": f"Where is my order {order.partition('/')[2]}?", "message_id": "m-1"}
    ticket = UUID(stack.client.post("/v1/chat/messages", json=message, headers=header).json()["ticket_id"])
    assert stack.outcome(ticket)["outcome"] == Outcome.SENT
    answer = next(data for name, data in told if name == "answer")
    assert status.replace("_", " ") in answer["text"]
    assert answer["sources"] == [{"kind": "record", "title": f"Your {order.replace('/', ' ')}", "url": None}]
    assert stack.replies(ticket) == []


def test_a_newcomer_chats_on_the_page_of_a_local_stack(stack: Stack) -> None:
    edge = str(stack.client.base_url)
    assert "/widget.js" in httpx.get(f"{edge}/widget-demo").text
    session = httpx.post(f"{edge}/widget-demo/session").json()["session"]
    header = {"Authorization": f"Bearer {session}"}
    told = events(httpx.Client(base_url=edge, headers=header, timeout=SOON))
    message = {"text": "What does standard delivery cost?", "message_id": "m-1"}
    assert httpx.post(f"{edge}/v1/chat/messages", json=message, headers=header).status_code == httpx.codes.ACCEPTED
    name, answer = next((name, data) for name, data in told if name != "status")
    assert (name, answer.get("by"), "$4.95" in answer.get("text", "")) == ("answer", "ai", True)
