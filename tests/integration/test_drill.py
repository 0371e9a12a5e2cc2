"""`sluice drill` on the real Kafka and Postgres: nothing is claimed behind a stop, and nothing of it is left."""

import json
import subprocess
import sys
from pathlib import Path

import psycopg

ROOT = Path(__file__).parents[2]


def sluice(environ: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sluice.main", *words]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=120)


def test_nothing_is_claimed_behind_a_stop_and_the_drill_leaves_nothing(environ: dict[str, str], database: str) -> None:
    assert sluice(environ, "switch", "auto", "--why", "test").returncode == 0
    done = sluice(environ, "drill", "--flips", "3", "--claimers", "16", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["stops"], found["sent_after_stop"], found["in_flight"]) == (3, 0, [])
    assert found["claims"] > 16
    with psycopg.connect(database) as owner:
        left = [owner.execute(f"select count(*) from {table}").fetchone() for table in ("claim", "message")]
        states = owner.execute("select scope_kind, scope_value, state from switch order by 1").fetchall()
    assert left == [(0,), (0,)]
    assert states == [("all", "", "auto"), ("intent", "sluice-drill", "auto")]


def test_where_everything_is_stopped_nothing_can_be_drilled(environ: dict[str, str]) -> None:
    done = sluice(environ, "drill", "--flips", "1", "--claimers", "2")
    assert done.returncode == 1
    assert "is everything armed?" in done.stderr
