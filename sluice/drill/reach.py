"""When each worker knew of a record of the switch, as its metrics tell."""

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx

from infra.clock import SystemClock
from loadtest.drill.measure import Glance

EPOCH = re.compile(r"^sluice_switch_epoch (\S+)", re.MULTILINE)
SEEN_AT = re.compile(r"^sluice_switch_seen_at_seconds (\S+)", re.MULTILINE)
EVERY = 0.05  # seconds between two looks


@dataclass
class Watched:
    """A worker, and what it said whenever that changed."""

    url: str
    glances: list[Glance] = field(default_factory=list)

    def follow(self, over: threading.Event) -> None:
        """Ask again and again."""
        with httpx.Client(timeout=1.0) as client:
            while not over.is_set():
                with suppress(httpx.HTTPError):
                    self._look(client.get(f"{self.url}/metrics").text)
                over.wait(EVERY)

    def _look(self, told: str) -> None:
        found, seen = EPOCH.search(told), SEEN_AT.search(told)
        if found is None:
            return
        epoch = int(float(found[1]))
        if not self.glances or self.glances[-1].epoch != epoch:
            at = float(seen[1]) if seen else 0.0
            self.glances.append(Glance(epoch, SystemClock().now(), datetime.fromtimestamp(at, UTC) if at else None))


@contextmanager
def watched(urls: Sequence[str]) -> Iterator[list[Watched]]:
    """Follow the switch of each worker for as long as the context lasts."""
    over, found = threading.Event(), [Watched(url) for url in urls]
    threads = [threading.Thread(target=one.follow, args=(over,), daemon=True) for one in found]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        over.set()
        for thread in threads:
            thread.join(5)
