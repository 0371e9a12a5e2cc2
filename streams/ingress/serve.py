"""The edge as a process: its producer, its view of outcomes and its server on one event loop, until a signal."""

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

import uvicorn
import uvloop
from fastapi import FastAPI
from opentelemetry.trace import NoOpTracer, Tracer
from prometheus_client import CollectorRegistry, start_http_server

from infra.kafka.producer import Producer
from infra.kafka.security import Address
from infra.sessions import SignedSessions
from infra.settings import Settings
from processors.ingress import LanguageOf
from processors.ingress.api import ApiKey
from processors.ingress.email import Mailbox
from processors.ingress.whatsapp import MetaApp
from processors.ports import Clock, OutsideClaims, Reopenings
from processors.queue import PeopleDesk
from streams.ingress.connections import Impatient
from streams.ingress.doors import ChatDoor, Doors, EdgeLimits, PeopleDoor, keys_of
from streams.ingress.edge import create_edge
from streams.ingress.feed import ChatFeed, FeedLimits
from streams.ingress.mail import mailbox_of
from streams.ingress.outcomes import LOOKBACK, OutcomeReader, OutcomeView
from streams.ingress.progress import ProgressReader
from streams.metrics import Metrics

MOST_AT_ONCE = 1000  # requests; beyond it the server answers 503
SIGNALS = (signal.SIGTERM, signal.SIGINT)
DRAIN_WITHIN = 15  # seconds for the requests in flight

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChatOptions:
    """How web chat is served."""

    secret: str = field(repr=False)  # signs the sessions
    origins: tuple[str, ...] = ()
    lasts: timedelta = timedelta(hours=8)  # a session
    article_url: str | None = None  # with {article} where the article's id goes
    demo: bool = False


@dataclass(frozen=True)
class EdgeOptions:
    """How an edge process runs."""

    bootstrap: Address  # Kafka
    keys: Sequence[tuple[str, ApiKey]]
    mailbox: Mailbox
    host: str = "127.0.0.1"
    port: int = 8700  # 0: any free one
    metrics_port: int | None = None  # of /metrics; None: nowhere
    docs: bool = False
    limits: EdgeLimits = field(default_factory=EdgeLimits)
    tracer: Tracer = field(default_factory=NoOpTracer)
    claims: bool = False  # whether a helpdesk outside may claim replies
    reopenings: bool = False  # whether a helpdesk may say that a ticket was reopened
    chat: ChatOptions | None = None
    whatsapp: MetaApp | None = None
    staff: Sequence[tuple[str, str]] = field(default=(), repr=False)  # keys of the people's queue, and whose they are


class EdgeParts(Protocol):
    """What some doors need of the database. Only the members of the doors that are open are looked at."""

    @property
    def outside(self) -> OutsideClaims: ...

    @property
    def reopenings(self) -> Reopenings: ...

    @property
    def people(self) -> PeopleDesk: ...


OpenParts = Callable[[], AbstractAsyncContextManager[EdgeParts]]


def options_of(settings: Settings, bootstrap: Address) -> EdgeOptions:
    """The edge as the settings describe it."""
    return EdgeOptions(
        bootstrap=bootstrap,
        keys=[(entry.key.get_secret_value(), ApiKey(entry.account, entry.scope)) for entry in settings.api_keys],
        mailbox=mailbox_of(settings),
        host=settings.edge_host,
        port=settings.edge_port,
        metrics_port=settings.edge_metrics_port,
        docs=settings.edge_docs,
        limits=EdgeLimits(ticket_bytes=settings.max_ticket_bytes),
        claims=bool(settings.outside_channels),
        reopenings=settings.has_helpdesk,
        chat=_chat_options(settings),
        whatsapp=_meta_app(settings),
        staff=[(entry.key.get_secret_value(), entry.name) for entry in settings.staff_keys],
    )


def _chat_options(settings: Settings) -> ChatOptions | None:
    if settings.chat_secret is None:
        return None
    return ChatOptions(
        secret=settings.chat_secret.get_secret_value(),
        origins=settings.chat_origins,
        lasts=timedelta(seconds=settings.chat_session_lasts),
        article_url=settings.chat_article_url,
        demo=settings.chat_demo,
    )


def _meta_app(settings: Settings) -> MetaApp | None:
    if settings.whatsapp_app_secret is None:
        return None
    secrets = [secret.strip() for secret in settings.whatsapp_app_secret.get_secret_value().split(",")]
    token = settings.whatsapp_verify_token
    return MetaApp(tuple(filter(None, secrets)), token.get_secret_value() if token else None)


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
        tracer=options.tracer,
        claims=parts.outside if parts and options.claims else None,
        reopenings=parts.reopenings if parts and options.reopenings else None,
        chat=_chat_door(options.chat, outcomes, metrics) if options.chat else None,
        whatsapp=options.whatsapp,
        people=PeopleDoor(parts.people, keys_of(options.staff)) if parts and options.staff else None,
    )

    @asynccontextmanager
    async def beside(_: FastAPI) -> AsyncIterator[None]:
        running = [asyncio.create_task(reader.run()) for reader in _readers(doors, options)]
        if language is not None:
            await asyncio.to_thread(language, "The first call of a model loads it.")
        for task in running:
            task.add_done_callback(server.end_with)
        try:
            yield  # the producer connects with the first ticket, so that the edge starts while Kafka is away
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)
            await producer.stop()

    server = _Server(_config(create_edge(doors, beside, docs=options.docs), options))
    if doors.chat is not None:
        server.before_shutdown = doors.chat.feed.close
    with server.config.bind_socket() as bound:
        bound.listen()  # from here on requests wait instead of being turned away
        host, port = bound.getsockname()[:2]
        listening(f"http://{host}:{port}")
        with _metrics_served(options, metrics):
            await server.serve(sockets=[bound])
    return 0 if server.started and not server.failed else 1


@contextmanager
def _metrics_served(options: EdgeOptions, metrics: Metrics) -> Iterator[None]:
    """Serve /metrics from a thread, where no customer reaches it."""
    if options.metrics_port is None:
        yield
        return
    server, thread = start_http_server(options.metrics_port, options.host, metrics.registry)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _chat_door(options: ChatOptions, outcomes: OutcomeView, metrics: Metrics) -> ChatDoor:
    feed = ChatFeed(outcomes, article_url=options.article_url)
    metrics.chat_streams.set_function(lambda: feed.streams)
    return ChatDoor(SignedSessions(options.secret), feed, options.origins, options.lasts, options.demo)


def _readers(doors: Doors, options: EdgeOptions) -> Sequence[OutcomeReader | ProgressReader]:
    """What reads Kafka beside the server. A chat is told what was missed since its session began."""
    chat, given = doors.chat, (options.bootstrap, doors.outcomes, doors.clock, doors.metrics)
    if chat is None:
        return (OutcomeReader(*given),)
    outcomes = OutcomeReader(*given, followers=(chat.feed.settled,), lookback=max(LOOKBACK, chat.lasts))
    return (outcomes, ProgressReader(options.bootstrap, chat.feed))


def _config(app: FastAPI, options: EdgeOptions) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=options.host,
        port=options.port,
        http=Impatient,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_AT_ONCE + (FeedLimits().streams if options.chat else 0),
        timeout_graceful_shutdown=DRAIN_WITHIN,
    )


class _Server(uvicorn.Server):
    failed = False
    before_shutdown: Callable[[], None] = staticmethod(lambda: None)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what would never end on its own, then wait for the rest."""
        self.before_shutdown()
        await super().shutdown(sockets)

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
