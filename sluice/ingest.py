"""`sluice ingest`: put a help centre into Postgres, one chunk an H2 section."""

import json
from pathlib import Path
from typing import Annotated

import typer

from infra.knowledge import UnreadableArticle, read_articles
from infra.postgres.ingest import IngestReport, ingest, load_customers
from infra.postgres.pool import open_pool
from infra.settings import Settings
from infra.versions import VersionTaken
from infra.wiring import embedder_of
from sluice.reach import owner_url
from sluice.terminal import USAGE, AsJson, console, fail, print_json, read_settings, run, stderr


def ingest_articles(
    source: Annotated[
        Path | None, typer.Argument(exists=True, help="A folder of Markdown files, a file of it, or articles.jsonl.")
    ] = None,
    customers: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A crm.jsonl: customers with their records.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ingest articles; what is stored and did not change stays untouched, what changed becomes a new version.

    Markdown has front matter (id, title, url, lang, audience, review_by, valid_from) and one H2 a section, its id in
    braces: `## Costs {#costs}`.

    Examples:

      sluice ingest help-centre/

      sluice ingest ../shared/evaldata/tau_retail/articles.jsonl --customers ../shared/evaldata/tau_retail/crm.jsonl
    """
    if source is None and customers is None:
        fail("give a help centre, or --customers FILE, or both", USAGE)
    settings = read_settings()
    try:
        with stderr.status("reading and embedding"):
            report, count = run(_ingest(settings, source, customers))
    except (UnreadableArticle, VersionTaken, ValueError) as error:
        fail(str(error), USAGE)
    if as_json:
        print_json({**(vars(report) if report else {}), "customers": count})
        return
    if report is not None:
        console.print(
            f"{report.added} articles added, {report.changed} changed, {report.unchanged} unchanged; "
            f"{report.sections} sections, {report.embedded} embedded"
        )
    if customers is not None:
        console.print(f"{count} customers")


async def _ingest(settings: Settings, source: Path | None, customers: Path | None) -> tuple[IngestReport | None, int]:
    articles = read_articles(source) if source else None
    rows = [json.loads(line) for line in customers.open(encoding="utf-8") if line.strip()] if customers else []
    pool = await open_pool(owner_url(settings), size=1)
    try:
        embedder = embedder_of(settings)
        report = await ingest(pool, embedder, articles) if articles is not None else None
        return report, await load_customers(pool, rows)
    finally:
        await pool.close()
