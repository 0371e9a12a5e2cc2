"""A worker process from outside: its health, its log, and its refusal of a Faust it was not written for."""

import asyncio
import json
import logging
from dataclasses import dataclass, replace

import httpx
import pytest
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from schemas.topics import EVERY_STAGE
from sluice.reach import unready
from streams import transport
from streams.health import Bounds, Health, PortTaken, Sight, life, reading_fault, serve_health
from streams.metrics import Metrics
from streams.process import LINES, JsonLines, Rarely
from streams.transport import Membership
from streams.worker import LAYERS

WELL = Membership(joined=True, assigned=True, heard_at=100.0)


class Clock:
    """Stands still until it is set."""

    seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Member:
    """A stage that is where the test puts it."""

    found: Membership = WELL
    stage: str = "gate"

    def membership(self) -> Membership:
        return self.found


def health_of(*members: Member, switch_age: float = 0.0) -> Health:
    metrics = Metrics(CollectorRegistry())
    health = Health(Clock(), metrics, members=members, switch_age=lambda: switch_age)  # type: ignore[arg-type]
    health.look()
    return health


def ask(health: Health, path: str) -> tuple[int, dict[str, str]]:
    with serve_health("127.0.0.1", 0, health) as port:
        response = httpx.get(f"http://127.0.0.1:{port}{path}")
    return response.status_code, response.json()["parts"]


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        (WELL, None),
        (replace(WELL, heard_at=85.0), None),
        (replace(WELL, heard_at=84.0), "has not been answered by its group's coordinator for 16 s"),
        (replace(WELL, assigned=False), "has no assignment from its consumer group yet"),
        (replace(WELL, joined=False), "is not a member of its consumer group"),
        (replace(WELL, fault=KafkaError()), "has lost its consumer group: KafkaError"),
        (replace(WELL, stopping=True), "is stopping"),
        (replace(WELL, stopping=True, crash=ZeroDivisionError()), "stops after a crash: ZeroDivisionError"),
        (Membership(), "is not a member of its consumer group"),
    ],
)
def test_a_stage_reads_when_its_group_knows_it_and_answers_it(found: Membership, wrong: str | None) -> None:
    assert reading_fault(found, now=100.0, session=15.0) == wrong


@pytest.mark.parametrize(
    ("sight", "late"),
    [
        (Sight(at=100.0, stages={}, switch_age=0.0), set()),
        (Sight(at=70.0, stages={}, switch_age=0.0), set()),
        (Sight(at=69.0, stages={}, switch_age=0.0), {"event loop"}),
        (Sight(at=100.0, stages={}, switch_age=0.0, crashed_at=40.0), set()),
        (Sight(at=100.0, stages={}, switch_age=0.0, crashed_at=39.0), {"process"}),
    ],
)
def test_a_process_lives_while_its_loop_runs_and_it_ends_after_a_crash(sight: Sight, late: set[str]) -> None:
    assert {part for part, state in life(sight, 100.0, Bounds()).items() if state != "ok"} == late


@pytest.mark.parametrize(
    ("age", "state"),
    [
        (0.0, "ok"),
        (float("inf"), "has not been read to its end yet"),
        (7.0, "was up to date, 7 s ago"),
    ],
)
def test_a_worker_is_ready_only_with_a_fresh_switch(age: float, state: str) -> None:
    assert health_of(switch_age=age).ready()["switch"] == state


def test_a_ready_worker_says_so_part_by_part() -> None:
    health = health_of(Member())
    assert ask(health, "/readyz") == (200, {"event loop": "ok", "gate": "ok", "switch": "ok"})
    assert ask(health, "/livez") == (200, {"event loop": "ok", "process": "ok"})


def test_one_stage_out_of_its_group_makes_the_worker_not_ready_and_leaves_it_alive() -> None:
    health = health_of(Member(), Member(Membership(), "router"))
    status, parts = ask(health, "/readyz")
    assert (status, parts["gate"]) == (503, "ok")
    assert parts["router"] == "is not a member of its consumer group"
    assert ask(health, "/livez")[0] == 200


async def test_the_loop_s_looks_are_what_is_told() -> None:
    member = Member(Membership())
    health = health_of(member)
    member.found = WELL
    async with health.watching():
        await asyncio.sleep(0)
    assert health.ready()["gate"] == "ok"


def test_metrics_are_served_and_an_unknown_path_is_none_of_them() -> None:
    health = health_of()
    health.metrics.handled.labels("gate").inc()
    with serve_health("127.0.0.1", 0, health) as port:
        assert 'sluice_handled_total{stage="gate"} 1.0' in httpx.get(f"http://127.0.0.1:{port}/metrics").text
        assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 404


def test_a_taken_port_is_named_with_what_to_change() -> None:
    health = health_of()
    with (
        serve_health("127.0.0.1", 0, health) as port,
        pytest.raises(PortTaken, match=f"{port} cannot.*--port, or set SLUICE_WORKER_PORT"),
        serve_health("127.0.0.1", port, health),
    ):
        pass


def test_what_waits_for_a_worker_is_told_which_part_is_not_ready() -> None:
    member = Member()
    health = health_of(member)
    with serve_health("127.0.0.1", 0, health) as port:
        assert unready(f"http://127.0.0.1:{port}/readyz") is None
        member.found = Membership()
        health.look()
        assert unready(f"http://127.0.0.1:{port}/readyz") == "gate is not a member of its consumer group"


def test_a_log_in_json_is_one_line_an_event_with_its_traceback() -> None:
    record = line("streams.step")
    try:
        raise ZeroDivisionError("nothing\nto say")
    except ZeroDivisionError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    (written,) = JsonLines().format(record).splitlines()
    found = json.loads(written)
    assert (found["level"], found["logger"], found["message"]) == ("ERROR", "streams.step", "no broker")
    assert "ZeroDivisionError" in found["traceback"]


def line(name: str) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "", 0, "no broker", None, None)


@pytest.mark.parametrize(("name", "written"), [("aiokafka.conn", LINES), ("streams.step", 20)])
def test_only_the_client_s_repeated_lines_are_held_back(name: str, written: int) -> None:
    rarely = Rarely()
    assert sum(rarely.filter(line(name)) for _ in range(20)) == written


def test_another_version_of_faust_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PRIVATE", ((transport.SafeConsumer, ("_gone",)),))
    with pytest.raises(ImportError, match=r"SafeConsumer\._gone"):
        transport.check_privates()


def test_every_metric_says_what_it_means() -> None:
    metrics = Metrics(CollectorRegistry())
    assert all(family.documentation.endswith(".") for family in metrics.registry.collect())


def test_there_is_a_layer_for_every_stage_top_to_bottom() -> None:
    assert tuple(LAYERS) == EVERY_STAGE
