"""`sluice ingest`: put a help centre into Postgres, one chunk an H2 section."""

from pathlib import Path
from typing import Annotated

import typer

from infra.embeddings.minilm import MiniLM
from infra.knowledge import UnreadableArticle, read_articles
from infra.postgres.ingest import IngestReport, ingest
from infra.postgres.pool import open_pool
from infra.settings import Settings
from infra.versions import VersionTaken
from sluice.reach import owner_url
from sluice.terminal import USAGE, AsJson, console, fail, print_json, read_settings, run, stderr


def ingest_articles(
    source: Annotated[
        Path, typer.Argument(exists=True, help="A folder of Markdown files, a file of it, or articles.jsonl.")
    ],
    as_json: AsJson = False,
) -> None:
    """Ingest articles; what is stored and did not change stays untouched, what changed becomes a new version.

    Markdown has front matter (id, title, url, lang, audience, review_by, valid_from) and one H2 a section, its id in
    braces: `## Costs {#costs}`.

    Examples:

      sluice ingest help-centre/

      sluice ingest ../shared/evaldata/thunderbird/articles.jsonl
    """
    settings = read_settings()
    try:
        with stderr.status(f"reading and embedding {source}"):
            report = run(_ingest(settings, source))
    except (UnreadableArticle, VersionTaken) as error:
        fail(str(error), USAGE)
    if as_json:
        print_json(vars(report))
    else:
        console.print(
            f"{report.added} articles added, {report.changed} changed, {report.unchanged} unchanged; "
            f"{report.sections} sections, {report.embedded} embedded"
        )


async def _ingest(settings: Settings, source: Path) -> IngestReport:
    articles = read_articles(source)
    pool = await open_pool(owner_url(settings), size=1)
    try:
        return await ingest(pool, MiniLM(settings.home / "cache"), articles)
    finally:
        await pool.close()
