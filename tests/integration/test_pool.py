"""A pool of connections whose database gets its address later than the pool is opened."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from infra.postgres.pool import Pool, borrowed, open_pool
from infra.settings import load_settings
from infra.wiring import open_adapters
from processors.errors import DependencyDown
from processors.ports import QueueFilter


class Later:
    """A database that has no address at first."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.running = False

    def __call__(self) -> str:
        if not self.running:
            raise DependencyDown("Postgres", "none runs")
        return self._url


@asynccontextmanager
async def opened(later: Later) -> AsyncIterator[Pool]:
    pool = await open_pool(later, timeout=0.2, wait=False)
    try:
        yield pool
    finally:
        await pool.close()


async def test_a_database_without_an_address_is_away_and_found_once_it_has_one(database: str) -> None:
    later = Later(database)
    async with opened(later) as pool:
        with pytest.raises(DependencyDown, match="Postgres"):
            async with borrowed(pool):
                pass
        later.running = True
        pool.timeout = 20.0
        async with borrowed(pool) as connection:
            row = await (await connection.execute("select 1 as one")).fetchone()
    assert row == {"one": 1}


async def test_adapters_log_in_under_their_own_role_at_an_address_that_comes_later(database: str) -> None:
    later = Later(database)
    later.running = True
    async with open_adapters(load_settings({}), later, ["people"], wait=False) as adapters:
        assert await adapters.people.queue.list(QueueFilter()) == ()
        async with borrowed(adapters.pools["people"]) as connection:
            row = await (await connection.execute("select current_user as name")).fetchone()
    assert row == {"name": "sluice_people"}
