"""`sluice golden` on an edit in Postgres, from its proposal to a suite's ticket."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.postgres.conversations import PostgresConversations
from infra.postgres.pool import open_pool
from infra.postgres.queue import PostgresQueue
from infra.settings import as_role
from processors.ports import Item, ItemKind
from schemas.outcome import Outcome
from sluice.main import app
from tests.unit.test_pilot import handled


@pytest.fixture
async def edited(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A draft that a person edited; the ticket's id."""
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    outcome = await open_pool(as_role(database, "sluice_outcome"), size=1)
    people = await open_pool(as_role(database, "sluice_people"), size=1)
    act = handled(Outcome.EDITED, "It takes 9 working days.")
    item = Item("i", ItemKind.SUGGEST, "k", act.act.ticket_id, 1, None, "why", act.event)
    opened = await PostgresConversations(outcome).open_item(item)
    assert opened is not None
    await PostgresQueue(people).take(opened, act.act.model_copy(update={"outcome": Outcome.TAKEN_OVER}))
    await PostgresQueue(people).close(opened, act.act, give_back=True)
    await outcome.close()
    await people.close()
    return str(act.act.ticket_id)


def golden(*arguments: str, expect: int = 0) -> Any:
    found = CliRunner().invoke(app, ["golden", *arguments, "--json"])
    assert found.exit_code == expect, found.output
    return json.loads(found.stdout) if expect == 0 else found.output


def test_an_edit_is_proposed_shown_and_accepted_under_a_persons_name(edited: str, tmp_path: Path) -> None:
    (row,) = golden("list", "--status", "proposed")
    assert (row["case"], row["changed"], row["by"]) == (f"{edited}-1", "fact", "mia")
    assert golden("show", edited[:8])["ticket"]["expected_facts"] == ["9"]
    assert "the answer does not say" in golden("accept", edited, "--band", "auto", "--fact", "7", expect=2)
    assert golden("accept", edited, "--band", "auto", "--source", "d#s", "--as", "ben")["by"] == "ben"
    assert golden("list", "--status", "proposed") == []
    assert "no edit proposes such a case" in golden("reject", "ffff", expect=1)
    assert golden("export", "--out", str(tmp_path / "tickets_golden.jsonl"))["tickets"] == 1
