"""A suite is read strictly by line and field, and parted so that no customer is in both halves."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.dataset import (
    LabelledTicket,
    SuiteError,
    Turn,
    as_chat,
    as_request,
    as_webhook,
    halves,
    judged_on,
    load_suite,
    split_by_customer,
)
from evals.task import Entrance, receive
from processors.ingress.email import Mailbox
from processors.ingress.whatsapp import PROVIDER as WHATSAPP
from processors.ingress.whatsapp import receive_whatsapp
from schemas.ingress import Channel, Proof, ticket_id
from schemas.router import Band

SHOP = Path(__file__).parents[2] / "evals" / "datasets" / "shop"
FROZEN_TICKETS = "b531d0ae47b4a5e8d782e7528a9900bdc03df03a17b6890760c03bbbd05361f5"
FROZEN_CERTIFY = {
    "a": "125a43f05b122743bc1165959f64b01d075d41187e744617bb3e8cbfc60d944c",
    "b": "3e2640822b9c5121df0631c9a653a05b1cbae5f2ce2237ef158605c907704224",
}
FROZEN_MESSAGES = "291aa3218ec422370fc99a4c736fe49afc093dc716a82ea40de4ae5a22b8dfd9"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ROW = {"id": "t1", "body": "Where is it?", "customer_id": "c1", "intent_label": "order_status", "expected_band": "auto"}


class Stopped:
    """A clock that stands still."""

    def now(self) -> datetime:
        """A moment."""
        return NOW

    def monotonic(self) -> float:
        """No time passes."""
        return 0.0


def written(folder: Path, name: str, *rows: Mapping[str, object]) -> Path:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_the_shop_is_a_suite() -> None:
    shop = load_suite(SHOP)
    assert shop.name == "shop"
    assert [path.name for path in shop.articles] == ["articles.jsonl"]
    assert len(shop.customers) == 800
    assert len(shop.split("train")) >= 200
    assert {ticket.split for ticket in shop.split("train")} == {"train"}


def digest_of(files: Iterable[Path]) -> str:
    """SHA-256 over the names and the bytes of the files, hex."""
    digest = sha256()
    for file in sorted(files):
        digest.update(f"{file.relative_to(SHOP).as_posix()} {sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def test_the_shops_test_half_is_frozen() -> None:
    """Written before the code was tuned on it. Later work may add files of tickets, and never changes these."""
    tickets = load_suite(SHOP).split("test")
    named = [SHOP / name for ticket in tickets for name in (ticket.eml, ticket.payload) if name]
    assert sha256((SHOP / "tickets_test.jsonl").read_bytes()).hexdigest() == FROZEN_TICKETS
    assert digest_of(named) == FROZEN_MESSAGES


@pytest.mark.parametrize("part", sorted(FROZEN_CERTIFY))
def test_the_tickets_that_the_shop_is_certified_on_are_frozen(part: str) -> None:
    """Written from the description alone, and never changed once something was tuned."""
    assert sha256((SHOP / f"tickets_certify_{part}.jsonl").read_bytes()).hexdigest() == FROZEN_CERTIFY[part]


def test_the_shops_tickets_come_by_all_four_channels() -> None:
    shop = load_suite(SHOP)
    for half in (shop.split("train"), shop.split("test")):
        assert {ticket.channel for ticket in half} == {"api", "email", "chat", "whatsapp"}
        assert {ticket.channel for ticket in half if ticket.follows} == {"api", "email", "chat", "whatsapp"}


def test_no_customer_of_the_shop_is_trained_and_judged_on() -> None:
    parts = halves(load_suite(SHOP))
    assert {ticket.group for ticket in parts.train}.isdisjoint({ticket.group for ticket in parts.held_out})


def test_null_and_unknown_fields_are_as_good_as_missing(tmp_path: Path) -> None:
    row = {**ROW, "subject": None, "expected_sources": None, "customer_id": None, "mood": "angry"}
    (ticket,) = load_suite(written(tmp_path, "tickets_dev.jsonl", row)).split("dev")
    assert (ticket.subject, ticket.expected_sources, ticket.proved) == ("", (), False)
    assert ticket.expected_band is Band.AUTO


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({**ROW, "expected_band": "maybe"}, r"tickets_dev.jsonl:2: expected_band"),
        ({**ROW, "expected_sources": [{"section_id": "s"}]}, r"tickets_dev.jsonl:2: expected_sources.0.article_id"),
        ({"id": "t2"}, r"tickets_dev.jsonl:2: body"),
    ],
)
def test_a_bad_row_is_named_by_line_and_field(tmp_path: Path, row: dict[str, object], says: str) -> None:
    with pytest.raises(SuiteError, match=says):
        load_suite(written(tmp_path, "tickets_dev.jsonl", ROW, row))


def test_a_line_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "tickets_dev.jsonl").write_text("{oops\n")
    with pytest.raises(SuiteError, match=r"tickets_dev.jsonl:1: not JSON"):
        load_suite(tmp_path)


def test_a_folder_without_tickets_is_no_suite(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="no tickets_"):
        load_suite(tmp_path)


def test_a_missing_split_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"no tickets_test.jsonl; there is dev"):
        load_suite(written(tmp_path, "tickets_dev.jsonl", ROW)).split("test")


@given(customers=st.lists(st.sampled_from([f"c{number}" for number in range(9)]), max_size=40), seed=st.integers(0, 5))
def test_a_customer_is_in_one_half_only(customers: list[str], seed: int) -> None:
    tickets = [
        LabelledTicket(id=str(number), body="x", customer_id=customer, proved=True)
        for number, customer in enumerate(customers)
    ]
    train, held_out = split_by_customer(tickets, seed)
    assert {ticket.group for ticket in train}.isdisjoint({ticket.group for ticket in held_out})
    assert sorted((*train, *held_out), key=lambda ticket: int(ticket.id)) == tickets


def test_the_parts_of_a_conversation_without_a_name_belong_together() -> None:
    def part(id_: str, body: str, *said: tuple[str, str], channel: str = "chat") -> str:
        thread = tuple(Turn(speaker=speaker, text=text) for speaker, text in said)
        return LabelledTicket(id=id_, body=body, thread=thread, channel=channel, proved=False).group

    first = part("1", "Where is  my lamp?")
    assert part("2", "And when?", ("agent", "Welcome to us."), ("user", "where is my lamp?"), ("agent", "x")) == first
    assert part("3", "Where is my lamp?", ("user", "Hello")) == first
    assert part("4", "And when?", ("user", "Where is my sofa?")) != first
    assert part("5", "Hello") == "5"
    assert part("6", "Where is my lamp?", channel="forum") == "6"


def test_intents_of_the_held_out_half_are_not_trained_on(tmp_path: Path) -> None:
    rows = [{**ROW, "id": f"t{number}", "customer_id": f"c{number}", "body": f"Body {number}"} for number in range(20)]
    written(tmp_path, "tickets_dev.jsonl", *rows)
    extra = [{"id": row["id"], "text": "other words", "intent_label": "order_status"} for row in rows]
    same = [{"id": f"x{n}", "text": f"body  {n}", "intent_label": "order_status"} for n in range(20)]
    parts = halves(load_suite(written(tmp_path, "intents_dev.jsonl", *extra, *same)))
    held_out = {ticket.id.removeprefix("t") for ticket in parts.held_out}
    assert held_out
    assert held_out.isdisjoint(example.id[1:] for example in parts.intents)
    assert len(parts.intents) == 2 * len(parts.train)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({**ROW}, r"tickets_dev.jsonl:2: id: t1 is there before"),
        ({**ROW, "id": "t2", "eml": "emails/t2.eml"}, r"tickets_dev.jsonl:2: eml: no file emails/t2.eml"),
        ({**ROW, "id": "t2", "channel": "whatsapp"}, r"tickets_dev.jsonl:2: payload: missing"),
        ({**ROW, "id": "t2", "channel": "chat", "body": " "}, r"tickets_dev.jsonl:2: body: empty"),
        ({**ROW, "id": "t2", "follows": "t1"}, r"tickets_dev.jsonl:2: follows: t1 is no row before it"),
        ({**ROW, "id": "t2", "channel": "whatsapp", "payload": "tickets_dev.jsonl"}, r"not the webhook of one"),
    ],
)
def test_a_row_that_does_not_fit_its_suite_is_named(tmp_path: Path, row: dict[str, object], says: str) -> None:
    with pytest.raises(SuiteError, match=says):
        load_suite(written(tmp_path, "tickets_dev.jsonl", ROW, row))


@pytest.mark.parametrize(
    ("channel", "proved", "expected"),
    [
        ("forum", True, (Channel.API, "service")),
        ("chat", True, (Channel.CHAT, "service")),
        ("api", False, (Channel.API, "customer")),
    ],
)
def test_a_ticket_enters_by_the_api_with_the_key_it_needs(
    channel: str, proved: bool, expected: tuple[Channel, str]
) -> None:
    entry = as_request(LabelledTicket(id="t1", body="Hi", channel=channel, customer_id="c1", proved=proved))
    assert (entry.request.channel, entry.scope) == expected
    assert (entry.request.message_id, entry.request.customer_id) == ("t1", "c1")


@pytest.mark.parametrize(("proved", "customer"), [(True, "c1"), (False, None)])
def test_only_who_is_proved_is_named_to_a_chat_session(proved: bool, customer: str | None) -> None:
    entry = as_chat(LabelledTicket(id="t1", subject="Hi", body="You?", customer_id="c1", proved=proved))
    assert (entry.session.customer_id, entry.session.conversation) == (customer, "t1")
    assert entry.message.text == "Hi\nYou?"


def test_another_run_sends_another_whatsapp_message_of_now() -> None:
    shop = load_suite(SHOP)
    ticket = next(ticket for ticket in shop.split("test") if ticket.payload)
    first, second = (as_webhook(ticket, shop, at=NOW, run=run, account="42") for run in ("a", "b"))
    assert first.message_id != second.message_id
    (made,) = receive_whatsapp(first.raw, received_at=NOW).tickets
    assert (made.account, made.provider_message_id, made.received_at) == ("42", first.message_id, NOW)
    assert made.ticket_id == ticket_id(WHATSAPP, first.account, first.message_id)


def test_each_ticket_of_the_shop_enters_by_its_own_door() -> None:
    shop = load_suite(SHOP)
    entrance = Entrance(Mailbox("shop", authserv_ids=frozenset({"mx.wrenfield.example"})), Stopped(), lambda _: None)
    for label in shop.split("test"):
        ticket = receive(label, shop, entrance)
        assert (ticket.channel.value, ticket.body) == (label.channel, ticket.body if label.eml else label.body), (
            label.id
        )
        assert ticket.identity.proof is not Proof.NONE or not label.proved, label.id


def test_other_tickets_are_judged_and_all_others_trained_on(tmp_path: Path) -> None:
    suite = load_suite(
        written(tmp_path, "tickets_dev.jsonl", *({**ROW, "id": name, "customer_id": name} for name in "abc"))
    )
    written(tmp_path, "new.jsonl", {"subject": "hi", "channel": "whatsapp"}, {"id": "b", "body": "x"})
    parted = halves(judged_on(suite, tmp_path / "new.jsonl"))
    assert [ticket.id for ticket in parted.held_out] == ["new-1", "b"]
    assert [ticket.id for ticket in parted.train] == ["a", "c"]


def test_a_suite_with_a_train_half_keeps_it_and_its_trained_parts_for_other_tickets(tmp_path: Path) -> None:
    for split in ("train", "tune", "certify_a", "certify_b"):
        written(tmp_path, f"tickets_{split}.jsonl", {"id": split, "body": "x"})
    written(tmp_path, "new.jsonl", {"id": "new", "body": "x"})
    suite = load_suite(tmp_path)
    found = judged_on(suite, tmp_path / "new.jsonl")
    assert (halves(found).train, found.variant) == (suite.split("train"), "")


def test_the_split_that_certifies_lies_in_several_files(tmp_path: Path) -> None:
    for part in ("certify_b", "certify_a", "tune"):
        written(tmp_path, f"tickets_{part}.jsonl", {"id": part, "body": "x"})
    (tmp_path / "tickets_test.jsonl").write_text("not even JSON")
    suite = load_suite(tmp_path, unread=("test",))
    assert [ticket.id for ticket in suite.split("certify")] == ["certify_a", "certify_b"]
    assert sorted(suite.tickets) == ["certify", "tune"]


def test_the_suites_own_test_tickets_leave_all_of_dev_to_train_on(tmp_path: Path) -> None:
    for split in ("dev", "test"):
        written(tmp_path, f"tickets_{split}.jsonl", *({"id": f"{split}-{n}", "body": "x"} for n in range(9)))
    parted = halves(load_suite(tmp_path))
    assert {ticket.id[:3] for ticket in parted.train} == {"dev"}
    assert (len(parted.train), len(parted.held_out)) == (9, 9)


def test_what_is_trained_does_not_change_with_the_tickets_judged(tmp_path: Path) -> None:
    written(tmp_path, "articles.jsonl", {"id": "a", "title": "A", "sections": []})
    suite = load_suite(
        written(tmp_path, "tickets_dev.jsonl", *({**ROW, "id": f"t{n}", "customer_id": f"c{n}"} for n in range(9)))
    )
    written(tmp_path, "new.jsonl", {"id": "new", "body": "x"})
    judged = judged_on(suite, tmp_path / "new.jsonl")
    assert halves(judged).train == halves(suite).train
    assert judged.variant == ""


def test_a_subject_that_only_repeats_the_body_is_read_once() -> None:
    assert LabelledTicket(id="t", subject="Where is my", body="Where is my order?", proved=False).text == (
        "Where is my order?"
    )
