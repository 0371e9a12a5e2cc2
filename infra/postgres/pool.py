"""A pool of Postgres connections for one login role, and what its failures mean to a ticket."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from infra.postgres.queries import query
from processors.errors import DependencyDown, Rejected, TryLater

Pool = AsyncConnectionPool[AsyncConnection[DictRow]]
Parameters = Mapping[str, object]
Address = str | Callable[[], str]  # a URL, or what tells it for every new connection, raising while there is none

# Postgres answers, but not this statement now: a lock, a deadlock, a statement past its time.
PASSING = (
    psycopg.errors.QueryCanceled,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)
# It can never do this: a value too large for an index, a row too large for a page (class 54).
LIMIT_EXCEEDED = "54"
# Nobody is answered; after a failover the address may lead to a server that only reads.
DOWN = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,
    PoolTimeout,
    PoolClosed,
)


async def open_pool(url: Address, *, size: int = 8, timeout: float = 5.0, wait: bool = True) -> Pool:
    """Open a pool in autocommit mode, with one connection that is known to work; close it when done.

    `timeout` is the longest wait for a free connection, in seconds. Without `wait` it opens while Postgres is away, and
    every use says so until it is there.

    Raises:
        DependencyDown: Postgres does not answer.
    """
    pool: Pool = AsyncConnectionPool(
        url,
        connection_class=AsyncConnection[DictRow],
        kwargs={"autocommit": True, "row_factory": dict_row, "application_name": "sluice"},
        min_size=1,
        max_size=size,
        timeout=timeout,
        open=False,
    )
    try:
        await pool.open(wait=wait, timeout=timeout)
    except DOWN as error:
        await pool.close()
        raise DependencyDown("Postgres", _reason(error)) from error
    return pool


@asynccontextmanager
async def borrowed(pool: Pool) -> AsyncIterator[AsyncConnection[DictRow]]:
    """A connection of the pool.

    Raises:
        Rejected: Postgres can never do this one statement.
        TryLater: Postgres could not do this one statement now.
        DependencyDown: Postgres does not answer.
    """
    try:
        async with pool.connection() as connection:
            yield connection
    except PASSING as error:
        raise TryLater(f"Postgres: {_reason(error)}") from error
    except DOWN as error:
        if (getattr(error, "sqlstate", None) or "").startswith(LIMIT_EXCEEDED):
            raise Rejected(f"Postgres: {_reason(error)}") from error
        raise DependencyDown("Postgres", _reason(error)) from error


async def fetch(pool: Pool, name: str, parameters: Parameters | None = None) -> list[DictRow]:
    """The rows of a named query. Raises as `borrowed` does."""
    async with borrowed(pool) as connection:
        cursor = await connection.execute(query(name), parameters)
        return await cursor.fetchall()


async def fetch_value(pool: Pool, name: str, parameters: Parameters) -> Any:  # noqa: ANN401 - whatever the query selects
    """The one value of a named query. Raises as `borrowed` does."""
    (row,) = await fetch(pool, name, parameters)
    (value,) = row.values()
    return value


def storable(text: str) -> str:
    """A text as Postgres can keep it: without NUL and lone surrogates, which hostile mail may hold."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def storable_json(text: str) -> str:
    """JSON as a jsonb column can keep it: it refuses an escaped NUL too."""
    return storable(text).replace("\\u0000", "\\ufffd")


def _reason(error: BaseException) -> str:
    """The kind of a failure. Postgres's own message may quote a row."""
    state = getattr(error, "sqlstate", None)
    return f"{type(error).__name__} {state}" if state else type(error).__name__
