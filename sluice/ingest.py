"""`sluice ingest`: put a help centre into Postgres, one chunk an H2 section."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from infra.crm import read_customers
from infra.knowledge import read_articles
from infra.postgres.ingest import IngestReport, Retire, TooManyRetired, ingest, load_customers, rehearse
from infra.postgres.pool import open_pool
from infra.settings import Settings
from infra.versions import VersionTaken
from infra.wiring import embedder_of, keep
from sluice.reach import owner_url
from sluice.terminal import USAGE, AsJson, console, fail, print_json, read_settings, run, stderr


def ingest_articles(
    source: Annotated[
        Path | None, typer.Argument(exists=True, help="A folder of Markdown files, a file of it, or articles.jsonl.")
    ] = None,
    customers: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A crm.jsonl: customers with their records.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Retire more than half of the help centre too.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Retire nothing: these are further articles.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ingest articles; what is stored and did not change stays untouched, what changed becomes a new version.

    A folder or an articles.jsonl is the whole help centre: what is no longer in it is retired. Nothing is found in a
    retired article any more; it is never deleted, as replies cite it. A single Markdown file retires nothing.

    Markdown has front matter (id, title, url, lang, audience, review_by, valid_from) and one H2 a section, its id in
    braces: `## Costs {#costs}`.

    Examples:

      sluice ingest help-centre/ --dry-run

      sluice ingest help-centre/returns.md

      sluice ingest ../shared/evaldata/tau_retail/articles.jsonl --customers ../shared/evaldata/tau_retail/crm.jsonl
    """
    if source is None and customers is None:
        fail("give a help centre, or --customers FILE, or both", USAGE)
    settings = read_settings()
    try:
        with stderr.status("reading and embedding"):
            report, count = run(_ingest(settings, Task(source, customers, _retire(source, force, keep), dry_run)))
    except TooManyRetired as error:
        fail(f"{error}: pass --force to retire them, --keep to add to them, --dry-run to see", USAGE)
    except (VersionTaken, ValueError) as error:
        fail(str(error), USAGE)
    if as_json:
        print_json({**(vars(report) if report else {}), "customers": count})
        return
    if dry_run:
        console.print("nothing is done, this would be:")
    if report is not None:
        console.print(
            f"{report.added} articles added, {report.changed} changed, {len(report.retired)} retired, "
            f"{report.unchanged} unchanged; {report.sections} sections, {report.embedded} embedded"
        )
        for article in report.retired:
            console.print(f"  retired: {article}", highlight=False, markup=False)
    if customers is not None:
        console.print(f"{count} customers")


@dataclass(frozen=True)
class Task:
    """What to put into Postgres, and how."""

    source: Path | None
    customers: Path | None
    retire: Retire
    dry_run: bool


def _retire(source: Path | None, force: bool, keep: bool) -> Retire:
    if keep or source is None or source.suffix == ".md":
        return Retire.NONE
    return Retire.ANY if force else Retire.FEW


async def _ingest(settings: Settings, task: Task) -> tuple[IngestReport | None, int]:
    articles = read_articles(task.source) if task.source else None
    rows = read_customers(task.customers) if task.customers else []
    pool = await open_pool(owner_url(settings), size=1)
    try:
        bring = rehearse if task.dry_run else ingest
        report = None
        if articles is not None:
            embedder = embedder_of(settings)
            report = await bring(pool, embedder, articles, retire=task.retire)
            if not task.dry_run and task.retire is not Retire.NONE:  # the whole help centre
                await keep(embedder, articles)
        return report, len(rows) if task.dry_run else await load_customers(pool, rows)
    finally:
        await pool.close()
