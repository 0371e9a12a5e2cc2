"""Traffic from outside: tickets posted to the edge at a steady rate, an open loop."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx

IN_FLIGHT = 32  # requests at a time


@dataclass(frozen=True)
class Posting:
    """One ticket as its sender posts it."""

    name: str  # what the caller knows it by
    path: str  # of the door
    content: bytes
    headers: Mapping[str, str]
    conversation: str  # postings of one conversation are sent in their order
    ticket_id: UUID | None = None  # for a door that does not say it, such as a provider's webhook


@dataclass(frozen=True)
class Accepted:
    """A ticket that Kafka acknowledged."""

    name: str
    ticket_id: UUID
    at: datetime  # when the answer came


class Refused(Exception):
    """The edge did not take a ticket; the message says which and why."""


async def post(
    base_url: str, key: str, postings: Sequence[Posting], *, rate: float, on_accept: Callable[[Accepted], None]
) -> list[Accepted]:
    """Post everything at `rate` tickets a second, one conversation's in order.

    Raises:
        Refused: the edge answered anything but 202, or not at all; the first such ticket.
    """
    lanes: dict[str, asyncio.Lock] = {posting.conversation: asyncio.Lock() for posting in postings}
    slots = asyncio.Semaphore(IN_FLIGHT)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=30) as client:

        async def one(posting: Posting) -> Accepted:
            async with lanes[posting.conversation], slots:
                accepted = await _post(client, posting)
            on_accept(accepted)
            return accepted

        try:
            async with asyncio.TaskGroup() as group:
                tasks = []
                for posting in postings:
                    tasks.append(group.create_task(one(posting)))
                    await asyncio.sleep(1 / rate)
        except ExceptionGroup as failed:  # the same fault once for every ticket in flight
            if failed.split(Refused)[1] is not None:
                raise
            raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


async def _post(client: httpx.AsyncClient, posting: Posting) -> Accepted:
    try:
        response = await client.post(posting.path, content=posting.content, headers=dict(posting.headers))
    except httpx.TransportError as error:
        raise Refused(f"{posting.name}: the edge does not answer: {type(error).__name__}") from None
    ticket = _ticket_of(posting, response)
    if ticket is None:
        raise Refused(f"{posting.name}: {response.status_code} {response.text}")
    return Accepted(posting.name, ticket, datetime.now(UTC))


def _ticket_of(posting: Posting, response: httpx.Response) -> UUID | None:
    """The ticket that was taken; None where none was."""
    if not response.is_success:
        return None
    return posting.ticket_id or UUID(response.json()["ticket_id"])


@dataclass(frozen=True)
class Timed:
    """A posting, and when it is meant to be sent."""

    posting: Posting
    due: float  # seconds after the start


@dataclass(frozen=True)
class Sent:
    """What became of a timed posting. Latency counts from `intended`, whenever it could really be sent."""

    name: str
    intended: datetime
    ticket_id: UUID | None  # None: the edge never took it
    status: int  # the last answer; 0: none came
    tries: int


async def post_on_time(
    base_url: str,
    key: str,
    timed: Sequence[Timed],
    *,
    on_sent: Callable[[Sent], None],
    tries: int = 8,
) -> list[Sent]:
    """Post each at its own time, whether those before have been answered or not: an open loop.

    Postings of one conversation keep their order. 429, 5xx and no answer are tried again, under the same id.
    """
    lanes: dict[str, asyncio.Lock] = {item.posting.conversation: asyncio.Lock() for item in timed}
    headers = {"Authorization": f"Bearer {key}"}
    limits = httpx.Limits(max_connections=200)
    loop, start = asyncio.get_running_loop(), datetime.now(UTC)
    began = loop.time()
    async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=30, limits=limits) as client:

        async def one(item: Timed) -> Sent:
            async with lanes[item.posting.conversation]:
                sent = await _post_patiently(client, item.posting, start + timedelta(seconds=item.due), tries)
            on_sent(sent)
            return sent

        async with asyncio.TaskGroup() as group:
            tasks = []
            for item in timed:
                await asyncio.sleep(max(0.0, began + item.due - loop.time()))
                tasks.append(group.create_task(one(item)))
    return [task.result() for task in tasks]


async def _post_patiently(client: httpx.AsyncClient, posting: Posting, intended: datetime, tries: int) -> Sent:
    status = 0
    for tried in range(1, tries + 1):
        try:
            response = await client.post(posting.path, content=posting.content, headers=dict(posting.headers))
        except httpx.TransportError:
            status = 0
        else:
            status = response.status_code
            ticket = _ticket_of(posting, response)
            if ticket is not None:
                return Sent(posting.name, intended, ticket, status, tried)
            if status < 500 and status != httpx.codes.TOO_MANY_REQUESTS:
                return Sent(posting.name, intended, None, status, tried)
        await asyncio.sleep(min(0.2 * 2**tried, 5.0))
    return Sent(posting.name, intended, None, status, tries)


MESSAGE_IDS = re.compile(rb"^(message-id|in-reply-to|references):(?:.*(?:\r?\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE)


def renewed(raw: bytes, run: str) -> bytes:
    """The same mail under other message ids (RFC 5322 §3.6.4): a second run must not find it delivered already."""
    blank = re.search(rb"\r?\n\r?\n", raw)
    end = blank.start() if blank else len(raw)
    head = MESSAGE_IDS.sub(lambda found: found[0].replace(b"<", b"<" + run.encode() + b"."), raw[:end])
    return head + raw[end:]
