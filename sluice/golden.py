"""`sluice golden`: what people changed in drafts, as labelled cases; a named person accepts each."""

import getpass
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.panel import Panel
from rich.text import Text

from evals.golden import (
    PREFIX,
    Decided,
    GoldenError,
    GoldenFile,
    Label,
    Proposal,
    Status,
    accept,
    exported,
    proposals,
    reject,
)
from infra.settings import Settings
from infra.wiring import open_adapters
from processors.ports import Handled
from processors.queue import diff, named_person
from schemas.router import Band
from sluice.days import Days, days
from sluice.pilot import read_pages
from sluice.queue_view import SHORT
from sluice.reach import database_of
from sluice.terminal import (
    USAGE,
    WRONG,
    AsJson,
    commands,
    console,
    fail,
    print_json,
    read_settings,
    run,
    show,
    verbatim,
)

CaseName = Annotated[str, typer.Argument(help="The case, or the beginning of its ticket's id as `list` shows it.")]
Back = Annotated[int, typer.Option("--days", min=1, max=3650, help="How many days back edits are looked at.")]
As = Annotated[
    str, typer.Option("--as", help="Who you are. Default: SLUICE_AGENT, else the account you are logged in with.")
]
Note = Annotated[str, typer.Option(help="More about it, in words.")]

app = commands("Golden cases: what people changed in drafts, proposed, accepted by a named person, exported.")


@app.command("list")
def list_cases(
    status: Annotated[Status | None, typer.Option(help="Only these. Default: all.")] = None,
    back: Back = 90,
    as_json: AsJson = False,
) -> None:
    """List the cases that people's edits propose, and what became of them.

    Examples:

      sluice golden list --status proposed

      sluice golden list --days 30 --json
    """
    settings = read_settings()
    kept = _kept(settings)
    rows = [
        {
            "case": each.ticket.id.removeprefix(PREFIX) if as_json else each.ticket.id.removeprefix(PREFIX)[:SHORT],
            "edited": each.at.isoformat(timespec="minutes"),
            "by": each.agent,
            "changed": each.kind.value,
            "intent": each.ticket.intent_label,
            "about": " ".join((each.ticket.subject or each.ticket.body).split())[:60],
            "status": kept.status(each.ticket.id).value,
        }
        for each in _proposals(settings, back)
        if status is None or kept.status(each.ticket.id) is status
    ]
    show(rows, title="Golden cases", as_json=as_json)


@app.command("show")
def show_case(case: CaseName, back: Back = 90, as_json: AsJson = False) -> None:
    """Show a case: the ticket, what the person changed, and the labels it proposes.

    Examples:

      sluice golden show 3f9c2a1e
    """
    settings = read_settings()
    found, kept = _named(case, _proposals(settings, back)), _kept(settings)
    decided = kept.decided.get(found.ticket.id)
    if as_json:
        print_json(
            {
                "ticket": found.ticket.model_dump(mode="json"),
                "draft": found.draft,
                "changed": found.kind,
                "agent": found.agent,
                "at": found.at,
                "decided": decided.model_dump(mode="json") if decided else None,
            }
        )
    else:
        console.print(_view(found, decided))


@app.command("accept")
def accept_case(
    case: CaseName,
    band: Annotated[Band, typer.Option(help="Whether it may be answered without a person.")],
    intent: Annotated[str | None, typer.Option(help="Its topic. Default: what the router said.")] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="article#section a right answer cites; may be given again. Default: those left in the text."),
    ] = None,
    fact: Annotated[
        list[str] | None,
        typer.Option(help="What a right answer says; may be given again. Default: what the edit put in."),
    ] = None,
    no_facts: Annotated[
        bool, typer.Option("--no-facts", help="Expect none of the facts that the edit put in.")
    ] = False,
    note: Note = "",
    back: Back = 90,
    person: As = "",
    as_json: AsJson = False,
) -> None:
    """Make it a golden case, under your name.

    Examples:

      sluice golden accept 3f9c2a1e --band auto --source returns-policy#window --as mia

      sluice golden accept 3f9c2a1e --band escalate --no-facts
    """
    label = Label(band, intent, source or None, () if no_facts else fact or None)
    _decide(case, back, person, as_json, lambda found, by, at: accept(found, label, by=by, at=at, note=note))


