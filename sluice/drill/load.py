"""Claimers that ask for all they may have, for replies that nobody wrote and nobody gets."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO

from loadtest.drill.measure import Claim
from loadtest.drill.plan import MARK, NAME, Ticket, tickets
from sluice.drill.owner import as_owner

TICKETS = 8000  # among all claimers: more than they can claim between two stops
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
        with as_owner(self._owner_url) as owner, owner.transaction():
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
        with as_owner(self._owner_url) as owner, owner.transaction():
            for table in ("claim", "message", "conversation"):
                owner.execute(f"delete from {table} where conversation = any(%s)".encode(), (list(names),))

    def remove_leftovers(self) -> int:
        """Take away what a drill that was killed left behind; of how many conversations."""
        with as_owner(self._owner_url) as owner:
            left = [name for (name,) in owner.execute(LEFT, (f"{NAME}:%", MARK)).fetchall()]
        self.remove(left)
        return len(left)

    def harvest(self) -> list[Claim]:
        """Take the claims that were granted, so that their replies can be claimed again."""
        with as_owner(self._owner_url) as owner:
            query = "delete from claim where conversation = any(%s) returning key, claimed_at"
            return [Claim(key, at) for key, at in owner.execute(query, (self._names,)).fetchall()]


@dataclass
class Load:
    """Claimers at work, each asking and asking again, in a process of their own: the stop must not hold them up."""

    outcome_url: str
    intent: str
    claimers: int
    rows: OwnRows
    answers: set[str] = field(default_factory=set)  # the kinds of answers so far

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """Claim for as long as the context lasts; the claimers end with this process, however it ends."""
        tickets = [(ticket.conversation, str(ticket.ticket_id)) for ticket in self.rows.tickets]
        work = {"url": self.outcome_url, "intent": self.intent, "claimers": self.claimers, "tickets": tickets}
        process = subprocess.Popen(
            [sys.executable, "-m", "sluice.drill.claimers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for us, who end it
        )
        assert process.stdin is not None
        assert process.stdout is not None
        listening = threading.Thread(target=self._listen, args=(process.stdout,), daemon=True)
        listening.start()
        try:
            process.stdin.write(f"{json.dumps(work)}\n")
            process.stdin.flush()
            yield self
        finally:
            _end(process)
            listening.join(ENDS_WITHIN)

    def _listen(self, out: IO[str]) -> None:
        with out:
            for line in out:
                self.answers.add(line.strip())


def _end(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()  # which tells it to end
    try:
        process.wait(ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def load_of(owner_url: str, outcome_url: str, intent: str, claimers: int) -> Load:
    """So many claimers, with tickets of their own."""
    return Load(outcome_url, intent, claimers, OwnRows(owner_url, tickets(TICKETS)))
