"""The ledger's hash chains: how a row is bound to the one before it, and what shows when one was touched.

A chain alone can be rewritten by whoever can rewrite all of it, and its cut-off tail leaves no mark: both show only
against heads kept elsewhere (the topic `audit.heads`). The pattern is AWS CloudTrail's digest files.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from hashlib import sha256

from processors.ports import LedgerEntry, LedgerHead

UNPROVED_CHAINS = 64  # tickets of nobody in particular share so many chains, or they would queue behind each other


@dataclass(frozen=True)
class Link:
    """A row of the ledger: `hash` is SHA-256 of `previous` and `record`, hex."""

    chain: str
    sequence: int  # from 1
    previous: str  # the hash of the row before; empty for the first
    record: str  # canonical JSON: at, entry, sequence


@dataclass(frozen=True)
class LinkRow(Link):
    """A link as it was stored."""

    hash: str


@dataclass(frozen=True)
class Fault:
    """A row that is not as it was written."""

    chain: str
    sequence: int
    what: str


def chain_of(entry: LedgerEntry) -> str:
    """The chain of an entry: its customer's, under a hash; without one, a shared chain chosen by the ticket."""
    if entry.customer_id is not None:
        return customer_chain(entry.customer_id)
    return f"unproved-{entry.ticket_id.int % UNPROVED_CHAINS:02}"


def customer_chain(customer_id: str) -> str:
    """The chain of a customer."""
    return sha256(f"customer\x1f{customer_id}".encode()).hexdigest()


def canonical(entry: LedgerEntry) -> str:
    """The entry as canonical JSON: keys sorted, no spaces, ASCII. The customer stands in it as the chain alone."""
    fields = {**asdict(entry), "ticket_id": str(entry.ticket_id)}
    del fields["customer_id"]
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def hash_of(previous: str, record: str) -> str:
    """The hash that binds a record to the row before it."""
    return sha256((previous + record).encode()).hexdigest()


def verify(rows: Iterable[LinkRow], heads: Iterable[LedgerHead] = ()) -> tuple[Fault, ...]:
    """Every fault of the ledger, given its rows by chain and sequence; with heads, also what is missing at the end."""
    check = ChainCheck(tuple(heads))
    for row in rows:
        check.see(row)
    return check.faults()


@dataclass
class ChainCheck:
    """Reads a ledger row by row, in the order of chain and sequence, without holding it."""

    heads: tuple[LedgerHead, ...]
    rows: int = 0  # seen so far
    _found: list[Fault] = field(default_factory=list)
    _last: dict[str, LinkRow] = field(default_factory=dict)
    _at_head: dict[tuple[str, int], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._places = {(head.chain, head.sequence) for head in self.heads}

    @property
    def chains(self) -> int:
        """How many chains have a row."""
        return len(self._last)

    @property
    def unpublished(self) -> int:
        """How many chains end behind their last published head, or have none: a cut there would not show."""
        newest: dict[str, int] = {}
        for head in self.heads:
            newest[head.chain] = max(head.sequence, newest.get(head.chain, 0))
        return sum(row.sequence > newest.get(chain, 0) for chain, row in self._last.items())

    def see(self, row: LinkRow) -> None:
        """Compare the next row with the one before it."""
        self.rows += 1
        last = self._last.get(row.chain)
        expected = last.sequence + 1 if last else 1
        if row.sequence != expected:
            self._found.append(Fault(row.chain, expected, "is missing"))
        elif row.previous != (last.hash if last else ""):
            self._found.append(Fault(row.chain, row.sequence, "does not follow the row before it"))
        if row.hash != hash_of(row.previous, row.record):
            self._found.append(Fault(row.chain, row.sequence, "was altered"))
        elif _sequence_in(row.record) != row.sequence:
            self._found.append(Fault(row.chain, row.sequence, "was moved"))
        self._last[row.chain] = row
        if (row.chain, row.sequence) in self._places:
            self._at_head[row.chain, row.sequence] = row.hash

    def faults(self) -> tuple[Fault, ...]:
        """What was found, after the last row."""
        ends = [fault for head in self.heads if (fault := self._end(head))]
        return (*self._found, *ends)

    def _end(self, head: LedgerHead) -> Fault | None:
        found = self._at_head.get((head.chain, head.sequence))
        if found is None:
            return Fault(head.chain, head.sequence, "is missing, though it was published")
        return None if found == head.hash else Fault(head.chain, head.sequence, "is not the row that was published")


def _sequence_in(record: str) -> int | None:
    try:
        sequence = json.loads(record)["sequence"]
    except (ValueError, KeyError, TypeError):
        return None
    return sequence if isinstance(sequence, int) else None
