"""One HTTP call of a system that delivers: within a total deadline, its answer cut, its silence told apart."""

import asyncio
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx

from processors.errors import DependencyDown

CONNECT_WITHIN = 3.0  # seconds; a connection that fails is a call that certainly did nothing
MAX_ANSWER = 64 * 1024  # bytes
PASSING = (408, 425, 429)  # statuses that say: later, nothing was done

# The request was never written: the other side cannot have done anything.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


@dataclass(frozen=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    body: bytes  # at most MAX_ANSWER of it
    headers: httpx.Headers

    @property
    def retry_after(self) -> float | None:
        """Seconds of a Retry-After (RFC 9110 §10.2.3). A date counts from the other side's own clock."""
        value = self.headers.get("retry-after", "")
        try:
            if value.isdigit():
                return float(value)
            asked = parsedate_to_datetime(value) - parsedate_to_datetime(self.headers.get("date", ""))
            return max(0.0, asked.total_seconds())
        except (ValueError, TypeError, OverflowError):
            return None


def within(deadline: float) -> httpx.Timeout:
    """The timeouts of a request: the connection is given up early, so that a dead host is told apart."""
    return httpx.Timeout(deadline, connect=min(CONNECT_WITHIN, deadline / 2))


async def exchange(client: httpx.AsyncClient, request: httpx.Request, deadline: float, name: str) -> Answer:
    """Send, and read the answer, within a total deadline: a drip of bytes does not extend it. `name` is the system's.

    Raises:
        DependencyDown: no answer; `untouched` where the request was certainly never written.
    """
    try:
        async with asyncio.timeout(deadline):
            response = await client.send(request, stream=True, follow_redirects=False)
            try:
                return Answer(response.status_code, await _read(response), response.headers)
            finally:
                await response.aclose()
    except _NEVER_SENT as error:
        raise DependencyDown(name, type(error).__name__, untouched=True) from None
    except (httpx.HTTPError, httpx.StreamError, TimeoutError) as error:
        raise DependencyDown(name, type(error).__name__) from None


async def _read(response: httpx.Response) -> bytes:
    """The answer's body, cut: only its reference matters, and a broken system may send anything."""
    read = bytearray()
    async for chunk in response.aiter_bytes():
        read += chunk
        if len(read) >= MAX_ANSWER:
            break
    return bytes(read[:MAX_ANSWER])
