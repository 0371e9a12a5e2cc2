"""`sluice chaos`: break everything by a seed, and let the oracle say what held."""

import json
import signal
import threading
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table

from infra.kafka.local import KafkaFailed, KafkaUnavailable
from infra.postgres.local import PostgresFailed
from loadtest.chaos.faults import FAULTS, Lane
from loadtest.chaos.history import History
from loadtest.chaos.oracle import Verdict, judge
from loadtest.chaos.report import INVARIANTS, broken, document, ends, rows, story
from processors.errors import DependencyDown
from sluice.chaos.apart.cases import CASES
from sluice.chaos.run import Plan, Progress, run
from sluice.chaos.world import WorldFailed
from sluice.terminal import DOWN, USAGE, WRONG, AsJson, aside, console, fail, print_json, show, verbatim

INTERRUPTED = 130  # as a shell says it of Ctrl-C
TOLD = 5  # breaches whose tickets' whole history is printed
KNOWN = {fault.name: fault for fault in FAULTS}


def chaos(
    seed: Annotated[int, typer.Option(min=0, help="The same seed is the same plan.")] = 1,
    minutes: Annotated[float, typer.Option(min=0.1, help="How long faults are applied.")] = 5.0,
    rate: Annotated[float, typer.Option(min=0.1, help="Tickets a second, beside the bursts.")] = 5.0,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes, each with every stage.")] = 3,
    fault: Annotated[list[str] | None, typer.Option(help="Only this fault, again and again. May be repeated.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the faults and end.")] = False,
    out: Annotated[Path, typer.Option(help="Where SEED.json, the logs and the data go.")] = Path("var/chaos"),
    as_json: AsJson = False,
) -> None:
    """Start a world of its own, send tickets, break things by a seed, wait for quiet, and judge what happened.

    It judges by what is on the topics, in the tables and at the helpdesk: nothing lost, nothing sent twice, nothing out
    of order, nothing committed unfinished, nothing sent after a stop. Exit code 1 on any breach.

    Examples:

      sluice chaos --seed 7 --minutes 5

      sluice chaos --fault worker-kill --minutes 1

      sluice chaos --fault backlog

      sluice chaos --list
    """
    if list_:
        show(_catalogue(), title="Faults", as_json=as_json)
        return
    chosen = tuple(fault or ())
    if unknown := [name for name in chosen if name not in KNOWN]:
        fail(f"no fault {unknown[0]!r}; `sluice chaos --list` names them", USAGE)
    apart = [name for name in chosen if KNOWN[name].lane is Lane.APART]
    if apart and len(chosen) > 1:
        fail(f"{apart[0]} has a world of its own: name it alone", USAGE)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends it as Ctrl-C does, so that nothing is left running
    try:
        found = (
            _apart(apart[0], out, as_json)
            if apart
            else _common(Plan(seed, minutes, rate, workers, chosen), out, as_json)
        )
    except (WorldFailed, DependencyDown, KafkaFailed, KafkaUnavailable, PostgresFailed) as error:
        fail(str(error), DOWN)
    raise typer.Exit(WRONG if found["breaches"] else 0)


def _catalogue() -> list[dict[str, object]]:
    return [
        {"name": fault.name, "number": fault.number, "lane": fault.lane.value, "what": fault.what} for fault in FAULTS
    ]


def _apart(name: str, out: Path, as_json: bool) -> dict[str, Any]:
    screen = aside(as_json)
    finding = CASES[name](out / name, lambda said: screen.print(verbatim(f"› {said}")))
    found = {"fault": name, **vars(finding)}
    _write(out / f"{name}.json", found)
    if as_json:
        print_json(found)
    elif finding.not_run is not None:
        console.print(verbatim(f"{name}: not run: {finding.not_run}"))
    else:
        show([dict(finding.figures)], title=name, as_json=False)
        for breach in finding.breaches:
            console.print(verbatim(breach, style="bold red"))
    return found


