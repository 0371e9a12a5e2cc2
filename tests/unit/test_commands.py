"""The command line as its users meet it: help with examples, JSON for scripts, errors that say what to change."""

import json
from collections.abc import Iterator
from pathlib import Path
from socket import socket
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from processors.errors import DependencyDown, SluiceError
from sluice.main import COMMANDS, app, load
from sluice.terminal import explained

PRINT_NO_RESULTS = {
    "schemas show": "prints a schema, which is JSON",
    "train policy": "prints a policy, to be kept as a file",
}


def leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """A command's own commands, or itself."""
    for below, found in getattr(command, "commands", {}).items():
        yield from leaves(f"{name} {below}", found)
    if not hasattr(command, "commands"):
        yield name, command


def sluice(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "400", **environ})


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_examples_of_itself(name: str) -> None:
    for full, _ in leaves(name, load(name)):
        shown = sluice(*full.split(), "--help")
        assert shown.exit_code == 0
        _, _, examples = shown.stdout.partition("Examples:")
        assert f"sluice {full}" in examples, full


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_prints_results_prints_json(name: str) -> None:
    options = {full: {name for each in found.params for name in each.opts} for full, found in leaves(name, load(name))}
    assert [full for full, names in options.items() if "--json" not in names and full not in PRINT_NO_RESULTS] == []


def test_every_option_says_what_it_is() -> None:
    silent = [
        f"{full} {each.name}"
        for name in COMMANDS
        for full, found in leaves(name, load(name))
        for each in found.params
        if not each.help
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("worker nothing", "one of all, router, retrieval, resolution, gate, outcome"),
        ("trace x", "it looks like 0d5c2f0e"),
        ("dead list --stage nothing", "no stage 'nothing'"),
        ("switch off --why x --scope nothing", "nothing"),
        ("switch off --why x --scope all:", "use all"),
        ("switch off --why x --scope channel:emial", "did you mean channel:email?"),
        ("switch auto --why x --scope channel:emial", "did you mean channel:email?"),
        ("switch off --why x --scope intent:shiping_cost", "did you mean intent:shipping_cost"),
        ("switch off --why=", "--why"),
        ("schemas show Nothing", "TicketReceived"),
        ("eval no-such-folder", "no-such-folder: no tickets_<split>.jsonl with a row; known by name: shop"),
        ("dead list --days 999999999", "--days"),
        ("trace 0d5c2f0e-3c39-5c0f-8a55-0f4b9a3c7d21 --hours 999999999", "--hours"),
        ("send hello --key a --url nonsense", "write it as http://127.0.0.1:8700"),
        ("send hello --key a --url ftp://edge", "write it as http://127.0.0.1:8700"),
        ("send hello", "SLUICE_API_KEYS"),
        ("edge", "SLUICE_API_KEYS"),
    ],
)
def test_a_wrong_call_ends_with_2_and_says_what_to_change(arguments: str, told: str, tmp_path: Path) -> None:
    ended = sluice(*arguments.split(), SLUICE_HOME=str(tmp_path))
    assert (ended.exit_code, told in ended.stderr) == (2, True), ended.stderr


@pytest.mark.parametrize("command", ["doctor", "down", "worker all", "up"])
def test_a_wrong_setting_ends_every_command_with_2_and_its_name(command: str) -> None:
    ended = sluice(*command.split(), SLUICE_EDGE_PORT="abc")
    assert (ended.exit_code, ended.stderr.split()[1]) == (2, "SLUICE_EDGE_PORT:")


@pytest.mark.parametrize("command", ["up", "eval shop --limit 1", "demo"])
@pytest.mark.parametrize("home", ["/proc/nope", "{file}/below", "{file}"])
def test_a_home_that_cannot_be_used_ends_a_command_with_2_and_its_name(command: str, home: str, tmp_path: Path) -> None:
    (file := tmp_path / "file").touch()
    ended = sluice(*command.split(), SLUICE_HOME=home.format(file=file))
    assert (ended.exit_code, ended.stderr.split()[1]) == (2, "SLUICE_HOME"), ended.stderr


@pytest.mark.parametrize(
    "url", ["postgresql://:::bad", "sluice", "host=db", "postgresql://u@db:99999/x", "mysql://db/x"]
)
def test_a_database_url_nobody_can_read_ends_a_command_with_2_and_is_not_repeated(url: str) -> None:
    ended = sluice("migrate", "--dry-run", DATABASE_URL=url)
    assert (ended.exit_code, "DATABASE_URL: write it as postgresql://" in ended.stderr, url in ended.stderr) == (
        2,
        True,
        False,
    )


def test_a_taken_port_ends_the_edge_with_2_and_the_setting_to_change(tmp_path: Path) -> None:
    with socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        environ = {"SLUICE_EDGE_PORT": str(holder.getsockname()[1]), "SLUICE_API_KEYS": "a=b:service"}
        ended = sluice("edge", SLUICE_HOME=str(tmp_path), KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9", **environ)
    assert (ended.exit_code, "SLUICE_EDGE_PORT" in ended.stderr) == (2, True)


@pytest.mark.parametrize(
    "command",
    ["trace 0d5c2f0e-3c39-5c0f-8a55-0f4b9a3c7d21", "dead list", "switch show", "topics describe", "worker all"],
)
def test_what_does_not_run_ends_a_command_with_3(command: str, tmp_path: Path) -> None:
    ended = sluice(*command.split(), SLUICE_HOME=str(tmp_path))
    assert (ended.exit_code, "set KAFKA_BOOTSTRAP_SERVERS" in ended.stderr) == (3, True)


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (DependencyDown("Kafka", "no broker"), 3, "KAFKA_BOOTSTRAP_SERVERS says where it is"),
        (DependencyDown("Postgres", "refused"), 3, "DATABASE_URL says where it is"),
        (DependencyDown("the helpdesk"), 3, "the helpdesk is down. `sluice doctor`"),
        (SluiceError("it cannot be"), 1, "it cannot be"),
    ],
)
def test_an_expected_failure_is_a_message_and_a_code(
    error: Exception, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended, explained():
        raise error
    assert ended.value.exit_code == code
    assert told in capsys.readouterr().err


def test_doctor_s_json_stands_alone(tmp_path: Path) -> None:
    ended = sluice("doctor", "--json", SLUICE_HOME=str(tmp_path))
    assert {"what", "verdict", "detail", "fix"} == set(json.loads(ended.stdout)[0])
