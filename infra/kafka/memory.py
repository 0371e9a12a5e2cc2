"""librdkafka's in-process broker as a process of its own: the last rung, for a demo on a machine without Java.

Memory only, no admin API, no access control, and at 5 MiB or 100,000 messages a partition the oldest are dropped:
it never carries a reliability claim.
"""

import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Producer

from infra.daemon import Daemon
from schemas.topics import all_topics

START_TIMEOUT = 20.0  # seconds
STOP_TIMEOUT = 5.0  # seconds
POLL = 0.05  # seconds


class MemoryKafkaFailed(Exception):
    """The in-process broker did not come up; its last log lines are in the message."""


@dataclass(frozen=True)
class MemoryKafka:
    """A running in-process broker. It lives on when the process that started it ends, until `stop`."""

    bootstrap: str  # host:port
    pid: int
    daemon: Daemon

    def stop(self) -> None:
        """End the broker; all it holds is gone."""
        self.daemon.stop(STOP_TIMEOUT)


def start_memory_kafka(directory: Path) -> MemoryKafka:
    """Start the in-process broker of `directory`, or find it running. Raises MemoryKafkaFailed."""
    daemon = _daemon(directory)
    with daemon.lock() as lock:
        if lock is not None:
            _address_file(daemon).unlink(missing_ok=True)
            command = [sys.executable, "-m", "infra.kafka.memory", str(_address_file(daemon))]
            daemon.spawn(command, lock, {})
    return _join(daemon)


def find_memory_kafka(directory: Path) -> MemoryKafka | None:
    """The in-process broker already running on `directory`, if there is one."""
    daemon = _daemon(directory)
    return _join(daemon) if daemon.alive() else None


def serve(address_file: Path) -> None:
    """Run the broker in this process until SIGTERM, its address written to `address_file`."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    broker = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": ""})
    address = next(iter(broker.list_topics(timeout=START_TIMEOUT).brokers.values()))
    for spec in all_topics():
        broker.list_topics(spec.name, timeout=START_TIMEOUT)  # asking for a topic makes it, with four partitions
    part = address_file.with_suffix(".part")
    part.write_text(f"{address.host}:{address.port}")
    part.rename(address_file)
    ended.wait()


def _daemon(directory: Path) -> Daemon:
    return Daemon(directory.resolve(), "memory-broker")


def _address_file(daemon: Daemon) -> Path:
    return daemon.directory / "memory-broker.address"


def _join(daemon: Daemon) -> MemoryKafka:
    deadline = time.monotonic() + START_TIMEOUT
    while daemon.alive() and time.monotonic() < deadline:
        if daemon.state() and _address_file(daemon).is_file():
            return MemoryKafka(_address_file(daemon).read_text(), daemon.state()["pid"], daemon)
        time.sleep(POLL)
    raise MemoryKafkaFailed(f"the in-process broker did not come up; {daemon.log} ends:\n{daemon.tail()}")


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
