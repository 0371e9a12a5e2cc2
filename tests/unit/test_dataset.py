"""A suite is read strictly by line and field, and parted so that no customer is in both halves."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.dataset import LabelledTicket, SuiteError, as_request, halves, load_suite, split_by_customer
from schemas.ingress import Channel
from schemas.router import Band

SHOP = Path(__file__).parents[2] / "evals" / "datasets" / "shop"
ROW = {"id": "t1", "body": "Where is it?", "customer_id": "c1", "intent_label": "order_status", "expected_band": "auto"}


def written(folder: Path, name: str, *rows: Mapping[str, object]) -> Path:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_the_shop_is_a_suite() -> None:
    shop = load_suite(SHOP)
    assert shop.name == "shop"
    assert [path.name for path in shop.articles] == ["articles.jsonl"]
    assert len(shop.customers) == 100
    assert len(shop.split("train")) >= 200
    assert {ticket.split for ticket in shop.split("train")} == {"train"}


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
