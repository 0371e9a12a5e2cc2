"""A worker and an edge as processes of the command line: where they listen, when they are ready, how they end."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[2]
SOON = 40.0  # seconds anything may take before a test fails
COMMANDS = [["worker", "outcome"], ["edge"]]


@contextmanager
def running(command: list[str], environ: dict[str, str], log: Path) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """A process on any free port, and what it said once it listened."""
    arguments = [sys.executable, "-m", "sluice.main", *command, "--port", "0", "--json"]
    with log.open("w") as errors:
        process = subprocess.Popen(arguments, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=errors, text=True)
    assert process.stdout is not None
    with process.stdout as said:
        try:
            yield process, json.loads(said.readline())
        finally:
            process.kill()
            process.wait(SOON)


def until_ready(address: str) -> dict[str, Any]:
    """What /readyz says once it is 200."""
    transport = httpx.HTTPTransport(retries=3)
    with httpx.Client(base_url=address, transport=transport) as client:
        for _ in range(int(SOON / 0.1)):
            if (answer := client.get("/readyz")).status_code == httpx.codes.OK:
                return dict(answer.json())
            time.sleep(0.1)
    raise AssertionError(answer.text)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_process_says_where_it_listens_becomes_ready_and_ends_with_0(
    command: list[str], environ: dict[str, str], tmp_path: Path
) -> None:
    environ["SLUICE_API_KEYS"] = "a=b:service"
    log = tmp_path / "log.jsonl"
    with running(command, environ, log) as (process, said):
        assert said["pid"] == process.pid
        assert until_ready(said["address"])["status"] == "ready"
        process.terminate()
        assert process.wait(SOON) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert all({"at", "level", "logger", "message"} <= line.keys() for line in lines)


def test_a_ready_worker_names_its_stages(environ: dict[str, str], tmp_path: Path) -> None:
    with running(["worker", "outcome"], environ, tmp_path / "log.jsonl") as (_, said):
        assert until_ready(said["address"])["parts"] == {"event loop": "ok", "outcome": "ok", "switch": "ok"}


def test_an_edge_without_its_database_takes_tickets_and_says_that_the_queue_is_away(
    environ: dict[str, str], tmp_path: Path
) -> None:
    environ |= {"SLUICE_API_KEYS": "a=b:service", "SLUICE_STAFF_KEYS": "s=mia"}
    environ.pop("DATABASE_URL")  # the embedded one, which nobody has started
    with running(["edge"], environ, tmp_path / "log.jsonl") as (_, said):
        until_ready(said["address"])
        with httpx.Client(base_url=said["address"], timeout=SOON) as client:
            queue = client.get("/v1/queue", headers={"X-API-Key": "s"})
            ticket = client.post("/v1/tickets", headers={"X-API-Key": "a"}, json={"body": "hello"})
    assert (queue.status_code, queue.json()["detail"]) == (503, "Postgres does not answer: try again")
    assert ticket.status_code == httpx.codes.ACCEPTED
