"""`sluice eval`: the whole path over a labelled suite, in this process; predictions and a report."""

import json
import re
import subprocess
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from psycopg import sql
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from evals.dataset import LabelledTicket, Suite, SuiteError, halves
from evals.outcome import Provenance, report
from evals.prediction import Prediction, write
from evals.task import Entrance, Pipeline, run
from infra.language import detect_language
from infra.postgres.local import PostgresFailed, start_postgres
from infra.postgres.migrate import migrate
from infra.settings import Settings
from infra.wiring import Adapters, in_memory, open_adapters
from schemas.control import Scope, Stop, SwitchSet, SwitchState
from sluice.figures import show_report
from sluice.reach import usable
from sluice.suite import Prepared, load, open_suite, prepare, with_suite
from sluice.terminal import DOWN, USAGE, AsJson, fail, print_json, read_settings, stderr
from sluice.terminal import run as run_async
from streams.ingress.mail import mailbox_of

HELD_OUT = "held-out"


def evaluate(
    suite: Annotated[str, typer.Argument(help="A suite folder, or `shop`.")],
    split: Annotated[
        str, typer.Option(help="Which tickets_<split>.jsonl, or `held-out`: what nothing was trained on.")
    ] = HELD_OUT,
    out: Annotated[Path, typer.Option(help="Folder of predictions.jsonl and report.json.")] = Path("var/eval"),
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N tickets.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run a suite's tickets through the same processors and adapters as the workers, without Kafka.

    Trained parts are fitted on the training half of the customers first, unless that was done. Nothing is sent: the
    switch counts as armed, the helpdesk is in memory.

    Examples:

      sluice eval shop --split test --out var/eval/shop

      sluice eval ../shared/evaldata/thunderbird --split dev --limit 200
    """
    settings = read_settings()
    usable(settings)
    opened = open_suite(suite)
    try:
        tickets = halves(opened).held_out if split == HELD_OUT else opened.split(split)
    except SuiteError as error:
        fail(str(error), USAGE)
    try:
        found = run_async(_evaluate(opened, tickets[:limit], split, out, settings))
    except PostgresFailed as error:
        fail(str(error), DOWN)
    if as_json:
        print_json(found)
    else:
        show_report(found)
        stderr.print(f"wrote {out / 'predictions.jsonl'} and {out / 'report.json'}")


async def _evaluate(
    suite: Suite, tickets: tuple[LabelledTicket, ...], split: str, out: Path, settings: Settings
) -> dict[str, Any]:
    out.mkdir(parents=True, exist_ok=True)
    server = start_postgres(settings.home / "eval" / "postgres", durable=False)
    async with AsyncExitStack() as closing:
        closing.callback(server.stop)
        url = server.url(_database(suite))
        _create(server.url("postgres"), _database(suite))
        migrate(url)
        adapters = await closing.enter_async_context(open_adapters(settings, url, ["retrieval"]))
        prepared = await prepare(suite, settings, adapters.embedder, stderr.print)
        await load(suite, url, adapters.embedder, stderr.print)
        own = Adapters(with_suite(settings, suite, prepared), adapters.pools)
        rows = await _predict(suite, tickets, own)
        provenance = _provenance(suite, split, prepared, own)
    write(out / "predictions.jsonl", rows)
    found = report(list(zip(rows, tickets, strict=True)), provenance)
    (out / "report.json").write_text(json.dumps(found, indent=2, default=str) + "\n")
    return found


async def _predict(suite: Suite, tickets: tuple[LabelledTicket, ...], adapters: Adapters) -> list[Prediction]:
    memory = in_memory(adapters.clock, suite.customers)
    await memory.switch_table.set(_ARMED, offset=None)
    pipeline = Pipeline(
        conversations=memory.conversations,
        policy=adapters.policy,
        classifier=adapters.classifier,
        knowledge=adapters.knowledge,
        customers=adapters.customers,
        models=adapters.models,
        ledger=memory.ledger,
        prompt=adapters.prompt,
        verifier=adapters.verifier,
        helpdesk=memory.helpdesk,
        clock=adapters.clock,
        retrieval_threshold=adapters.retrieval_threshold,
        retrieval_limit=adapters.retrieval_limit,
        gate_floor=adapters.gate_floor,
        model_deadline=adapters.model_deadline,
        config_hash=adapters.config_hash,
    )
    entrance = Entrance(mailbox_of(adapters.settings), adapters.clock, detect_language)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr) as progress:
        bar = progress.add_task(f"{suite.name}", total=len(tickets))
        return await run(tickets, suite, pipeline, entrance, lambda _: progress.advance(bar))


_ARMED = SwitchSet(
    scope=Scope(),
    state=SwitchState.AUTO,
    why="evaluation",
    actor="sluice eval",
    set_at=datetime(2026, 1, 1, tzinfo=UTC),
    lifts=Stop(),
)


def _provenance(suite: Suite, split: str, prepared: Prepared, adapters: Adapters) -> Provenance:
    settings = adapters.settings
    return Provenance(
        suite=suite.name,
        split=split,
        trained_on=prepared.trained_on,
        models={
            "router": settings.model_router,
            "commodity": settings.model_commodity,
            "frontier": settings.model_frontier,
            "verifier": adapters.verifier.name,
            "embedder": adapters.embedder.name,
        },
        policy_hash=adapters.policy.hash,
        config_hash=adapters.config_hash,
        commit=commit(),
    )


def commit() -> str:
    """The code's commit, or "unknown" outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _database(suite: Suite) -> str:
    return "eval_" + re.sub(r"[^a-z0-9]+", "_", suite.name.lower())


def _create(server_url: str, name: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        if connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone() is None:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
