"""The chaos bench end to end: workers are killed at work, and the oracle finds every promise kept."""

import json
from dataclasses import replace
from pathlib import Path

from tests.e2e.conftest import Stack


def test_nothing_is_lost_or_sent_twice_while_workers_are_killed(stack: Stack, tmp_path: Path) -> None:
    trained = {"SLUICE_MODELS_DIR": f"{stack.environ['SLUICE_HOME']}/models"}
    bench = replace(stack, environ={**stack.environ, **trained})
    named = ("--fault", "worker-kill", "--fault", "crash-admitted", "--fault", "poison")
    told = bench.command("chaos", *named, "--minutes", "0.4", "--workers", "2", "--out", str(tmp_path), "--json")
    found = json.loads(told)
    assert found["breaches"] == []
    assert found["tickets"] == found["settled"] > 50
    assert (found["lost"], found["double_sent"], found["committed_past_unfinished"]) == (0, 0, 0)
    assert min(found["faults"].get(name, {"applied": 0})["applied"] for name in ("worker-kill", "crash-admitted")) > 0


def test_the_faults_are_listed_and_an_unknown_one_is_refused(stack: Stack) -> None:
    listed = json.loads(stack.command("chaos", "--list", "--json"))
    assert {"worker-kill", "backlog"} <= {fault["name"] for fault in listed}
    stack.command("chaos", "--fault", "meteor", expect=2)
