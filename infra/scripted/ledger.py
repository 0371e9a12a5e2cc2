"""The ledger in memory, with the same hash chains."""

import json

from infra.chain import LinkRow, canonical, chain_of, hash_of
from processors.ports import Clock, Ledger, LedgerEntry, LedgerHead


class ScriptedLedger(Ledger):
    """Keeps the rows it was given, by chain."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._chains: dict[str, list[LinkRow]] = {}

    @property
    def rows(self) -> tuple[LinkRow, ...]:
        """Every row by chain and sequence, as `infra.chain.verify` takes them."""
        return tuple(row for chain in sorted(self._chains) for row in self._chains[chain])

    async def append(self, entry: LedgerEntry) -> LedgerHead:
        """Write what is about to be shown, and return the chain's new head."""
        chain = chain_of(entry)
        links = self._chains.setdefault(chain, [])
        sequence, previous = len(links) + 1, links[-1].hash if links else ""
        at = json.dumps(self._clock.now().isoformat())
        record = f'{{"at":{at},"entry":{canonical(entry)},"sequence":{sequence}}}'
        links.append(LinkRow(chain, sequence, previous, record, hash_of(previous, record)))
        return LedgerHead(chain, sequence, links[-1].hash)
