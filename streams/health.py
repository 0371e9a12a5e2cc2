"""A worker seen from outside: /livez, /readyz and /metrics.

Served by a thread of its own, so that it answers, and answers the truth, while the event loop is stuck. What it tells
was looked at by the event loop: the state of a consumer is never touched from another thread.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from threading import Thread
from typing import Any, Protocol
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import make_wsgi_app

from processors.ports import Clock
from streams.metrics import Metrics
from streams.transport import Membership

BEAT = 0.5  # seconds
OK = "ok"
LOOP, PROCESS, SWITCH = "event loop", "process", "switch"


class Member(Protocol):
    """A stage as its health is seen: `transport.App`."""

    @property
    def stage(self) -> str: ...

    def membership(self) -> Membership: ...


@dataclass(frozen=True)
class Bounds:
    """How long each part may be silent."""

    loop: float = 30.0  # seconds without a beat of the event loop
    end: float = 60.0  # seconds a process may take to end after a crash: a drain, and its threads
    session: float = 15.0  # seconds without a word from the group's coordinator, who then gives the partitions away
    switch: float = 5.0  # seconds without news of the switch, after which nothing is sent


@dataclass(frozen=True)
class Sight:
    """A worker as the event loop saw it at one moment; all times are monotonic seconds."""

    at: float
    stages: Mapping[str, Membership]
    switch_age: float  # seconds
    crashed_at: float | None = None


def reading_fault(found: Membership, now: float, session: float) -> str | None:
    """Why a stage does not read its topics; None where it does, or stands by because others hold all partitions."""
    if found.crash is not None:
        return f"stops after a crash: {type(found.crash).__name__}"
    if found.stopping:
        return "is stopping"
    if found.fault is not None:
        return f"has lost its consumer group: {type(found.fault).__name__}"
    if not found.joined:
        return "is not a member of its consumer group"
    if not found.assigned:
        return "has no assignment from its consumer group yet"
    if now - found.heard_at > session:
        return f"has not been answered by its group's coordinator for {now - found.heard_at:.0f} s"
    return None


def life(sight: Sight, now: float, bounds: Bounds) -> dict[str, str]:
    """What only a restart mends, by part."""
    ending = 0.0 if sight.crashed_at is None else now - sight.crashed_at
    return {
        LOOP: _late("ran last", now - sight.at, bounds.loop),
        PROCESS: _late("has crashed, and does not end", ending, bounds.end),
    }


def readiness(sight: Sight, now: float, bounds: Bounds) -> dict[str, str]:
    """What keeps a worker from its work, by part."""
    parts = {LOOP: _late("ran last", now - sight.at, bounds.loop)}
    parts |= {stage: reading_fault(found, now, bounds.session) or OK for stage, found in sight.stages.items()}
    age = sight.switch_age + now - sight.at
    if sight.switch_age == float("inf"):
        return {**parts, SWITCH: "has not been read to its end yet"}
    return {**parts, SWITCH: _late("was up to date", age, bounds.switch)}


def _late(what: str, seconds: float, bound: float) -> str:
    return f"{what}, {seconds:.0f} s ago" if seconds > bound else OK


class Health:
    """Looks at the process from its event loop, a few times a second.

    It is no mode service: those end with the first crash in the process, and what comes after is worth seeing.
    """

    def __init__(
        self,
        clock: Clock,
        metrics: Metrics,
        *,
        members: Sequence[Member] = (),
        switch_age: Callable[[], float] = lambda: 0.0,  # seconds
        bounds: Bounds = Bounds(),
    ) -> None:
        self.metrics = metrics
        self._clock, self._members, self._switch_age, self._bounds = clock, members, switch_age, bounds
        self.sight = Sight(clock.monotonic(), {member.stage: Membership() for member in members}, float("inf"))

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look for as long as the context lasts."""
        beating = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            beating.cancel()
            with suppress(asyncio.CancelledError):
                await beating

    async def _beat(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(BEAT)

    def look(self) -> None:
        """See the process as it is now."""
        now = self._clock.monotonic()
        stages = {member.stage: member.membership() for member in self._members}
        crashed_at = self.sight.crashed_at
        if crashed_at is None and any(found.crash is not None for found in stages.values()):
            crashed_at = now
        self.sight = Sight(now, stages, self._switch_age(), crashed_at)

    def alive(self) -> dict[str, str]:
        """Each part and what is wrong with it that only a restart mends, or "ok"."""
        return life(self.sight, self._clock.monotonic(), self._bounds)

    def ready(self) -> dict[str, str]:
        """Each part and what keeps it from its work, or "ok"."""
        return readiness(self.sight, self._clock.monotonic(), self._bounds)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """No access log."""


Start = Callable[[str, list[tuple[str, str]]], object]
Application = Callable[[dict[str, Any], Start], Iterable[bytes]]


class PortTaken(Exception):
    """Nothing can be served there; the message says why, and what to change."""


@contextmanager
def serve_health(host: str, port: int, health: Health) -> Iterator[int]:
    """Serve while the context lasts; the port it listens on.

    Raises:
        PortTaken: it cannot listen there.
    """
    try:
        listening = make_server(host, port, _application(health), handler_class=_Quiet)
    except OSError as error:
        why = "give another --port, or set SLUICE_WORKER_PORT"
        raise PortTaken(f"{host}:{port} cannot be listened at: {error.strerror}; {why}") from None
    with listening as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def _application(health: Health) -> Application:
    metrics: Application = make_wsgi_app(health.metrics.registry)

    def application(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/livez":
                return _answer("alive", "not alive", health.alive(), start)
            case "/readyz":
                return _answer("ready", "not ready", health.ready(), start)
            case "/metrics":
                return metrics(environ, start)
        start("404 Not Found", [("Content-Type", "text/plain")])
        return [b"/livez, /readyz, /metrics\n"]

    return application


def _answer(good: str, bad: str, parts: Mapping[str, str], start: Start) -> Iterable[bytes]:
    well = all(state == OK for state in parts.values())
    start("200 OK" if well else "503 Service Unavailable", [("Content-Type", "application/json")])
    told = {"status": good if well else bad, "pid": os.getpid(), "parts": parts}
    return [json.dumps(told).encode() + b"\n"]
