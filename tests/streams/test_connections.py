"""Connections that say nothing do not keep customers out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from streams.ingress import connections
from streams.ingress.connections import Impatient

HEAD = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"


@asynccontextmanager
async def served() -> AsyncIterator[int]:
    async def slow(_: Request) -> PlainTextResponse:
        await asyncio.sleep(0.6)
        return PlainTextResponse("done")

    app = Starlette(routes=[Route("/slow", slow)])
    server = uvicorn.Server(uvicorn.Config(app, http=Impatient, port=0, log_config=None, lifespan="off"))
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await running


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_WITHIN", 0.2)


@pytest.mark.parametrize("said", [b"", HEAD[:20]])
async def test_a_connection_that_begins_no_request_is_closed(said: bytes) -> None:
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        with suppress(ConnectionError):
            writer.close()


async def test_a_request_may_take_longer_than_its_head() -> None:
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD)
        answer = await asyncio.wait_for(reader.read(), 10)  # until it is closed for saying nothing more
        assert b"200 OK" in answer
        assert b"done" in answer
        writer.close()
