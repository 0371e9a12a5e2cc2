"""The drill's claimers, as a process: the work comes as a JSON line, they end when standard input does.

Each kind of answer they get is printed once. The work is not on the command line, as it holds a database's address.
"""

import asyncio
import itertools
import json
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from infra.postgres.conversations import PostgresConversations
from infra.postgres.pool import open_pool
from loadtest.drill.plan import Ticket
from processors.errors import DependencyDown, TryLater
from processors.ports import ClaimRequest, ClaimStatus, Conversations
from schemas.ingress import Channel

LEASE = 30.0
REST = 0.002  # seconds before a claimer that was refused asks again


@dataclass(frozen=True)
class Asking:
    """What the claimers share."""

    conversations: Conversations
    intent: str
    over: threading.Event
    told: set[str]  # the kinds of answers that were printed

    async def claim(self, mine: Sequence[Ticket]) -> None:
        """Ask for one ticket after the other, and begin anew, until it is over."""
        for ticket in itertools.cycle(mine):
            if self.over.is_set():
                return
            try:
                status = (await self.conversations.claim(request(ticket, self.intent))).status
            except (DependencyDown, TryLater):
                await asyncio.sleep(0.1)
                continue
            if status not in self.told:
                self.told.add(status)
                print(status.value, flush=True)  # noqa: T201  for the process that started us
            if status is not ClaimStatus.GRANTED:
                await asyncio.sleep(REST)


def request(ticket: Ticket, intent: str, customer_id: str | None = None) -> ClaimRequest:
    """A claim of the bot's on the reply to a drill's ticket."""
    place = (ticket.ticket_id, ticket.conversation, 1)
    return ClaimRequest(*place, "bot", Channel.API, intent, customer_id, ticket.key, LEASE)


async def claim_all(work: dict[str, Any], over: threading.Event) -> None:
    """Do the work.

    Raises:
        DependencyDown: Postgres does not answer.
    """
    mine = [Ticket(conversation, UUID(name)) for conversation, name in work["tickets"]]
    count: int = work["claimers"]
    pool = await open_pool(work["url"], size=count)
    try:
        asking = Asking(PostgresConversations(pool), work["intent"], over, set())
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(asking.claim(mine[number::count]))
    finally:
        await pool.close()


def main() -> None:
    """Work until standard input ends, as it does with the process that holds it."""
    work, over = json.loads(sys.stdin.readline()), threading.Event()

    def until_end() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=until_end, daemon=True).start()
    try:
        asyncio.run(claim_all(work, over))
    except DependencyDown as error:
        print(error, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
