"""`sluice knowledge`: what the help centre lacks, and where it disagrees with itself."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from evals.gaps import MOST, UNANSWERED, Gap, Unanswered, find_gaps
from infra.knowledge import Article, Format
from infra.knowledge.article import PUBLIC
from infra.postgres.knowledge import vector_text
from infra.postgres.pool import Pool, fetch, open_pool
from infra.rows import UnreadableFile, fault, read_rows
from infra.settings import Settings
from infra.wiring import articles_of, embedder_of
from processors.conflict import conflicts
from processors.ports import Embedder
from schemas.retrieval import Passage
from sluice.reach import owner_url
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
    stderr,
    verbatim,
)

app = commands("The help centre as a whole: what it lacks, where it disagrees with itself, what is due for review.")
LONGEST = 1_200  # characters of a ticket that are read


@dataclass(frozen=True)
class Nearest:
    """The section that comes closest to a gap."""

    article_id: str
    section_id: str
    title: str
    heading: str
    score: float  # cosine with the middle of the gap


@app.command("gaps")
def show_gaps(
    predictions: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A predictions.jsonl of `sluice eval`, with --tickets."),
    ] = None,
    tickets: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The tickets of those predictions.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="How far back to look among the decisions.")] = 30,
    minimum: Annotated[int, typer.Option(min=2, help="Tickets that make a gap.")] = 3,
    rule: Annotated[
        list[str] | None,
        typer.Option(help=f"A rule of the gate that counts, again for more. Else {', '.join(UNANSWERED)}."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Gather the tickets that nothing answered by what they are about: what to write next.

    Each gap comes with its size, three examples (without addresses, telephone and order numbers), and the section that
    comes nearest to it: a high score is a section that should say more, a low one an article that is missing. Tickets
    that go to a person because they must are left out.

    Examples:

      sluice knowledge gaps --days 7

      sluice knowledge gaps --predictions out/predictions.jsonl --tickets evals/datasets/shop/tickets_test.jsonl
    """
    if (predictions is None) is not (tickets is None):
        fail("--predictions and --tickets go together", USAGE)
    rules = tuple(rule or UNANSWERED)
    settings = read_settings()
    given = _of_files(predictions, tickets, rules) if predictions and tickets else None
    with nullcontext() if as_json else stderr.status("reading and comparing"):
        count, found = run(_gaps(settings, given, rules, datetime.now(UTC) - timedelta(days=days), minimum))
    if as_json:
        print_json({"unanswered": count, "gaps": [_as_json(gap, near) for gap, near in found]})
    else:
        _show(count, found)


