"""`sluice label`: band your own tickets by the keyboard, and see how far deflection can ever reach."""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from evals.dataset import LabelledTicket
from evals.label import (
    Agreement,
    Choice,
    Given,
    LabelError,
    LabelFile,
    Share,
    agreement,
    ceiling,
    digest,
    drawn,
    read_labels,
    read_tickets,
)
from processors.queue import named_person
from sluice.figures import percent
from sluice.terminal import USAGE, AsJson, aside, console, fail, print_json, verbatim

KEYS = {"a": Choice.AUTO, "s": Choice.SUGGEST, "e": Choice.ESCALATE, "u": Choice.UNSURE}
BACK, MORE, QUIT = "b", "m", "q"
HELP = "a auto   s suggest   e escalate   u unsure   b back   m more   q quit"
SHOWN = 4000  # characters of a ticket on one screen
LISTED = 50  # disagreements in the table; --json has all
STYLE = {Choice.AUTO: "green", Choice.SUGGEST: "yellow", Choice.ESCALATE: "red", Choice.UNSURE: "dim"}


@dataclass(frozen=True)
class _Labeller:
    name: str
    kind: str  # person, or machine where nobody sits at a keyboard


def label(
    files: Annotated[
        list[Path], typer.Argument(help="Tickets as JSON lines, or with --agreement two files of labels.")
    ],
    labeller: Annotated[str, typer.Option(help="Who bands them.")] = "",
    out: Annotated[Path, typer.Option(help="Folder for the labels: one file a labeller.")] = Path("var/labels"),
    sample: Annotated[int | None, typer.Option(min=1, help="Band only so many, drawn at random.")] = None,
    seed: Annotated[str, typer.Option(help="Draw by this seed; two labellers need the same.")] = "0",
    agree: Annotated[bool, typer.Option("--agreement", help="Compare the labels of two labellers.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say of each ticket whether it may be answered without a person; the share of yes is what deflection can reach.

    One key a ticket: auto (the help centre or the customer's own record answers it, nobody need look), suggest (a draft
    helps, a person sends it), escalate (a person answers), unsure. Every answer is kept at once: quit whenever you
    like, the same command goes on. Tickets come in random order, so that a part of them is a sample too.

    A line of FILE: {"id": "4711", "subject": "Where is it?", "body": "I ordered on Monday ..."}

    Examples:

      sluice label tickets.jsonl --labeller mia --out var/labels --sample 300

      sluice label tickets.jsonl --labeller ben --out var/labels --sample 300

      sluice label --agreement var/labels/mia.jsonl var/labels/ben.jsonl
    """
    try:
        if agree:
            _compare(files, as_json)
        else:
            _band(files, _named(labeller), out, drawn_by=(sample, seed), as_json=as_json)
    except LabelError as error:
        fail(str(error), USAGE)


def _named(labeller: str) -> _Labeller:
    try:
        return _Labeller(named_person(labeller), "person" if sys.stdin.isatty() else "machine")
    except ValueError as error:
        fail(f"--labeller: {error}", USAGE)


# -- banding


def _band(
    files: Sequence[Path], labeller: _Labeller, out: Path, *, drawn_by: tuple[int | None, str], as_json: bool
) -> None:
    if len(files) != 1:
        fail("give one file of tickets; --agreement takes two files of labels", USAGE)
    tickets = drawn(read_tickets(files[0]), *drawn_by)
    kept = LabelFile(out / f"{_file_name(labeller.name)}.jsonl", labeller.name)
    screen = aside(as_json)
    _ask(tickets, kept, labeller.kind, screen)
    rows = [kept.given[ticket.id] for ticket in tickets if kept.of(ticket) is not None]
    if as_json:
        print_json(_summary(rows, len(tickets), kept.path))
    else:
        _show_summary(rows, len(tickets), kept.path)


def _file_name(labeller: str) -> str:
    return re.sub(r"[^\w.-]+", "-", labeller).strip(".-") or "labels"


def _ask(tickets: Sequence[LabelledTicket], kept: LabelFile, kind: str, screen: Console) -> None:
    """Ask until all are answered or the labeller quits; back leads to the ticket before, answered or not."""
    at = _first_open(tickets, kept, 0)
    while at is not None:
        screen.print(_view(tickets[at], at, tickets, kept))
        screen.print(Text(HELP, style="dim"))
        match _key(screen):
            case "":
                return
            case key if key == BACK:
                at = max(at - 1, 0)
            case key if key == MORE:
                screen.print(verbatim(_said(tickets[at])))
            case key:
                kept.add(_given(tickets[at], KEYS[key], kept.labeller, kind))
                at = _first_open(tickets, kept, at + 1)


def _first_open(tickets: Sequence[LabelledTicket], kept: LabelFile, start: int) -> int | None:
    """The next ticket without an answer, from a place on and then from the beginning."""
    places = (*range(start, len(tickets)), *range(min(start, len(tickets))))
    return next((at for at in places if kept.of(tickets[at]) is None), None)


def _given(ticket: LabelledTicket, choice: Choice, labeller: str, kind: str) -> Given:
    return Given.model_validate(
        {
            "id": ticket.id,
            "choice": choice,
            "labeller": labeller,
            "kind": kind,
            "digest": digest(ticket),
            "at": datetime.now(UTC),
        }
    )


def _key(screen: Console) -> str:
    """One of the keys; empty when the labeller quits, or nobody types any more."""
    while True:
        try:
            typed = typer.getchar() if sys.stdin.isatty() else sys.stdin.read(1)
        except (EOFError, KeyboardInterrupt):
            return ""
        pressed = typed[:1].lower()  # a key may send several
        if pressed in ("", QUIT):
            return ""
        if pressed in (*KEYS, BACK, MORE):
            return pressed
        if pressed.strip():
            screen.print(Text(HELP, style="bold"))


def _view(ticket: LabelledTicket, at: int, tickets: Sequence[LabelledTicket], kept: LabelFile) -> Panel:
    body = Text()
    for turn in ticket.thread:
        body.append_text(verbatim(f"{turn.speaker}: {turn.text.strip()}\n", "dim"))
    body.append_text(verbatim(f"{ticket.subject.strip() or '(no subject)'}\n", "bold"))
    said = ticket.body.strip()
    body.append_text(verbatim(said[:SHOWN]))
    if len(said) > SHOWN:
        body.append(f"\n… {len(said) - SHOWN} more characters: m shows them", style="bold yellow")
    known = kept.of(ticket)
    if known is not None:
        body.append(f"\n\nYou said {known.value}.", style=STYLE[known])
    done = [kept.of(each) for each in tickets]
    counts = ", ".join(f"{done.count(choice)} {choice.value}" for choice in Choice if choice in done)
    bar = f"{sum(choice is not None for choice in done)} of {len(tickets)} done" + (f": {counts}" if counts else "")
    title = verbatim(f"{at + 1} of {len(tickets)}, {ticket.id}, {ticket.channel}")
    return Panel(body, title=title, title_align="left", subtitle=bar, subtitle_align="left")


def _said(ticket: LabelledTicket) -> str:
    return "\n".join((*(f"{turn.speaker}: {turn.text}" for turn in ticket.thread), ticket.subject, ticket.body))


# -- the ceiling


def _summary(rows: Sequence[Given], tickets: int, path: Path) -> dict[str, Any]:
    found = ceiling(rows)
    return {
        "labels": path,
        "tickets": tickets,
        "labelled": len(rows),
        "machine": sum(row.kind == "machine" for row in rows),
        "choices": {choice.value: sum(row.choice is choice for row in rows) for choice in Choice},
        "ceiling": _as_json(found),
    }


def _show_summary(rows: Sequence[Given], tickets: int, path: Path) -> None:
    console.print(verbatim(f"{len(rows)} of {tickets} banded, in {path}"))
    if machines := sum(row.kind == "machine" for row in rows):
        console.print(f"{machines} of them by a machine: nobody typed them", style="yellow")
    for choice in Choice:
        console.print(_line(choice.value, Share(sum(row.choice is choice for row in rows), len(rows))))
    console.print(_line("ceiling", ceiling(rows)) + "  [dim]of deflection: no more can go out without a person[/]")


def _line(name: str, share: Share) -> str:
    return f"{name:<13} {percent(share.value, share.interval)}"


def _as_json(share: Share) -> dict[str, Any]:
    return {"count": share.count, "n": share.n, "share": share.value, "interval": share.interval}


# -- two labellers


def _compare(files: Sequence[Path], as_json: bool) -> None:
    if len(files) != 2:
        fail("--agreement takes two files of labels", USAGE)
    if missing := [file for file in files if not file.is_file()]:
        fail(f"{missing[0]}: no such file", USAGE)
    found = agreement(read_labels(files[0]), read_labels(files[1]))
    if as_json:
        print_json(_agreement_json(found))
    else:
        _show_agreement(found)


def _agreement_json(found: Agreement) -> Mapping[str, Any]:
    return {
        "labellers": [found.first, found.second],
        "n": found.n,
        "not_compared": found.alone,
        "agreed": _as_json(found.agreed),
        "kappa": found.kappa,
        "kappa_interval": found.interval,
        "ceiling_both": _as_json(found.both),
        "ceiling_either": _as_json(found.either),
        "table": [
            {"first": first.value, "second": second.value, "tickets": count}
            for (first, second), count in sorted(found.table.items())
        ],
        "disagreements": [
            {"id": each.id, "first": each.first.value, "second": each.second.value} for each in found.disagreements
        ],
    }


def _show_agreement(found: Agreement) -> None:
    console.print(verbatim(f"{found.first} and {found.second}: {found.n} tickets that both have banded", "bold"))
    if found.alone:
        console.print(f"{found.alone} tickets with an answer of one alone, or with another text, are left out")
    table = Table(title=verbatim(f"{found.first} ↓, {found.second} →"), title_justify="left")
    table.add_column("")
    for choice in Choice:
        table.add_column(choice.value, justify="right")
    for first in Choice:
        table.add_row(first.value, *(str(found.table.get((first, second), 0) or "·") for second in Choice))
    console.print(table)
    console.print(_line("agreed", found.agreed))
    told = "undefined: all tickets have one and the same answer" if found.kappa is None else f"{found.kappa:.2f}"
    interval = f"  [dim]({found.interval[0]:.2f} to {found.interval[1]:.2f})[/]" if found.interval else ""
    console.print(f"{'kappa':<13} {told}{interval}")
    console.print(_line("ceiling", found.both) + "  [dim]of deflection, where both say auto[/]")
    console.print(_line("at the most", found.either) + "  [dim]where either says auto[/]")
    if found.disagreements:
        _show_disagreements(found)


def _show_disagreements(found: Agreement) -> None:
    table = Table(title="Talk about these", title_justify="left")
    for name in ("ticket", found.first, found.second):
        table.add_column(verbatim(name), overflow="fold")
    for each in found.disagreements[:LISTED]:
        pair = (Text(choice.value, style=STYLE[choice]) for choice in (each.first, each.second))
        table.add_row(verbatim(each.id), *pair)
    console.print(table)
    if len(found.disagreements) > LISTED:
        console.print(f"and {len(found.disagreements) - LISTED} more: --json lists all")
