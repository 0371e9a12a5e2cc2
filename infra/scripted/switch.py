"""The switch table in memory, with the rules of the one in Postgres."""

from dataclasses import dataclass, replace

from processors.ports import SwitchRow, SwitchTable
from schemas.control import Scope, ScopeKind, Stop, SwitchSet, SwitchState
from schemas.ingress import Channel

UNARMED = "all is suggest: nobody has armed this deployment"


@dataclass(frozen=True)
class _Mirrored:
    """How far the topic's records of one scope have been read."""

    offset: int
    newest: float  # the latest time any of them named, seconds since the epoch


class ScriptedSwitchTable(SwitchTable):
    """Scopes and what set them. A stop always applies; a loosening names the stop it lifts, or is ignored."""

    def __init__(self) -> None:
        self._rows: dict[Scope, SwitchRow] = {}
        self._log: list[SwitchSet] = []  # what took effect; its place, from 1, is its sequence
        self._mirrored: dict[Scope, _Mirrored] = {}

    async def rows(self) -> tuple[SwitchRow, ...]:
        """Every scope that was ever set."""
        return tuple(sorted(self._rows.values(), key=lambda row: (row.scope.kind, row.scope.value)))

    async def set(self, record: SwitchSet, *, offset: int | None) -> SwitchRow | None:
        """Apply a record, of the topic at `offset` or before it is published. None when it is ignored."""
        scope = Scope() if record.scope.kind is ScopeKind.ALL else record.scope
        row = self._rows.get(scope)
        if offset is not None and self._was_read(scope, record, offset):
            return row if row and row.stop.offset == offset else None
        if self._is_written(scope, record):
            self._read(scope, record, offset)
            return self._published(scope, record.sequence, offset)
        if not _may(record, row):
            self._read(scope, record, offset)
            return None
        self._log.append(record)
        stop = Stop(offset=-1 if offset is None else offset, sequence=len(self._log))
        self._rows[scope] = SwitchRow(scope, record.state, record.why, record.actor, record.set_at, stop)
        self._read(scope, record, offset)
        return self._rows[scope]

    def stopping(self, channel: Channel, intent: str, customer_id: str | None) -> str | None:
        """The scope that stops a ticket, in words; None when all that match are `auto`."""
        scopes = [Scope(), Scope(kind=ScopeKind.CHANNEL, value=channel), Scope(kind=ScopeKind.INTENT, value=intent)]
        if customer_id:
            scopes.append(Scope(kind=ScopeKind.CUSTOMER, value=customer_id))
        rows = [row for scope in scopes if (row := self._rows.get(scope)) and row.state is not SwitchState.AUTO]
        if rows:
            row = min(rows, key=lambda row: row.state.strictness)
            return f"{row.scope} is {row.state}: {row.why}"
        return None if Scope() in self._rows else UNARMED

    def _was_read(self, scope: Scope, record: SwitchSet, offset: int) -> bool:
        """Read again after a restart. An offset seen before with a newer time is of a topic that began anew."""
        seen = self._mirrored.get(scope)
        return seen is not None and offset <= seen.offset and record.set_at.timestamp() <= seen.newest

    def _is_written(self, scope: Scope, record: SwitchSet) -> bool:
        """Whether the record's row was written before it was published: it takes effect once."""
        if not 0 < record.sequence <= len(self._log):
            return False
        logged = self._log[record.sequence - 1]
        near = abs((logged.set_at - record.set_at).total_seconds()) < 1
        return _known(logged.scope) == scope and logged.state is record.state and near

    def _published(self, scope: Scope, sequence: int, offset: int | None) -> SwitchRow:
        row = self._rows[scope]
        if row.stop.sequence == sequence and offset is not None:
            self._rows[scope] = replace(row, stop=Stop(offset=offset, sequence=sequence))
        return self._rows[scope]

    def _read(self, scope: Scope, record: SwitchSet, offset: int | None) -> None:
        seen = self._mirrored.get(scope, _Mirrored(-1, 0.0))
        newest = max(seen.newest, record.set_at.timestamp())
        self._mirrored[scope] = _Mirrored(seen.offset if offset is None else offset, newest)


def _known(scope: Scope) -> Scope:
    return Scope() if scope.kind is ScopeKind.ALL else scope


def _may(record: SwitchSet, row: SwitchRow | None) -> bool:
    """Whether a record may take effect: it tightens, or names the stop it lifts."""
    if row is None:
        fresh = SwitchState.SUGGEST if record.scope.kind is ScopeKind.ALL else SwitchState.AUTO
        return record.state.strictness <= fresh.strictness or record.lifts == Stop()
    if record.state.strictness <= row.state.strictness:
        return True
    lifts = record.lifts
    return lifts is not None and (
        lifts.sequence == row.stop.sequence or (lifts.offset >= 0 and lifts.offset == row.stop.offset)
    )
