"""`sluice drill` on the real Kafka and Postgres: nothing is claimed behind a stop, and it leaves all as it was."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner, Result

from infra.daemon import Daemon
from infra.kafka.local import LocalKafka
from infra.postgres.local import LocalPostgres
from infra.settings import as_role, load_settings
from processors.errors import SluiceError
from processors.switch import Board
from schemas.control import Scope, SwitchState
from sluice import switch_paths
from sluice.drill.cases import run_case
from sluice.drill.hand import NotOurs, hand
from sluice.drill.relay import Relay, to_port
from sluice.drill.run import Ground, alone
from sluice.drill.world import Site
from sluice.main import app
from sluice.switch_paths import read_board, set_switch

ROOT = Path(__file__).parents[2]
DRILL = [sys.executable, "-m", "sluice.main", "drill"]
SCOPE = Scope.parse("intent:sluice-drill")


@pytest.fixture
def places(kafka_topics: str, database: str) -> dict[str, str]:
    """The settings that say where both paths are."""
    return {"KAFKA_BOOTSTRAP_SERVERS": kafka_topics, "DATABASE_URL": database, "COLUMNS": "300"}


@pytest.fixture
def armed(places: dict[str, str]) -> dict[str, str]:
    """The same of a deployment that sends."""
    switch(places, Scope(), SwitchState.AUTO, "test")
    return places


def switch(places: dict[str, str], scope: Scope, state: SwitchState, actor: str) -> None:
    asyncio.run(set_switch(load_settings({**os.environ, **places}), scope, state, why="a test", actor=actor))


def drill(places: dict[str, str], *words: str) -> Result:
    return CliRunner().invoke(app, ["drill", *words], env=places)


def rows(database: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database) as owner:
        return owner.execute(query.encode()).fetchall()


def left(database: str) -> int:
    """How many rows of its own a drill has left."""
    counts = (rows(database, f"select count(*) from {table}") for table in ("claim", "message", "conversation"))
    return sum(int(str(count[0][0])) for count in counts)


def states(places: dict[str, str]) -> dict[str, tuple[str | None, str]]:
    """Each scope as the topic and as the table have it."""
    board: Board = read_board(places["KAFKA_BOOTSTRAP_SERVERS"])
    query = "select concat_ws(':', scope_kind, nullif(scope_value, '')), state from switch"
    found = rows(places["DATABASE_URL"], query)
    topic = {str(scope): entry.state.value for scope, entry in board.scopes.items()}
    return {str(scope): (topic.get(str(scope)), str(state)) for scope, state in found}


AS_IT_WAS = {"all": ("auto", "auto"), str(SCOPE): ("auto", "auto")}


def test_nothing_is_claimed_behind_a_stop_and_the_drill_leaves_nothing(armed: dict[str, str], database: str) -> None:
    done = drill(armed, "--flips", "5", "--claimers", "32", "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["stops"], found["sent_after_stop"], found["in_flight"]) == (5, 0, [])
    assert found["claims"] > 32
    assert (left(database), states(armed)) == (0, AS_IT_WAS)


def test_a_claim_that_obeys_no_stop_is_found(armed: dict[str, str], database: str) -> None:
    with psycopg.connect(database) as owner:
        owner.execute("set role sluice_owner")
        owner.execute(
            "create or replace function stopping_scope(p_channel text, p_intent text, p_customer text)"
            " returns text language sql as 'select null::text'"
        )
    done = drill(armed, "--flips", "1", "--claimers", "2", "--json")
    assert (done.exit_code, json.loads(done.stdout)["sent_after_stop"] > 0) == (1, True)
    assert (left(database), states(armed)) == (0, AS_IT_WAS)


@pytest.mark.parametrize("role", ["edge", "router", "outcome", "people"])
def test_a_stop_outlasts_a_claimer_that_stands_still(database: str, role: str) -> None:
    with psycopg.connect(as_role(database, f"sluice_{role}")) as connection:
        query = "select extract(epoch from current_setting('idle_in_transaction_session_timeout')::interval)"
        row = connection.execute(query).fetchone()
    assert row is not None
    assert 0 < row[0] < switch_paths.WITHIN


def test_where_everything_is_stopped_nothing_is_armed(places: dict[str, str], database: str) -> None:
    switch(places, Scope(), SwitchState.SUGGEST, "test")
    done = drill(places, "--flips", "1", "--claimers", "2")
    assert (done.exit_code, "is everything armed?" in done.stderr) == (1, True)
    assert (left(database), states(places)) == (0, {"all": ("suggest", "suggest")})


def test_a_stop_of_somebody_else_in_its_scope_stays(armed: dict[str, str], database: str) -> None:
    switch(armed, SCOPE, SwitchState.OFF, "mia")
    done = drill(armed, "--flips", "1", "--claimers", "2")
    assert (done.exit_code, "by mia: a test" in done.stderr) == (1, True)
    assert (left(database), states(armed)[str(SCOPE)]) == (0, ("off", "off"))


async def test_a_stop_that_comes_in_between_is_not_lifted(places: dict[str, str]) -> None:
    settings = load_settings({**os.environ, **places})
    ground = Ground.of(settings, places["KAFKA_BOOTSTRAP_SERVERS"], places["DATABASE_URL"], SCOPE)
    async with hand(ground.brokers, ground.people_url, SCOPE) as held:
        await held.stop()
        await asyncio.to_thread(switch, places, SCOPE, SwitchState.OFF, "mia")
        with pytest.raises(NotOurs):
            await held.arm()
    assert await asyncio.to_thread(states, places) == {str(SCOPE): ("off", "off")}


def test_two_drills_at_once_would_count_each_other_s_claims(database: str) -> None:
    with alone(database), pytest.raises(SluiceError, match="another drill"), alone(database):
        pass


@pytest.mark.parametrize(
    ("scope", "why"),
    [("all", "is not the drill's own"), ("intent:order_status", "is not the drill's own"), ("intent", "use all")],
)
def test_a_scope_that_is_not_its_own_is_refused(places: dict[str, str], scope: str, why: str) -> None:
    done = drill(places, "--scope", scope)
    assert (done.exit_code, why in done.stderr) == (2, True)


def drilling(places: dict[str, str], database: str) -> "subprocess.Popen[bytes]":
    """A drill whose scope is stopped at this moment."""
    command = [*DRILL, "--flips", "500", "--claimers", "4", "--json"]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **places})
    deadline = time.monotonic() + 60
    while not rows(database, "select from switch where state <> 'auto'"):
        assert time.monotonic() < deadline, "it never stopped anything"
        time.sleep(0.01)
    return process


def test_a_drill_that_is_broken_off_leaves_nothing(armed: dict[str, str], database: str) -> None:
    process = drilling(armed, database)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    assert (left(database), states(armed)) == (0, AS_IT_WAS)


def test_the_next_drill_mends_what_a_killed_one_left(armed: dict[str, str], database: str) -> None:
    process = drilling(armed, database)
    process.kill()
    process.wait(10)
    assert left(database) > 0
    done = drill(armed, "--flips", "1", "--claimers", "4", "--json")
    assert done.exit_code == 0, done.stderr
    assert (left(database), states(armed)) == (0, AS_IT_WAS)


# -- cases


@pytest.fixture
def place(kafka_topics: str, postgres: LocalPostgres, tmp_path: Path) -> Iterator[Site]:
    """The session's servers; nothing is cut here."""
    broker = LocalKafka(kafka_topics, 0, Daemon(tmp_path, "broker"))
    with Relay(to_port(int(kafka_topics.rpartition(":")[2]))).running() as relay:
        yield Site(broker, postgres, relay)


@pytest.mark.parametrize("name", ["flip-back", "overlap"])
def test_what_is_stopped_is_armed_by_its_own_name_alone(name: str, place: Site, database: str, tmp_path: Path) -> None:
    found = run_case(name, tmp_path / name, place, database)
    assert (found.breaches, found.figures["claims_while_stopped"]) == ((), 0)
    assert int(found.figures["steps"]) >= 6


def test_of_a_stop_on_the_topic_alone_every_draft_survives(place: Site, database: str, tmp_path: Path) -> None:
    found = run_case("topic-only", tmp_path / "case", place, database, replies=210)
    assert found.breaches == ()
    counts = {name: found.figures[name] for name in ("approved", "lost", "both", "claims_behind_fence")}
    assert counts == {"approved": 210, "lost": 0, "both": 0, "claims_behind_fence": 0}
    assert int(found.figures["sent"]) + int(found.figures["suggested"]) == 210
    assert {"known_to_near_ms", "known_to_far_ms"} <= set(found.figures)
