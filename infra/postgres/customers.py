"""The records of one proved customer, from Postgres under row-level security."""

from collections.abc import Mapping, Sequence
from typing import Any

from infra.crm import rendered
from infra.postgres.pool import Pool, fetch
from schemas.retrieval import Fact


class PostgresCustomers:
    """Reads a customer's records, of the kinds an intent may use; of an unlisted intent, none."""

    def __init__(self, pool: Pool, kinds: Mapping[str, Sequence[str]]) -> None:
        self._pool = pool
        self._kinds = kinds

    async def facts(self, customer_id: str, intent: str) -> tuple[Fact, ...]:
        """The records as short texts, by kind and number.

        Raises:
            DependencyDown: Postgres does not answer.
        """
        kinds = list(self._kinds.get(intent, ()))
        if not kinds:
            return ()
        rows = await fetch(self._pool, "customer_facts", {"customer": customer_id, "kinds": kinds})
        return tuple(map(fact_of, rows))


def fact_of(row: Mapping[str, Any]) -> Fact:
    """A record as an answer may quote it."""
    return Fact(record=f"crm:{row['record']}", kind=row["kind"], fields=rendered(row["fields"]))
