"""What the integration tests share beside tests/conftest.py."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from infra.clock import SystemClock
from infra.postgres.local import LocalPostgres
from processors.ingress.api import ApiKey
from processors.ingress.email import Mailbox
from streams.ingress.serve import ChatOptions, EdgeOptions, serve_edge
from tests.conftest import _fresh_topics
from tests.integration.field import Field, working


@pytest.fixture(scope="module")
def shared_database(postgres: LocalPostgres, migrated: str) -> Iterator[str]:
    """A migrated database that all tests of a module read, as its owner's URL."""
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} template {}").format(sql.Identifier("test_shared"), sql.Identifier(migrated))
        )
        yield postgres.url("test_shared")
        connection.execute("drop database test_shared with (force)")


@pytest.fixture(scope="module")
def field(kafka: str, shared_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """Conversations in the field, with one worker of every stage for all tests of a module."""
    _fresh_topics(kafka)
    with working(kafka, shared_database, tmp_path_factory.mktemp("field")) as found:
        yield found


CHAT_SECRET = "a secret of the tests, long enough to sign"

Serve = Callable[..., AbstractAsyncContextManager[str]]


@pytest.fixture
def chat_edge(kafka_topics: str) -> Serve:
    """Serves an edge with web chat in this process, once or again: its address, ready to be talked to."""

    @asynccontextmanager
    async def serve(port: int = 0, **chat: Any) -> AsyncIterator[str]:
        options = EdgeOptions(
            bootstrap=kafka_topics,
            keys=[("s", ApiKey("shop", "service")), ("c", ApiKey("shop", "customer"))],
            mailbox=Mailbox("support@shop.example"),
            port=port,
            chat=ChatOptions(CHAT_SECRET, **chat),
        )
        address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve_edge(options, SystemClock(), listening=address.set_result))
        await asyncio.wait({serving, address}, return_when=asyncio.FIRST_COMPLETED)
        assert address.done(), serving.exception()
        try:
            await _ready(address.result())
            yield address.result()
        finally:
            signal.raise_signal(signal.SIGTERM)
            assert await asyncio.wait_for(serving, 20) == 0

    return serve


async def _ready(address: str) -> None:
    async with httpx.AsyncClient(base_url=address) as client, asyncio.timeout(30):
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.1)
