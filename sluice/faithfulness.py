"""`sluice faithfulness`: Ragas's score of answers by a judge of another model, offline; it fails closed."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from evals.dataset import LabelledTicket, Suite, SuiteError, judged_on
from evals.faithfulness import Faithful, Question, ScorerProcess, judge
from evals.kept import keep_row, read_kept
from evals.prediction import Prediction, read
from evals.scorers import AUTO, wilson
from evals.train.answers import sections_of
from infra.settings import Settings
from schemas.event import Value
from sluice.figures import percent
from sluice.suite import open_suite
from sluice.terminal import USAGE, WRONG, AsJson, console, fail, print_json, read_settings, run, stderr, verbatim

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv-ragas" / "bin" / "python"
SCRIPT = ROOT / "evals" / "ragas_scorer.py"
OPENAI = "https://api.openai.com/v1"
PASSED_ON = ("PATH", "HOME", "LANG", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTPS_PROXY", "NO_PROXY")
RECORD = "crm:"


class Scored(Value):
    """The judge's word on one answer."""

    id: str
    judge: str  # the model
    digest: str  # of what it was asked
    score: float
    supported: bool
    statements: int
    fault: str


@dataclass(frozen=True)
class _Judge:
    model: str
    url: str
    key: str | None
    floor: float
    deadline: float  # seconds
    python: Path


def faithfulness(
    predictions: Annotated[Path, typer.Argument(help="predictions.jsonl of an evaluation.")],
    suite: Annotated[str, typer.Option(help="Its suite: a folder, or `shop`.")],
    model: Annotated[str, typer.Option(help="The judge: another model than the one that wrote the answers.")],
    url: Annotated[
        str | None, typer.Option(help="The judge's OpenAI-compatible API. Default: OPENAI_BASE_URL, else OpenAI's.")
    ] = None,
    tickets: Annotated[Path | None, typer.Option(help="The tickets, where the evaluation was given others.")] = None,
    floor: Annotated[float, typer.Option(min=0, max=1, help="The score an answer needs.")] = 0.92,
    deadline: Annotated[float, typer.Option(min=1, max=3600, help="Seconds for one answer.")] = 120.0,
    every: Annotated[bool, typer.Option("--all", help="Judge every draft, not only what was sent by itself.")] = False,
    out: Annotated[Path | None, typer.Option(help="Default: faithfulness.jsonl beside the predictions.")] = None,
    python: Annotated[Path, typer.Option(help="Python of the environment that `make ragas` builds.")] = PYTHON,
    as_json: AsJson = False,
) -> None:
    """Let a judge say which answers their own sources support: two model calls an answer, and nothing is sent.

    The score counts only where every statement has its own plain verdict; whatever else a judge does (fewer verdicts,
    none, "idk", NaN, an error, silence) counts as not supported, and is told as a fault. It is a machine's opinion: it
    bounds nothing, no certificate rests on it. Goes on where it was cut off; faults are tried again.

    Examples:

      sluice faithfulness var/eval/predictions.jsonl --suite shop --model judge --url http://127.0.0.1:8000/v1
    """
    settings = read_settings()
    judging = _judge(settings, model, url, (floor, deadline), python)
    if not predictions.is_file():
        fail(f"{predictions}: no such file", USAGE)
    rows = [row for row in read(predictions) if row.answer and (every or row.disposition == AUTO)]
    if not rows:
        fail("no answer was sent by itself there: --all judges every draft", WRONG)
    try:
        opened = open_suite(suite)
        asked = dict(_questions(rows, judged_on(opened, tickets) if tickets else opened))
    except (SuiteError, LookupError) as error:
        fail(str(error), USAGE)
    path = out or predictions.with_name("faithfulness.jsonl")
    found = run(_scored(asked, judging, path))
    if as_json:
        print_json(_summary(found, judging, path))
    else:
        _show(found, judging, path)
    if found and all(row.fault for row in found):
        fail(f"the judge gave no answer that counts: {found[0].fault}", WRONG)


