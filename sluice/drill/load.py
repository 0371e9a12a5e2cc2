"""Claimers that ask for all they may have, for replies that nobody wrote and nobody gets."""

import asyncio
import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from infra.postgres.conversations import PostgresConversations
from infra.postgres.pool import open_pool
from infra.settings import as_role
from loadtest.drill.measure import Claim
from loadtest.drill.plan import MARK, NAME, Ticket, tickets
from processors.errors import DependencyDown, TryLater
from processors.ports import ClaimRequest, ClaimStatus
from schemas.ingress import Channel

TICKETS = 100  # for each claimer; it begins anew when they are through
LEASE = 30.0
REST = 0.002  # seconds before a claimer that was refused asks again
ENDS_WITHIN = 30.0  # seconds

LEFT = """
select conversation from conversation as c
where conversation like %s
    and not exists (
        select from message as m where m.conversation = c.conversation and m.body_hash is distinct from %s
    )
"""  # what a drill that was killed left behind, as long as nobody else wrote there


class OwnRows:
    """The drill's tickets in Postgres: put there without a router, and taken away again."""

    def __init__(self, owner_url: str, owned: Sequence[Ticket], customer_id: str | None = None) -> None:
        self.tickets, self._owner_url, self._customer_id = tuple(owned), owner_url, customer_id

    @contextmanager
    def kept(self) -> Iterator["OwnRows"]:
        """Have them there for as long as the context lasts."""
        try:
            self.insert()
            yield self
        finally:
            self.remove(self._names)

    @property
    def _names(self) -> list[str]:
        return [ticket.conversation for ticket in self.tickets]

    def insert(self) -> None:
        """Put them there."""
        ids = [ticket.ticket_id for ticket in self.tickets]
        with _owner(self._owner_url) as owner, owner.transaction():
            owner.execute(
                "insert into conversation (conversation, revision) select unnest(%s::text[]), 1", (self._names,)
            )
            owner.execute(
                "insert into message"
                " (conversation, revision, author, ticket_id, customer_id, channel, text, body_hash, at)"
                " select conversation, 1, 'customer', id, %s, 'api', '', %s, now()"
                " from unnest(%s::text[], %s::uuid[]) as mine (conversation, id)",
                (self._customer_id, MARK, self._names, ids),
            )

    def remove(self, names: Sequence[str]) -> None:
        """Take conversations away, with their claims and messages."""
        with _owner(self._owner_url) as owner, owner.transaction():
            for table in ("claim", "message", "conversation"):
                owner.execute(f"delete from {table} where conversation = any(%s)".encode(), (list(names),))

    def remove_leftovers(self) -> int:
        """Take away what a drill that was killed left behind; of how many conversations."""
        with _owner(self._owner_url) as owner:
            left = [name for (name,) in owner.execute(LEFT, (f"{NAME}:%", MARK)).fetchall()]
        self.remove(left)
        return len(left)

    def harvest(self) -> list[Claim]:
        """Take the claims that were granted, so that their replies can be claimed again."""
        with _owner(self._owner_url) as owner:
            query = "delete from claim where conversation = any(%s) returning key, claimed_at"
            return [Claim(key, at) for key, at in owner.execute(query, (self._names,)).fetchall()]


def _owner(url: str) -> psycopg.Connection[Any]:
    connection = psycopg.connect(url, autocommit=True)
    connection.execute("set role sluice_owner")
    return connection


@dataclass
class Load:
    """Claimers at work, in a thread of their own: each asks, and asks again."""

    owner_url: str
    intent: str
    claimers: int
    rows: OwnRows
    statuses: dict[str, int] = field(default_factory=dict)
    fault: BaseException | None = None  # why they ended
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """Claim for as long as the context lasts."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join(ENDS_WITHIN)

    def _run(self) -> None:
        try:
            asyncio.run(self._claim_all())
        except* DependencyDown as error:
            self.fault = error.exceptions[0]

    async def _claim_all(self) -> None:
        pool = await open_pool(as_role(self.owner_url, "sluice_outcome"), size=self.claimers)
        try:
            conversations = PostgresConversations(pool)
            async with asyncio.TaskGroup() as group:
                for number in range(self.claimers):
                    group.create_task(self._claim(conversations, self.rows.tickets[number :: self.claimers]))
        finally:
            await pool.close()

    async def _claim(self, conversations: PostgresConversations, mine: Sequence[Ticket]) -> None:
        for ticket in itertools.cycle(mine):
            if self._over.is_set():
                return
            try:
                status = (await conversations.claim(self._request(ticket))).status
            except (DependencyDown, TryLater):
                await asyncio.sleep(0.1)
                continue
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if status is not ClaimStatus.GRANTED:
                await asyncio.sleep(REST)

    def _request(self, ticket: Ticket) -> ClaimRequest:
        return ClaimRequest(
            ticket.ticket_id, ticket.conversation, 1, "bot", Channel.API, self.intent, None, ticket.key, LEASE
        )


def load_of(owner_url: str, intent: str, claimers: int) -> Load:
    """So many claimers, with tickets of their own."""
    return Load(owner_url, intent, claimers, OwnRows(owner_url, tickets(claimers * TICKETS)))