@app.command("reject")
def reject_case(case: CaseName, note: Note = "", back: Back = 90, person: As = "", as_json: AsJson = False) -> None:
    """Keep it out of the golden cases, under your name.

    Examples:

      sluice golden reject 3f9c2a1e --note "the agent was wrong"
    """
    _decide(case, back, person, as_json, lambda found, by, at: reject(found, by=by, at=at, note=note))


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="Where to: tickets_<split>.jsonl of a suite's folder.")],
    as_json: AsJson = False,
) -> None:
    """Write the accepted cases as tickets that `sluice eval --tickets` and `sluice train` read.

    They hold what customers wrote: keep the file where your customers' data may be. Put them into a split that is
    trained on or a new one: never into one that a certificate was issued on.

    Examples:

      sluice golden export --out suite/tickets_golden.jsonl
    """
    tickets = _kept(read_settings()).accepted()
    if not tickets:
        fail("no case is accepted yet: `sluice golden list --status proposed`, then `accept`", WRONG)
    out.write_text(exported(tickets, out.stem.removeprefix("tickets_")), encoding="utf-8")
    if as_json:
        print_json({"out": out, "tickets": len(tickets)})
    else:
        console.print(verbatim(f"{len(tickets)} tickets in {out}"))


def _decide(
    case: str, back: int, person: str, as_json: bool, make: Callable[[Proposal, str, datetime], Decided]
) -> None:
    settings = read_settings()
    try:
        by = named_person(person or settings.agent or getpass.getuser())
        kept = _kept(settings)
        decided = make(_named(case, _proposals(settings, back)), by, datetime.now(UTC))
    except ValueError as error:
        fail(str(error), USAGE)
    kept.add(decided)
    if as_json:
        print_json(decided.model_dump(mode="json"))
    else:
        console.print(verbatim(f"{decided.case.removeprefix(PREFIX)[:SHORT]}: {decided.status.value} by {by}"))


# -- finding


def _kept(settings: Settings) -> GoldenFile:
    try:
        return GoldenFile(settings.home / "golden" / "cases.jsonl")
    except GoldenError as error:
        fail(str(error), WRONG)


def _proposals(settings: Settings, back: int) -> list[Proposal]:
    today = datetime.now(UTC).date()
    return proposals(run(_edits(settings, days(today - timedelta(days=back), today))))


async def _edits(settings: Settings, window: Days) -> list[Handled]:
    async with open_adapters(settings, database_of(settings), ["people"]) as adapters:
        return [each async for page in read_pages(adapters.people.queue, window) for each in page]


def _named(case: str, among: Sequence[Proposal]) -> Proposal:
    name = case.lower().removeprefix(PREFIX)
    found = [each for each in among if each.ticket.id.removeprefix(PREFIX).startswith(name)]
    if len(found) != 1 or not name:
        told = "several cases begin so: give more of it" if found and name else "no edit proposes such a case"
        fail(f"{case}: {told}; `sluice golden list` shows them", USAGE if found else WRONG)
    return found[0]


# -- showing


def _view(found: Proposal, decided: Decided | None) -> Panel:
    ticket, body = found.ticket, Text()
    for turn in ticket.thread:
        body.append_text(verbatim(f"{turn.speaker}: {turn.text.strip()}\n", "dim"))
    body.append_text(verbatim(f"{ticket.subject or '(no subject)'}\n", "bold"))
    body.append_text(verbatim(f"{ticket.body.strip()}\n\n"))
    for line in diff(found.draft, ticket.expected_answer or "").splitlines()[2:]:
        colour = {"+": "green", "-": "red"}.get(line[:1], "dim")
        body.append_text(verbatim(f"{line}\n", colour))
    sources = ", ".join(
        f"{s.article_id}#{s.section_id}" if s.section_id else s.article_id for s in ticket.expected_sources
    )
    body.append_text(verbatim(f"\nchanged: {found.kind.value}, by {found.agent}\n", "cyan"))
    body.append_text(verbatim(f"intent: {ticket.intent_label}; sources: {sources or 'none left'}\n", "cyan"))
    body.append_text(verbatim(f"facts: {', '.join(ticket.expected_facts) or 'none put in'}", "cyan"))
    if decided is not None:
        band = f", {decided.ticket.expected_band}" if decided.ticket else ""
        body.append_text(verbatim(f"\n{decided.status.value}{band} by {decided.by} {decided.note}", "bold"))
    return Panel(body, title=verbatim(ticket.id.removeprefix(PREFIX)), title_align="left")
