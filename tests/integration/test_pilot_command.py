"""`sluice pilot report` on what people did in Postgres."""

import json

import pytest
from typer.testing import CliRunner

from infra.postgres.conversations import PostgresConversations
from infra.postgres.pool import open_pool
from infra.postgres.queue import PostgresQueue
from infra.settings import as_role
from processors.ports import Item, ItemKind
from schemas.outcome import Outcome
from sluice.main import app
from tests.unit.test_pilot import QUOTE, handled


@pytest.fixture
async def acted(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two drafts, one sent as it was and one rejected."""
    monkeypatch.setenv("DATABASE_URL", database)
    outcome = await open_pool(as_role(database, "sluice_outcome"), size=1)
    people = await open_pool(as_role(database, "sluice_people"), size=1)
    queue = PostgresQueue(people)
    for number, act in enumerate((handled(Outcome.APPROVED, QUOTE), handled(Outcome.REJECTED, QUOTE, "fact: no"))):
        item = Item(f"i{number}", ItemKind.SUGGEST, f"k{number}", act.act.ticket_id, 1, None, "why", act.event)
        opened = await PostgresConversations(outcome).open_item(item)
        assert opened is not None
        await queue.take(opened, act.act.model_copy(update={"outcome": Outcome.TAKEN_OVER}))
        await queue.close(opened, act.act, give_back=True)
    await outcome.close()
    await people.close()


@pytest.mark.usefixtures("acted")
def test_the_report_tells_endings_by_topic_and_week_and_what_is_needed_for_auto() -> None:
    found = json.loads(CliRunner().invoke(app, ["pilot", "report", "--json"]).stdout)
    (whole, _week) = found["lines"]
    assert (whole["endings"]["unchanged"]["count"], whole["rejected_for"]) == (1, {"fact": 1})
    assert (whole["ready"], whole["earned_auto"], whole["more_needed"]) == (2, False, 223)
    shown = CliRunner().invoke(app, ["pilot", "report"], env={"COLUMNS": "160"})
    assert shown.exit_code == 0
    assert "223 more good ones in a row" in shown.stdout


def test_where_nobody_acted_the_command_says_what_to_do(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    found = CliRunner().invoke(app, ["pilot", "report"], env={"COLUMNS": "300"})
    assert found.exit_code == 1
    assert "send tickets while the switch is on suggest" in found.output
