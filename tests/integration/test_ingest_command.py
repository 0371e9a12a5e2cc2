"""`sluice ingest`: it says what it does, does all or nothing, and retires what it is told to."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from infra.embeddings.remembered import Remembered
from infra.embeddings.scripted import HashingEmbedder
from sluice.ingest import ingest_articles

Command = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("returns", "gifts", "care"):
        (tmp_path / f"{name}.md").write_text(f"---\ntitle: About {name}\n---\n## {name}\nWithin days.\n")
    return tmp_path


@pytest.fixture
def command(database: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setattr("sluice.ingest.embedder_of", lambda settings: Remembered(HashingEmbedder()))
    app = Typer()
    app.command()(ingest_articles)
    tokens = {"ZENDESK_EMAIL": "a@shop.example", "ZENDESK_API_TOKEN": "tok"}
    return lambda *arguments: CliRunner().invoke(
        app, [*map(str, arguments)], env={"DATABASE_URL": database, **(tokens if "--from" in arguments else {})}
    )


def report(result: Result) -> tuple[int, int, list[str], int]:
    told = json.loads(result.stdout)
    return told["added"], told["changed"], told["retired"], told["unchanged"]


def test_what_left_the_folder_is_named_and_retired_with_prune_alone(command: Command, folder: Path) -> None:
    assert report(command(folder, "--json")) == (3, 0, [], 0)
    (folder / "gifts.md").unlink()
    assert "1 stored articles of this source are not in it; --prune retires them" in command(folder).stdout
    assert report(command(folder, "--json", "--dry-run", "--prune")) == (0, 0, ["gifts"], 2)
    said = command(folder, "--prune").stdout
    assert "0 articles added, 0 changed, 1 retired, 2 unchanged" in said
    assert report(command(folder, "--json", "--prune")) == (0, 0, [], 2)


def test_what_came_from_elsewhere_is_not_retired(command: Command, folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "more" / "terms.csv"
    table.parent.mkdir()
    table.write_text("id,title,text\nterms,Terms,Two years.\nprivacy,Privacy,Nothing is sold.\n")
    assert report(command(table, "--json")) == (2, 0, [], 0)
    assert report(command(folder, "--from", "markdown", "--json", "--prune")) == (3, 0, [], 0)
    (folder / "gifts.md").unlink()
    assert "2 articles of other sources stay as they are" in command(folder, "--from", "markdown").stdout
    assert report(command(folder, "--from", "markdown", "--json", "--prune")) == (0, 0, ["gifts"], 2)
    table.write_text("id,title,text\nterms,Terms,Two years.\n")
    assert report(command(table, "--json", "--prune", "--dry-run")) == (0, 0, ["privacy"], 1)


def test_a_page_brought_in_alone_belongs_to_its_folder(command: Command, folder: Path) -> None:
    command(folder)
    (folder / "new.md").write_text("---\ntitle: New\n---\n## new\nNow.\n")
    assert report(command(folder / "new.md", "--json")) == (1, 0, [], 0)
    (folder / "new.md").unlink()
    assert report(command(folder, "--json", "--prune")) == (0, 0, ["new"], 3)


def test_a_source_of_a_name_is_the_same_wherever_it_lies(command: Command, folder: Path, tmp_path: Path) -> None:
    command(folder, "--as", "docs")
    moved = tmp_path / "moved"
    moved.mkdir()
    (folder / "returns.md").rename(moved / "returns.md")
    (folder / "care.md").rename(moved / "care.md")
    assert report(command(moved, "--json", "--prune")) == (0, 0, [], 2)
    command(moved, "--as", "docs")
    assert report(command(moved, "--as", "docs", "--json", "--prune")) == (0, 0, ["gifts"], 2)


def test_a_dry_run_shows_what_it_would_do_and_does_nothing(command: Command, folder: Path) -> None:
    command(folder)
    (folder / "care.md").write_text("---\ntitle: About care\n---\n## care\nWithin weeks.\n")
    (folder / "new.md").write_text("---\ntitle: About new\n---\n## new\nNow.\n")
    for _ in range(2):
        said = command(folder, "--dry-run").stdout
        assert "1 articles added, 1 changed, 0 retired, 2 unchanged" in said
        assert [line.split()[1:4:2] for line in said.splitlines() if "About" in line] == [
            ["changed", "care"],
            ["added", "new"],
        ]


def test_more_than_half_needs_to_be_asked_for_by_name(command: Command, folder: Path) -> None:
    command(folder)
    for name in ("gifts", "care"):
        (folder / f"{name}.md").unlink()
    refused = command(folder, "--prune")
    assert (refused.exit_code, "--force" in refused.stderr) == (2, True)
    assert report(command(folder, "--json")) == (0, 0, [], 1)
    assert report(command(folder, "--json", "--prune", "--force")) == (0, 0, ["care", "gifts"], 1)


def test_a_file_that_is_no_article_leaves_everything_as_it_was(command: Command, folder: Path) -> None:
    command(folder)
    (folder / "care.md").write_text("---\ntitle: About care\n---\n## care\nWithin weeks.\n")
    (folder / "zzz.md").write_text("no front matter")
    refused = command(folder)
    assert (refused.exit_code, "zzz.md: the front matter has no title" in refused.stderr) == (2, True)
    (folder / "zzz.md").unlink()
    assert report(command(folder, "--json")) == (0, 1, [], 2)


def test_what_is_said_of_all_articles_is_kept(command: Command, tmp_path: Path, database: str) -> None:
    (tmp_path / "a.csv").write_text("id,title,text,updated\na,T,Zwei Jahre.,2026-01-01\nb,T,Drei.,\n")
    assert command(tmp_path / "a.csv", "--internal", "--language", "de", "--review-after", "31").exit_code == 0
    with psycopg.connect(database) as connection:
        found = connection.execute("select audience, language, review_by::date::text from kb_article").fetchall()
    assert sorted(found, key=str) == [("internal", "de", "2026-02-01"), ("internal", "de", None)]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "nowhere: no such file or folder"),
        (["https://help.example"], "say by --from what it is"),
        (["https://shop.zendesk.com"], "set ZENDESK_API_TOKEN"),
        (["https://api.intercom.io"], "set INTERCOM_ACCESS_TOKEN"),
        (["http://shop.zendesk.com"], "write it with https://"),
        ([".", "--force"], "--force goes with --prune"),
        ([], "give a help centre"),
    ],
)
def test_a_call_that_cannot_work_says_what_to_change(command: Command, arguments: list[str], told: str) -> None:
    refused = command(*arguments)
    assert (refused.exit_code, told in " ".join(refused.stderr.split())) == (2, True)


class Guide(BaseHTTPRequestHandler):
    """Zendesk Guide with one public article, one draft, and a limit that is met once."""

    limited = True

    def do_GET(self) -> None:
        """Answer 429 once, then the articles."""
        status, type(self).limited = (429 if self.limited else 200), False
        rows = [
            {
                "id": n,
                "title": f"T{n}",
                "locale": "en-us",
                "draft": n == 2,
                "user_segment_id": None,
                "body": "<p>A.</p>",
            }
            for n in (1, 2)
        ]
        self.send_response(status)
        self.send_header("retry-after", "0")
        self.end_headers()
        self.wfile.write(json.dumps({"articles": rows, "meta": {"has_more": False}}).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_help_centre_is_read_from_its_api(command: Command, database: str) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Guide) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        result = command(f"http://127.0.0.1:{server.server_port}", "--from", "zendesk", "--json")
        server.shutdown()
    assert report(result) == (2, 0, [], 0)
    with psycopg.connect(database) as connection:
        found = connection.execute("select article_id, audience, language from kb_article order by 1").fetchall()
    assert found == [("1", "public", "en-us"), ("2", "internal", "en-us")]
