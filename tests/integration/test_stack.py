"""The background stack: nobody else's process is taken for its own, and a failed start leaves nothing behind."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.daemon import Daemon
from infra.settings import load_settings
from sluice import stack
from sluice.main import app
from sluice.stack import StackFailed, daemons, running_parts, start_processes, undone_where_it_fails

SLEEPER = ["/bin/sleep", "60"]


class Ready(BaseHTTPRequestHandler):
    """Another stack's process, which is ready."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"status": "ready", "pid": 1}).encode())

    def log_message(self, format: str, *args: object) -> None:
        """No access log."""


@pytest.fixture
def stranger() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def start(daemon: Daemon) -> None:
    """A process of ours that listens nowhere."""
    with daemon.lock() as lock:
        assert lock is not None
        daemon.spawn(SLEEPER, lock, {})


def start_and_fail(daemon: Daemon) -> None:
    start(daemon)
    raise StackFailed("it does not come up")


@contextmanager
def sleeping(*running: Daemon) -> Iterator[None]:
    """Processes of ours that listen nowhere, while the context lasts."""
    try:
        for daemon in running:
            start(daemon)
        yield
    finally:
        for daemon in running:
            daemon.kill()


def test_another_stack_s_process_is_not_taken_for_ours(stranger: int, tmp_path: Path) -> None:
    ports = {"SLUICE_WORKER_PORT": str(stranger), "SLUICE_EDGE_PORT": str(stranger)}
    settings = load_settings({"SLUICE_HOME": str(tmp_path), **ports})
    with (
        sleeping(*daemons(settings).values()),
        pytest.raises(StackFailed, match=r"another process's: SLUICE_WORKER_PORT"),
    ):
        start_processes(settings, lambda _: None)


def test_a_failed_start_stops_what_it_started_and_nothing_else(tmp_path: Path) -> None:
    settings = load_settings({"SLUICE_HOME": str(tmp_path)})
    worker, edge = daemons(settings).values()
    said: list[str] = []
    with sleeping(worker):
        with pytest.raises(StackFailed), undone_where_it_fails(settings, said.append):
            start_and_fail(edge)
        assert list(running_parts(settings)) == ["worker"]
    assert said == ["stopped again: edge", "still running, as before: worker; `sluice down` stops it"]


def test_a_start_that_succeeds_leaves_everything_running(tmp_path: Path) -> None:
    settings = load_settings({"SLUICE_HOME": str(tmp_path)})
    with sleeping(daemons(settings)["edge"]):
        with undone_where_it_fails(settings, lambda _: None):
            pass
        assert list(running_parts(settings)) == ["edge"]


def test_up_stops_postgres_again_where_kafka_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "START_TIMEOUT", 1.0)
    environ = {"SLUICE_HOME": str(tmp_path / "var"), "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "COLUMNS": "400"}
    ended = CliRunner().invoke(app, ["up"], env=environ)
    assert (ended.exit_code, "stopped again: Postgres" in ended.stdout) == (3, True)
    assert "127.0.0.1:1" in ended.stderr
