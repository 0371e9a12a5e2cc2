"""The ends of the ledger's chains, published apart from the ledger, so that a cut-off tail shows."""

import json
from collections.abc import Iterable
from dataclasses import asdict

from processors.ports import Ledger, LedgerEntry, LedgerHead
from schemas.topics import Topic
from streams.step import Outgoing


class Noted:
    """A ledger that remembers the heads of one ticket's appends."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.heads: list[LedgerHead] = []

    async def append(self, entry: LedgerEntry) -> LedgerHead:
        """Append to the ledger behind it."""
        self.heads.append(await self._ledger.append(entry))
        return self.heads[-1]


def publishing(heads: Iterable[LedgerHead]) -> tuple[Outgoing, ...]:
    """The records for `audit.heads`, by chain."""
    return tuple(Outgoing(Topic.AUDIT_HEADS, head.chain, json.dumps(asdict(head)).encode()) for head in heads)
