"""`sluice ingest`: put a help centre into Postgres, one chunk an H2 section."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from infra.crm import read_customers
from infra.knowledge import Article, Format, name_of
from infra.knowledge.article import INTERNAL
from infra.postgres.ingest import Act, IngestReport, Retire, Tell, TooManyRetired, ingest, load_customers, rehearse
from infra.postgres.pool import open_pool
from infra.settings import Settings
from infra.wiring import articles_of, embedder_of, keep
from sluice.reach import owner_url
from sluice.terminal import USAGE, AsJson, console, fail, print_json, read_settings, run, stderr, verbatim

SHOWN = 50  # rows of the table; --json has them all


def ingest_articles(
    source: Annotated[
        str | None, typer.Argument(help="A folder or file, https://NAME.zendesk.com or https://api.intercom.io.")
    ] = None,
    kind: Annotated[
        Format | None, typer.Option("--from", help="What the source is, where its name does not tell.")
    ] = None,
    customers: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A crm.jsonl: customers with their records.")
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Retire what came from this source and is no longer in it.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="With --prune: more than half of them too.")] = False,
    name: Annotated[
        str | None, typer.Option("--as", help="Name of the source, where its path or address is not always the same.")
    ] = None,
    internal: Annotated[bool, typer.Option("--internal", help="Show none of it to a customer.")] = False,
    language: Annotated[
        str | None, typer.Option(help="Language of all of it, as de or pt-br, whatever the source says.")
    ] = None,
    review_after: Annotated[
        int | None, typer.Option(min=1, help="Days after its last update at which an article without a date is due.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ingest articles; what is stored and did not change stays untouched, what changed becomes a new version.

    All of it or nothing: a source that cannot be read to its end changes nothing. With --prune, what is no longer in
    the source is retired: nothing is found in it any more, and it is never deleted, as replies cite it. What came from
    other sources stays. Drafts, and
    what not everybody may read, are internal: no customer is told of them. Nothing past its review date is answered
    without a person.

    Markdown has front matter (id, title, url, lang, audience, review_by, valid_from) and one H2 a section, its id in
    braces: `## Costs {#costs}`. HTML has the same in `<meta>`, CSV in its columns, a row a section.

    Examples:

      sluice ingest help-centre/ --dry-run

      sluice ingest help-centre/returns.md

      sluice ingest https://shop.zendesk.com --prune --review-after 365

      sluice ingest ../shared/evaldata/tau_retail/articles.jsonl --customers ../shared/evaldata/tau_retail/crm.jsonl
    """
    if source is None and customers is None:
        fail("give a help centre, or --customers FILE, or both", USAGE)
    if force and not prune:
        fail("--force goes with --prune: without it nothing is retired", USAGE)
    if source is not None and "://" not in source and not Path(source).exists():
        fail(f"{source}: no such file or folder", USAGE)
    settings = read_settings()
    retire = (Retire.ANY if force else Retire.FEW) if prune else Retire.NONE
    told = Said(internal, language, review_after)
    try:
        with _progress() as tell:
            report, count = run(_ingest(settings, Task(source, kind, name, customers, told, retire, dry_run), tell))
    except TooManyRetired as error:
        fail(f"{error}: pass --force to retire them, leave out --prune to keep them, --dry-run to see", USAGE)
    except ValueError as error:
        fail(str(error), USAGE)
    if as_json:
        print_json({**(_as_json(report) if report else {}), "customers": count})
        return
    if dry_run:
        console.print("nothing is done, this would be:")
    if report is not None:
        _show(report)
    if customers is not None:
        console.print(f"{count} customers")


@dataclass(frozen=True)
class Said:
    """What the caller says of all articles."""

    internal: bool
    language: str | None
    review_after: int | None  # days

    def of(self, article: Article) -> Article:
        """The article with it."""
        due = article.review_by
        if due is None and article.updated is not None and self.review_after is not None:
            due = article.updated + timedelta(days=self.review_after)
        return replace(
            article,
            audience=INTERNAL if self.internal else article.audience,
            language=self.language or article.language,
            review_by=due,
        )


@dataclass(frozen=True)
class Task:
    """What to put into Postgres, and how."""

    source: str | None
    kind: Format | None
    name: str | None
    customers: Path | None
    said: Said
    retire: Retire
    dry_run: bool


async def _ingest(settings: Settings, task: Task, tell: Tell) -> tuple[IngestReport | None, int]:
    given = await articles_of(task.source, task.kind, settings) if task.source else None
    name = task.name or (name_of(task.source, task.kind) if task.source else None)
    rows = read_customers(task.customers) if task.customers else []
    pool = await open_pool(owner_url(settings), size=1)
    try:
        report = None
        if given is not None:
            articles = [task.said.of(article) for article in given]
            embedder = embedder_of(settings)
            if task.dry_run:
                report = await rehearse(pool, embedder, articles, retire=task.retire, source=name)
            else:
                report = await ingest(pool, embedder, articles, retire=task.retire, source=name, tell=tell)
                if not (report.absent or report.elsewhere):  # it is the whole help centre
                    await keep(embedder, articles)
        return report, len(rows) if task.dry_run else await load_customers(pool, rows)
    finally:
        await pool.close()


# -- the screen


@contextmanager
def _progress() -> Iterator[Tell]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr, transient=True) as progress:
        bar = progress.add_task("reading", total=None)
        yield lambda done, of: progress.update(bar, description="embedding", completed=done, total=of)


def _as_json(report: IngestReport) -> dict[str, object]:
    return {
        **{act.value: report.count(act) for act in Act},
        "sections": report.sections,
        "embedded": report.embedded,
        "retired": report.retired,
        "absent": report.absent,
        "elsewhere": report.elsewhere,
        "articles": [vars(placed) for placed in report.placed],
    }


def _show(report: IngestReport) -> None:
    touched = [(placed.act.value, placed.article_id, placed.title) for placed in report.placed]
    rows = [row for row in touched if row[0] != Act.UNCHANGED] + [("retired", name, "") for name in report.retired]
    if rows:
        table = Table("what", "article", "title")
        for row in rows[:SHOWN]:
            table.add_row(*map(verbatim, row))
        console.print(table)
    if len(rows) > SHOWN:
        console.print(f"and {len(rows) - SHOWN} more; --json names them all")
    added, changed, unchanged = (report.count(act) for act in Act)
    console.print(
        f"{added} articles added, {changed} changed, {len(report.retired)} retired, {unchanged} unchanged; "
        f"{report.sections} sections, {report.embedded} embedded"
    )
    if report.absent and len(report.placed) != 1:
        console.print(f"{len(report.absent)} stored articles of this source are not in it; --prune retires them")
    if report.elsewhere:
        console.print(f"{report.elsewhere} articles of other sources stay as they are")
