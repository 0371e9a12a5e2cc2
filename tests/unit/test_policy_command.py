"""What `sluice policy` says, and what it asks for."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from infra.wiring import POLICY
from processors.policy import Policy
from sluice.main import app
from sluice.policy import _window, in_words

TODAY = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("over", "since", "until"),
    [
        ("yesterday", 23, 24),
        ("today", 24, 25),
        ("2026-11-20", 20, 21),
        ("2026-11-16..2026-11-22", 16, 23),
        ("2026-11-20..yesterday", 20, 24),
    ],
)
def test_days_are_whole_and_in_utc(over: str, since: int, until: int) -> None:
    window = _window(over, TODAY)
    assert (window.since, window.until) == (
        datetime(2026, 11, since, tzinfo=UTC),
        datetime(2026, 11, until, tzinfo=UTC),
    )


@pytest.mark.parametrize("over", ["", "soon", "2026-13-01", "2026-11-22..2026-11-16", "9999-12-31", ".."])
def test_what_is_no_day_ends_the_command(over: str) -> None:
    with pytest.raises(typer.Exit):
        _window(over, TODAY)


def test_the_policy_is_said_in_words_with_every_topic_once() -> None:
    policy = Policy.parse(POLICY.read_text(encoding="utf-8"))
    said = "\n".join(line for line in in_words(policy) if line.startswith("  topics"))
    assert [said.count(intent) for intent in policy.intents] == [1] * len(policy.intents)
    assert "a certificate covers it" in "\n".join(in_words(policy))
    assert "nothing bounds the rate of bad answers" in "\n".join(in_words(policy.waived))


@pytest.mark.parametrize(("text", "told"), [("x = 1", "x: unknown field"), ("x = ", "not valid TOML")])
def test_a_file_that_is_no_policy_is_named(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "new.toml"
    file.write_text(text)
    found = CliRunner().invoke(app, ["policy", "show", str(file)], env={"COLUMNS": "300"})
    assert found.exit_code == 2
    assert told in found.output


def test_what_is_told_of_an_added_kind_is_said() -> None:
    text = POLICY.read_text(encoding="utf-8")
    table = '[records.key]\nname = "key"\nintent = "own_record"\ntells = ["key_id", "door"]\n'
    text = text.replace(
        'loyalty_points = ["account"]\n', f'loyalty_points = ["account"]\nown_record = ["key"]\n{table}'
    )
    assert "    of a key is told: key_id, door" in list(in_words(Policy.parse(text)))
