"""`sluice knowledge gaps`: what nothing answered, from the decisions in Postgres or from an evaluation's files."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from typer.testing import CliRunner, Result

from infra.embeddings.scripted import HashingEmbedder
from infra.knowledge import Article, ArticleSection
from infra.postgres.ingest import ingest
from infra.postgres.pool import open_pool
from sluice.knowledge import app

Command = Callable[..., Result]
RENT = ("Do you rent out tents", "Can I rent out tents", "You rent tents out", "rent out my tents ann@x.example")
ARTICLES = [
    Article("tents", "Tents", (ArticleSection("rent", "Rent out", "Do you rent out tents"),)),
    Article("secret", "Rent", (ArticleSection("s", "Rent", "Can I rent out tents"),), audience="internal"),
]


@pytest.fixture
def command(database: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setattr("sluice.knowledge.embedder_of", lambda settings: HashingEmbedder())
    return lambda *arguments, name="gaps": CliRunner().invoke(
        app, [name, *map(str, arguments)], env={"DATABASE_URL": database, "COLUMNS": "200"}
    )


async def _publish(database: str, articles: list[Article]) -> None:
    async with await open_pool(database, size=1) as pool:
        await ingest(pool, HashingEmbedder(), articles)


@pytest.fixture
def decided(database: str) -> str:
    """Four tickets on renting that nothing answered, one alone, one that had to go to a person, one too old."""
    rows = [(text, "no-confident-source", 0) for text in RENT]
    rows += [("Is snow warm", "no-draft", 0), (RENT[0], "hard-rule", 0), (RENT[0], "no-draft", 40)]
    with psycopg.connect(database) as owner:
        owner.execute("insert into conversation (conversation) values ('c')")
        for number, (text, rule, days) in enumerate(rows):
            ticket = UUID(int=number)
            owner.execute(
                "insert into message (conversation, revision, author, ticket_id, text, at)"
                " values ('c', %s, 'customer', %s, %s, now())",
                [number, ticket, text],
            )
            owner.execute(
                "insert into decision (ticket_id, revision, disposition, rule, record, decided_at)"
                " values (%s, %s, 'handoff', %s, '{}', now() - make_interval(days => %s))",
                [ticket, number, rule, days],
            )
    return database


def test_decisions_of_the_last_days_are_gathered(command: Command, decided: str) -> None:
    asyncio.run(_publish(decided, ARTICLES))
    told = json.loads(command("--json").stdout)
    (gap,) = told["gaps"]
    assert (told["unanswered"], gap["size"]) == (5, 4)
    assert gap["nearest"]["article_id"] == "tents"
    assert gap["nearest"]["score"] > 0.5
    assert len(gap["examples"]) == 3
    assert "ann@" not in command().stdout


def test_an_older_or_another_decision_counts_when_it_is_asked_for(command: Command, decided: str) -> None:
    assert json.loads(command("--json", "--days", 50).stdout)["gaps"][0]["size"] == 5
    assert json.loads(command("--json", "--rule", "hard-rule").stdout) == {"unanswered": 1, "gaps": []}


def test_an_empty_help_centre_has_no_nearest_section(command: Command, decided: str) -> None:
    assert json.loads(command("--json").stdout)["gaps"][0]["nearest"] is None
    assert "none" in command().stdout


def test_an_evaluation_s_files_do_as_well(command: Command, tmp_path: Path) -> None:
    tickets = [{"id": f"s-{n}", "subject": "", "body": text} for n, text in enumerate(RENT)]
    rows = [{"id": f"s-{n}", "intent": "rental", "rule": "no-draft"} for n in range(3)]
    rows.append({"id": "s-3", "intent": "rental", "rule": "all-clear"})
    for name, lines in (("t", tickets), ("p", rows)):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    files = ("--predictions", tmp_path / "p.jsonl", "--tickets", tmp_path / "t.jsonl")
    (gap,) = json.loads(command(*files, "--json").stdout)["gaps"]
    assert (gap["size"], gap["intents"], gap["tickets"]) == (3, ["rental"], ["s-0", "s-1", "s-2"])


def test_files_that_do_not_belong_together_are_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"id": "x", "intent": "i", "rule": "no-draft"}')
    (tmp_path / "t.jsonl").write_text('{"id": "y"}')
    assert command("--predictions", tmp_path / "p.jsonl").exit_code == 2
    refused = command("--predictions", tmp_path / "p.jsonl", "--tickets", tmp_path / "t.jsonl")
    assert "has no ticket x" in f"{refused.exception} {refused.stderr}"


# -- check

CLASHING = [
    Article("cards", "Cards", (ArticleSection("v", "Validity", "A gift card is valid for 24 months from purchase."),)),
    Article("faq", "Questions", (ArticleSection("c", "Cards", "A gift card is valid for two years from purchase."),)),
    Article("terms", "Terms", (ArticleSection("c", "Cards", "A gift card is valid for 36 months from purchase."),)),
    Article("staff", "Cards", (ArticleSection("c", "C", "A gift card is valid for 9 months."),), audience="internal"),
]
FOUND = [
    "cards#v and terms#c disagree: 24 months, 36 months",
    "faq#c and terms#c disagree: 2 years, 36 months",
]


def test_what_is_stored_is_compared_section_by_section(command: Command, database: str) -> None:
    due = replace(CLASHING[1], review_by=datetime(2026, 1, 1, tzinfo=UTC))
    asyncio.run(_publish(database, [CLASHING[0], due, *CLASHING[2:]]))
    result = command("--json", name="check")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"sections": 3, "conflicts": FOUND, "past_review": ["faq"]}
    assert "3 sections, 2 pairs disagree, 1 articles past review" in command(name="check").stdout


def test_a_source_is_checked_before_it_is_ingested(command: Command, tmp_path: Path) -> None:
    for number, months in enumerate((24, 36)):
        text = f"A gift card is valid for {months} months from purchase."
        (tmp_path / f"a{number}.md").write_text(f"---\ntitle: Cards\n---\n## Validity\n{text}\n")
    assert "a0#validity and a1#validity disagree: 24 months, 36 months" in command(tmp_path, name="check").stdout
    (tmp_path / "a1.md").unlink()
    assert command(tmp_path, name="check").exit_code == 0
    assert command("nowhere", name="check").exit_code == 2
