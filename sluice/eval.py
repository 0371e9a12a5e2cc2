"""`sluice eval`: a labelled suite down the path, in this process; predictions and a report."""

import hashlib
import json
import re
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from psycopg import sql
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from evals.bars import RELEASED, Bar, judge, read_bars
from evals.dataset import LabelledTicket, Suite, SuiteError, halves, judged_on
from evals.internal import asked_for
from evals.measures import Beside
from evals.outcome import Provenance, report
from evals.page import Against, render
from evals.prediction import Prediction
from evals.records import asked
from evals.resume import Manifest, OtherRun, Rows
from evals.task import Answering, Entrance, Pipeline, Until, run
from infra.knowledge import read_articles
from infra.language import detect_language
from infra.postgres.local import PostgresFailed, start_postgres
from infra.postgres.migrate import migrate
from infra.settings import Settings, SettingsError, load_settings
from infra.wiring import Adapters, InMemory, embedder_of, in_memory, open_adapters
from schemas.control import Scope, Stop, SwitchSet, SwitchState
from sluice.figures import show_report
from sluice.reach import usable
from sluice.suite import Prepared, code_digest, load, open_suite, prepare, trained_digest, with_suite
from sluice.terminal import DOWN, USAGE, AsJson, fail, print_json, read_settings, stderr
from sluice.terminal import run as run_async
from streams.ingress.mail import mailbox_of

HELD_OUT = "held-out"
THREADS = 2  # texts that are embedded at a time
ROLES = ("router", "commodity", "frontier")
RUNS = (
    "evals/task.py",
    "evals/prediction.py",
    "evals/dataset.py",
    "infra",
    "processors",
    "schemas",
)  # what rows rest on


@dataclass(frozen=True)
class Order:
    """What to run, and where its rows go."""

    suite: Suite
    tickets: tuple[LabelledTicket, ...]
    split: str  # by name, for the report
    until: Until
    out: Path
    fresh: bool = False  # whether rows of another run go


