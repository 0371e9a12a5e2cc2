"""Sections and a customer's records are read in one query, the records under row-level security."""

from collections.abc import AsyncIterator

import pytest

from infra.embeddings.scripted import HashingEmbedder
from infra.postgres.customers import PostgresCustomers
from infra.postgres.ingest import ingest, load_customers
from infra.postgres.knowledge import PostgresKnowledge
from infra.postgres.pool import Pool, open_pool
from infra.settings import as_role
from processors.ports import Joined, Whose
from tests.contracts.test_customers import KINDS, ROWS
from tests.contracts.test_knowledge import ARTICLES, NOVEMBER

ASKED = "What does the return of a parcel cost?"
ANN = Whose("cus_1", ("order", "refund"))


@pytest.fixture
async def retrieval(database: str) -> AsyncIterator[Pool]:
    async with await open_pool(database, size=1) as owner:
        await load_customers(owner, ROWS)
    async with await open_pool(as_role(database, "sluice_retrieval"), size=1) as pool:
        yield pool


@pytest.fixture
async def sources(database: str, retrieval: Pool) -> Joined:
    async with await open_pool(database, size=1) as owner:
        await ingest(owner, HashingEmbedder(), ARTICLES)
    return PostgresKnowledge(retrieval, HashingEmbedder())


async def test_both_are_what_each_alone_would_find(sources: Joined, retrieval: Pool) -> None:
    found = await sources.gather(ASKED, at=NOVEMBER, limit=3, whose=ANN)
    assert found.passages == await sources.search(ASKED, at=NOVEMBER, limit=3)
    assert found.facts == await PostgresCustomers(retrieval, KINDS).facts("cus_1", "order_status")
    assert len(found.facts) == 2


async def test_nobody_s_records_come_unasked_and_none_stay_for_the_next(sources: Joined, retrieval: Pool) -> None:
    await sources.gather(ASKED, at=NOVEMBER, limit=3, whose=ANN)
    assert (await sources.gather(ASKED, at=NOVEMBER, limit=3)).facts == ()
    assert (await sources.gather(ASKED, at=NOVEMBER, limit=3, whose=Whose("cus_1", ()))).facts == ()
    async with retrieval.connection() as connection:
        assert await (await connection.execute("select * from crm_record")).fetchall() == []


async def test_a_customer_s_query_holds_nothing_of_another(sources: Joined) -> None:
    found = await sources.gather(ASKED, at=NOVEMBER, limit=3, whose=Whose("cus_2", ("order", "refund")))
    assert [fact.record for fact in found.facts] == ["crm:order/W2"]


async def test_records_come_where_no_section_holds(retrieval: Pool) -> None:
    found = await PostgresKnowledge(retrieval, HashingEmbedder()).gather(ASKED, at=NOVEMBER, limit=3, whose=ANN)
    assert (found.passages, len(found.facts)) == ((), 2)


async def test_the_search_is_the_last_statement_so_no_other_fetched_the_records(sources: Joined, database: str) -> None:
    assert len((await sources.gather(ASKED, at=NOVEMBER, limit=3, whose=ANN)).facts) == 2
    last = "select query from pg_stat_activity where usename = 'sluice_retrieval' and datname = current_database()"
    async with await open_pool(database, size=1) as owner, owner.connection() as connection:
        (row,) = await (await connection.execute(last)).fetchall()
    assert row["query"].startswith("with words as")
