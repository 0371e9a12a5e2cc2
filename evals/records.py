"""Read-only questions about customers' own records, generated over a CRM: what a help centre alone cannot answer.

Customers are parted by a hash, and the two halves are asked in other words: what is trained on one half says something
of the other.
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from evals.dataset import ExpectedSource, LabelledTicket
from evals.measures import RECORDS
from infra.crm import customer_of, rendered
from schemas.router import Band

INTENT = "order_status"
MOST = 150  # questions of a half

Phrases = Sequence[str]  # with slots named like fields of the record
SEEN: Phrases = (
    "What is the status of my order {order_id}?",
    "Where is order {order_id}?",
    "Has my order {order_id} been shipped yet?",
    "hi, I ordered something ({order_id}) and want to know how far it is",
    "Could you check order {order_id} for me? I would like to know its current state.",
    "Any update on {order_id}?",
    "I'm waiting for {order_id}. Is it on its way?",
    "Tell me please what the state of my order {order_id} is.",
    "Please look up my order {order_id}, has it been delivered?",
    "When did {order_id} leave, and where is it now?",
)
UNSEEN: Phrases = (
    "Can you tell me where my order {order_id} stands at the moment?",
    "Hello, my order number is {order_id}. Was it already sent out?",
    "What's happening with order {order_id}?",
    "I have not heard anything about {order_id}. What is its status?",
    "Is {order_id} still being processed?",
    "Good morning, I just want to know whether {order_id} has arrived or is still pending. Thank you!",
)


def questions(customers: Sequence[Mapping[str, Any]], *, seen: bool) -> tuple[LabelledTicket, ...]:
    """Questions of one half of the customers about the state of an order, in a fixed order; () without orders.

    Each is right where the order's own record is cited and its status told.
    """
    asked = (
        ticket for row in customers if _first_half(str(row.get("customer_id"))) is seen for ticket in _of(row, seen)
    )
    return tuple(sorted(asked, key=lambda ticket: _digest(ticket.id))[:MOST])


def _of(row: Mapping[str, Any], seen: bool) -> Iterator[LabelledTicket]:
    """One question about each order of a customer that has a state."""
    customer = customer_of(row)
    phrases = SEEN if seen else UNSEEN
    for record in customer.records:
        fields = rendered(record.fields)
        if record.kind != "order" or not {"order_id", "status"} <= fields.keys():
            continue
        name = f"{RECORDS}{customer.customer_id}-{fields['order_id'].strip('#')}"
        yield LabelledTicket(
            id=name,
            channel="chat",
            body=phrases[_digest(name)[0] % len(phrases)].format_map(fields),
            customer_id=customer.customer_id,
            proved=True,
            intent_label=INTENT,
            expected_band=Band.AUTO,
            expected_sources=(ExpectedSource(article_id=f"crm:{record.record}"),),
            expected_facts=(fields["status"],),
            split="records",
        )


def _first_half(customer: str) -> bool:
    return _digest(f"records:{customer}")[0] < 128


def _digest(text: str) -> bytes:
    return sha256(text.encode()).digest()
