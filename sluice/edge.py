"""`sluice edge`: the HTTP door for tickets and mail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated

import typer
import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from infra.clock import SystemClock
from infra.kafka.producer import Producer
from infra.language import detect_language
from infra.settings import Settings
from processors.ingress.api import ApiKey
from sluice.reach import api_keys, bootstrap
from sluice.terminal import USAGE, fail, read_settings
from streams.ingress.edge import Doors, EdgeLimits, create_edge, keys_of
from streams.ingress.mail import mailbox_of
from streams.ingress.outcomes import OutcomeReader, OutcomeView
from streams.metrics import Metrics
from streams.process import configure_logging


def edge(
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: the setting.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on. Default: the setting.")] = None,
) -> None:
    """Serve POST /v1/tickets, POST /v1/email, GET /v1/tickets/{id}; /docs describes them. It needs no database.

    Examples:

      sluice edge

      sluice edge --host 0.0.0.0 --port 8080
    """
    settings = read_settings()
    if not api_keys(settings):
        fail("no API key: set SLUICE_API_KEYS=KEY=ACCOUNT:SCOPE or SLUICE_API_KEYS_FILE", USAGE)
    configure_logging(settings.log_level)
    app = edge_app(settings, bootstrap(settings))
    uvicorn.run(
        app,
        host=host or settings.edge_host,
        port=settings.edge_port if port is None else port,
        loop="uvloop",
        log_config=None,
        access_log=False,
        server_header=False,
    )


def edge_app(settings: Settings, brokers: str) -> FastAPI:
    """The edge on a broker: its producer and its reader of outcomes live as long as the app does."""
    clock, metrics, outcomes = SystemClock(), Metrics(CollectorRegistry()), OutcomeView()
    producer = Producer(brokers, client_id="sluice-edge")
    doors = Doors(
        publish=producer.publish,
        keys=keys_of((key.key.get_secret_value(), ApiKey(key.account, key.scope)) for key in api_keys(settings)),
        mailbox=mailbox_of(settings),
        outcomes=outcomes,
        clock=clock,
        metrics=metrics,
        language=detect_language,
        limits=EdgeLimits(ticket_bytes=settings.max_ticket_bytes),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        detect_language("Load the model before the first ticket comes.")
        async with producer:
            reading = asyncio.create_task(OutcomeReader(brokers, outcomes, clock, metrics).run())
            yield
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading

    return create_edge(doors, lifespan)
