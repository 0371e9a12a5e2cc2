"""Waiting in place for a dependency that is down: one ticket asks again, the others wait for its news."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from processors.errors import DependencyDown, Rejected, TryLater
from streams.metrics import Metrics
from streams.retry import pause

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]


@dataclass
class Outage:
    """One dependency's outage (an open circuit breaker, in the usual words)."""

    dependency: str
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # held by the one that asks
    waiting: int = 0  # tickets
    probes: int = 0
    over: bool = False


class Outages:
    """The dependencies a stage waits for now."""

    def __init__(self, stage: str, metrics: Metrics, sleep: Sleep = asyncio.sleep) -> None:
        self._stage, self._metrics, self.sleep = stage, metrics, sleep
        self._open: dict[str, Outage] = {}

    async def patiently(self, attempt: Callable[[], Awaitable[T]], probes: int | None = None) -> T:
        """The attempt's result, however long its dependencies are away.

        The first attempt is free, so that a ticket which needs nothing of what is down goes on. After a failure one
        waiting ticket at a time asks again, with growing pauses; its success lets all others go on at once.

        Raises:
            DependencyDown: it was asked for `probes` times in vain.
        """
        while True:
            try:
                return await attempt()
            except DependencyDown as error:
                outage = self._begin(error.dependency)
            with self._waiting(outage):
                while not outage.over:
                    async with outage.turn:
                        if outage.over:
                            break
                        try:
                            return await self._probe(outage, attempt)
                        except DependencyDown:
                            if probes is not None and outage.probes >= probes:
                                raise

    async def _probe(self, outage: Outage, attempt: Callable[[], Awaitable[T]]) -> T:
        """Ask again after a pause. Any answer but silence from the same dependency ends the outage."""
        self._metrics.waits.labels(self._stage, outage.dependency).inc()
        await self.sleep(pause(outage.probes))
        outage.probes += 1
        try:
            result = await attempt()
        except DependencyDown as error:
            if error.dependency != outage.dependency:
                self._end(outage)
            raise
        except (Rejected, TryLater):
            self._end(outage)
            raise
        self._end(outage)
        return result

    @contextmanager
    def _waiting(self, outage: Outage) -> Iterator[None]:
        """Count the waiting tickets: when the last one leaves, the outage is forgotten."""
        outage.waiting += 1
        try:
            yield
        finally:
            outage.waiting -= 1
            if not outage.waiting:
                self._end(outage)

    def _begin(self, dependency: str) -> Outage:
        outage = self._open.setdefault(dependency, Outage(dependency))
        self._metrics.outages.labels(self._stage).set(len(self._open))
        return outage

    def _end(self, outage: Outage) -> None:
        outage.over = True
        if self._open.get(outage.dependency) is outage:
            del self._open[outage.dependency]
        self._metrics.outages.labels(self._stage).set(len(self._open))
