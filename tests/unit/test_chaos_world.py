"""A world that closes stays closed, whatever a fault that is still going on tries to start again."""

from pathlib import Path
from typing import Any, cast

from sluice.chaos.world import World, workers


def closed(home: Path) -> World:
    nobody = cast(Any, None)  # whoever asks it for anything fails
    world = World(home, nobody, nobody, nobody, nobody, {}, "http://127.0.0.1:1", "http://127.0.0.1:1")
    world.closing.set()
    return world


def test_a_fault_that_outlives_its_world_starts_no_worker(tmp_path: Path) -> None:
    world, (worker,) = closed(tmp_path), workers(1)
    world.start(worker)
    with world.hold(worker):
        pass
    assert worker.process is None


def test_it_starts_no_broker_database_or_server_either(tmp_path: Path) -> None:
    world = closed(tmp_path)
    world.revive_kafka()
    world.revive_postgres()
    world.serve("model", [])
    assert world.servers == {}
    assert not (tmp_path / "kafka").exists()
