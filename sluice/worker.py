"""`sluice worker`: run one stage, or all of them, in this process."""

from typing import Annotated

import typer

from infra.models.untrained import NotTrained
from infra.settings import SettingsError
from infra.wiring import open_adapters, roles_of
from processors.errors import DependencyDown
from schemas.event import Stage
from schemas.topics import STAGES
from sluice.reach import bootstrap, owner_url
from sluice.terminal import DOWN, USAGE, fail, read_settings
from streams.flight import Limits
from streams.process import configure_logging
from streams.worker import WorkerOptions, run

ALL = "all"


def worker(
    stage: Annotated[str, typer.Argument(help="router, retrieval, resolution, gate, outcome, or all.")],
    slot: Annotated[
        str | None, typer.Option(help="This worker's place, such as 0: a restart takes it over without a rebalance.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port of /metrics and /health. Default: the setting.")] = None,
) -> None:
    """Run a stage until SIGTERM, which finishes what is in flight. Exit code 1 after a crash: restart it.

    Examples:

      sluice worker all

      sluice worker resolution --slot 0 --port 9101
    """
    stages = _stages(stage)
    settings = read_settings()
    configure_logging(settings.log_level)
    brokers, database = bootstrap(settings), owner_url(settings)
    options = WorkerOptions(
        bootstrap=brokers,
        switch_staleness=settings.switch_staleness,
        limits=Limits(in_flight=settings.max_in_flight),
        slot=slot,
        health_host=settings.edge_host,
        health_port=settings.worker_port if port is None else port,
    )
    try:
        code = run(stages, options, lambda: open_adapters(settings, database, roles_of(stages)))
    except (SettingsError, NotTrained) as error:
        fail(str(error), USAGE)
    except DependencyDown as error:
        fail(f"{error}; `sluice doctor` says what is reachable", DOWN)
    raise typer.Exit(code)


def _stages(name: str) -> tuple[Stage, ...]:
    if name == ALL:
        return STAGES
    try:
        return (STAGES[[stage.value for stage in STAGES].index(name)],)
    except ValueError:
        fail(f"no stage {name!r}; one of all, {', '.join(stage.value for stage in STAGES)}", USAGE)
