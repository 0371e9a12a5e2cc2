"""Bands that people give their own tickets: kept answer by answer, compared, and summed up to a ceiling."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from evals.dataset import LabelledTicket, Turn
from evals.kept import keep_row, read_kept
from evals.scorers import wilson
from infra.rows import UnreadableFile, read_rows
from schemas.event import Aware, Value

RESAMPLES = 2000


class Choice(StrEnum):
    """What a labeller says of a ticket."""

    AUTO = "auto"  # the help centre or the customer's record answers it, and no person need look
    SUGGEST = "suggest"  # a draft would help, a person sends it
    ESCALATE = "escalate"  # a person answers
    UNSURE = "unsure"


class Given(Value):
    """One labeller's answer on one ticket; a later one on the same ticket replaces it."""

    id: str
    choice: Choice
    labeller: str
    kind: Literal["person", "machine"]  # a person typed it; whatever comes through a pipe is a machine's
    digest: str  # of the ticket as it was shown
    at: Aware


class LabelError(ValueError):
    """Tickets or labels cannot be used; the message names the file, the line and what is wrong."""


# -- tickets


def read_tickets(file: Path) -> list[LabelledTicket]:
    """Tickets to band: JSON lines with a `body`; `id`, `subject`, `channel` and `thread` where there are any.

    Raises:
        LabelError: a row is no ticket, has no text, or an id stands there twice.
    """
    found: dict[str, LabelledTicket] = {}
    for number, (place, row) in enumerate(_rows(file), 1):
        ticket = _ticket({"id": f"{file.stem}-{number}", "body": "", **row}, place)
        if ticket.id in found:
            raise LabelError(f"{place}: the id {ticket.id} is there twice")
        if not ticket.text:
            raise LabelError(f"{place}: it has no text")
        found[ticket.id] = ticket
    if not found:
        raise LabelError(f"{file}: no row")
    return list(found.values())


