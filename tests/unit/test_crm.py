"""A shop's export becomes records whose fields can be quoted."""

from typing import Any

import pytest

from infra.crm import customer_of, phone_of, rendered

SHOP: dict[str, Any] = {
    "customer_id": "cus_1",
    "name": "Ann",
    "email": "ann@example.com",
    "loyalty_points": 0,
    "split": "test",
    "orders": [
        {
            "order_id": "W1",
            "placed_at": "2026-11-17T18:13:00+02:00",
            "status": "shipped",
            "items": [
                {"sku": "L", "name": "Lamp", "qty": 2, "price_usd": 500},
                {"name": "Rug", "qty": 1, "price_usd": 5.5},
            ],
            "total_usd": 1005.5,
            "shipments": [
                {"shipment_id": "S1", "carrier": "Parcelway", "status": "delivered", "delivered_at": "2026-11-20"},
                {"shipment_id": "S2", "carrier": "Parcelway", "status": "in_transit", "delivered_at": None},
            ],
            "refunds": [{"refund_id": "R1", "status": "paid", "amount_usd": 5.5}],
        }
    ],
    "subscriptions": [{"subscription_id": "SUB1", "plan": "Club", "price_usd": 49.0}],
    "tickets": [{"ticket_id": "t1", "subject": "Old", "status": "solved"}],
}
RETAIL: dict[str, Any] = {
    "customer_id": "noah_1",
    "address": {"city": "Denver", "zip": "80279"},
    "orders": [
        {
            "order_id": "#W7",
            "items": [{"name": "Kettle", "price": 146.98, "options": {"capacity": "1L", "color": "black"}}],
            "fulfillments": [{"tracking_id": ["517"]}],
            "payment_history": [{"transaction_type": "refund", "amount": 514.4, "payment_method_id": "paypal_5"}],
            "address": {"city": "Denver", "zip": "80279"},
        }
    ],
}
FORUM: dict[str, Any] = {
    "customer_id": "c_1",
    "environment": {"os": "Linux", "pages": ["a", "b"]},
    "tickets": [],
    "orders": [],
}
BANK: dict[str, Any] = {
    "customer_id": "9",
    "profile": {"name": "Mia", "email": "mia@example.com"},
    "orders": [],
    "accounts": [{"account_id": "01", "status": "OPEN"}],
    "disputes": [{"amount": 3}],
}


def fields(row: dict[str, Any], record: str) -> dict[str, str]:
    return next(rendered(found.fields) for found in customer_of(row).records if found.record == record)


@pytest.mark.parametrize(
    ("row", "records"),
    [
        (SHOP, ["account/cus_1", "order/W1", "refund/R1", "subscription/SUB1", "ticket/t1"]),
        (RETAIL, ["account/noah_1", "order/#W7"]),
        (FORUM, ["account/c_1"]),
        (BANK, ["account/9", "account/01", "dispute/1"]),
    ],
    ids=["shop", "retail", "forum", "bank"],
)
def test_every_export_gives_its_records(row: dict[str, Any], records: list[str]) -> None:
    assert [record.record for record in customer_of(row).records] == records


def test_an_order_reads_as_one_would_say_it() -> None:
    assert fields(SHOP, "order/W1") == {
        "order_id": "W1",
        "placed_at": "2026-11-17 16:13 UTC",
        "status": "shipped",
        "items": "2 × Lamp, 1 × Rug",
        "item_prices": "Lamp $500.00, Rug $5.50",
        "total_usd": "$1,005.50",
        "shipments": "S1, S2",
        "carrier": "Parcelway",
        "shipment_status": "delivered, in_transit",
        "delivered_at": "2026-11-20, not yet",
        "refunds": "R1 (paid)",
    }


def test_a_refund_names_its_order() -> None:
    expected = {"refund_id": "R1", "order_id": "W1", "status": "paid", "amount_usd": "$5.50"}
    assert fields(SHOP, "refund/R1") == expected


def test_an_order_of_another_shop_reads_alike() -> None:
    assert fields(RETAIL, "order/#W7") == {
        "order_id": "#W7",
        "items": "1 × Kettle (1L, black)",
        "item_prices": "Kettle $146.98",
        "total_usd": "$146.98",
        "tracking": "517",
        "payments": "refund $514.40 by paypal_5",
        "address": "Denver, 80279",
    }


def test_an_account_tells_of_the_customer_and_of_no_split() -> None:
    assert fields(SHOP, "account/cus_1") == {"name": "Ann", "email": "ann@example.com", "loyalty_points": "0"}
    assert fields(FORUM, "account/c_1") == {"environment_os": "Linux", "environment_pages": "a, b"}


@pytest.mark.parametrize(("row", "email"), [(SHOP, "ann@example.com"), (BANK, "mia@example.com"), (FORUM, None)])
def test_the_address_that_can_prove_a_customer_is_found(row: dict[str, Any], email: str | None) -> None:
    assert customer_of(row).email == email


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("a", True, "yes"),
        ("a", False, "no"),
        ("price_usd", 1069.85, "$1,069.85"),
        ("price_usd", "free", "free"),
        ("price", 12, "12"),
        ("sent_at", "2026-11-20", "2026-11-20"),
        ("sent_at", "soon", "soon"),
        ("sent_at", "2026-11-20T10:00:00", "2026-11-20T10:00:00"),
        ("parts", [{"a": 1, "b": "c"}, 2], "1 c, 2"),
    ],
)
def test_a_value_is_a_short_text(name: str, value: object, text: str) -> None:
    assert rendered({name: value}) == {name: text}


@pytest.mark.parametrize("value", [None, "", [], {}, [None]])
def test_what_is_empty_is_left_out(value: object) -> None:
    assert rendered({"a": value}) == {}


@pytest.mark.parametrize(
    ("told", "digits"),
    [
        ("+1 (555) 010-0017", "15550100017"),
        ("+44\u00a020\u20117946\u20110018", "442079460018"),
        ("+44 (0)20 7946 0018", None),
        ("+44 ( 0 ) 20 7946 0018", None),
        ("+44 (020) 7946 0018", None),
        ("0049.30/5550100", "49305550100"),
        ("555-0100", None),
        ("15550100017", None),
        ("+1", None),
        ("+0155501000", None),
        ("+1555010001755501000", None),
        ("+1 555 010 0017 ext. 2", None),
        ("+\u0661\u0665\u0665\u0665\u0660\u0661\u0660", None),
        (15550100017, None),
        (None, None),
    ],
)
def test_a_number_counts_only_with_its_country(told: object, digits: str | None) -> None:
    assert phone_of(told) == digits
    assert customer_of({"customer_id": "c", "phone": told}).phone == digits
    assert customer_of({"customer_id": "c", "profile": {"phone": told}}).phone == digits
