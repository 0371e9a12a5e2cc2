"""`sluice worker`: run one stage, or all of them, in this process."""

import os
from dataclasses import replace
from typing import Annotated

import typer

from infra.models.untrained import NotTrained
from infra.scripted.failpoints import failing
from infra.settings import DatabaseRole, Settings
from infra.telemetry import tracing
from infra.wiring import open_adapters, roles_of
from schemas.event import Stage
from schemas.topics import EVERY_STAGE, STAGES
from sluice.reach import bootstrap, owner_url
from sluice.terminal import USAGE, JsonLines, console, fail, print_line, read_settings
from streams.flight import Limits
from streams.health import PortTaken
from streams.process import configure_logging
from streams.worker import WorkerOptions, run

ALL, GUARD = "all", "guard"


def worker(
    stage: Annotated[str, typer.Argument(help="router, retrieval, resolution, gate, outcome, notify, guard, or all.")],
    slot: Annotated[
        str | None, typer.Option(help="This worker's place, such as 0: a restart takes it over without a rebalance.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port of /livez, /readyz and /metrics. Default: the setting.")
    ] = None,
    as_json: JsonLines = False,
) -> None:
    """Run a stage, or the live guard, until SIGTERM, which finishes what is in flight.

    Exit code 1 after a crash: restart it.

    Examples:

      sluice worker all

      sluice worker resolution --slot 0 --port 9101

      sluice worker outcome --port 0 --json
    """
    settings = read_settings()
    stages = _stages(stage, settings)
    configure_logging(settings.log_level, as_json=as_json)
    guard = stage in (ALL, GUARD)
    names = [*(found.value for found in stages), *([GUARD] if guard else [])]
    roles: tuple[DatabaseRole, ...] = (*roles_of(stages), *(("guard",) if guard else ()))
    brokers, database = bootstrap(settings), owner_url(settings)
    options = WorkerOptions(
        bootstrap=brokers,
        switch_staleness=settings.switch_staleness,
        limits_of={found: Limits(in_flight=settings.in_flight_of(found)) for found in stages},
        slot=slot,
        session_timeout=settings.session_timeout,
        group_prefix=settings.group_prefix,
        health_host=settings.edge_host,
        health_port=settings.worker_port if port is None else port,
        listening=lambda bound: _listening(settings.edge_host, bound, names, as_json),
        guard=guard,
        producing=lambda producer: failing(producer, settings.failpoint),
    )
    try:
        with tracing(settings, "worker") as tracer:
            traced = replace(options, tracer=tracer)
            code = run(stages, traced, lambda: open_adapters(settings, database, roles))
    except NotTrained as error:
        fail(f"{error}{_hint(settings)}", USAGE)
    except PortTaken as error:
        fail(str(error), USAGE)
    raise typer.Exit(code)


def _hint(settings: Settings) -> str:
    """The parts that a demo has trained, where there was one."""
    parts = settings.home / "demo" / "models" / "shop"
    return f", or take those of the demo: SLUICE_MODELS_DIR={parts}" if parts.is_dir() else ""


def _listening(host: str, port: int, stages: list[str], as_json: bool) -> None:
    address = f"http://{host}:{port}"
    if as_json:
        print_line({"pid": os.getpid(), "port": port, "address": address, "stages": stages})
    else:
        console.print(f"{', '.join(stages)}: health at {address}/readyz", highlight=False, soft_wrap=True)


def _stages(name: str, settings: Settings) -> tuple[Stage, ...]:
    """One stage, none for the guard, or all that there is work for: nobody is notified where no address is set."""
    if name == GUARD:
        return ()
    if name == ALL:
        return EVERY_STAGE if settings.outcome_webhook_url else STAGES
    try:
        return (EVERY_STAGE[[stage.value for stage in EVERY_STAGE].index(name)],)
    except ValueError:
        fail(f"no stage {name!r}; one of all, {', '.join(stage.value for stage in EVERY_STAGE)}, guard", USAGE)