@app.command("check")
def check_help_centre(
    source: Annotated[
        str | None, typer.Argument(help="A folder, file or address as `sluice ingest` takes it. Else what is stored.")
    ] = None,
    kind: Annotated[
        Format | None, typer.Option("--from", help="What the source is, where its name does not tell.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Name the sections that disagree with each other, and the articles past their review date.

    Both keep answers from going out by themselves, and a person is told then. This says it before: every public section
    is compared with every other, by its numbers, dates and denials. Exit code 1 where something is found.

    Examples:

      sluice knowledge check

      sluice knowledge check help-centre/ --json
    """
    if source is not None and "://" not in source and not Path(source).exists():
        fail(f"{source}: no such file or folder", USAGE)
    settings, now = read_settings(), datetime.now(UTC)
    with nullcontext() if as_json else stderr.status("comparing every section with every other"):
        passages = run(_of_source(settings, source, kind, now) if source else _stored(settings, now))
        clashes = conflicts(passages)
    stale = sorted({passage.article_id for passage in passages if passage.stale})
    if as_json:
        print_json({"sections": len(passages), "conflicts": clashes, "past_review": stale})
    else:
        for line in (*clashes, *(f"{name}: past its review date" for name in stale)):
            console.print(verbatim(line), soft_wrap=True)
        console.print(f"{len(passages)} sections, {len(clashes)} pairs disagree, {len(stale)} articles past review")
    if clashes or stale:
        raise typer.Exit(WRONG)


async def _stored(settings: Settings, now: datetime) -> list[Passage]:
    async with await open_pool(settings.database_url_for("auditor", owner_url(settings)), size=1) as pool:
        rows = await fetch(pool, "current_sections", {"at": now})
    return [Passage(**row, score=0.0) for row in rows]


async def _of_source(settings: Settings, source: str, kind: Format | None, now: datetime) -> list[Passage]:
    """The public sections of a source that hold now."""
    articles = await articles_of(source, kind, settings)
    return [
        Passage(
            article_id=article.id,
            section_id=section.id,
            version=article.version or 1,
            title=article.title,
            heading=section.heading,
            text=section.text,
            score=0.0,
            stale=article.review_by is not None and article.review_by < now,
        )
        for article in articles
        if article.audience == PUBLIC and _holds(article, now)
        for section in article.sections
    ]


def _holds(article: Article, now: datetime) -> bool:
    return (article.valid_from is None or article.valid_from <= now) and (
        article.valid_to is None or now < article.valid_to
    )


async def _gaps(
    settings: Settings, given: Sequence[Unanswered] | None, rules: Sequence[str], since: datetime, minimum: int
) -> tuple[int, list[tuple[Gap, Nearest | None]]]:
    async with await open_pool(settings.database_url_for("auditor", owner_url(settings)), size=1) as pool:
        asked = {"rules": list(rules), "since": since, "limit": MOST}
        rows = [] if given is not None else await fetch(pool, "unanswered", asked)
        unanswered = [_unanswered(row) for row in rows] if given is None else given
        found = await gaps_among(unanswered[:MOST], embedder_of(settings), minimum)
        return len(unanswered), [(gap, await _nearest(pool, gap)) for gap in found]


async def gaps_among(tickets: Sequence[Unanswered], embedder: Embedder, minimum: int) -> tuple[Gap, ...]:
    """The gaps that these tickets show."""
    return find_gaps(tickets, await embedder.embed([ticket.text[:LONGEST] for ticket in tickets]), minimum)


async def _nearest(pool: Pool, gap: Gap) -> Nearest | None:
    parameters = {"vector": vector_text(gap.centre), "at": datetime.now(UTC)}
    rows = await fetch(pool, "nearest_section", parameters)
    return Nearest(**rows[0]) if rows else None


def _unanswered(row: Mapping[str, str]) -> Unanswered:
    return Unanswered(row["id"], f"{row['subject']}\n{row['text']}".strip(), row["intent"])


def _of_files(predictions: Path, tickets: Path, rules: Sequence[str]) -> list[Unanswered]:
    """The tickets whose prediction ended by one of the rules.

    Raises:
        UnreadableFile: a row is no prediction or ticket, or a prediction's ticket is missing.
    """
    texts = {str(row.get("id")): row for _, row in read_rows(tickets)}
    found = []
    for place, row in read_rows(predictions):
        try:
            if row["rule"] not in rules:
                continue
            ticket = texts[row["id"]]
            text = f"{ticket.get('subject') or ''}\n{ticket.get('body') or ''}".strip()
            found.append(Unanswered(str(row["id"]), text, str(row["intent"])))
        except KeyError as error:
            known = "rule" in row and "id" in row and row["id"] not in texts
            raise UnreadableFile(
                f"{place}: {tickets} has no ticket {row['id']}" if known else f"{place}: {fault(error)}"
            ) from None
    return found


def _as_json(gap: Gap, near: Nearest | None) -> dict[str, object]:
    told = {name: value for name, value in asdict(gap).items() if name != "centre"}
    return {**told, "nearest": asdict(near) if near else None}


def _show(count: int, found: Sequence[tuple[Gap, Nearest | None]]) -> None:
    gathered = sum(gap.size for gap, _ in found)
    if not found:
        console.print(f"{count} tickets were not answered; no gap among them")
        return
    table = Table("tickets", "about", "examples", "nearest section", title="What nothing answers", title_justify="left")
    for gap, near in found:
        nearest = f"{near.title}: {near.heading}\n{_place(near)} ({near.score:.2f})" if near else "none"
        examples = "\n".join(f"- {example}" for example in gap.examples)
        table.add_row(str(gap.size), *map(verbatim, (", ".join(gap.words), examples, nearest)))
    console.print(table)
    console.print(f"{gathered} of {count} tickets that nothing answered, in {len(found)} gaps")


def _place(near: Nearest) -> str:
    return f"{near.article_id}#{near.section_id}"
