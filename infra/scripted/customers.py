"""Customers in memory."""

from collections.abc import Iterable, Mapping, Sequence

from infra.crm import Customer, rendered
from processors.ports import Customers
from schemas.retrieval import Fact


class ScriptedCustomers(Customers):
    """The records of given customers, of the kinds an intent may use."""

    def __init__(self, customers: Iterable[Customer], kinds: Mapping[str, Sequence[str]]) -> None:
        self._customers = {customer.customer_id: customer for customer in customers}
        self._kinds = kinds

    async def facts(self, customer_id: str, intent: str) -> tuple[Fact, ...]:
        """The records as short texts, by kind and number."""
        customer = self._customers.get(customer_id, Customer(customer_id))
        kinds = self._kinds.get(intent, ())
        records = sorted(
            (record for record in customer.records if record.kind in kinds), key=lambda r: (r.kind, r.record)
        )
        return tuple(Fact(record=f"crm:{r.record}", kind=r.kind, fields=rendered(r.fields)) for r in records)
