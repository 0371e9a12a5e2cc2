"""What a case of its own comes to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sluice.stack import Say


@dataclass(frozen=True)
class Finding:
    """The end of a case: what was measured, and what must not be. `not_run` says why it could not be tried here."""

    fault: str
    figures: Mapping[str, float | int | str] = field(default_factory=dict)
    breaches: tuple[str, ...] = ()
    not_run: str | None = None


class Case(Protocol):
    """A fault with a world of its own, which it starts in `home` and ends."""

    def __call__(self, home: Path, say: Say) -> Finding: ...
