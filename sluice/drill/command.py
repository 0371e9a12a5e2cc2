"""`sluice drill`: stop and arm a scope of the drill's own under load, and measure how fast a stop stops."""

import asyncio
import logging
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from infra.settings import Settings
from loadtest.drill.measure import histogram
from loadtest.drill.plan import CASES, NAME, SCOPE, is_own
from schemas.control import Scope
from sluice.drill.owner import as_owner
from sluice.drill.run import Ground, Plan, Report, as_document, drilled
from sluice.reach import bootstrap, owner_url, worker_url
from sluice.switch_scope import Unchecked, doubt
from sluice.terminal import (
    USAGE,
    WRONG,
    AsJson,
    console,
    explained,
    fail,
    print_json,
    read_settings,
    run,
    show,
    stderr,
    verbatim,
)

REAL = "select exists (select from claim where intent = %s and conversation not like %s)"


def drill(
    flips: Annotated[int, typer.Option(min=1, max=1000, help="How often to stop and arm.")] = 20,
    claimers: Annotated[int, typer.Option(min=1, max=200, help="How many ask for claims at once.")] = 32,
    scope: Annotated[str, typer.Option(help=f"Its own scope: intent:{NAME}, or intent:{NAME}-NAME.")] = str(SCOPE),
    worker: Annotated[
        list[str] | None, typer.Option(help="Address of a worker's metrics; may be repeated. Default: the local one.")
    ] = None,
    case: Annotated[
        list[str] | None, typer.Option(help="Run this case, in a world of its own. May be repeated.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the cases and end.")] = False,
    out: Annotated[Path, typer.Option(help="Where the logs and the data of cases go.")] = Path("var/drill"),
    as_json: AsJson = False,
) -> None:
    """Stop and arm a scope of the drill's own under load, and measure how fast a stop stops.

    Made for production: it claims tickets of its own, in a scope that no ticket has, sends nothing, sets no other
    scope, lifts no stop but its own, and takes away what it wrote, also after Ctrl-C. It refuses a scope that is not
    its own. Exit code 1 if anything was claimed behind a stop.

    With --case it starts Kafka, Postgres and workers of its own, and breaks them.

    Examples:

      sluice drill

      sluice drill --flips 100 --worker http://10.0.0.7:8701 --worker http://10.0.0.8:8701 --json

      sluice drill --list

      sluice drill --case topic-only --case cut-from-kafka
    """
    logging.basicConfig(handlers=[logging.NullHandler()])  # the clients' own words: a failure is told in one line
    if list_:
        show([{"case": name, "what": what} for name, what in CASES.items()], title="Cases", as_json=as_json)
        return
    if case:
        _cases(case, out, as_json)
        return
    settings = read_settings()
    ground = _ground(settings, scope)
    plan = Plan(flips, claimers, worker or [worker_url(settings)])
    with Progress(console=stderr, transient=True, disable=as_json) as progress:
        task = progress.add_task("stopping", total=flips)
        report = run(_until_told(drilled(ground, plan, lambda number: progress.update(task, completed=number))))
    if as_json:
        print_json(as_document(report))
    else:
        _tell(report)
    if not report.passed:
        raise typer.Exit(WRONG)


async def _until_told(work: Coroutine[Any, Any, Report]) -> Report:
    """Drill until the end or until SIGTERM, which ends it as Ctrl-C does: the stop lifted, its rows removed."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        stderr.print("broken off: the stop is lifted, and the drill's rows are gone")
        raise typer.Exit(WRONG) from None


def _ground(settings: Settings, text: str) -> Ground:
    """Where to drill; ends the command unless the scope is the drill's own."""
    try:
        scope = Scope.parse(text)
    except ValueError as error:
        fail(str(error), USAGE)
    if not is_own(scope):
        fail(f"{scope} is not the drill's own: it stops intent:{NAME}, or intent:{NAME}-NAME, and nothing else", USAGE)
    try:
        known = doubt(settings, scope) is None
    except Unchecked as error:
        fail(f"nobody can tell whether tickets have {scope}: {error}", USAGE)
    if known:
        fail(f"{scope} is not the drill's own: the policy or the classifier knows that intent", USAGE)
    ground = Ground.of(settings, bootstrap(settings), owner_url(settings), scope)
    if _is_used(ground):
        fail(f"{scope} is not the drill's own: there are claims of other tickets in it", USAGE)
    return ground


def _is_used(ground: Ground) -> bool:
    with explained(), as_owner(ground.owner_url) as owner:
        return bool(owner.execute(REAL, (ground.scope.value, f"{NAME}:%")).fetchone() == (True,))


def _tell(report: Report) -> None:
    found = report.found
    console.print("[bold]The last claim after a stop was asked for[/bold]")
    for line in histogram(report.last_claims_ms):
        console.print(verbatim(line))
    rows = [{"what": "last claim minus asking", **vars(found.last_claim_ms)}]
    rows.append({"what": "from asking to fence", **vars(found.fence_ms)})
    rows += [{"what": f"known to {url}", **vars(told)} for url, told in report.workers.items()]
    show(rows, title=f"{found.stops} stops, {found.under_load} under load, {found.claims} claims", as_json=False)
    if (idle := found.stops - found.under_load) > 0:
        console.print(verbatim(f"at {idle} stops nothing had been claimed for 50 ms: they measure little", "yellow"))
    for url, count in report.silent.items():
        if count:
            console.print(verbatim(f"{url} did not say that it knew of {count} stops: is a worker there?", "yellow"))
    for key in report.in_flight:
        console.print(verbatim(f"with a provider, and not to be called back: {key}"))
    console.print(f"replies with a provider at the last stop: {len(report.in_flight)}")
    console.print(f"machine: {report.cpus} CPUs, load {report.machine_load}")
    console.print(f"the database's clock is known to {report.clock_error_ms} ms")
    console.print(f"the scope was {report.before} and is {report.after}")
    style = "bold red" if found.sent_after_stop else "bold"
    console.print(verbatim(f"claims behind a stop: {found.sent_after_stop}", style))


def _cases(names: list[str], out: Path, as_json: bool) -> None:
    if unknown := [name for name in names if name not in CASES]:
        fail(f"no case {unknown[0]!r}; `sluice drill --list` names them", USAGE)
    from sluice.drill.cases import run_cases  # a world takes longer to import than a drill needs

    findings = run_cases(names, out, lambda said: stderr.print(verbatim(f"› {said}")))
    if as_json:
        print_json([vars(finding) for finding in findings])
    else:
        for finding in findings:
            rows = [{"figure": name, "value": value} for name, value in finding.figures.items()]
            show(rows, title=finding.fault, as_json=False)
            for breach in finding.breaches:
                console.print(verbatim(breach, style="bold red"))
    if any(finding.breaches for finding in findings):
        raise typer.Exit(WRONG)
