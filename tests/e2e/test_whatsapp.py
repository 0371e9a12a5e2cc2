"""WhatsApp end to end: Meta's signed webhook, the whole path, and what reaches Meta again."""

import json
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from infra.scripted.whatsapp_server import signed, webhook_of
from schemas.ingress import ticket_id
from schemas.outcome import Outcome
from tests.e2e.conftest import META, Stack, eventually

NUMBERS = count(15550100100)
ACKNOWLEDGED = "A colleague will read this"
QUESTION = "What does standard delivery cost?"
FURTHER = "Thank you. And what does it cost to have a small parcel delivered by express delivery?"
ORDER = {
    "order_id": "W99017",
    "placed_at": "2026-11-17T16:13:00Z",
    "status": "shipped",
    "items": [{"sku": "GL-030", "name": "Wool gloves", "qty": 1, "price_usd": 24.95}],
    "total_usd": 24.95,
    "shipments": [
        {
            "shipment_id": "S99017",
            "carrier": "Parcelway",
            "tracking": "PW138335000",
            "status": "in_transit",
            "shipped_at": "2026-11-18",
            "expected_at": "2026-12-04",
            "delivered_at": None,
        }
    ],
    "refunds": [],
}


class Customer:
    """Somebody with a telephone."""

    def __init__(self, meta: httpx.Client, number: str) -> None:
        self._meta, self.number = meta, number

    def write(self, text: str = "", **how: Any) -> UUID:
        """Write to the shop; the ticket it should become."""
        answer = self._meta.post(f"/customers/{self.number}/messages", json={"text": text, **how}).json()
        assert set(answer["answers"]) == {401 if how.get("forged") else 200}
        return ticket_id("whatsapp-cloud", META.number, answer["id"])

    def got(self) -> list[str]:
        """The texts that reached them."""
        return [sent["text"]["body"] for sent in self._meta.get("/sent").json() if sent["to"] == self.number]


@pytest.fixture
def customer(meta: httpx.Client) -> Customer:
    return Customer(meta, str(next(NUMBERS)))


def test_meta_s_handshake_is_answered(stack: Stack) -> None:
    agreed = {"hub.mode": "subscribe", "hub.verify_token": "agreed", "hub.challenge": "1158201444"}
    answer = httpx.get(META.webhook, params=agreed)
    assert (answer.status_code, answer.text) == (200, "1158201444")


def test_a_question_that_meta_delivers_three_times_is_answered_once(stack: Stack, customer: Customer) -> None:
    ticket = customer.write(QUESTION, times=3)
    state = stack.outcome(ticket)
    assert state["outcome"] == Outcome.SENT, state
    stack.outcome(customer.write(FURTHER), Outcome.SENT)  # by then the copies have passed
    assert "$4.95" in customer.got()[0]
    assert len(customer.got()) == 2


def test_a_proved_number_opens_its_owner_s_records(stack: Stack, meta: httpx.Client, tmp_path: Path) -> None:
    owner = {"customer_id": "cus_phone", "name": "Ada", "phone": "+1 (555) 010-0017", "orders": [ORDER]}
    export = tmp_path / "crm.jsonl"
    export.write_text(json.dumps(owner))
    stack.command("ingest", "--customers", str(export))
    state = stack.outcome(Customer(meta, "15550100017").write("Where is my order W99017?"))
    assert state["outcome"] == Outcome.SENT, state
    assert "shipped" in state["text"], state["text"]
    stranger = Customer(meta, "15550100016")
    asked = stranger.write("Where is my order W99017?")
    stack.outcome(asked, Outcome.SUGGESTED, Outcome.HANDED_OFF, Outcome.ACKNOWLEDGED)
    assert not any("shipped" in text for text in stranger.got())


def test_what_only_a_person_may_decide_is_acknowledged_and_no_more(stack: Stack, customer: Customer) -> None:
    ticket = customer.write("I want my money back, $1,250.00 in total.")
    stack.outcome(ticket, Outcome.HANDED_OFF, Outcome.ACKNOWLEDGED)
    (note,) = eventually(customer.got)
    assert ACKNOWLEDGED in note


def test_a_picture_without_words_is_before_a_person_with_what_it_is(stack: Stack, customer: Customer) -> None:
    ticket = customer.write(message={"type": "image", "image": {"id": "2754859441498128", "mime_type": "image/jpeg"}})
    stack.outcome(ticket, Outcome.HANDED_OFF, Outcome.ACKNOWLEDGED)
    (event,) = stack.rows("select event from item where ticket_id = %s", ticket)[0]
    assert "[image]" in event
    assert "whatsapp-media:2754859441498128" in event


def test_a_message_whose_window_has_closed_waits_for_a_person(stack: Stack, customer: Customer) -> None:
    ticket = customer.write(QUESTION, age=25 * 3600)
    assert stack.outcome(ticket)["outcome"] == Outcome.SUGGESTED
    assert "expired" in stack.items(ticket)[0][1]
    assert customer.got() == []


def test_what_meta_did_not_sign_changes_nothing(stack: Stack, customer: Customer) -> None:
    forged = customer.write(QUESTION, forged=True)
    stack.outcome(customer.write(QUESTION))
    assert stack.client.get(f"/v1/tickets/{forged}").status_code == httpx.codes.NOT_FOUND
    assert len(customer.got()) == 1


def test_a_replay_of_an_old_webhook_is_the_ticket_it_was(stack: Stack, customer: Customer) -> None:
    at = str(int(stack.rows("select extract(epoch from now())::bigint")[0][0]))
    text = {"type": "text", "text": {"body": QUESTION}}
    body = webhook_of(
        META.number, [{"from": customer.number, "id": f"wamid.{customer.number}", "timestamp": at, **text}]
    )
    customer.write(message={"type": "reaction", "reaction": {"emoji": "!"}})  # it opens the window, and is no ticket
    for _ in range(2):
        assert httpx.post(META.webhook, content=body, headers=signed(body, META.secret)).status_code == httpx.codes.OK
        stack.outcome(ticket_id("whatsapp-cloud", META.number, f"wamid.{customer.number}"), Outcome.SENT)
    stack.outcome(customer.write(FURTHER), Outcome.SENT)
    assert len(customer.got()) == 2
