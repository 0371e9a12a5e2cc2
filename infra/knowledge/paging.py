"""Reading a list of a vendor's API page by page: waits when it is told to, gives up in the end, follows no link."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

from infra.helpdesk.exchange import Answer
from processors.errors import DependencyDown, Rejected, TryLater

TRIES = 6
LONGEST_WAIT = 120.0  # seconds; who asks for more is asked again by whoever runs the command
DEADLINE = 60.0  # seconds of one request


@dataclass(frozen=True)
class Paged:
    """How to ask: the client, and how to wait between tries."""

    client: httpx.AsyncClient
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


async def get(
    paged: Paged,
    url: str,
    query: Mapping[str, str],
    *,
    auth: httpx.Auth | None = None,
    headers: Mapping[str, str] | None = None,
) -> Mapping[str, Any]:
    """One page as a JSON object.

    A 429 is asked again after its Retry-After, a 5xx or a broken connection after 1, 2, 4 ... seconds. A redirect is
    refused: it would carry the token elsewhere.

    Raises:
        DependencyDown: no answer after six tries, or none that is a JSON object.
        Rejected: the request is refused for good, such as for its token.
    """
    host = urlsplit(url).netloc
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(TryLater),
        wait=_wait,
        stop=stop_after_attempt(TRIES),
        sleep=paged.sleep,
        reraise=True,
    )
    try:
        async for attempt in retrying:
            with attempt:
                response = await _asked(paged.client, url, query, auth, headers)
    except TryLater as error:
        raise DependencyDown(host, str(error)) from None
    try:
        return json_object(response.json(), host, "its answer")
    except ValueError:
        raise DependencyDown(host, "its answer is no JSON") from None


def json_object(value: object, who: str, what: str) -> Mapping[str, Any]:
    """The value, where it is a JSON object.

    Raises:
        DependencyDown: it is something else.
    """
    if not isinstance(value, dict):
        raise DependencyDown(who, f"{what} is no JSON object")
    return value


async def _asked(
    client: httpx.AsyncClient,
    url: str,
    query: Mapping[str, str],
    auth: httpx.Auth | None,
    headers: Mapping[str, str] | None,
) -> httpx.Response:
    try:
        response = await client.get(url, params=dict(query), auth=auth, headers=headers, timeout=DEADLINE)
    except httpx.TransportError as error:
        raise TryLater(type(error).__name__) from None
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error:
        wait = Answer(response.status_code, b"", response.headers).retry_after
        raise TryLater(f"it answers {response.status_code}", wait)
    if response.status_code != httpx.codes.OK:
        raise Rejected(f"{urlsplit(url).netloc} answers {response.status_code}: {_meaning(response)}")
    return response


def _meaning(response: httpx.Response) -> str:
    if response.status_code in (401, 403):
        return "the token is wrong, or may not read articles"
    return response.reason_phrase or "unexpected"


def _wait(state: RetryCallState) -> float:
    """What the other side asked for, else a second, doubled at each try."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.after if isinstance(error, TryLater) else None
    return min(LONGEST_WAIT, asked if asked is not None else 2.0 ** (state.attempt_number - 1))