def _ticket(row: Mapping[str, Any], place: str) -> LabelledTicket:
    wanted = ("id", "channel", "subject", "body", "thread", "created_at")
    try:
        return LabelledTicket.model_validate({name: row[name] for name in wanted if name in row})
    except ValidationError as error:
        first = error.errors()[0]
        raise LabelError(f"{place}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def drawn(tickets: Sequence[LabelledTicket], sample: int | None, seed: str) -> list[LabelledTicket]:
    """A random sample, in an order of its own: the same for every labeller, and growing by its end.

    A file is seldom in a random order, and who stops early has then labelled a sample all the same.
    """
    mixed = sorted(tickets, key=lambda ticket: sha256(f"{seed}:{ticket.id}".encode()).digest())
    return mixed[:sample]


def digest(ticket: LabelledTicket) -> str:
    """Names what a labeller is shown: another text is another question."""
    said = [ticket.subject, ticket.body, *(part for turn in ticket.thread for part in _turn(turn))]
    return sha256("\x1f".join(said).encode("utf-8", "replace")).hexdigest()[:16]


def _turn(turn: Turn) -> tuple[str, str]:
    return turn.speaker, turn.text


# -- a labeller's file


class LabelFile:
    """The answers of one labeller, each on disk as soon as it is given."""

    def __init__(self, path: Path, labeller: str) -> None:
        """Go on with what the file holds.

        Raises:
            LabelError: it is another labeller's, or no file of labels.
        """
        self.path = path
        self.labeller = labeller
        self.given = {row.id: row for row in read_labels(path)}
        others = {row.labeller for row in self.given.values()} - {labeller}
        if others:
            raise LabelError(f"{path}: holds labels of {min(others)}: choose another name or folder")

    def of(self, ticket: LabelledTicket) -> Choice | None:
        """What was said of a ticket as it is; None where nothing was, or its text has changed since."""
        row = self.given.get(ticket.id)
        return row.choice if row is not None and row.digest == digest(ticket) else None

    def add(self, row: Given) -> None:
        """Keep an answer."""
        keep_row(self.path, row)
        self.given[row.id] = row


def read_labels(path: Path) -> list[Given]:
    """The last answer on each ticket, in the order of the first.

    Raises:
        LabelError: a line is no label.
    """
    try:
        return list({row.id: row for row in read_kept(path, Given)}.values())
    except ValueError as error:
        raise LabelError(str(error)) from None


def _rows(file: Path) -> Iterable[tuple[str, Mapping[str, Any]]]:
    try:
        yield from read_rows(file)
    except UnreadableFile as error:
        raise LabelError(str(error)) from None


# -- what the labels say


@dataclass(frozen=True)
class Share:
    """A share of labelled tickets with its 95 % interval (Wilson); all None of nothing."""

    count: int
    n: int

    @property
    def value(self) -> float | None:
        """The share."""
        return self.count / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's interval."""
        return wilson(self.count, self.n)


def ceiling(rows: Iterable[Given]) -> Share:
    """The share that may be answered without a person: no deflection gets above it. Unsure does not count as auto."""
    choices = [row.choice for row in rows]
    return Share(choices.count(Choice.AUTO), len(choices))


@dataclass(frozen=True)
class Disagreement:
    """A ticket that two labellers band differently."""

    id: str
    first: Choice
    second: Choice


@dataclass(frozen=True)
class Agreement:
    """How far two labellers agree, over the tickets that both have answered. Unsure is an answer of its own."""

    first: str  # who
    second: str
    n: int  # tickets that both have banded
    alone: int  # tickets with one answer, or with another text in each file: not compared
    agreed: Share
    kappa: float | None  # Cohen (1960); None where both gave all tickets one and the same answer
    interval: tuple[float, float] | None  # of kappa: 95 %, percentile bootstrap over tickets
    both: Share  # both say auto: the ceiling of a careful roll-out
    either: Share  # at least one says auto: no roll-out gets above it
    table: Mapping[tuple[Choice, Choice], int]
    disagreements: tuple[Disagreement, ...]  # auto against escalate first


def agreement(first: Sequence[Given], second: Sequence[Given]) -> Agreement:
    """Compare two labellers.

    Raises:
        LabelError: a side is empty, both are the same labeller, or no ticket has an answer of both.
    """
    if not first or not second or {row.labeller for row in first} & {row.labeller for row in second}:
        raise LabelError("give the labels of two labellers")
    one, two = ({(row.id, row.digest): row.choice for row in rows} for rows in (first, second))
    shared = [key for key in one if key in two]
    if not shared:
        raise LabelError("no ticket has an answer of both labellers")
    pairs = [(one[key], two[key]) for key in shared]
    autos = [(a is Choice.AUTO) + (b is Choice.AUTO) for a, b in pairs]
    differ = [Disagreement(key[0], a, b) for key, (a, b) in zip(shared, pairs, strict=True) if a is not b]
    return Agreement(
        first=first[0].labeller,
        second=second[0].labeller,
        n=len(pairs),
        alone=len({row.id for row in (*first, *second)}) - len(pairs),
        agreed=Share(len(pairs) - len(differ), len(pairs)),
        kappa=kappa(pairs),
        interval=_interval(pairs),
        both=Share(autos.count(2), len(pairs)),
        either=Share(len(pairs) - autos.count(0), len(pairs)),
        table=Counter(pairs),
        disagreements=tuple(sorted(differ, key=lambda each: (-_distance(each), each.id))),
    )


def kappa(pairs: Sequence[tuple[Choice, Choice]]) -> float | None:
    """Cohen's kappa: agreement beyond chance; None where chance alone would agree on everything."""
    found = _kappas(np.array([[_place(a) * len(Choice) + _place(b) for a, b in pairs]]))[0]
    return float(found) if np.isfinite(found) else None


def _interval(pairs: Sequence[tuple[Choice, Choice]]) -> tuple[float, float] | None:
    """The 95 % percentile bootstrap interval of kappa (Efron 1979), by a fixed seed."""
    cells = np.array([_place(a) * len(Choice) + _place(b) for a, b in pairs])
    random = np.random.default_rng(0)
    found = _kappas(cells[random.integers(len(cells), size=(RESAMPLES, len(cells)))])
    found = found[np.isfinite(found)]
    if not len(found):
        return None
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)


def _kappas(cells: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Kappa of each row of cells of the table of answers; NaN where it is undefined."""
    size = len(Choice)
    tables = np.stack([(cells == cell).sum(axis=1) for cell in range(size * size)], axis=1)
    shares = tables.reshape(len(cells), size, size) / cells.shape[1]
    seen = np.trace(shares, axis1=1, axis2=2)
    chance = (shares.sum(axis=1) * shares.sum(axis=2)).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(chance < 1 - 1e-12, (seen - chance) / (1 - chance), np.nan)


def _place(choice: Choice) -> int:
    return list(Choice).index(choice)


def _distance(each: Disagreement) -> int:
    """How much hangs on it: auto against escalate most, a band against unsure least."""
    order = {Choice.AUTO: 4, Choice.SUGGEST: 2, Choice.ESCALATE: 0}
    if Choice.UNSURE in (each.first, each.second):
        return 1 if Choice.AUTO in (each.first, each.second) else 0
    return abs(order[each.first] - order[each.second])
