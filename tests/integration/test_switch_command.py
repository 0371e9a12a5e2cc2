"""`sluice switch` on real services: a stop takes either path, an arming both, and what it says is what holds."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner, Result

from infra.kafka.admin import Admin
from infra.kafka.producer import Producer
from infra.postgres.local import LocalPostgres
from infra.settings import as_role, load_settings
from processors.switch import Board
from schemas.control import Scope, Stop, SwitchSet, SwitchState
from schemas.topics import Topic
from sluice import switch_paths
from sluice.main import app
from sluice.switch_paths import read_board, set_switch

OFF, SUGGEST, AUTO = SwitchState.OFF, SwitchState.SUGGEST, SwitchState.AUTO
ROOT = Path(__file__).parents[2]
NOBODY = "127.0.0.1:9"
ALL = Scope()


@pytest.fixture
def places(kafka_topics: str, database: str) -> dict[str, str]:
    """The settings that say where both paths are."""
    return {"KAFKA_BOOTSTRAP_SERVERS": kafka_topics, "DATABASE_URL": database, "COLUMNS": "300"}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths that have less time, so that waiting for a silent one is soon over."""
    monkeypatch.setattr(switch_paths, "WITHIN", 2.0)
    monkeypatch.setattr(switch_paths, "LOOSENS_WITHIN", 2.0)


def switch(places: dict[str, str], *arguments: str) -> Result:
    given = arguments if arguments[0] == "show" else (*arguments, "--why", "drill", "--actor", "ops")
    return CliRunner().invoke(app, ["switch", *given], env=places)


def on_topic(places: dict[str, str]) -> Board:
    return read_board(places["KAFKA_BOOTSTRAP_SERVERS"])


def in_table(places: dict[str, str], scope: str = "all") -> str | None:
    with psycopg.connect(places["DATABASE_URL"]) as connection:
        query = "select state from switch where concat_ws(':', scope_kind, nullif(scope_value, '')) = %s"
        row = connection.execute(query, [scope]).fetchone()
    return None if row is None else row[0]


def publish(places: dict[str, str], value: bytes | SwitchSet) -> None:
    async def send() -> None:
        async with Producer(places["KAFKA_BOOTSTRAP_SERVERS"]) as producer:
            await producer.publish(Topic.SWITCH, "all", value)

    asyncio.run(send())


@contextmanager
def held(places: dict[str, str]) -> Iterator[Callable[[], bool]]:
    """The switch's lock held by a slow claim; tells whether somebody waits for it."""
    waits = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    with psycopg.connect(places["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(switch_lock())")
        yield lambda: bool(connection.execute(waits).fetchone() != (0,))


def until(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not check():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("state", [OFF, SUGGEST])
def test_a_stop_while_postgres_is_busy_reaches_the_topic(places: dict[str, str], state: SwitchState) -> None:
    switch(places, "auto")
    with held(places):
        stopped = switch(places, state.value)
    assert (stopped.exit_code, "Postgres does not answer" in stopped.stderr) == (0, True)
    assert on_topic(places).scopes[ALL].state is state


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("setting", "address", "missed"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", NOBODY, "Kafka"),
        ("DATABASE_URL", f"postgresql://x@{NOBODY}/x", "Postgres"),
        ("DATABASE_URL", "postgresql:///x?host=/nowhere", "Postgres"),
    ],
)
def test_a_stop_takes_one_path_and_an_arming_both(
    places: dict[str, str], setting: str, address: str, missed: str
) -> None:
    half = places | {setting: address}
    refused = switch(half, "auto")
    assert (refused.exit_code, missed in refused.stderr) == (3, True)
    stopped = switch(half, "off")
    assert (stopped.exit_code, missed in stopped.stderr) == (0, True)
    held_by = (ALL in on_topic(places).scopes, in_table(places) == "off")
    assert held_by == ((False, True) if missed == "Kafka" else (True, False))


def test_a_postgres_that_takes_connections_and_is_silent_does_not_hold_a_stop_up(places: dict[str, str]) -> None:
    command = [sys.executable, "-m", "sluice.main", "switch", "off", "--why", "drill"]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = {"DATABASE_URL": f"postgresql://x@127.0.0.1:{silent.getsockname()[1]}/x"}
        environ = {**os.environ, **places, **address}
        ended = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=40)
    assert (ended.returncode, "Postgres does not answer" in ended.stderr) == (0, True)
    assert on_topic(places).scopes[ALL].state is OFF


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("arguments", [("off",), ("suggest",), ("auto",), ("show",)])
def test_with_both_paths_away_it_names_both_and_ends_with_3(arguments: tuple[str, ...]) -> None:
    away = {"KAFKA_BOOTSTRAP_SERVERS": NOBODY, "DATABASE_URL": f"postgresql://x@{NOBODY}/x", "COLUMNS": "300"}
    ended = switch(away, *arguments)
    assert (ended.exit_code, "Kafka" in ended.stderr, "Postgres" in ended.stderr) == (3, True, True)


def test_a_failure_of_any_kind_in_one_path_does_not_hide_the_other(
    places: dict[str, str], postgres: LocalPostgres
) -> None:
    stopped = switch(places | {"DATABASE_URL": postgres.url("postgres")}, "off")  # a database without any tables
    assert (stopped.exit_code, "Postgres: " in stopped.stderr) == (0, True)
    assert on_topic(places).scopes[ALL].state is OFF


