"""`sluice edge`: the HTTP door for tickets and mail."""

import os
from dataclasses import replace
from typing import Annotated

import typer

from infra.clock import SystemClock
from infra.language import detect_language
from infra.settings import DatabaseRole, Settings
from infra.telemetry import tracing
from infra.wiring import open_adapters
from sluice.keys import with_own_keys
from sluice.reach import bootstrap, database_of, taken
from sluice.terminal import USAGE, JsonLines, console, explained, fail, print_line, read_settings
from streams.ingress.serve import OpenParts, options_of, run_edge
from streams.process import configure_logging


def edge(
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: the setting.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on. Default: the setting.")] = None,
    as_json: JsonLines = False,
) -> None:
    """Serve POST /v1/tickets, POST /v1/email and GET /v1/tickets/{id}; /openapi.json describes it. No database needed.

    Examples:

      sluice edge

      sluice edge --host 0.0.0.0 --port 8080

      sluice edge --port 0 --json
    """
    given = read_settings()
    with explained():
        settings = with_own_keys(given.model_copy(update={"edge_host": host or given.edge_host}))
    if not settings.api_keys:
        fail("no API key: set SLUICE_API_KEYS=KEY=ACCOUNT:SCOPE or SLUICE_API_KEYS_FILE", USAGE)
    configure_logging(settings.log_level, as_json=as_json)
    options = options_of(settings, bootstrap(settings))
    options = replace(options, port=options.port if port is None else port)
    if (why := taken(options.host, options.port)) is not None:
        fail(f"{why}; give another --port, or set SLUICE_EDGE_PORT", USAGE)
    if options.metrics_port is not None and (why := taken(options.host, options.metrics_port)) is not None:
        fail(f"{why}; SLUICE_EDGE_METRICS_PORT is the port", USAGE)
    with tracing(settings, "edge") as tracer:
        code = run_edge(
            replace(options, tracer=tracer),
            SystemClock(),
            detect_language,
            lambda address: _listening(address, as_json),
            _parts(settings),
        )
    raise typer.Exit(code)


def _parts(settings: Settings) -> OpenParts | None:
    """What the doors that are open need of the database; none of the others waits for it."""
    needs: dict[DatabaseRole, bool] = {
        "outcome": settings.has_helpdesk,
        "people": bool(settings.staff_keys),
    }
    roles = [role for role, needed in needs.items() if needed]
    if not roles:
        return None
    # Asked for with every connection: the embedded Postgres has no address before it runs.
    return lambda: open_adapters(settings, lambda: database_of(settings), roles, wait=False)


def _listening(address: str, as_json: bool) -> None:
    if as_json:
        print_line({"pid": os.getpid(), "port": int(address.rpartition(":")[2]), "address": address})
    else:
        console.print(f"listening at {address}", highlight=False)
