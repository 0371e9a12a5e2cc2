"""The ledger in Postgres: hash chains that one customer's appends share with no other's."""

from collections.abc import Iterable

from infra.chain import ChainCheck, Fault, LinkRow, canonical, chain_of
from infra.postgres.pool import Pool, borrowed, fetch
from infra.postgres.queries import query
from processors.ports import LedgerEntry, LedgerHead


class PostgresLedger:
    """Appends for one stage. An entry is committed when `append` returns, so before the model is called."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def append(self, entry: LedgerEntry) -> LedgerHead:
        """Write what is about to be shown, and return the chain's new head.

        Raises:
            DependencyDown: Postgres does not answer: show nothing.
        """
        (row,) = await fetch(self._pool, "ledger_append", {"chain": chain_of(entry), "entry": canonical(entry)})
        return LedgerHead(**row)


async def verify_ledger(pool: Pool, heads: Iterable[LedgerHead] = ()) -> tuple[Fault, ...]:
    """Read the whole ledger (as the auditor) and name every row that is not as it was written."""
    check = ChainCheck(tuple(heads))
    async with borrowed(pool) as connection, connection.cursor() as cursor:
        async for row in cursor.stream(query("ledger_rows")):
            check.see(LinkRow(**row))
    return check.faults()
