"""Looks at a run while it goes on, from outside: committed offsets, and what each worker process uses."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from infra.kafka.lag import Lag, Lags
from loadtest.chaos.history import Commit, Sample
from schemas.event import Stage
from schemas.topics import INPUTS, RETRY_DELAYS, STAGES, dead_topic, retry_topic
from sluice.chaos.world import Worker, World
from streams.stage import group_of

EVERY = 1.0  # seconds
PAGE = os.sysconf("SC_PAGE_SIZE")


def inputs_of(stage: Stage) -> tuple[str, ...]:
    """Everything a stage reads."""
    retries = [retry_topic(stage, delay) for delay in RETRY_DELAYS]
    dead = [dead_topic(found) for found in STAGES] if stage is Stage.OUTCOME else []
    return (*INPUTS[stage], *retries, *dead)


class Watch:
    """Keeps looking until it is told to stop. While the broker is away there is nothing to see."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lags = Lags(world.kafka.bootstrap)
        self.commits: list[Commit] = []
        self.samples: list[Sample] = []

    def run(self, ended: threading.Event) -> None:
        """Look once a second."""
        while not ended.wait(EVERY):
            with suppress(KafkaException, TimeoutError):
                self.commits += self.committed()
            self.samples += [found for worker in self._world.workers if (found := sample(worker)) is not None]

    def committed(self) -> Iterator[Commit]:
        """Every group's committed offsets now. The time is that of the asking: they were committed before."""
        for stage in STAGES:
            for lag in self._lags.on(group_of(stage, self._world.settings.group_prefix), inputs_of(stage)):
                if lag.committed > 0:
                    yield Commit(stage.value, lag.topic, lag.partition, lag.committed, datetime.now(UTC))

    def lag(self) -> Mapping[str, int]:
        """How many records each stage has still to handle. The control records of a transaction are none of them.

        Raises:
            KafkaException: the broker does not answer.
        """
        return {
            stage.value: sum(
                lag.messages and _records(self._world.kafka.bootstrap, lag)
                for lag in self._lags.on(group_of(stage, self._world.settings.group_prefix), inputs_of(stage))
            )
            for stage in STAGES
        }


def _records(bootstrap: str, lag: Lag) -> int:
    """The records that a consumer is given of what a partition lags behind."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "chaos-lag", "enable.partition.eof": True})
    found = 0
    try:
        consumer.assign([TopicPartition(lag.topic, lag.partition, max(lag.committed, 0))])
        while (message := consumer.poll(5.0)) is not None:
            error = message.error()
            if error is None:
                found += 1
            elif error.code() == KafkaError._PARTITION_EOF:
                return found
    finally:
        consumer.close()
    raise KafkaException(KafkaError(KafkaError._TIMED_OUT))


def sample(worker: Worker) -> Sample | None:
    """What a worker process uses; None where it does not run."""
    process = worker.process
    if process is None or process.poll() is not None:
        return None
    try:
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    except OSError:
        return None
    return Sample(datetime.now(UTC), worker.name, pages * PAGE / 2**20, _in_flight(worker))


def _in_flight(worker: Worker) -> int | None:
    if worker.port is None:
        return None
    with suppress(httpx.HTTPError, ValueError):
        text = httpx.get(f"http://{worker.host}:{worker.port}/metrics", timeout=0.5).text
        families = {family.name: family for family in text_string_to_metric_families(text)}
        return int(sum(found.value for found in families["sluice_in_flight"].samples))
    return None
