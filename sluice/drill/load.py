"""Claimers that ask for all they may have, for replies that nobody wrote and nobody gets."""

import asyncio
import itertools
import multiprocessing
import multiprocessing.queues
import multiprocessing.synchronize
import os
import queue
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
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

SPAWN = multiprocessing.get_context("spawn")
TICKETS = 8000  # among all claimers: more than they can claim between two stops
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


@dataclass(frozen=True)
class Work:
    """What the claimers are given, and how they are ended; it goes to their process."""

    owner_url: str
    intent: str
    shares: Sequence[Sequence[Ticket]]  # a claimer's own tickets
    over: "multiprocessing.synchronize.Event"
    told: "multiprocessing.queues.Queue[str]"  # each kind of answer, once; or why they end
    parent: int  # the process they end with


@dataclass
class Load:
    """Claimers at work, each asking and asking again, in a process of their own: the stop must not hold them up."""

    owner_url: str
    intent: str
    claimers: int
    rows: OwnRows
    answers: set[str] = field(default_factory=set)  # the kinds of answers so far
    _told: "multiprocessing.queues.Queue[str]" = field(default_factory=SPAWN.Queue)

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """Claim for as long as the context lasts."""
        over = SPAWN.Event()
        shares = [self.rows.tickets[number :: self.claimers] for number in range(self.claimers)]
        work = Work(self.owner_url, self.intent, shares, over, self._told, os.getpid())
        process = SPAWN.Process(target=claim_all, args=(work,), daemon=True)
        process.start()
        try:
            yield self
        finally:
            over.set()
            process.join(ENDS_WITHIN)
            if process.exitcode is None:
                process.kill()
                process.join()
            process.close()
            self._told.close()

    def answered(self) -> set[str]:
        """The kinds of answers that claimers have had so far."""
        with suppress(queue.Empty):
            while True:
                self.answers.add(self._told.get_nowait())
        return self.answers


def claim_all(work: Work) -> None:
    """What the claimers' process does until it is told to end, or its parent has."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    try:
        asyncio.run(_claim_all(work))
    except* DependencyDown as errors:
        work.told.put(str(errors.exceptions[0]))


async def _claim_all(work: Work) -> None:
    pool = await open_pool(as_role(work.owner_url, "sluice_outcome"), size=len(work.shares))
    try:
        conversations, known = PostgresConversations(pool), set[str]()
        async with asyncio.TaskGroup() as group:
            for share in work.shares:
                group.create_task(_claim(work, conversations, share, known))
    finally:
        await pool.close()


async def _claim(work: Work, conversations: PostgresConversations, mine: Sequence[Ticket], known: set[str]) -> None:
    for ticket in itertools.cycle(mine):
        if work.over.is_set() or os.getppid() != work.parent:
            return
        try:
            status = (await conversations.claim(_request(ticket, work.intent))).status
        except (DependencyDown, TryLater):
            await asyncio.sleep(0.1)
            continue
        if status not in known:
            known.add(status)
            work.told.put(status.value)
        if status is not ClaimStatus.GRANTED:
            await asyncio.sleep(REST)


def _request(ticket: Ticket, intent: str) -> ClaimRequest:
    return ClaimRequest(ticket.ticket_id, ticket.conversation, 1, "bot", Channel.API, intent, None, ticket.key, LEASE)


def load_of(owner_url: str, intent: str, claimers: int) -> Load:
    """So many claimers, with tickets of their own."""
    return Load(owner_url, intent, claimers, OwnRows(owner_url, tickets(TICKETS)))
