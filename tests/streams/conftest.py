"""Worker processes and a broker's topics, as tests see them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from infra.kafka.reader import Reader, Record

ROOT = Path(__file__).parents[2]
SOON = 40.0  # seconds anything may take before a test fails


def eventually(check: Callable[[], Any], within: float = SOON) -> Any:
    """The first truthy answer."""
    deadline = time.monotonic() + within
    while not (answer := check()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)
    return answer


def orders(count: int, **more: Any) -> list[dict[str, Any]]:
    """Tickets of the echo worker's kind, numbered from 0."""
    return [{"id": number, **more} for number in range(count)]


@dataclass
class Crew:
    """Workers of one consumer group, what they logged, and their topics."""

    bootstrap: str
    folder: Path
    group: str = field(default_factory=lambda: f"test-{uuid4().hex[:8]}")
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, **options: object) -> subprocess.Popen[bytes]:
        script, log = ROOT / "tests" / "streams" / "echo_worker.py", self.folder / "log.jsonl"
        given = [f"{name}={value}" for name, value in options.items()]
        command = [sys.executable, str(script), self.bootstrap, self.group, str(log), *given]
        with (self.folder / f"worker-{len(self.workers)}.err").open("wb") as errors:
            worker = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=errors)
        self.workers.append(worker)
        return worker

    def stop(self, worker: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
        worker.send_signal(number)
        return worker.wait(SOON)

    def send(self, *bodies: dict[str, Any] | bytes | None, key: str | None = None, **options: Any) -> None:
        """Publish to the stage's input; each body under its own key unless one is named."""
        producer = Producer({"bootstrap.servers": self.bootstrap, "partitioner": "murmur2_random"})
        for body in bodies:
            name = key or (f"key-{body['id']}" if isinstance(body, dict) else "raw")
            value = json.dumps(body).encode() if isinstance(body, dict) else body
            producer.produce("tickets.inbound", value, key=name.encode(), **options)
        assert producer.flush(10) == 0

    def topic(self, name: str) -> list[Record]:
        with Reader(self.bootstrap, [name]) as reader:
            return list(reader.until_end())

    def results(self) -> set[str]:
        """The ids of what came out."""
        return {(record.value or b"").decode() for record in self.topic("tickets.router")}

    def log(self, what: str) -> list[dict[str, Any]]:
        path = self.folder / "log.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in map(json.loads, lines) if line["what"] == what]

    def committed(self, topic: str = "tickets.inbound") -> dict[int, int]:
        """The group's committed offset of each partition; -1001 where there is none."""
        with_group = {"bootstrap.servers": self.bootstrap, "group.id": f"{self.group}.router"}
        consumer = Consumer(with_group)
        try:
            places = [TopicPartition(topic, number) for number in range(3)]
            return {place.partition: place.offset for place in consumer.committed(places, timeout=10)}
        finally:
            consumer.close()

    def end(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait(SOON)

    def errors(self, number: int = 0) -> str:
        return (self.folder / f"worker-{number}.err").read_text()


@pytest.fixture
def crew(kafka_topics: str, tmp_path: Path) -> Iterator[Crew]:
    """An empty set of topics, and workers that end with the test."""
    hands = Crew(kafka_topics, tmp_path)
    yield hands
    hands.end()
