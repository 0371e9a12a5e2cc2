"""A million records wait before one stage that starts at their beginning: memory stays flat, and the lag goes to zero.

FAUST.md §3's bounds are what is tried: a stage that fetched what it can't finish would grow with its backlog.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Producer

from infra.kafka.admin import Admin
from infra.kafka.lag import Lags
from infra.kafka.local import start_kafka
from schemas.event import Stage
from schemas.topics import Topic, all_topics
from sluice.chaos.apart.case import Finding
from sluice.stack import Say
from streams.stage import group_of

NAME = "backlog"
RECORDS = 1_000_000
BYTES = 400  # of each record, about a short ticket's
KEYS = 50_000
SETTLED = 20_000  # records after which the stage has all the memory it needs,
FLAT = 100_000  # and up to which it may not need more:
GROWTH_MB = 48.0  # the breath of an allocator
GROUP = "backlog"
STALLED = 60.0  # seconds without a commit
POLL = 0.5  # seconds


@dataclass(frozen=True)
class Look:
    """The stage at one moment."""

    at: float  # seconds after its start
    done: int  # records committed
    rss_mb: float


def backlog(home: Path, say: Say, *, records: int = RECORDS) -> Finding:
    """Fill `tickets.inbound`, start one stage, and watch it."""
    broker = start_kafka(home / "kafka")
    try:
        _fill(broker.bootstrap, records, say)
        with _stage(broker.bootstrap) as worker:
            looks = list(_watch(broker.bootstrap, worker, records, say))
    finally:
        broker.kill()
    return judge(looks, records)


def judge(looks: list[Look], records: int) -> Finding:
    """What the looks come to, in their order."""
    last, growth = looks[-1], _growth(looks)
    figures = {
        "records": records,
        "drained": last.done,
        "seconds": round(last.at, 1),
        "records_per_second": round(last.done / last.at) if last.at else 0,
        f"rss_mb_at_{SETTLED}": _rss(looks, SETTLED),
        f"rss_mb_at_{FLAT}": _rss(looks, FLAT),
        "rss_mb_highest": max(look.rss_mb for look in looks),
    }
    breaches = []
    if last.done < records:
        breaches.append(f"I7: {records - last.done} records were never done")
    if growth > GROWTH_MB:
        breaches.append(f"I5: memory grew by {growth:.0f} MB between {SETTLED} and {FLAT} records")
    return Finding(NAME, figures, tuple(breaches))


def _growth(looks: list[Look]) -> float:
    between = [look.rss_mb for look in looks if SETTLED <= look.done <= FLAT]
    return max(between) - between[0] if between else 0.0


def _rss(looks: list[Look], done: int) -> float:
    return next((look.rss_mb for look in looks if look.done >= done), looks[-1].rss_mb)


def _fill(bootstrap: str, records: int, say: Say) -> None:
    Admin(bootstrap).create_topics(all_topics())
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, "queue.buffering.max.messages": 200_000})
    body = b"x" * BYTES
    for number in range(records):
        while True:
            try:
                producer.produce(Topic.INBOUND, body, key=b"conversation-%d" % (number % KEYS))
                break
            except BufferError:
                producer.poll(0.1)
        if number % 100_000 == 0:
            producer.poll(0)
            say(f"{number} of {records} records wait")
    if left := producer.flush(120):
        raise TimeoutError(f"{left} records were not acknowledged")


@contextmanager
def _stage(bootstrap: str) -> Iterator[subprocess.Popen[bytes]]:
    worker = subprocess.Popen([sys.executable, "-m", "sluice.chaos.apart.instant", bootstrap, GROUP])
    try:
        yield worker
    finally:
        worker.terminate()
        worker.wait(60)


def _watch(bootstrap: str, worker: "subprocess.Popen[bytes]", records: int, say: Say) -> Iterator[Look]:
    lags, group, began, moved, done = Lags(bootstrap), group_of(Stage.ROUTER, GROUP), time.monotonic(), 0.0, 0
    while worker.poll() is None:
        at = time.monotonic() - began
        now = sum(max(lag.committed, 0) for lag in lags.on(group, [Topic.INBOUND]))
        if now // 100_000 > done // 100_000:
            say(f"{now} of {records} records done after {at:.0f} s")
        moved = at if now > done else moved
        done = now
        yield Look(at, done, _rss_mb(worker.pid))
        if done >= records or at - moved > STALLED:
            return
        time.sleep(POLL)


def _rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)
