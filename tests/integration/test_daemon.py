"""A background process is known by a lock it holds as long as it lives, never by a pid alone."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.daemon import Daemon

SLEEP = ["/bin/sh", "-c", "echo up; exec sleep 60"]
STUBBORN = ["/bin/sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    one = Daemon(tmp_path, "sleeper")
    yield one
    one.kill()


def start(daemon: Daemon, command: list[str]) -> int | None:
    with daemon.lock() as lock:
        return None if lock is None else daemon.spawn(command, lock, {"port": 7})


def until_up(daemon: Daemon) -> None:
    while "up" not in daemon.tail():
        assert daemon.alive()


def test_a_started_process_is_alive_and_remembered(daemon: Daemon) -> None:
    assert not daemon.alive()
    pid = start(daemon, SLEEP)
    assert daemon.alive()
    assert daemon.state() == {"pid": pid, "port": 7}


def test_only_one_is_started(daemon: Daemon) -> None:
    first = start(daemon, SLEEP)
    assert start(daemon, SLEEP) is None
    assert daemon.state()["pid"] == first


def test_its_output_is_kept(daemon: Daemon) -> None:
    start(daemon, SLEEP)
    until_up(daemon)
    daemon.stop(10)
    assert daemon.tail() == "up"


def test_a_stopped_process_is_gone_and_may_be_started_again(daemon: Daemon) -> None:
    start(daemon, SLEEP)
    daemon.stop(10)
    assert not daemon.alive()
    assert start(daemon, SLEEP) is not None


def test_one_that_does_not_heed_the_request_is_killed(daemon: Daemon) -> None:
    start(daemon, STUBBORN)
    until_up(daemon)
    daemon.stop(0.2)
    assert not daemon.alive()


def test_a_killed_process_leaves_a_note_that_nobody_trusts(daemon: Daemon) -> None:
    pid = start(daemon, SLEEP)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert daemon.state()["pid"] == pid
    assert not daemon.alive()
    daemon.stop(10)  # must not signal whoever has the pid now


def test_a_torn_note_is_no_note(daemon: Daemon) -> None:
    (daemon.directory / "sleeper.json").write_text('{"pid": 1')
    assert daemon.state() == {}
