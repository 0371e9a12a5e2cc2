"""Questions generated over a CRM: each has its record and its right answer, and no customer is in both halves."""

from evals.measures import RECORDS
from evals.records import SEEN, UNSEEN, questions

CUSTOMERS = [
    {"customer_id": f"c{n}", "orders": [{"order_id": f"#W{n:04}", "status": "delivered"}, {"order_id": f"#V{n:04}"}]}
    for n in range(40)
]


def test_a_question_names_the_order_and_expects_its_record_and_status() -> None:
    for ticket in questions(CUSTOMERS, seen=False):
        (source,) = ticket.expected_sources
        assert ticket.id.startswith(RECORDS)
        assert source.article_id.removeprefix("crm:order/") in ticket.body
        assert ticket.expected_facts == ("delivered",)


def test_no_customer_and_no_words_are_in_both_halves() -> None:
    halves = [questions(CUSTOMERS, seen=seen) for seen in (True, False)]
    customers = [{ticket.customer_id for ticket in half} for half in halves]
    assert all(customers)
    assert not customers[0] & customers[1]
    assert not set(SEEN.orders) & set(UNSEEN.orders)
    assert not set(SEEN.fields) & set(UNSEEN.fields)


def test_customers_without_orders_are_asked_nothing() -> None:
    assert questions([{"customer_id": "c", "accounts": [{"account_id": "1", "status": "OPEN"}]}], seen=True) == ()


def test_the_same_customers_are_always_asked_the_same() -> None:
    assert questions(CUSTOMERS, seen=True) == questions(CUSTOMERS[::-1], seen=True)
