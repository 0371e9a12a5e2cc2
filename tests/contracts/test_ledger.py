"""The ledger keeps what models are shown in chains by customer, and every touch of a row shows."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

import psycopg
import pytest

from infra.chain import Fault, chain_of, verify
from infra.clock import SystemClock
from infra.postgres.ledger import PostgresLedger, verify_ledger
from infra.postgres.pool import open_pool
from infra.scripted.ledger import ScriptedLedger
from infra.settings import as_role
from processors.ports import Ledger, LedgerEntry, LedgerHead, Shown

Verify = Callable[[list[LedgerHead]], Awaitable[tuple[Fault, ...]]]


@dataclass(frozen=True)
class Book:
    """A ledger, and how its auditor reads it."""

    ledger: Ledger
    verify: Verify


@pytest.fixture(params=["scripted", "postgres"])
async def book(request: pytest.FixtureRequest) -> AsyncIterator[Book]:
    if request.param == "scripted":
        scripted = ScriptedLedger(SystemClock())

        async def in_memory(heads: list[LedgerHead]) -> tuple[Fault, ...]:
            return verify(scripted.rows, heads)

        yield Book(scripted, in_memory)
        return
    database: str = request.getfixturevalue("database")
    resolution, auditor = as_role(database, "sluice_resolution"), as_role(database, "sluice_auditor")
    async with await open_pool(resolution) as writing, await open_pool(auditor, size=1) as reading:
        yield Book(PostgresLedger(writing), lambda heads: verify_ledger(reading, heads))


def entry(ticket: int = 1, customer: str | None = "cus_1") -> LedgerEntry:
    shown = (Shown("fact", "crm:order/W1", ("status", "carrier")), Shown("ticket", "ticket", ("body",)))
    return LedgerEntry(UUID(int=ticket), 1, customer, "resolution", "local/extractive", "ab12", shown)


class TestLedger:
    async def test_a_chain_counts_from_one(self, book: Book) -> None:
        heads = [await book.ledger.append(entry(n)) for n in (1, 2)]
        assert [head.sequence for head in heads] == [1, 2]
        assert heads[0].chain == heads[1].chain
        assert heads[0].hash != heads[1].hash

    async def test_every_customer_has_a_chain_that_does_not_name_them(self, book: Book) -> None:
        heads = [await book.ledger.append(entry(customer=customer)) for customer in ("cus_1", "cus_2")]
        assert {head.sequence for head in heads} == {1}
        assert "cus_1" not in heads[0].chain

    async def test_tickets_of_nobody_in_particular_share_chains(self, book: Book) -> None:
        head = await book.ledger.append(entry(customer=None))
        assert head.chain.startswith("unproved-")

    async def test_an_untouched_ledger_has_no_faults(self, book: Book) -> None:
        heads = [await book.ledger.append(entry(n, c)) for n in range(3) for c in ("cus_1", "cus_2", None)]
        assert await book.verify(heads) == ()

    async def test_a_published_head_that_is_not_there_is_a_fault(self, book: Book) -> None:
        head = await book.ledger.append(entry())
        assert await book.verify([LedgerHead(head.chain, 2, "00")]) == (
            Fault(head.chain, 2, "is missing, though it was published"),
        )


TOUCHES = {
    "flipped": ("update ledger set record = replace(record, 'W1', 'W2') where sequence = 2", 2, "was altered"),
    "dropped": ("delete from ledger where sequence = 2", 2, "is missing"),
    "rehashed": (
        "update ledger set record = replace(record, 'W1', 'W2'),"
        " hash = encode(sha256(convert_to(previous || replace(record, 'W1', 'W2'), 'UTF8')), 'hex') where sequence = 2",
        3,
        "does not follow the row before it",
    ),
    "swapped": (
        "update ledger as l set previous = o.previous, record = o.record, hash = o.hash from ledger as o"
        " where l.sequence in (2, 3) and o.sequence = 5 - l.sequence",
        2,
        "does not follow the row before it",
    ),
    "cut off": ("delete from ledger where sequence > 2", 4, "is missing, though it was published"),
}


@pytest.mark.parametrize(("touch", "sequence", "what"), TOUCHES.values(), ids=TOUCHES)
async def test_a_touched_row_is_named(database: str, touch: str, sequence: int, what: str) -> None:
    async with await open_pool(as_role(database, "sluice_resolution")) as pool:
        heads = [await PostgresLedger(pool).append(entry(n)) for n in range(1, 5)]
    with psycopg.connect(database) as owner:
        owner.execute(touch)
    async with await open_pool(as_role(database, "sluice_auditor")) as pool:
        faults = await verify_ledger(pool, heads[-1:])
    assert Fault(chain_of(entry()), sequence, what) in faults


async def test_no_stage_can_change_or_drop_a_row(database: str) -> None:
    async with await open_pool(as_role(database, "sluice_resolution")) as pool:
        await PostgresLedger(pool).append(entry())
        async with pool.connection() as connection:
            for act in ("update ledger set record = ''", "delete from ledger", "truncate ledger"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    await connection.execute(act)


async def test_appends_at_the_same_time_do_not_fork_the_chain(database: str) -> None:
    async with await open_pool(as_role(database, "sluice_resolution"), size=8) as pool:
        ledger = PostgresLedger(pool)
        heads = await asyncio.gather(*(ledger.append(entry(n)) for n in range(40)))
    assert sorted(head.sequence for head in heads) == list(range(1, 41))
    async with await open_pool(as_role(database, "sluice_auditor")) as pool:
        assert await verify_ledger(pool, heads) == ()
