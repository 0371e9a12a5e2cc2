"""The kill switch as it travels on `control.switch`."""

from difflib import get_close_matches
from enum import StrEnum

from schemas.event import Aware, Event, Value
from schemas.ingress import Channel


class SwitchState(StrEnum):
    """What the system may do. The most restrictive state of all scopes that match a ticket wins."""

    OFF = "off"  # straight to people, no model is called
    SUGGEST = "suggest"  # draft, never send
    AUTO = "auto"

    @property
    def strictness(self) -> int:
        """0 for off, 1 for suggest, 2 for auto: the smallest wins."""
        return list(SwitchState).index(self)


class ScopeKind(StrEnum):
    """What a switch record applies to."""

    ALL = "all"
    CHANNEL = "channel"
    INTENT = "intent"
    CUSTOMER = "customer"


class Scope(Value):
    """A part of the traffic, written `all`, `channel:email`, `intent:refund_status` or `customer:cus_0001`."""

    kind: ScopeKind = ScopeKind.ALL
    value: str = ""

    def __str__(self) -> str:
        return self.kind.value if self.kind is ScopeKind.ALL else f"{self.kind.value}:{self.value}"

    @classmethod
    def parse(cls, text: str) -> "Scope":
        """Read a scope as it is written on the command line. Blanks around it and around its name are no part of it.

        Raises:
            ValueError: the text names no known kind, no known channel, or a kind without its value.
        """
        kind, colon, value = (part.strip() for part in text.partition(":"))
        forms = f"scope {text.strip()!r}: use all, channel:NAME, intent:NAME or customer:ID"
        if kind not in set(ScopeKind) or (kind == ScopeKind.ALL) != (colon == "") or (colon and not value):
            raise ValueError(forms)
        if not value.isprintable():
            raise ValueError(f"{forms}, without control characters")
        if kind == ScopeKind.CHANNEL and value not in set(Channel):
            near = get_close_matches(value.casefold(), list(Channel), n=1)
            hint = f"did you mean channel:{near[0]}?" if near else f"the channels are {', '.join(list(Channel)[1:])}"
            raise ValueError(f"scope {text.strip()!r}: there is no channel {value!r}; {hint}")
        return cls(kind=ScopeKind(kind), value=value)


class Stop(Value):
    """A stop that an arming record lifts: its place on the topic and in the table."""

    offset: int = -1  # of its record on control.switch; -1 when it was written to the table alone
    sequence: int = 0  # of its row in the switch table; 0 when it is on the topic alone


class SwitchSet(Event):
    """Set a scope to a state. A record that loosens must name the stop it lifts, or it is ignored and reported."""

    scope: Scope
    state: SwitchState
    why: str
    actor: str
    set_at: Aware
    sequence: int = 0  # of the row in the switch table written with it; 0 when there is none
    lifts: Stop | None = None
