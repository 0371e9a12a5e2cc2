"""The kill switch as pure logic: what a record says, whether it applies, and what that means for one ticket.

A stop always applies. A record that loosens must name the stop it lifts; otherwise an arming sent before a stop
was known would undo it. What is not understood stops everything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from processors.ports import SwitchView
from schemas.codec import Undecodable, decode
from schemas.control import Scope, ScopeKind, Stop, SwitchSet, SwitchState
from schemas.ingress import Channel

NEVER = datetime.min.replace(tzinfo=UTC)
SHOWN = 100  # characters of an unknown scope


@dataclass(frozen=True)
class Entry:
    """What holds in one scope, and the place of the record that says so."""

    state: SwitchState
    place: Stop
    why: str
    actor: str
    set_at: datetime = NEVER

    def record(self, scope: Scope) -> SwitchSet:
        """The record that says so, without what it lifted."""
        sequence = self.place.sequence
        return SwitchSet(
            scope=scope, state=self.state, why=self.why, actor=self.actor, set_at=self.set_at, sequence=sequence
        )


FRESH = Entry(SwitchState.SUGGEST, Stop(), "never armed: a fresh deployment sends nothing", "")


@dataclass(frozen=True)
class Board:
    """The state of every scope that was ever set, and how far `control.switch` has been read."""

    scopes: Mapping[Scope, Entry] = field(default_factory=dict)
    epoch: int = -1  # offset of the newest record seen, applied or ignored; -1 before the first

    def entry(self, scope: Scope) -> Entry | None:
        """What holds in exactly this scope. The scope `all` is `suggest` until it is set; others are unset."""
        return self.scopes.get(scope, FRESH if scope.kind is ScopeKind.ALL else None)


@dataclass(frozen=True)
class Verdict:
    """Whether a record was applied, and if not, why."""

    applied: bool
    why: str


@dataclass(frozen=True)
class Heard:
    """What a record of `control.switch` says, to whoever reads it: a worker, the table's mirror, the command line."""

    record: SwitchSet
    fault: str | None = None  # why it is taken for more than it says; None when it was understood


def hear(value: bytes | None, offset: int, at: datetime) -> Heard:
    """Read the bytes at an offset of `control.switch`, published at this time by the record's own timestamp.

    A record nobody can read may be a stop, so it is one; an arming can lift it by its offset. Its time is the record's:
    read again, it must be the same record.
    """
    try:
        record = decode(SwitchSet, value)
    except Undecodable:
        why = f"the record at offset {offset} of control.switch cannot be read"
        stop = SwitchSet(scope=Scope(), state=SwitchState.SUGGEST, why=why, actor="unknown", set_at=at)
        return Heard(stop, why)
    meant = understood(record)
    return Heard(meant, meant.why if _unknown(record.scope) else None)


def understood(record: SwitchSet) -> SwitchSet:
    """The record with its scope as this reader knows it. One of an unknown scope means all, and lifts nothing.

    Unknown is a kind newer than this reader (it arrives as `all` with a value), a channel it does not have, or an
    intent or customer without a name. Which intents and customers there are, nobody here can tell: they are taken as
    they are written, without blanks around them.
    """
    if _unknown(record.scope):
        named = f"{record.scope.kind.value}:{record.scope.value}"[:SHOWN]
        why = f"{record.why} (for {named!r}, which is unknown here)"
        return record.model_copy(update={"scope": Scope(), "why": why, "sequence": 0, "lifts": None})
    scope = Scope(kind=record.scope.kind, value=record.scope.value.strip())
    return record if scope == record.scope else record.model_copy(update={"scope": scope})


def _unknown(scope: Scope) -> bool:
    value = scope.value.strip()
    if scope.kind is ScopeKind.ALL:
        return value != ""
    return value not in set(Channel) if scope.kind is ScopeKind.CHANNEL else value == ""


def apply(board: Board, record: SwitchSet, offset: int) -> tuple[Board, Verdict]:
    """Take in one record of `control.switch`. An ignored one changes nothing but the epoch."""
    if offset <= board.epoch:
        return board, Verdict(False, f"offset {offset} was read before")
    record = understood(record)
    scope = record.scope
    current = board.entry(scope)
    if current is not None and _loosens(record.state, current.state) and not _names(record.lifts, current.place):
        return replace(board, epoch=offset), Verdict(False, _refusal(record, current))
    place = Stop(offset=offset, sequence=record.sequence)
    entry = Entry(record.state, place, record.why, record.actor, record.set_at)
    return Board({**board.scopes, scope: entry}, offset), Verdict(True, f"{scope} is {record.state}")


def view(board: Board, channel: Channel, intent: str, customer_id: str | None) -> SwitchView:
    """The state that applies to a ticket: the most restrictive of all scopes that match it, the widest of equals."""
    matching = [Scope(), Scope(kind=ScopeKind.CHANNEL, value=channel), Scope(kind=ScopeKind.INTENT, value=intent)]
    if customer_id:
        matching.append(Scope(kind=ScopeKind.CUSTOMER, value=customer_id))
    found = [(scope, entry) for scope in matching if (entry := board.entry(scope)) is not None]
    scope, entry = min(found, key=lambda pair: pair[1].state.strictness)
    return SwitchView(entry.state, board.epoch, None if entry is FRESH else scope, entry.why)


def _loosens(new: SwitchState, old: SwitchState) -> bool:
    return new.strictness > old.strictness


def _names(lifts: Stop | None, place: Stop) -> bool:
    """Whether a record names the stop at this place: by its offset or by its sequence; the fresh state by neither."""
    if lifts is None:
        return False
    if place == FRESH.place:
        return lifts == place
    return place.offset == lifts.offset >= 0 or place.sequence == lifts.sequence > 0


def _refusal(record: SwitchSet, current: Entry) -> str:
    place = f"offset {current.place.offset}, sequence {current.place.sequence}"
    named = "names no stop" if record.lifts is None else "names another stop"
    return f"{record.scope} stays {current.state}: the record {named}; the one to lift is at {place}"
