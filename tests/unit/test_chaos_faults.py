"""A fault counts as applied only where it was: a failpoint that nobody met broke nothing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sluice.chaos import faults
from sluice.chaos.drive import Driver
from sluice.chaos.faults import APPLY, NotReached, Scene
from sluice.chaos.world import World

SET = b"SLUICE_FAILPOINT is set: mark_sent fails on purpose, once\n"
STRUCK = b"failpoint mark_sent:after=exit\n"


@dataclass
class Process:
    """A worker's place, as a fault sees it."""

    name: str = "worker-0"
    port: int | None = None
    alive: bool = True


@dataclass
class Workers:
    """A world whose worker writes a log with each start, and lives on or not."""

    home: Path
    runs: Sequence[tuple[bytes, bool]]  # what each start logs, and whether the worker lives on
    worker: Process = field(default_factory=Process)
    starts: list[dict[str, str]] = field(default_factory=list)

    @property
    def workers(self) -> list[Process]:
        return [self.worker]

    def start(self, worker: Process, **more: str) -> None:
        log, worker.alive = self.runs[min(len(self.starts), len(self.runs) - 1)]
        worker.port = 1
        self.starts.append(more)
        with (self.home / f"{worker.name}.log").open("ab") as file:
            file.write(log)

    def stop(self, worker: Process, *how: object) -> None:
        worker.alive = False

    @contextmanager
    def hold(self, worker: Process) -> Iterator[Process]:
        yield worker


def scene(home: Path, *runs: tuple[bytes, bool]) -> tuple[Scene, list[Any]]:
    sent: list[Any] = []
    driver = SimpleNamespace(ticket=lambda number, conversation: number, send=sent.append)
    return Scene(cast(World, Workers(home, runs)), cast(Driver, driver), Random(1), 100), sent


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "STRUCK_WITHIN", 0.2)
    monkeypatch.setattr(faults, "EVERY", 0.01)


def test_a_crash_point_that_struck_is_applied_and_says_where(tmp_path: Path) -> None:
    made, _ = scene(tmp_path, (SET + STRUCK, False))
    assert APPLY["crash-marked"](made) == "worker-0: mark_sent:after=exit"


def test_one_that_nobody_met_is_not_applied_though_tickets_were_sent_for_it(tmp_path: Path) -> None:
    made, sent = scene(tmp_path, (SET, True))
    with pytest.raises(NotReached, match="mark_sent:after=exit"):
        APPLY["crash-marked"](made)
    assert len(sent) > 1
    assert sent == list(range(100, 100 + len(sent)))


def test_an_end_by_another_fault_is_no_strike_and_the_worker_is_tried_again(tmp_path: Path) -> None:
    made, _ = scene(tmp_path, (b"Postgres does not answer\n", False), (SET + STRUCK, False))
    APPLY["crash-marked"](made)
    assert cast(Workers, made.world).starts == [{"SLUICE_FAILPOINT": "mark_sent:after=exit"}] * 2


def test_a_strike_of_an_earlier_run_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "worker-0.log").write_bytes(STRUCK)
    made, _ = scene(tmp_path, (SET, True))
    with pytest.raises(NotReached):
        APPLY["crash-marked"](made)
