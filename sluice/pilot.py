"""`sluice pilot`: what people did with the drafts, and which topics have earned to be answered without them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from evals.pilot import GOOD, Earned, Ending, Line, Row, earned, lines, read, total
from infra.settings import Settings
from infra.wiring import Adapters, open_adapters
from processors.certificate import fewest
from processors.policy import Policy
from processors.ports import Handled, ItemKind, Queue
from sluice.certify import DELTA, RISK
from sluice.days import Days, days
from sluice.figures import percent
from sluice.reach import database_of
from sluice.terminal import USAGE, WRONG, AsJson, commands, console, fail, print_json, read_settings, run, verbatim

BAR = 12  # columns
COLOUR = {
    Ending.UNCHANGED: "green",
    Ending.TONE: "bright_green",
    Ending.MISSING: "yellow",
    Ending.POLICY: "magenta",
    Ending.FACT: "red",
    Ending.OTHER: "bright_black",
    Ending.REJECTED: "bright_black",
}

app = commands("The pilot: every draft passes a person, and what they do with it says what may go out without them.")


@app.callback()
def about() -> None:
    """The pilot: every draft passes a person, and what they do with it says what may go out without them."""


@dataclass(frozen=True)
class _Found:
    rows: Sequence[Row]
    waiting: int  # drafts that nobody has acted on yet


@app.command()
def report(
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The first day, in UTC. Default: four weeks back.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day, whole. Default: today.")
    ] = None,
    risk: Annotated[float, typer.Option(min=0.0001, max=0.5, help="The rate that has to be proved.")] = RISK,
    delta: Annotated[float, typer.Option(min=0.0001, max=0.5, help="Chance that the proof errs.")] = DELTA,
    as_json: AsJson = False,
) -> None:
    """Count how often people sent the draft unchanged, edited or rejected it, per topic and week.

    An edit is classed by what it changes: fact (a number, date, amount, address or negation), policy (what may, must or
    will be done), missing (a sentence was added that says something new), tone. Where the person gave a reason, theirs
    counts.

    A topic has earned auto when the drafts of it that only the switch, the certificate or the policy's band held back
    were sent unchanged, or with another tone alone, so often that the promised rate is proved: the certificate's own
    test. It is no certificate; `sluice certify` issues one.

    Exit codes: 0 with a report, 1 where nobody acted on a draft yet, 2 the call is wrong, 3 Postgres does not answer.

    Examples:

      sluice pilot report

      sluice pilot report --since 2026-11-02 --until 2026-11-22 --json
    """
    now = datetime.now(UTC)
    last = until.date() if until else now.date()
    first = since.date() if since else last - timedelta(weeks=4)
    try:
        window = days(first, last)
    except (ValueError, OverflowError) as error:
        fail(f"--since, --until: {error}", USAGE)
    settings = read_settings()
    policy = Adapters(settings, {}).policy
    found = run(_found(settings, policy, window))
    if not found.rows:
        _nothing(found, window)
    if as_json:
        print_json(_as_json(found, window, risk, delta))
    else:
        _show(found, policy, risk, delta)


def _nothing(found: _Found, window: Days) -> None:
    told = f"nobody has approved, edited or rejected a draft, {window}"
    if found.waiting:
        fail(
            f"{told}; {found.waiting} wait: `sluice queue list --kind suggest`, take, then approve, edit or reject",
            WRONG,
        )
    fail(f"{told}, and none waits: send tickets while the switch is on suggest (`sluice switch show`)", WRONG)


async def _found(settings: Settings, policy: Policy, window: Days) -> _Found:
    async with open_adapters(settings, database_of(settings), ["people"]) as adapters:
        queue = adapters.people.queue
        waiting = sum(count.items for count in (await queue.stats()).counts if count.kind is ItemKind.SUGGEST)
        rows: list[Row] = []
        async for page in read_pages(queue, window):
            rows += read(page, policy)
        return _Found(rows, waiting)


async def read_pages(queue: Queue, window: Days) -> AsyncIterator[Sequence[Handled]]:
    """What people did with drafts, page by page."""
    page: Sequence[Handled] = await queue.handled(window.since, window.until)
    while page:
        yield page
        page = await queue.handled(window.since, window.until, after=page[-1].act_id)


# -- showing


def _show(found: _Found, policy: Policy, risk: float, delta: float) -> None:
    table = Table(title=f"{len(found.rows)} drafts that people acted on", title_justify="left")
    for name in ("topic, week", "drafts", "", "unchanged", "edited", "rejected", "earned auto"):
        whole = name in ("topic, week", "")  # others wrap first
        table.add_column(name, justify="right" if name == "drafts" else "left", no_wrap=whole, overflow="fold")
    for line in lines(found.rows):
        told = _told(earned(line, risk=risk, delta=delta), line, policy, risk) if line.week is None else Text()
        _row(table, line, told)
    table.add_section()
    _row(table, total(found.rows), Text())
    console.print(table)
    key = Text.assemble(*((f"█ {ending.value}  ", COLOUR[ending]) for ending in Ending))
    console.print(key)
    console.print(
        f"Earned: of the drafts that nothing else held back, so few were changed in substance or rejected that at most "
        f"{risk:.1%} are bad, at confidence {1 - delta:.0%} (exact binomial, {fewest(risk, delta)} drafts or more)."
    )
    if found.waiting:
        console.print(f"{found.waiting} drafts wait: `sluice queue list --kind suggest`")


def _row(table: Table, line: Line, told: Text) -> None:
    edits = [ending for ending in Ending if ending not in (Ending.UNCHANGED, Ending.REJECTED)]
    kinds = ", ".join(f"{line.counts[each]} {each.value}" for each in edits if line.counts[each])
    faults = ", ".join(f"{count} {fault.value}" for fault, count in sorted(line.faults.items()))
    table.add_row(
        verbatim(f"  {line.week}" if line.week else line.intent, "dim" if line.week else ""),
        str(line.n),
        bar(line),
        _cell(line, (Ending.UNCHANGED,)),
        _cell(line, edits, kinds),
        _cell(line, (Ending.REJECTED,), faults),
        told,
    )


def _cell(line: Line, endings: Sequence[Ending], kinds: str = "") -> str:
    """A share, below it its interval and what it consists of."""
    low, high = line.interval(*endings) or (0.0, 1.0)
    return f"{percent(line.share(*endings))}\n[dim]{low:.0%} to {high:.0%}" + (f"\n{kinds}" if kinds else "") + "[/]"


def bar(line: Line) -> Text:
    """The endings as one bar."""
    drawn, seen, text = 0, 0, Text()
    for ending in Ending:
        seen += line.counts[ending]
        upto = round(BAR * seen / line.n)
        text.append("█" * (upto - drawn), style=COLOUR[ending])
        drawn = upto
    return text


def _told(found: Earned, line: Line, policy: Policy, risk: float) -> Text:
    if found.earned:
        band = policy.intents.get(line.intent)
        word = "earned" if band is not None and band.value == "auto" else "earned: the policy may say auto"
        return Text(f"{word} ({line.good} of {line.ready})", style="bold green")
    bad = line.ready - line.good
    rate = f"{bad} of {line.ready} changed in substance: " if bad else f"{line.ready} so far: "
    style = "red" if line.ready and bad / line.ready > risk else "yellow"
    return Text(f"{rate}{found.more} more good ones in a row", style=style)


def _as_json(found: _Found, window: Days, risk: float, delta: float) -> dict[str, Any]:
    return {
        "since": window.since,
        "until": window.until,
        "drafts": len(found.rows),
        "waiting": found.waiting,
        "rule": {"risk": risk, "delta": delta, "least": fewest(risk, delta), "good": [ending.value for ending in GOOD]},
        "all": _line_json(total(found.rows)),
        "lines": [
            {**_line_json(line), **(_earned_json(earned(line, risk=risk, delta=delta)) if line.week is None else {})}
            for line in lines(found.rows)
        ],
    }


def _line_json(line: Line) -> dict[str, Any]:
    return {
        "intent": line.intent,
        "week": line.week,
        "drafts": line.n,
        "endings": {
            ending.value: {
                "count": line.counts[ending],
                "share": line.share(ending),
                "interval": line.interval(ending),
            }
            for ending in Ending
        },
        "rejected_for": {fault.value: count for fault, count in sorted(line.faults.items())},
        "ready": line.ready,
        "ready_good": line.good,
    }


def _earned_json(found: Earned) -> dict[str, Any]:
    return {"earned_auto": found.earned, "bound": found.bound, "more_needed": found.more}
