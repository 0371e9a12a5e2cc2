"""What `sluice queue` says and asks around the acts themselves."""

import stat
from pathlib import Path

import pytest
import typer

from processors.queue import Acted, Result
from sluice.queue import _in_editor, said


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    script = tmp_path / "my editor"
    script.write_text('#!/bin/sh\necho "From the day it arrived." >> "$2"\nexit ${EXIT:-0}\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"'{script}' --wait")
    return script


def test_a_draft_comes_back_from_the_editor_as_it_was_saved(editor: Path) -> None:
    assert _in_editor("Thirty days.") == "Thirty days.\nFrom the day it arrived.\n"


@pytest.mark.parametrize("value", ["no-such-editor-anywhere", "false"])
def test_an_editor_that_fails_ends_the_command(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("VISUAL", value)
    with pytest.raises(typer.Exit):
        _in_editor("Thirty days.")


@pytest.mark.parametrize("result", [result for result in Result if result is not Result.DONE])
def test_whatever_was_not_done_is_said_in_words(result: Result) -> None:
    assert len(said(Acted(result, "ben" if result is Result.HELD else "the reason"))) > 5


def test_who_has_an_item_is_named() -> None:
    assert said(Acted(Result.HELD, "ben")) == "ben has it"
