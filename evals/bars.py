"""The bars of an evaluation: what each suite must reach, and what it must not lose against the last release."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

BARS = Path(__file__).with_name("bars.toml")
RELEASED = Path(__file__).with_name("released")

Verdict = Literal["ok", "falls short", "regresses", "not measured"]


class BarsError(ValueError):
    """The bars cannot be used; the message names the suite, the figure and the field."""


class Bar(BaseModel):
    """A figure's bar: at least, or at most. `aim` is what we want of it, where that is further away."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least: float | None = None
    most: float | None = None
    aim: float | None = None
    why: str = ""  # why the bar is short of the aim

    @model_validator(mode="after")
    def _one_side(self) -> "Bar":
        if (self.least is None) == (self.most is None):
            raise ValueError("set either least or most")
        return self

    def reached(self, value: float) -> bool:
        """Whether a value is on the right side of the bar."""
        return value >= self.least if self.least is not None else value <= (self.most or 0.0)

    def aimed(self, value: float) -> bool:
        """Whether a value is on the right side of the aim."""
        target = self.aim if self.aim is not None else self.least if self.least is not None else self.most
        return value >= (target or 0.0) if self.least is not None else value <= (target or 0.0)

    def lost(self, value: float, low: float, high: float) -> bool:
        """Whether a value is worse than all of the released figure's interval."""
        return value < low if self.least is not None else value > high


@dataclass(frozen=True)
class Finding:
    """One figure against its bar and the last release."""

    name: str
    value: float | None
    interval: tuple[float | None, float | None]
    n: int
    bar: Bar
    released: float | None
    verdict: Verdict

    @property
    def failed(self) -> bool:
        """Whether the gate stays shut for it."""
        return self.verdict != "ok"


def read_bars(path: Path = BARS) -> Mapping[str, Mapping[str, Bar]]:
    """The bars by suite and figure.

    Raises:
        BarsError: the file is malformed.
    """
    try:
        return TypeAdapter(dict[str, dict[str, Bar]]).validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise BarsError(f"{path}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise BarsError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


Figures = Sequence[Mapping[str, object]]  # `measures` of a report


def judge(measured: Figures, bars: Mapping[str, Bar], released: Figures = ()) -> list[Finding]:
    """Each bar against what was measured; a figure that a bar names and the run does not give fails too."""
    now, before = ({str(row["name"]): row for row in rows} for rows in (measured, released))
    return [_judged(name, bar, now.get(name), before.get(name)) for name, bar in bars.items()]


def _judged(name: str, bar: Bar, now: Mapping[str, object] | None, before: Mapping[str, object] | None) -> Finding:
    value, low, high = (_number(now, key) for key in ("value", "low", "high"))
    was, least, most = (_number(before, key) for key in ("value", "low", "high"))
    verdict: Verdict = "ok"
    if value is None:
        verdict = "not measured"
    elif not bar.reached(value):
        verdict = "falls short"
    elif least is not None and most is not None and bar.lost(value, least, most):
        verdict = "regresses"
    n = _number(now, "n")
    return Finding(name, value, (low, high), int(n or 0), bar, was, verdict)


def _number(row: Mapping[str, object] | None, key: str) -> float | None:
    found = row.get(key) if row else None
    return float(found) if isinstance(found, int | float) else None


def failed(findings: Iterable[Finding]) -> list[Finding]:
    """Those for which the gate stays shut."""
    return [finding for finding in findings if finding.failed]
