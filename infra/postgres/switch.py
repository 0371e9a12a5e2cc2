"""The switch as Postgres holds it: the table that every claim obeys."""

from collections.abc import Mapping
from typing import Any

from infra.postgres.pool import Pool, fetch, storable
from processors.ports import SwitchRow
from schemas.control import Scope, ScopeKind, Stop, SwitchSet, SwitchState


class PostgresSwitchTable:
    """Reads and sets the scopes of the switch, as the role outcome or people."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def rows(self) -> tuple[SwitchRow, ...]:
        """Every scope that was ever set. None for `all` means a fresh deployment, which suggests."""
        return tuple(_row(row) for row in await fetch(self._pool, "switch_rows"))

    async def set(self, record: SwitchSet, *, offset: int | None) -> SwitchRow | None:
        """Apply a record: of the topic at `offset`, or before it is published. None when it is ignored.

        When this returns, a stop holds for every later claim.

        Raises:
            DependencyDown: Postgres does not answer; it is unknown whether the record was applied.
        """
        lifts = record.lifts
        parameters = {
            "kind": record.scope.kind.value,
            # A kind this reader does not know arrives as `all` with a value: it then means all.
            "value": "" if record.scope.kind is ScopeKind.ALL else storable(record.scope.value),
            "state": record.state.value,
            "why": storable(record.why),
            "actor": storable(record.actor),
            "at": record.set_at,
            "sequence": record.sequence,
            "offset": offset,
            "lifts_offset": lifts.offset if lifts else None,
            "lifts_sequence": lifts.sequence if lifts else None,
        }
        rows = await fetch(self._pool, "switch_set", parameters)
        return _row(rows[0]) if rows else None


def _row(row: Mapping[str, Any]) -> SwitchRow:
    return SwitchRow(
        scope=Scope(kind=row["scope_kind"], value=row["scope_value"]),
        state=SwitchState(row["state"]),
        why=row["why"],
        actor=row["actor"],
        set_at=row["set_at"],
        stop=Stop(offset=row["topic_offset"], sequence=row["sequence"]),
    )
