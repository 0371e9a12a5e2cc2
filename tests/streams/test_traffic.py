"""An open loop: tickets go out when they are due, whatever became of those before."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from loadtest.traffic import Posting, Sent, Timed, post_on_time


@asynccontextmanager
async def edge(*statuses: int, hold: asyncio.Event | None = None) -> AsyncIterator[tuple[str, list[str]]]:
    """A door that answers these statuses, then 202; `hold` keeps the first request of all waiting. What it was told."""
    left, told = list(statuses), list[str]()

    async def take(request: Request) -> Response:
        name = (await request.body()).decode()
        told.append(name)
        if hold is not None and len(told) == 1:
            await hold.wait()
        status = left.pop(0) if left else 202
        return JSONResponse({"ticket_id": str(UUID(int=len(told)))}, status)

    app = Starlette(routes=[Route("/v1/tickets", take, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}", told
    server.should_exit = True
    await running


def timed(name: str, due: float = 0.0, conversation: str | None = None) -> Timed:
    return Timed(Posting(name, "/v1/tickets", name.encode(), {}, conversation or name), due)


async def post(url: str, *items: Timed) -> list[Sent]:
    return await post_on_time(url, "key", items, on_sent=lambda sent: None, tries=3)


async def test_a_slow_answer_holds_up_its_own_conversation_and_no_other() -> None:
    hold = asyncio.Event()
    async with edge(hold=hold) as (url, told):
        items = (timed("slow", conversation="a"), timed("after it", 0.05, "a"), timed("another", 0.05, "b"))
        posting = asyncio.create_task(post(url, *items))
        while "another" not in told:
            await asyncio.sleep(0.01)
        assert "after it" not in told
        hold.set()
        sent = await posting
    assert told == ["slow", "another", "after it"]
    assert [item.name for item in sent] == ["slow", "after it", "another"]


async def test_latency_is_counted_from_when_it_was_due() -> None:
    async with edge() as (url, _):
        first, second = await post(url, timed("a"), timed("b", 0.2))
    assert (second.intended - first.intended).total_seconds() == pytest.approx(0.2)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_may_pass_is_tried_again(status: int) -> None:
    async with edge(status) as (url, told):
        (sent,) = await post(url, timed("a"))
    assert (sent.status, sent.tries, told) == (202, 2, ["a", "a"])


async def test_what_is_refused_is_not_tried_again_and_holds_nobody_up() -> None:
    async with edge(422) as (url, told):
        refused, taken = await post(url, timed("a"), timed("b", 0.05))
    assert (refused.ticket_id, refused.status, taken.status, told) == (None, 422, 202, ["a", "b"])


async def test_a_door_that_never_answers_is_given_up() -> None:
    (sent,) = await post("http://127.0.0.1:1", timed("a"))
    assert (sent.ticket_id, sent.status, sent.tries) == (None, 0, 3)
