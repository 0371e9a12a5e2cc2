"""A customer's facts are their own records, of the kinds the intent allows, as short texts."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from infra.crm import customers_of
from infra.postgres.customers import PostgresCustomers
from infra.postgres.ingest import load_customers
from infra.postgres.pool import open_pool
from infra.scripted.customers import ScriptedCustomers
from infra.settings import as_role
from processors.ports import Customers

KINDS = {"order_status": ("order", "refund"), "profile": ("account",)}
ROWS: list[dict[str, Any]] = [
    {
        "customer_id": "cus_1",
        "name": "Ann",
        "orders": [
            {
                "order_id": "W1",
                "status": "shipped",
                "total_usd": 1234.5,
                "items": [{"name": "Lamp", "qty": 2, "price_usd": 617.25}],
                "shipments": [{"carrier": "Parcelway", "delivered_at": None}],
                "refunds": [{"refund_id": "R1", "status": "paid", "amount_usd": 5}],
            }
        ],
    },
    {"customer_id": "cus_2", "name": "Ben", "orders": [{"order_id": "W2", "status": "processing"}]},
]


@pytest.fixture(params=["scripted", "postgres"])
async def customers(request: pytest.FixtureRequest) -> AsyncIterator[Customers]:
    if request.param == "scripted":
        yield ScriptedCustomers(customers_of(ROWS), KINDS)
        return
    database: str = request.getfixturevalue("database")
    async with await open_pool(database, size=2) as owner:
        await load_customers(owner, ROWS)
    async with await open_pool(as_role(database, "sluice_retrieval"), size=2) as pool:
        yield PostgresCustomers(pool, KINDS)


class TestCustomers:
    async def test_an_intent_sees_the_kinds_it_may(self, customers: Customers) -> None:
        facts = await customers.facts("cus_1", "order_status")
        assert [(fact.record, fact.kind) for fact in facts] == [("crm:order/W1", "order"), ("crm:refund/R1", "refund")]

    async def test_fields_are_short_texts(self, customers: Customers) -> None:
        order, refund = await customers.facts("cus_1", "order_status")
        assert order.fields["items"] == "2 × Lamp"
        assert (order.fields["total_usd"], refund.fields["amount_usd"]) == ("$1,234.50", "$5.00")
        assert (refund.fields["order_id"], order.fields["carrier"]) == ("W1", "Parcelway")
        assert "delivered_at" not in order.fields

    async def test_a_customer_sees_their_own_records_only(self, customers: Customers) -> None:
        assert [fact.record for fact in await customers.facts("cus_2", "order_status")] == ["crm:order/W2"]

    @pytest.mark.parametrize(
        ("customer", "intent"), [("cus_1", "gift_card"), ("cus_9", "order_status"), ("", "profile")]
    )
    async def test_without_permission_or_customer_there_are_none(
        self, customers: Customers, customer: str, intent: str
    ) -> None:
        assert await customers.facts(customer, intent) == ()
