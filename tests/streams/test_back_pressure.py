"""A stage that cannot go on holds back and loses nothing: dead topics that refuse, dependencies that are away."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from prometheus_client.parser import text_string_to_metric_families

from tests.streams.conftest import Crew, eventually, orders

SMALL = {"in_flight": 8, "uncommitted": 16, "ahead": 4}
BATCH = 256  # records that Faust's buffer and one fetch may still bring to a partition that was paused


def measured(worker: subprocess.Popen[bytes], folder: Path) -> dict[str, float]:
    """The worker's metrics, each by its name and labels; empty before it listens."""
    file = folder / f"port-{worker.pid}"
    if not file.exists():
        return {}
    text = httpx.get(f"http://127.0.0.1:{file.read_text()}/metrics").text
    return {
        ",".join((sample.name, *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@contextmanager
def refusing(bootstrap: str, topic: str) -> Iterator[None]:
    """The topic takes next to nothing."""
    _limit(bootstrap, topic, "100")
    try:
        yield
    finally:
        _limit(bootstrap, topic, "2000000")


def _limit(bootstrap: str, topic: str, size: str) -> None:
    entry = ConfigEntry("max.message.bytes", size, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for altered in admin.incremental_alter_configs([resource]).values():
        altered.result(10)


def test_a_dead_letter_topic_that_refuses_is_waited_for_and_nothing_is_committed(crew: Crew, tmp_path: Path) -> None:
    with refusing(crew.bootstrap, "router.dead"):
        worker = crew.start()
        crew.send(b"poison" * 100, partition=1)
        crew.send(*orders(30))
        eventually(lambda: measured(worker, tmp_path).get("sluice_dependency_waits_total,router.dead,router"))
        eventually(lambda: crew.results() == {str(number) for number in range(30)})
        assert crew.committed()[1] in (-1001, 0)
        assert measured(worker, tmp_path)["sluice_dependencies_down,router"] == 1
    eventually(lambda: len(crew.topic("router.dead")) == 1)
    eventually(lambda: crew.committed()[1] > 0)
    assert worker.poll() is None


def test_what_is_in_hand_stays_bounded_while_a_dependency_is_away(crew: Crew, tmp_path: Path) -> None:
    down = tmp_path / "down"
    down.touch()
    crew.send(*orders(2000, down=str(down)))
    worker = crew.start(**SMALL)
    eventually(lambda: measured(worker, tmp_path).get("sluice_window,router", 0) > 3 * SMALL["uncommitted"])
    began = len(crew.log("begin"))
    eventually(lambda: len(crew.log("begin")) > began)  # it goes on asking, one ticket at a time
    seen = measured(worker, tmp_path)
    assert seen["sluice_window,router"] <= 3 * (SMALL["uncommitted"] + SMALL["ahead"] + BATCH)
    assert seen["sluice_in_flight,router"] <= SMALL["in_flight"]
    assert len({line["id"] for line in crew.log("begin")}) <= 3 * SMALL["uncommitted"]
    down.unlink()
    eventually(lambda: len(crew.results()) == 2000)


def test_no_more_than_the_limit_is_worked_on_when_every_call_is_slow(crew: Crew) -> None:
    crew.start(**SMALL)
    crew.send(*orders(60, sleep=0.3))
    eventually(lambda: len(crew.results()) == 60)
    working, most = 0, 0
    for line in sorted((*crew.log("begin"), *crew.log("end")), key=lambda line: (line["at"], line["what"] == "begin")):
        working += 1 if line["what"] == "begin" else -1
        most = max(most, working)
    assert most == SMALL["in_flight"]
