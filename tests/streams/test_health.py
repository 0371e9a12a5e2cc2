"""A worker's /livez and /readyz on a broker that comes and goes."""

import subprocess
from functools import partial
from pathlib import Path

import httpx

from infra.kafka.local import LocalKafka
from tests.streams.conftest import SOON, Crew, eventually, orders


def asked(worker: subprocess.Popen[bytes], folder: Path, path: str) -> tuple[int, str]:
    """The status, and what the stage is said to be; 0 before the worker listens."""
    file = folder / f"port-{worker.pid}"
    if not file.exists():
        return 0, ""
    response = httpx.get(f"http://127.0.0.1:{file.read_text()}{path}")
    return response.status_code, response.json()["parts"].get("router", "")


def status(worker: subprocess.Popen[bytes], folder: Path, path: str) -> int:
    return asked(worker, folder, path)[0]


def ready(worker: subprocess.Popen[bytes], folder: Path) -> bool:
    return asked(worker, folder, "/readyz") == (200, "ok")


def test_members_are_ready_with_partitions_or_standing_by_without(crew: Crew, tmp_path: Path) -> None:
    crew.send(*orders(1))
    workers = [crew.start() for _ in range(4)]  # each topic has three partitions
    for worker in workers:
        eventually(partial(ready, worker, tmp_path))
    eventually(lambda: crew.results() == {"0"})


def test_a_worker_whose_event_loop_stands_still_is_not_alive_and_leaves_its_work_to_others(
    crew: Crew, tmp_path: Path
) -> None:
    stuck = crew.start(loop=2)
    eventually(partial(ready, stuck, tmp_path))
    crew.send({"id": "blocked", "block": str(tmp_path / "blocked"), "for": 30})
    eventually(lambda: (tmp_path / "blocked").exists())
    other = crew.start()
    crew.send(*orders(20))
    eventually(lambda: status(stuck, tmp_path, "/livez") == 503)
    assert status(stuck, tmp_path, "/readyz") == 503
    wanted = {"blocked", *(str(number) for number in range(20))}
    eventually(lambda: crew.results() == wanted)
    assert {line["pid"] for line in crew.log("end")} == {other.pid}
    assert crew.log("begin")[0]["pid"] == stuck.pid


def test_a_worker_whose_place_another_took_is_no_silent_zombie(crew: Crew, tmp_path: Path) -> None:
    fenced = crew.start(slot="0")
    eventually(partial(ready, fenced, tmp_path))
    heir = crew.start(slot="0")
    assert fenced.wait(SOON) == 1
    assert "PlaceTaken" in crew.errors(0)
    eventually(partial(ready, heir, tmp_path))
    crew.send(*orders(5))
    eventually(lambda: len(crew.results()) == 5)


def test_a_worker_whose_coordinator_is_gone_is_alive_and_not_ready(own_kafka: LocalKafka, tmp_path: Path) -> None:
    crew = Crew(own_kafka.bootstrap, tmp_path)
    try:
        worker = crew.start()
        eventually(partial(ready, worker, tmp_path))
        own_kafka.kill()
        eventually(lambda: "not been answered" in asked(worker, tmp_path, "/readyz")[1])
        assert asked(worker, tmp_path, "/readyz")[0] == 503
        assert asked(worker, tmp_path, "/livez")[0] == 200
    finally:
        crew.end()
