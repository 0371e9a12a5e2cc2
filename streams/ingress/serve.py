"""The edge as a process: its producer, its view of outcomes and its server on one event loop, until a signal."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import uvicorn
import uvloop
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from infra.kafka.producer import Producer
from infra.kafka.security import Address
from infra.settings import Settings
from processors.ingress import LanguageOf
from processors.ingress.api import ApiKey
from processors.ingress.email import Mailbox
from processors.ports import Clock, OutsideClaims
from streams.ingress.doors import Doors, EdgeLimits, keys_of
from streams.ingress.edge import create_edge
from streams.ingress.mail import mailbox_of
from streams.ingress.outcomes import OutcomeReader, OutcomeView
from streams.metrics import Metrics

MOST_AT_ONCE = 1000  # requests; beyond it the server answers 503
SIGNALS = (signal.SIGTERM, signal.SIGINT)
DRAIN_WITHIN = 15  # seconds for the requests in flight

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EdgeOptions:
    """How an edge process runs."""

    bootstrap: Address  # Kafka
    keys: Sequence[tuple[str, ApiKey]]
    mailbox: Mailbox
    host: str = "127.0.0.1"
    port: int = 8700  # 0: any free one
    limits: EdgeLimits = field(default_factory=EdgeLimits)
    claims: bool = False  # whether a helpdesk outside may claim replies


class EdgeParts(Protocol):
    """What some doors need of the database. Only the members of the doors that are open are looked at."""

    @property
    def outside(self) -> OutsideClaims: ...


OpenParts = Callable[[], AbstractAsyncContextManager[EdgeParts]]


def options_of(settings: Settings, bootstrap: Address) -> EdgeOptions:
    """The edge as the settings describe it."""
    return EdgeOptions(
        bootstrap=bootstrap,
        keys=[(entry.key.get_secret_value(), ApiKey(entry.account, entry.scope)) for entry in settings.api_keys],
        mailbox=mailbox_of(settings),
        host=settings.edge_host,
        port=settings.edge_port,
        limits=EdgeLimits(ticket_bytes=settings.max_ticket_bytes),
        claims=bool(settings.outside_channels),
    )


def run_edge(
    options: EdgeOptions,
    clock: Clock,
    language: LanguageOf | None = None,
    listening: Callable[[str], None] = lambda address: None,
    open_parts: OpenParts | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT, which let the requests in flight end; the exit code.

    It starts without Kafka and Postgres too, answering 503 until they are there. `listening` is told the address, once
    it is bound; `open_parts` is for the doors that need the database.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve_edge(options, clock, language, listening, open_parts))


async def serve_edge(
    options: EdgeOptions,
    clock: Clock,
    language: LanguageOf | None = None,
    listening: Callable[[str], None] = lambda address: None,
    open_parts: OpenParts | None = None,
) -> int:
    """As `run_edge`, on the running loop."""
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(open_parts()) if open_parts else None
        return await _serve(options, clock, language, listening, parts)


async def _serve(
    options: EdgeOptions,
    clock: Clock,
    language: LanguageOf | None,
    listening: Callable[[str], None],
    parts: EdgeParts | None,
) -> int:
    metrics, outcomes = Metrics(CollectorRegistry()), OutcomeView()
    producer = Producer(options.bootstrap, client_id="sluice-edge", deadline=options.limits.publish_within)
    doors = Doors(
        publish=producer.publish,
        keys=keys_of(options.keys),
        mailbox=options.mailbox,
        outcomes=outcomes,
        clock=clock,
        metrics=metrics,
        language=language,
        limits=options.limits,
        claims=parts.outside if parts and options.claims else None,
    )

    @asynccontextmanager
    async def beside(_: FastAPI) -> AsyncIterator[None]:
        reading = asyncio.create_task(OutcomeReader(options.bootstrap, outcomes, clock, metrics).run())
        reading.add_done_callback(server.end_with)
        try:
            yield  # the producer connects with the first ticket, so that the edge starts while Kafka is away
        finally:
            reading.cancel()
            await asyncio.wait([reading])
            await producer.stop()

    server = _Server(_config(create_edge(doors, beside), options))
    with server.config.bind_socket() as socket:
        socket.listen()  # from here on requests wait instead of being turned away
        host, port = socket.getsockname()[:2]
        listening(f"http://{host}:{port}")
        await server.serve(sockets=[socket])
    return 0 if server.started and not server.failed else 1


def _config(app: FastAPI, options: EdgeOptions) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=options.host,
        port=options.port,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_AT_ONCE,
        timeout_graceful_shutdown=DRAIN_WITHIN,
    )


class _Server(uvicorn.Server):
    failed = False

    def end_with(self, beside: "asyncio.Task[None]") -> None:
        """Stop when what runs beside the server ends on its own: that is a bug, and a restart mends more than it."""
        if not beside.cancelled():
            logger.critical("the edge stops after a crash: %s", type(beside.exception()).__name__)
            self.failed = self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on a signal and return; uvicorn's own would raise the signal again and spoil the exit code."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)
