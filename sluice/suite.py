"""A suite made ready to run: its trained parts, its policy, its help centre and customers in Postgres."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dotenv import dotenv_values

from evals.dataset import Halves, Suite, SuiteError, halves, load_suite
from evals.teach import taught
from infra.embeddings.remembered import Remembered
from infra.knowledge import read_articles
from infra.postgres.ingest import Retire, ingest, load_customers
from infra.postgres.pool import open_pool
from infra.settings import Settings, load_settings
from infra.wiring import POLICY, keep
from sluice.terminal import USAGE, fail

DATASETS = Path(__file__).parent.parent / "evals" / "datasets"
SHOP = "shop"
TRAINS = (  # the code that what is trained depends on, beside the processors
    "evals/train",
    "evals/dataset.py",
    "evals/kinds.py",
    "evals/records.py",
    "evals/router.py",
    "evals/scorers.py",
    "evals/teach.py",
    "infra/models",
    "infra/embeddings",
    "infra/knowledge",
    "infra/scripted/knowledge.py",
    "processors",
)
DATED = ("router.json", "trained.json")  # say when their neighbours were trained, too
CERTIFIED = ("certificate.json", "selective.json")  # made of what the trained parts answer
OWN_POLICY = frozenset({SHOP})  # suites that the policy of the project was written for

Say = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """What `prepare` made, and where."""

    models_dir: Path
    policy: Path
    trained_on: str  # in words


def open_suite(name: str, unread: Collection[str] = ()) -> Suite:
    """A suite by its folder, or by its name among the project's own; the files of the splits `unread` stay shut."""
    path = Path(name)
    try:
        return taught(load_suite(path if path.exists() or not (DATASETS / name).is_dir() else DATASETS / name, unread))
    except (SuiteError, OSError) as error:
        known = "" if path.exists() else f"; known by name: {', '.join(_known())}, else give a folder"
        fail(f"{error}{known}", USAGE)


def _known() -> list[str]:
    return sorted(folder.name for folder in DATASETS.iterdir() if any(folder.glob("tickets_*.jsonl")))


def settings_of(suite: Suite) -> dict[str, str]:
    """What the suite's company sets for its own mail (`settings.env`); nothing where there is no such file."""
    file = suite.path / "settings.env"
    return {name: value for name, value in dotenv_values(file).items() if value} if file.is_file() else {}


async def prepare(suite: Suite, settings: Settings, embedder: Remembered, say: Say) -> Prepared:
    """Train router, ranking and verifier on the suite's training half, unless that was done with the same data.

    A suite without a policy of its own gets one proposed from the bands of the training half; it says what it rests on.
    Without a help centre there is no answer to verify, and only the router is trained. They are trained at once:
    one embeds while another fits. Their libraries are imported for that alone.
    """
    parted = halves(suite)
    directory = settings.artefacts / "-".join(filter(None, (suite.name, suite.variant)))
    mark = directory / "trained.json"
    wanted = {"data": _digest(suite, parted), "embedder": embedder.name, "code": code_digest(TRAINS)}
    if not mark.is_file() or json.loads(mark.read_text()) != wanted:
        directory.mkdir(parents=True, exist_ok=True)
        mark.unlink(missing_ok=True)
        say(f"training on {len(parted.train)} tickets of {suite.name} ({parted.rule}); the others are held out")
        predicted, stopped = await _trained(suite, directory, embedder, say)
        if suite.policy is None and suite.name not in OWN_POLICY:
            from evals.train.policy import policy_for

            base = POLICY.read_text(encoding="utf-8")
            (directory / "policy.toml").write_text(policy_for(suite, predicted, base, stopped))
        mark.write_text(json.dumps(wanted))
    learned = directory / "policy.toml"
    policy = suite.policy or (learned if learned.is_file() else POLICY)
    return Prepared(directory, policy, f"{len(parted.train)} tickets of {suite.name}: {parted.rule}")


async def _trained(
    suite: Suite, directory: Path, embedder: Remembered, say: Say
) -> tuple[Mapping[str, str], Collection[str]]:
    """Train all parts; the intents that the router names, by ticket, and the questions that the verifier stops."""
    from evals.train.gate import train_gate
    from evals.train.retrieval import train_retrieval
    from evals.train.router import train_router

    def router() -> Mapping[str, str]:
        today = datetime.now(UTC).date()
        return asyncio.run(train_router(suite, directory, embedder, progress=say, on=today)).predicted

    if not suite.articles:
        return await asyncio.to_thread(router), ()

    def answers() -> Collection[str]:
        try:
            found = asyncio.run(train_retrieval(suite, directory, embedder, progress=say)).found
        except ValueError as error:
            say(f"the ranking keeps its defaults: {error}")
            found = {}
        return train_gate(suite, directory, embedder, progress=say, found=found).stopped

    return await asyncio.gather(asyncio.to_thread(router), asyncio.to_thread(answers))


def _digest(suite: Suite, parted: Halves) -> str:
    """SHA-256 of what the trained parts see, hex."""
    digest = hashlib.sha256()
    for ticket in parted.train:
        digest.update(ticket.model_dump_json().encode())
    for example in parted.intents:
        digest.update(example.model_dump_json().encode())
    for path in (*suite.articles, *sorted(suite.path.glob("retrieval_*.jsonl"))):
        for file in sorted(path.rglob("*.md")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return digest.hexdigest()


def code_digest(places: Iterable[str]) -> str:
    """SHA-256 of some of the code, by files and folders of the project, and of its policy, hex."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for place in places:
        for file in sorted((root / place).rglob("*.py")) or [root / place]:
            digest.update(file.read_bytes())
    digest.update(POLICY.read_bytes())
    return digest.hexdigest()


def trained_digest(prepared: Prepared) -> str:
    """SHA-256 of the trained parts and the policy, hex; not of when they were made."""
    digest = hashlib.sha256(prepared.policy.read_bytes())
    for file in sorted(prepared.models_dir.glob("*")):
        if file.suffix in (".npz", ".json", ".onnx") and file.name not in (*DATED, *CERTIFIED):
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


async def load(suite: Suite, owner_url: str, embedder: Remembered, say: Say) -> None:
    """Put the suite's help centre and customers into a database of its own; what did not change stays untouched."""
    pool = await open_pool(owner_url, size=1)
    try:
        articles = [article for path in suite.articles for article in read_articles(path)]
        report = await ingest(pool, embedder, articles, retire=Retire.ANY)
        await keep(embedder, articles)
        customers = await load_customers(pool, suite.customers)
        say(f"{len(articles)} articles, {report.sections} sections, {report.embedded} embedded; {customers} customers")
    finally:
        await pool.close()


def with_suite(settings: Settings, suite: Suite, prepared: Prepared) -> Settings:
    """The settings with the suite's mail, policy and trained parts in the place of the company's."""
    mail = load_settings(settings_of(suite))
    return settings.model_copy(
        update={
            "models_dir": prepared.models_dir,
            "policy": prepared.policy,
            "email_authserv_ids": mail.email_authserv_ids,
            "email_mailboxes": mail.email_mailboxes,
            "email_domains": mail.email_domains,
        }
    )
