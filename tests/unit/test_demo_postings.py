"""Tickets are posted as their own senders do, and what continues a conversation waits for what it continues."""

from datetime import UTC, datetime
from pathlib import Path

from evals.dataset import LabelledTicket, load_suite
from processors.ingress.whatsapp import MetaApp, receive_whatsapp
from sluice.demo.postings import Senders, posting_of, waves

SHOP = load_suite(Path(__file__).parents[2] / "evals" / "datasets" / "shop")


def senders(run: str) -> Senders:
    return Senders(suite=SHOP, edge="http://127.0.0.1:1", key="sk-1", app_secret="hush", run=run)


def ticket(name: str, follows: str | None = None) -> LabelledTicket:
    return LabelledTicket(id=name, body="Hi", proved=False, conversation="c", follows=follows)


async def test_a_whatsapp_ticket_is_a_signed_webhook_and_its_id_is_known_beforehand() -> None:
    labels = [label for label in SHOP.split("test") if label.payload]
    for label, posting in zip(labels, await senders("00c0ffee").postings(labels), strict=True):
        (made,) = receive_whatsapp(posting.content, received_at=datetime.now(UTC)).tickets
        assert MetaApp(("hush",)).signed(posting.content, posting.headers["X-Hub-Signature-256"])
        assert (posting.name, posting.ticket_id, made.body) == (label.id, made.ticket_id, label.body)


async def test_a_second_run_writes_in_conversations_of_its_own() -> None:
    label = next(label for label in SHOP.split("test") if label.payload)
    runs = [(await senders(run).postings([label]))[0].content for run in ("00000001", "00000002")]
    first, second = (receive_whatsapp(raw, received_at=datetime.now(UTC)).tickets[0] for raw in runs)
    assert first.ticket_id != second.ticket_id
    assert first.conversation != second.conversation


def test_a_ticket_is_posted_after_all_that_it_follows() -> None:
    found = waves([ticket("a"), ticket("b", "a"), ticket("c", "b"), ticket("d"), ticket("e", "beyond the limit")])
    assert [[label.id for label in wave] for wave in found] == [["a", "d", "e"], ["b"], ["c"]]
    assert waves([]) == []


def test_without_its_channel_a_ticket_is_a_call_of_the_api() -> None:
    label = next(label for label in SHOP.split("test") if label.channel == "whatsapp" and label.body)
    assert posting_of(label, SHOP, "r1").path == "/v1/tickets"
