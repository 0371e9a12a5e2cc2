"""A worker seen from outside: /metrics for Prometheus, /health for a liveness probe.

Served by a thread of its own, so that it answers, and answers the truth, while the event loop is stuck.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from mode import Service
from prometheus_client import make_wsgi_app

from processors.ports import Clock
from streams.metrics import Metrics

BEAT = 1.0  # seconds
STUCK = 30.0  # seconds without a beat


class Health(Service):
    """The pulse of the event loop."""

    mundane_level = "debug"

    def __init__(self, clock: Clock, metrics: Metrics, **options: Any) -> None:  # noqa: ANN401
        self.metrics = metrics
        self._clock, self._beat_at = clock, clock.monotonic()
        super().__init__(**options)

    @Service.task
    async def _beat(self) -> None:
        while not self.should_stop:
            self._beat_at = self._clock.monotonic()
            await self.sleep(BEAT)

    def stuck_for(self) -> float:
        """Seconds since the event loop last ran."""
        return self._clock.monotonic() - self._beat_at


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """No access log."""


Start = Callable[[str, list[tuple[str, str]]], object]
Application = Callable[[dict[str, Any], Start], Iterable[bytes]]


@contextmanager
def serve_health(host: str, port: int, health: Health) -> Iterator[int]:
    """Serve while the context lasts; the port it listens on."""
    metrics: Application = make_wsgi_app(health.metrics.registry)

    def application(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/health":
            return metrics(environ, start)
        stuck = health.stuck_for()
        start("503 Service Unavailable" if stuck > STUCK else "200 OK", [("Content-Type", "text/plain")])
        return [f"event loop ran {stuck:.1f} s ago\n".encode()]

    with make_server(host, port, application, handler_class=_Quiet) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()
