"""The kill switch as pure logic: which record applies, and what it means for one ticket.

A stop always applies. A record that loosens must name the stop it lifts; otherwise an arming sent before a stop
was known would undo it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from processors.ports import SwitchView
from schemas.control import Scope, ScopeKind, Stop, SwitchSet, SwitchState
from schemas.ingress import Channel


@dataclass(frozen=True)
class Entry:
    """What holds in one scope, and the place of the record that says so."""

    state: SwitchState
    place: Stop
    why: str
    actor: str


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


def apply(board: Board, record: SwitchSet, offset: int) -> tuple[Board, Verdict]:
    """Read one record of `control.switch`. An ignored one changes nothing but the epoch."""
    if offset <= board.epoch:
        return board, Verdict(False, f"offset {offset} was read before")
    scope = _known(record.scope)
    current = board.entry(scope)
    if current is not None and _loosens(record.state, current.state) and not _names(record.lifts, current.place):
        return replace(board, epoch=offset), Verdict(False, _refusal(record, current))
    entry = Entry(record.state, Stop(offset=offset, sequence=record.sequence), record.why, record.actor)
    return Board({**board.scopes, scope: entry}, offset), Verdict(True, f"{scope} is {record.state}")


def view(board: Board, channel: Channel, intent: str, customer_id: str | None) -> SwitchView:
    """The state that applies to a ticket: the most restrictive of all scopes that match it, the widest of equals."""
    matching = [Scope(), Scope(kind=ScopeKind.CHANNEL, value=channel), Scope(kind=ScopeKind.INTENT, value=intent)]
    if customer_id:
        matching.append(Scope(kind=ScopeKind.CUSTOMER, value=customer_id))
    found = [(scope, entry) for scope in matching if (entry := board.entry(scope)) is not None]
    scope, entry = min(found, key=lambda pair: pair[1].state.strictness)
    return SwitchView(entry.state, board.epoch, None if entry is FRESH else scope, entry.why)


def _known(scope: Scope) -> Scope:
    """A kind this reader does not know arrives as `all` with a value: it then means all."""
    return Scope() if scope.kind is ScopeKind.ALL else scope


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
