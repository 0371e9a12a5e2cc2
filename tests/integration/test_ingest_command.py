"""`sluice ingest`: a folder is the whole help centre, a file is one article of it."""

import json
from collections.abc import Callable
from pathlib import Path

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
    return lambda *arguments: CliRunner().invoke(app, [*map(str, arguments)], env={"DATABASE_URL": database})


def report(result: Result) -> tuple[int, int, list[str], int]:
    told = json.loads(result.stdout)
    return told["added"], told["changed"], told["retired"], told["unchanged"]


def test_what_left_the_folder_is_retired(command: Command, folder: Path) -> None:
    assert report(command(folder, "--json")) == (3, 0, [], 0)
    (folder / "gifts.md").unlink()
    assert report(command(folder, "--json", "--dry-run")) == (0, 0, ["gifts"], 2)
    said = command(folder).stdout
    assert "0 articles added, 0 changed, 1 retired, 2 unchanged" in said
    assert "retired: gifts" in said


def test_more_than_half_needs_to_be_asked_for_by_name(command: Command, folder: Path) -> None:
    command(folder)
    for name in ("gifts", "care"):
        (folder / f"{name}.md").unlink()
    refused = command(folder)
    assert (refused.exit_code, "--force" in refused.stderr) == (2, True)
    assert report(command(folder, "--json", "--keep")) == (0, 0, [], 1)
    assert report(command(folder, "--json", "--force")) == (0, 0, ["care", "gifts"], 1)


def test_a_single_file_retires_nothing(command: Command, folder: Path) -> None:
    command(folder)
    assert report(command(folder / "care.md", "--json")) == (0, 0, [], 1)