def evaluate(
    suite: Annotated[str, typer.Argument(help="A suite folder, or `shop`.")],
    tickets: Annotated[
        Path | None, typer.Option(help="Other tickets (JSONL, labels may be missing) for the suite's help centre.")
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            help="Which tickets_<split>.jsonl; `held-out`: what nothing was trained on; `records`: questions made of "
            "the customers' records, and traps like them; `internal`: messages that ask for internal documents."
        ),
    ] = HELD_OUT,
    stage: Annotated[Until, typer.Option(help="The last stage to run.")] = "gate",
    role: Annotated[
        list[str] | None, typer.Option(help="A model for a role, as commodity=provider/name. May be given again.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of predictions.jsonl and the report.")] = Path("var/eval"),
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N tickets.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Drop rows of another run that the folder holds.")] = False,
    gate: Annotated[
        bool, typer.Option("--gate", help="Exit with 1 where a bar of evals/bars.toml is missed, or a figure is lost.")
    ] = False,
    release: Annotated[
        bool, typer.Option("--release", help="Keep the figures in evals/released, for later runs to be held against.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a suite's tickets through the same processors and adapters as the workers, without Kafka.

    Trained parts are fitted on the training half of the customers first, unless that was done. Nothing is sent: the
    switch counts as armed, the helpdesk is in memory. A run that was cut off goes on where it was. A suite without
    articles is run through the router only.

    Examples:

      sluice eval shop --split test --out var/eval/shop

      sluice eval ../shared/evaldata/thunderbird --split dev --limit 200

      sluice eval ../shared/evaldata/mtrag --tickets new.jsonl --role commodity=vllm/qwen3 --out var/eval/mtrag
    """
    if release and (limit or stage != "gate"):
        fail("--release keeps whole runs to the gate: leave out --limit and --stage", USAGE)
    settings = _with_roles(read_settings(), role or [])
    usable(settings)
    read = open_suite(suite)
    try:
        read = judged_on(read, tickets) if tickets else read
        chosen = _chosen(read, HELD_OUT if tickets else split)
    except SuiteError as error:
        fail(str(error), USAGE)
    order = Order(read, chosen[:limit], tickets.name if tickets else split, _last(read, stage), out, fresh)
    try:
        found = run_async(_evaluate(order, settings))
    except PostgresFailed as error:
        fail(str(error), DOWN)
    except OtherRun as error:
        fail(f"{error}: give another --out, or --fresh to drop them", USAGE)
    if release:
        _release(order, found)
    if as_json:
        print_json(found)
    else:
        show_report(found)
        stderr.print(f"wrote {out / 'predictions.jsonl'}, {out / 'report.json'} and {out / 'report.html'}")
    missed = [finding["name"] for finding in found["bars"] if finding["verdict"] != "ok"]
    if gate and missed:
        fail(f"{read.name}: the gate stays shut for {', '.join(missed)}")


def _chosen(suite: Suite, split: str) -> tuple[LabelledTicket, ...]:
    """The tickets to run.

    Raises:
        SuiteError: there are none.
    """
    if split == HELD_OUT:
        chosen = halves(suite).held_out
    elif split == "records":
        chosen = asked(suite.customers)
    elif split == "internal":
        chosen = asked_for(article for path in suite.articles for article in read_articles(path))
    else:
        chosen = suite.split(split)
    if not chosen:
        raise SuiteError(f"{suite.path}: no ticket is {split}; give --split or --tickets")
    return chosen


def _with_roles(settings: Settings, roles: list[str]) -> Settings:
    """The settings with other models for some roles, each checked as a setting is."""
    for given in roles:
        name, _, model = given.partition("=")
        if name not in ROLES:
            fail(f"--role {given}: write it as ROLE=provider/name, with a role of {', '.join(ROLES)}", USAGE)
        try:
            checked = load_settings({f"MODEL_{name.upper()}": model})
        except SettingsError as error:
            fail(f"--role {given}: {error}", USAGE)
        settings = settings.model_copy(update={f"model_{name}": getattr(checked, f"model_{name}")})
    return settings


def _last(suite: Suite, stage: Until) -> Until:
    """The last stage that the suite allows."""
    if not suite.articles and stage != "router":
        stderr.print(f"{suite.name} has no help centre: only its router is run")
        return "router"
    return stage


async def _evaluate(order: Order, settings: Settings) -> dict[str, Any]:
    async with opened(order, settings) as (prepared, own):
        manifest = manifest_of(order, prepared, own)
        rows = Rows(order.out, manifest, left_out=("signals",), drop_others=order.fresh)  # signals: for certify alone
        await predict(order, own, rows)
    provenance = _provenance(order, prepared, own, rows)
    pairs = [(rows.done[ticket.id], ticket) for ticket in order.tickets]
    found = report(pairs, provenance, _beside(order.suite, prepared))
    findings = judge(found["measures"], _bars(order), _released(order).get("measures", []))
    found["bars"] = [{**asdict(finding), "bar": finding.bar.model_dump(exclude_defaults=True)} for finding in findings]
    (order.out / "report.json").write_text(json.dumps(found, indent=2, default=str) + "\n", encoding="utf-8")
    page = render(found, pairs, findings, _against(order))
    (order.out / "report.html").write_text(page, encoding="utf-8", errors="replace")
    return found


@asynccontextmanager
async def opened(
    order: Order, settings: Settings, deployed: Prepared | None = None
) -> AsyncIterator[tuple[Prepared, Adapters]]:
    """The suite's trained parts, unless those that are deployed are given, and adapters on a database of its own."""
    order.out.mkdir(parents=True, exist_ok=True)
    embedder = embedder_of(settings, threads=THREADS)
    async with AsyncExitStack() as closing:
        if order.until == "router":
            prepared = await prepare(order.suite, settings, embedder, stderr.print)
            yield prepared, Adapters(with_suite(settings, order.suite, prepared), {}, embedder)
            return
        url, base = await _stores(order.suite, settings, closing)
        prepared = deployed or await prepare(order.suite, settings, embedder, stderr.print)
        await load(order.suite, url, embedder, stderr.print)
        yield prepared, Adapters(with_suite(settings, order.suite, prepared), base.pools, embedder)


def _beside(suite: Suite, prepared: Prepared) -> Beside:
    """What the figures need of the suite's articles and of how its parts were trained."""
    articles = [article for path in suite.articles for article in read_articles(path)]
    router, verifier = (_json(prepared.models_dir / name) for name in ("router.json", "verifier.json"))
    return Beside(
        internal=frozenset(article.id for article in articles if article.audience != "public"),
        precise_from=router.get("precise_from"),
        caught=verifier.get("provenance", {}).get("caught", ()) if suite.articles else (),
    )


def _bars(order: Order) -> Mapping[str, Bar]:
    """The bars of a suite, or of a split of it that has its own; only a run to the gate is held to all of them."""
    bars = read_bars()
    own = bars.get(f"{order.suite.name}/{order.split}", bars.get(order.suite.name, {}))
    return own if order.until == "gate" or not order.suite.articles else {}


def _baseline(order: Order) -> Path:
    """Where the released figures of a suite and split are kept."""
    return RELEASED / f"{order.suite.name}-{order.split}.json"


def _released(order: Order) -> dict[str, Any]:
    """The last released figures of the suite and split; {} where there are none."""
    return _json(_baseline(order))


def _release(order: Order, found: Mapping[str, Any]) -> None:
    """Keep the figures alone: the rest of a report may tell of tickets that are not ours to give away."""
    kept = {name: found[name] for name in ("provenance", "tickets", "measures")}
    _baseline(order).parent.mkdir(exist_ok=True)
    _baseline(order).write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    stderr.print(f"wrote {_baseline(order)}")


def _against(order: Order) -> Against:
    released = _released(order)
    if not released:
        return Against({}, "No report of this suite was released before.")
    origin = released["provenance"]
    words = (
        f"Released: commit {origin['commit'][:12]}, {origin['split']}, {released['tickets']} tickets; change in points."
    )
    return Against({row["name"]: row["value"] for row in released["measures"]}, words)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return {}
    return found if isinstance(found, dict) else {}


async def _stores(suite: Suite, settings: Settings, closing: AsyncExitStack) -> tuple[str, Adapters]:
    """A database of the suite's own on a server of its own, empty or as an earlier run left it, and adapters on it."""
    server = start_postgres(settings.home / "eval" / suite.name / "postgres", durable=False)
    closing.callback(server.stop)
    name = "eval_" + re.sub(r"[^a-z0-9]+", "_", suite.name.lower())
    _create(server.url("postgres"), name)
    url = server.url(name)
    migrate(url)
    return url, await closing.enter_async_context(open_adapters(settings, url, ["retrieval"]))


def _create(server_url: str, name: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        if connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone() is None:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))


async def predict(order: Order, adapters: Adapters, rows: Rows) -> None:
    """Run the tickets that have no row yet."""
    memory = in_memory(adapters.clock, order.suite.customers)
    await memory.switch_table.set(_ARMED, offset=None)
    policy = adapters.policy
    if order.until == "gate" and adapters.certified.certification is None:
        stderr.print("no certificate: measured as if the policy waived it; `sluice certify` issues one")
        policy = policy.waived
    pipeline = Pipeline(
        conversations=memory.conversations,
        policy=policy,
        classifier=adapters.classifier,
        ledger=memory.ledger,
        clock=adapters.clock,
        answering=None if order.until == "router" else _answering(adapters, memory),
    )
    entrance = Entrance(mailbox_of(adapters.settings), adapters.clock, detect_language)
    left = rows.left(order.tickets)
    if len(left) < len(order.tickets):
        stderr.print(f"going on: {len(order.tickets) - len(left)} of {len(order.tickets)} tickets are done")
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(TextColumn("{task.description}"), *columns, console=stderr) as progress:
        bar = progress.add_task(order.suite.name, total=len(left))

        def done(row: Prediction) -> None:
            rows.add(row)
            progress.advance(bar)

        await run(left, order.suite, pipeline, entrance, done, until=order.until)
    rows.finish(order.tickets)


def _answering(adapters: Adapters, memory: InMemory) -> Answering:
    return Answering(
        knowledge=adapters.knowledge,
        customers=adapters.customers,
        models=adapters.models,
        prompt=adapters.prompt,
        verifier=adapters.verifier,
        helpdesk=memory.helpdesk,
        retrieval_threshold=adapters.retrieval_threshold,
        retrieval_limit=adapters.retrieval_limit,
        gate_floor=adapters.gate_floor,
        model_deadline=adapters.model_deadline,
        config_hash=adapters.config_hash,
        certified=adapters.certified,
    )


_ARMED = SwitchSet(
    scope=Scope(),
    state=SwitchState.AUTO,
    why="evaluation",
    actor="sluice eval",
    set_at=datetime(2026, 1, 1, tzinfo=UTC),
    lifts=Stop(),
)


def manifest_of(order: Order, prepared: Prepared, adapters: Adapters) -> Manifest:
    """What the rows depend on; the model servers' own state can't be among it."""
    settings = adapters.settings
    own = order.suite.customers, [(path.name, _sha(path)) for path in order.suite.articles]
    tickets = (ticket.model_dump_json() for name in sorted(order.suite.tickets) for ticket in order.suite.split(name))
    return Manifest(
        {
            "suite": order.suite.name,
            "data": hashlib.sha256(repr(own).encode()).hexdigest(),
            "tickets": hashlib.sha256("\n".join((order.split, *tickets)).encode()).hexdigest(),
            "stage": order.until,
            **{f"model of {name}": str(getattr(settings, f"model_{name}")) for name in ROLES},
            "configuration": adapters.config_hash,
            "trained parts or policy": trained_digest(prepared),
            "certificate": certificate_hash(adapters) if order.until == "gate" else "",
            "prompt": adapters.prompt.hash,
            "code": code_digest(RUNS),
        }
    )


def certificate_hash(adapters: Adapters) -> str:
    """SHA-256 of the certificate in force, hex; empty without one."""
    certification = adapters.certified.certification
    return hashlib.sha256(certification.model_dump_json().encode()).hexdigest() if certification else ""


def _sha(path: Path) -> str:
    files = sorted(path.rglob("*.md")) if path.is_dir() else [path]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _provenance(order: Order, prepared: Prepared, adapters: Adapters, rows: Rows) -> Provenance:
    settings = adapters.settings
    later = {} if order.until == "router" else {"verifier": adapters.verifier.name}
    seen = {ticket.id for ticket in halves(order.suite).train}
    return Provenance(
        suite=order.suite.name,
        split=order.split,
        stage=order.until,
        trained_on=prepared.trained_on,
        seen=sum(ticket.id in seen for ticket in order.tickets),
        models={
            "router": settings.model_router,
            "commodity": settings.model_commodity,
            "frontier": settings.model_frontier,
            "embedder": adapters.embedder.name,
            **later,
        },
        policy_hash=adapters.policy.hash,
        config_hash=rows.hash,
        commit=commit(),
    )


def commit() -> str:
    """The code's commit, "+" where the work tree differs from it, or "unknown" outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        head, changes = (
            subprocess.run([*git, *command], capture_output=True, text=True, check=True).stdout.strip()
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}+" if changes else head
