"""`sluice train`: fit the router, the ranking and the gate's verifier on a suite's labelled tickets."""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from evals.train.confusion import draw_confusion
from evals.train.gate import train_gate
from evals.train.policy import policy_for
from evals.train.retrieval import train_retrieval
from evals.train.router import RouterReport, read_corrections, train_router
from infra.wiring import POLICY, embedder_of
from sluice.suite import open_suite
from sluice.terminal import USAGE, AsJson, commands, console, fail, print_json, read_settings, run, stderr

app = commands("Fit the trained parts on labelled tickets, on the training half of the customers.")

SuiteName = Annotated[str, typer.Argument(metavar="SUITE", help="A suite folder, or `shop`.")]
Corrections = Annotated[Path | None, typer.Option(metavar="FILE.jsonl", help="Topics that people have put right.")]
Out = Annotated[Path | None, typer.Option(help="Where to write. Default: the trained parts' folder of the settings.")]


@app.command()
def router(suite: SuiteName, out: Out = None, corrections: Corrections = None, as_json: AsJson = False) -> None:
    """Train the intent classifier; prints cross-validated figures and draws what is taken for what.

    Agents' corrections are lines of {"text": ..., "intent": ...}; the last word on a text counts.

    Examples:

      sluice train router shop

      sluice train router ../shared/evaldata/thunderbird --out var/models/thunderbird

      sluice train router shop --corrections corrections.jsonl
    """
    settings = read_settings()
    embedder, today = embedder_of(settings), datetime.now(UTC).date()
    folder = _folder(out or settings.artefacts)
    try:
        told = read_corrections(corrections) if corrections else ()
        opened = open_suite(suite)
        report = run(train_router(opened, folder, embedder, progress=stderr.print, on=today, corrections=told))
    except (ValueError, OSError) as error:
        fail(str(error), USAGE)
    _show(report, report.summary(), as_json)
    _draw(report, folder / "router.svg")


@app.command()
def gate(suite: SuiteName, out: Out = None, as_json: AsJson = False) -> None:
    """Train and calibrate the verifier on right answers and spoilt ones; prints what it catches.

    The ranking is trained before it: it judges the answers to what that finds.

    Examples:

      sluice train gate shop --json

      sluice train gate ../shared/evaldata/thunderbird --out var/models/thunderbird
    """
    settings = read_settings()
    embedder = embedder_of(settings)
    try:
        report = train_gate(open_suite(suite), _folder(out or settings.artefacts), embedder, progress=stderr.print)
    except ValueError as error:
        fail(str(error), USAGE)
    _show(report, report.summary(), as_json)


@app.command()
def retrieval(suite: SuiteName, out: Out = None, as_json: AsJson = False) -> None:
    """Learn in which order found sections answer, from tickets whose right article is known; prints what it finds.

    Nothing is kept where it finds no more than the defaults.

    Examples:

      sluice train retrieval shop --json

      sluice train retrieval ../shared/evaldata/thunderbird --out var/models/thunderbird
    """
    settings = read_settings()
    embedder, folder = embedder_of(settings), _folder(out or settings.artefacts)
    try:
        report = run(train_retrieval(open_suite(suite), folder, embedder, progress=stderr.print))
    except ValueError as error:
        fail(str(error), USAGE)
    _show(report, report.summary(), as_json)


@app.command()
def policy(suite: SuiteName) -> None:
    """Propose a policy from the bands of the training half: what was mostly safe to answer, with the counts.

    The topics are those that a router trained on the suite names, as the policy will meet them, and what counts is what
    a verifier trained on it lets pass; both are trained for this, cross-validated, and not kept. The records a topic
    may draw on are the kinds that the suite's customers have.

    Examples:

      sluice train policy shop

      sluice train policy ../shared/evaldata/thunderbird > policy.toml
    """
    opened, settings = open_suite(suite), read_settings()
    embedder, today = embedder_of(settings), datetime.now(UTC).date()
    with TemporaryDirectory(prefix="sluice-router-") as folder:
        try:
            report = run(train_router(opened, Path(folder), embedder, progress=stderr.print, on=today))
            checked = train_gate(opened, Path(folder), embedder, progress=stderr.print) if opened.articles else None
        except ValueError as error:
            fail(str(error), USAGE)
    stopped = checked.stopped if checked else ()
    proposed = policy_for(opened, report.predicted, POLICY.read_text(encoding="utf-8"), stopped)
    console.print(proposed, markup=False, highlight=False, soft_wrap=True)


def _draw(report: RouterReport, path: Path) -> None:
    if find_spec("matplotlib") is None:
        stderr.print(f"no {path.name}: the picture needs matplotlib, of requirements-dev.lock")
        return
    title = f"{report.suite}: {report.examples} texts, {report.folds}-fold cross-validation"
    draw_confusion(report.confusion, path, title)
    stderr.print(f"wrote {path}")


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _show(report: object, figures: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(figures)
    else:
        console.print(str(report), markup=False, highlight=False)