def test_a_stop_takes_effect_once_though_two_paths_carry_it(places: dict[str, str]) -> None:
    switch(places, "auto")
    assert switch(places, "off").exit_code == 0
    entry = on_topic(places).scopes[ALL]
    assert (entry.state, in_table(places)) == (OFF, "off")
    assert entry.place == Stop(offset=1, sequence=2)  # the row's: whoever mirrors the record knows it


def test_what_loosens_half_way_lifts_the_stop_in_both(places: dict[str, str]) -> None:
    switch(places, "off")
    assert switch(places, "suggest").exit_code == 0
    assert (on_topic(places).scopes[ALL].state, in_table(places)) == (SUGGEST, "suggest")


def test_a_record_nobody_can_read_is_shown_as_a_stop_and_lifted(places: dict[str, str]) -> None:
    switch(places, "auto")
    publish(places, b"garbage")
    shown = switch(places, "show")
    assert [part in shown.stdout for part in ("suggest", "offset 1 of control.switch", "1:1")] == [True] * 3
    assert switch(places, "auto").exit_code == 0
    assert (on_topic(places).scopes[ALL].state, in_table(places)) == (AUTO, "auto")


def test_an_arming_leaves_the_mirror_no_stop_to_apply_later(places: dict[str, str]) -> None:
    stop = SwitchSet(scope=ALL, state=OFF, why="w", actor="a", set_at=datetime.now(UTC))
    publish(places, stop)  # by a producer, while no outcome worker runs
    assert switch(places, "auto").exit_code == 0

    async def mirror() -> None:
        async with switch_paths._table(load_settings(places)) as table:
            await table.set(stop, offset=0)

    asyncio.run(mirror())
    assert in_table(places) == "auto"


def test_a_stop_that_comes_in_while_an_arming_is_in_flight_stays(places: dict[str, str]) -> None:
    ended: list[Result] = []
    arming = threading.Thread(target=lambda: ended.append(switch(places, "auto")))
    with held(places) as somebody_waits:
        arming.start()
        until(somebody_waits)
        publish(places, SwitchSet(scope=ALL, state=OFF, why="w", actor="a", set_at=datetime.now(UTC)))
    arming.join(20)
    assert (ended[0].exit_code, "another stop came in between" in ended[0].stderr) == (1, True)
    assert (on_topic(places).scopes[ALL].state, in_table(places)) == (OFF, "suggest")


@pytest.mark.usefixtures("impatient")
def test_an_arming_that_the_topic_does_not_take_is_undone_in_the_table(
    places: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> int:
        await asyncio.sleep(60)
        return 0

    monkeypatch.setattr(switch_paths, "_publish", away)
    ended = switch(places, "auto")
    assert (ended.exit_code, "stopped as it was before" in ended.stderr) == (3, True)
    assert in_table(places) == "suggest"


async def test_stops_at_once_all_hold(places: dict[str, str]) -> None:
    settings = load_settings(places)
    await asyncio.gather(*(set_switch(settings, ALL, OFF, why="w", actor=f"a{number}") for number in range(3)))
    board, rows = await switch_paths.look(settings)
    assert isinstance(board, Board)
    assert not isinstance(rows, switch_paths.Missed)
    assert (board.scopes[ALL].state, rows[0].state) == (OFF, OFF)


def test_an_intent_nobody_knows_is_taken_by_force_and_lifted_without(places: dict[str, str]) -> None:
    scope = ("--scope", "intent:my_producers_own")
    assert switch(places, "off", *scope).exit_code == 2
    assert switch(places, "auto", *scope).exit_code == 2
    assert switch(places, "off", *scope, "--force").exit_code == 0
    assert in_table(places, "intent:my_producers_own") == "off"
    assert switch(places, "auto", *scope).exit_code == 0


def test_a_stop_of_a_customer_nobody_has_is_made_and_doubted(places: dict[str, str]) -> None:
    with psycopg.connect(as_role(places["DATABASE_URL"], "sluice_owner")) as connection:
        connection.execute("insert into crm_customer (customer_id) values ('C1')")
    known, unknown = (switch(places, "off", "--scope", f"customer: {name} ") for name in ("C1", "c1"))
    assert (known.exit_code, known.stderr) == (0, "")
    assert (unknown.exit_code, "no customer 'c1'" in unknown.stderr) == (0, True)
    assert in_table(places, "customer:C1") == "off"


def test_what_only_one_path_knows_is_shown_and_the_other_named(places: dict[str, str]) -> None:
    switch(places, "off")
    shown = switch(places | {"KAFKA_BOOTSTRAP_SERVERS": NOBODY}, "show", "--json")
    assert (shown.exit_code, "Kafka" in shown.stderr) == (3, True)
    assert '"state": "off"' in shown.stdout


def test_a_cluster_without_the_topic_is_a_fresh_deployment_and_stays_without(places: dict[str, str]) -> None:
    admin = Admin(places["KAFKA_BOOTSTRAP_SERVERS"])
    admin.delete_topics([Topic.SWITCH])
    assert on_topic(places) == Board()
    assert admin.ends([Topic.SWITCH]) == {}