def _judge(settings: Settings, model: str, url: str | None, limits: tuple[float, float], python: Path) -> _Judge:
    address = (url or settings.openai_base_url or OPENAI).rstrip("/")
    if not address.startswith("https://") and httpx.URL(address).host not in ("127.0.0.1", "localhost", "::1"):
        fail(f"--url {address}: customers' words go there: write it with https://", USAGE)
    if not python.is_file():
        fail(f"no {python}: `make ragas` builds the environment", USAGE)
    key = settings.openai_api_key
    return _Judge(model, address, key.get_secret_value() if key else None, *limits, python)


def _questions(rows: Sequence[Prediction], suite: Suite) -> Iterator[tuple[str, Question]]:
    """What is asked of each row: the answer beside the sections it cites, whole, and the quotes of records."""
    tickets = {ticket.id: ticket for split in suite.tickets.values() for ticket in split}
    sections = {(source.article_id, source.section_id): source.text for source in sections_of(suite)}
    for row in rows:
        if row.id not in tickets:
            raise LookupError(f"{suite.path} has no ticket {row.id}: give the evaluation's own suite and --tickets")
        yield row.id, Question(_asked(tickets[row.id]), row.answer, tuple(_contexts(row, sections)))


def _asked(ticket: LabelledTicket) -> str:
    return "\n".join((*(f"{turn.speaker}: {turn.text}" for turn in ticket.thread), ticket.text))


def _contexts(row: Prediction, sections: Mapping[tuple[str, str | None], str]) -> Iterator[str]:
    seen: set[str] = set()
    for sentence in row.sentences:
        article = sentence.article_id or ""
        text = sentence.quote if article.startswith(RECORD) else sections.get((article, sentence.section_id))
        if text and text not in seen:
            seen.add(text)
            yield text


async def _scored(asked: Mapping[str, Question], judging: _Judge, path: Path) -> list[Scored]:
    done = {(row.id, row.judge, row.digest): row for row in read_kept(path, Scored) if not row.fault}
    environ = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environ |= {"RAGAS_DO_NOT_TRACK": "true"} | ({"OPENAI_API_KEY": judging.key} if judging.key else {})
    command = [str(judging.python), str(SCRIPT), judging.url, judging.model]
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    found = []
    with Progress(*columns, console=stderr, transient=True) as progress:
        task = progress.add_task(judging.model, total=len(asked))
        async with ScorerProcess(command, environ, judging.deadline) as scorer:
            for name, question in asked.items():
                digest = _digest(question)
                row = done.get((name, judging.model, digest))
                if row is None:
                    row = _row(name, judging.model, digest, await judge(question, scorer, judging.floor))
                    keep_row(path, row)
                found.append(row.model_copy(update={"supported": not row.fault and row.score >= judging.floor}))
                progress.advance(task)
    return found


def _digest(question: Question) -> str:
    parts = (question.question, question.answer, *question.contexts)
    return sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()[:16]


def _row(name: str, model: str, digest: str, found: Faithful) -> Scored:
    return Scored(id=name, judge=model, digest=digest, **asdict(found))


def _summary(found: Sequence[Scored], judging: _Judge, path: Path) -> dict[str, Any]:
    supported = sum(row.supported for row in found)
    return {
        "judge": judging.model,
        "floor": judging.floor,
        "answers": len(found),
        "supported": supported,
        "share": supported / len(found) if found else None,
        "interval": wilson(supported, len(found)),
        "faults": dict(Counter(row.fault for row in found if row.fault)),
        "scores": path,
    }


def _show(found: Sequence[Scored], judging: _Judge, path: Path) -> None:
    told = _summary(found, judging, path)
    console.print(
        verbatim(f"{told['supported']} of {len(found)} answers supported by {judging.model}, at {judging.floor}: "),
        percent(told["share"], told["interval"]),
    )
    for fault, count in told["faults"].items():
        console.print(verbatim(f"  {count} not supported as the judge's word does not count: {fault}", "yellow"))
    for row in [row for row in found if not row.supported and not row.fault][:20]:
        console.print(verbatim(f"  {row.id}: {row.score:.2f} of {row.statements} statements", "dim"))
    console.print(verbatim(f"a machine's opinion, in {path}", "dim"))
