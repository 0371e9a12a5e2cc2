"""A worker process from outside: its health, its log, and its refusal of a Faust it was not written for."""

import logging
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry

from schemas.topics import STAGES
from streams import transport
from streams.health import Health, serve_health
from streams.metrics import Metrics
from streams.process import LINES, Rarely
from streams.worker import LAYERS


class Clock:
    """Stands still until it is set."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


async def test_health_and_metrics_are_served() -> None:
    health = Health(Clock(), Metrics(CollectorRegistry()))  # type: ignore[arg-type]
    health.metrics.handled.labels("gate").inc()
    with serve_health("127.0.0.1", 0, health) as port:
        assert urlopen(f"http://127.0.0.1:{port}/health").status == 200
        assert b'sluice_handled_total{stage="gate"} 1.0' in urlopen(f"http://127.0.0.1:{port}/metrics").read()


async def test_a_stuck_event_loop_is_not_healthy() -> None:
    clock = Clock()
    health = Health(clock, Metrics(CollectorRegistry()))  # type: ignore[arg-type]
    clock.seconds = 60.0
    with (
        serve_health("127.0.0.1", 0, health) as port,
        pytest.raises(HTTPError, match="503") as refused,
        urlopen(f"http://127.0.0.1:{port}/health"),
    ):
        pass
    refused.value.close()


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
    assert tuple(LAYERS) == STAGES
