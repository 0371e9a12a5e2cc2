"""Traffic from outside: tickets posted to the edge at a steady rate, an open loop."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import httpx

IN_FLIGHT = 32  # requests at a time


@dataclass(frozen=True)
class Posting:
    """One ticket as its sender posts it."""

    name: str  # what the caller knows it by
    path: str  # /v1/tickets or /v1/email
    content: bytes
    headers: Mapping[str, str]
    conversation: str  # postings of one conversation are sent in their order


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
        Refused: the edge answered anything but 202.
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

        async with asyncio.TaskGroup() as group:
            tasks = []
            for posting in postings:
                tasks.append(group.create_task(one(posting)))
                await asyncio.sleep(1 / rate)
    return [task.result() for task in tasks]


async def _post(client: httpx.AsyncClient, posting: Posting) -> Accepted:
    response = await client.post(posting.path, content=posting.content, headers=dict(posting.headers))
    if response.status_code != httpx.codes.ACCEPTED:
        raise Refused(f"{posting.name}: {response.status_code} {response.text}")
    return Accepted(posting.name, UUID(response.json()["ticket_id"]), datetime.now(UTC))


MESSAGE_IDS = re.compile(rb"^(message-id|in-reply-to|references):(?:.*(?:\r?\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE)


def renewed(raw: bytes, run: str) -> bytes:
    """The same mail under other message ids (RFC 5322 §3.6.4): a second run must not find it delivered already."""
    blank = re.search(rb"\r?\n\r?\n", raw)
    end = blank.start() if blank else len(raw)
    head = MESSAGE_IDS.sub(lambda found: found[0].replace(b"<", b"<" + run.encode() + b"."), raw[:end])
    return head + raw[end:]
