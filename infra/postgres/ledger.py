"""The ledger in Postgres: hash chains that one customer's appends share with no other's."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.chain import ChainCheck, Fault, LinkRow, canonical, chain_of, customer_chain
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


@dataclass(frozen=True)
class Showing:
    """One call of a model, as the ledger has it."""

    sequence: int
    at: str  # RFC 3339, UTC
    ticket_id: str
    revision: int
    stage: str
    model: str  # provider/name
    prompt_hash: str  # SHA-256 of the prompt file
    shown: tuple[Mapping[str, Any], ...]  # kind, ref and fields of each thing
    subject: str | None  # of the ticket, and its text, as they were admitted
    text: str | None


@dataclass(frozen=True)
class CustomerLedger:
    """Everything that any model was shown of a customer, in order, and whether it is as it was written."""

    known: bool  # whether there is such a customer
    showings: tuple[Showing, ...]
    faults: tuple[Fault, ...]


async def ledger_of(pool: Pool, customer_id: str) -> CustomerLedger:
    """Read a customer's chain, as the auditor. A row that cannot be read is a fault, and no showing."""
    (known,) = await fetch(pool, "customer_known", {"customer": customer_id})
    rows = [LinkRow(**row) for row in await fetch(pool, "ledger_chain", {"chain": customer_chain(customer_id)})]
    check = ChainCheck(())
    for row in rows:
        check.see(row)
    records = [(row.sequence, record) for row in rows if (record := _record(row.record))]
    tickets = list({record["entry"]["ticket_id"] for _, record in records})
    texts = {row["ticket_id"]: row for row in await fetch(pool, "ticket_texts", {"tickets": tickets})}
    showings = tuple(_showing(number, record, texts) for number, record in records)
    return CustomerLedger(known["exists"], showings, check.faults())


def _record(text: str) -> Mapping[str, Any] | None:
    try:
        record: Mapping[str, Any] = json.loads(text)
        _showing(0, record, {})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return record


def _showing(sequence: int, record: Mapping[str, Any], texts: Mapping[str, Mapping[str, Any]]) -> Showing:
    entry = record["entry"]
    ticket = texts.get(entry["ticket_id"], {})
    return Showing(
        sequence=sequence,
        at=str(record["at"]),
        ticket_id=str(entry["ticket_id"]),
        revision=int(entry["revision"]),
        stage=str(entry["stage"]),
        model=str(entry["model"]),
        prompt_hash=str(entry["prompt_hash"]),
        shown=tuple({"kind": s["kind"], "ref": s["ref"], "fields": tuple(s["fields"])} for s in entry["shown"]),
        subject=ticket.get("subject"),
        text=ticket.get("text"),
    )


async def check_ledger(pool: Pool, heads: Iterable[LedgerHead] = ()) -> ChainCheck:
    """Read the whole ledger, as the auditor."""
    check = ChainCheck(tuple(heads))
    async with borrowed(pool) as connection, connection.cursor() as cursor:
        async for row in cursor.stream(query("ledger_rows")):
            check.see(LinkRow(**row))
    return check


async def verify_ledger(pool: Pool, heads: Iterable[LedgerHead] = ()) -> tuple[Fault, ...]:
    """Read the whole ledger (as the auditor) and name every row that is not as it was written."""
    return (await check_ledger(pool, heads)).faults()