def _common(plan: Plan, out: Path, as_json: bool) -> dict[str, Any]:
    screen, progress = aside(as_json), Progress()
    home = out / f"seed-{plan.seed}"
    result: list[History | BaseException] = []
    ended = threading.Event()  # waited for instead of the thread, which an interrupted join takes for ended (bpo-46726)

    def work() -> None:
        try:
            result.append(run(plan, home, progress, lambda said: screen.print(verbatim(f"› {said}"))))
        except BaseException as error:  # noqa: BLE001  told in the thread that waits
            result.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=work)
    with Live(console=screen, refresh_per_second=2, transient=True) as live:
        thread.start()
        try:
            while not ended.wait(0.5):
                live.update(_now(plan, progress))
        except KeyboardInterrupt:
            screen.print("› stopping; once more leaves the world running")
            progress.over.set()
            ended.wait()
            raise typer.Exit(INTERRUPTED) from None
    if isinstance(result[0], BaseException):
        raise result[0]
    history = result[0]
    verdict = judge(history)
    not_run = _not_run(plan, history, progress)
    found = document(plan.seed, history, verdict, not_run)
    _write(out / f"{plan.seed}.json", found)
    if as_json:
        print_json(found)
    else:
        _show(plan, history, verdict, not_run, progress)
    return found


def _not_run(plan: Plan, history: History, progress: Progress) -> dict[str, str]:
    """The faults that were not applied, each with the reason."""
    applied = {one.fault for one in history.applied}
    failed = {told.partition(":")[0]: told.partition(": ")[2] for told in progress.failed}
    wanted = plan.faults or tuple(KNOWN)
    why = {
        name: "it has a world of its own" if KNOWN[name].lane is Lane.APART else "its turn did not come"
        for name in wanted
    }
    return {name: failed.get(name, reason) for name, reason in why.items() if name not in applied}


def _write(path: Path, found: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2, default=str) + "\n")


def _now(plan: Plan, progress: Progress) -> Group | str:
    driver = progress.driver
    if driver is None:
        return "starting"
    on = ", ".join(f"{lane}: {name}" for lane, name in sorted(progress.now.items()))
    table = Table(show_header=False, box=None)
    table.add_row("sent", str(driver.sent))
    table.add_row("acknowledged", str(len(driver.acknowledged)))
    table.add_row("faults applied", str(len(progress.applied)))
    table.add_row("now", on)
    return Group(table)


def _show(plan: Plan, history: History, verdict: Verdict, not_run: dict[str, str], progress: Progress) -> None:
    table = Table(title=f"Seed {plan.seed}", title_justify="left")
    for column in ("fault", "no.", "applied", "recovered, median", "longest"):
        table.add_column(column)
    for fault, times, middle, longest in rows(history, not_run):
        shown = ("not run", "", "") if not times else (str(times), _seconds(middle), _seconds(longest))
        table.add_row(fault.name, fault.number, *shown)
    console.print(table)
    console.print(_judged(history, verdict))
    for told in progress.failed:
        console.print(verbatim(f"not applied: {told}", style="yellow"))
    counts = {name: value for name, value in vars(verdict).items() if name != "breaches"}
    show([counts], title="What the oracle counted", as_json=False)
    console.print("ends:", ", ".join(f"{count} {end}" for end, count in sorted(ends(history).items())))
    for breach in verdict.breaches[:TOLD]:
        console.print(verbatim(f"\n{breach.invariant}: {breach.what}", style="bold red"))
        for line in story(history, breach):
            console.print(verbatim(f"  {line}"), soft_wrap=True)
    if len(verdict.breaches) > TOLD:
        console.print(verbatim(f"and {len(verdict.breaches) - TOLD} more", style="bold red"))
    took = timedelta(seconds=round((history.quiet_at - history.began).total_seconds()))
    console.print("every promise was kept" if verdict.clean else f"{len(verdict.breaches)} breaches", f"in {took}")


def _judged(history: History, verdict: Verdict) -> Table:
    """Fault x invariant: the breaches on tickets that lived through a fault; - where nothing can be said."""
    table = Table(title="Breaches while", title_justify="left")
    for column in ("fault", *INVARIANTS):
        table.add_column(column)
    for fault, found in broken(history, verdict).items():
        table.add_row(fault, *("-" if found[name] is None else str(found[name]) for name in INVARIANTS))
    return table


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"
