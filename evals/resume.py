"""A run that can go on where it was cut off: its manifest, and the rows it has written."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from evals.dataset import LabelledTicket
from evals.prediction import Prediction, line_of, read, write
from evals.task import in_order

PREDICTIONS, MANIFEST = "predictions.jsonl", "manifest.json"


class OtherRun(ValueError):
    """The folder holds another run's rows; the message names what differs."""


@dataclass(frozen=True)
class Manifest:
    """Everything that the rows of a run depend on, by name."""

    parts: Mapping[str, str]

    @property
    def hash(self) -> str:
        """SHA-256 of the parts, hex."""
        return sha256(json.dumps(dict(self.parts), sort_keys=True).encode()).hexdigest()


class Rows:
    """The rows of one run in a folder: each is written as it is done, and kept when the run is cut off."""

    def __init__(
        self, folder: Path, manifest: Manifest, left_out: Collection[str] = (), *, drop_others: bool = False
    ) -> None:
        """Go on with what the folder holds of the same run; `left_out` are fields that its file does not tell.

        Raises:
            OtherRun: it holds rows of another one, and they are not to be dropped.
        """
        self.hash = manifest.hash
        self.path = folder / PREDICTIONS
        self._left_out = left_out
        self.done: dict[str, Prediction] = {}
        mark = folder / MANIFEST
        other = _other(mark, manifest) if self.path.is_file() else None
        if other is not None and not drop_others:
            raise OtherRun(other)
        if other is not None:
            self.path.unlink()
        elif self.path.is_file():
            self.done = {row.id: row for row in read(self.path)}
            write(self.path, self.done.values(), left_out)  # without a line that was cut off
        folder.mkdir(parents=True, exist_ok=True)
        mark.write_text(json.dumps({"hash": manifest.hash, **manifest.parts}, indent=2) + "\n", encoding="utf-8")

    def left(self, tickets: Sequence[LabelledTicket]) -> list[LabelledTicket]:
        """The tickets to run: those without a row, with all others of the same customers and conversations.

        What a customer wrote before is part of what is known of a ticket, so theirs are run again from the first on.
        """
        turns = [group for group in in_order(tickets) if any(ticket.id not in self.done for ticket in group)]
        wanted = {ticket.id for group in turns for ticket in group}
        return [ticket for ticket in tickets if ticket.id in wanted]

    def add(self, row: Prediction) -> bool:
        """Write a row, unless it is there; whether it was new."""
        if row.id in self.done:
            return False
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line_of(row, self._left_out))
        self.done[row.id] = row
        return True

    def finish(self, tickets: Iterable[LabelledTicket]) -> None:
        """Leave the rows in the order of the tickets, those of others behind them."""
        mine = [ticket.id for ticket in tickets if ticket.id in self.done]
        write(self.path, (self.done[name] for name in dict.fromkeys((*mine, *self.done))), self._left_out)


def _other(mark: Path, manifest: Manifest) -> str | None:
    """What tells the run whose rows a folder holds from this one, in words; None: it is this one."""
    try:
        known = json.loads(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    if known.get("hash") == manifest.hash:
        return None
    named = [name for name, value in manifest.parts.items() if known.get(name) != value]
    return f"{mark.parent} holds the rows of a run with another {', '.join(named) or 'configuration'}"
