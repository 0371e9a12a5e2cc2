"""`sluice doctor`: what is reachable, which versions run, and what to fix."""

import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Literal

import httpx
import psycopg
import typer
from confluent_kafka import KafkaException

from infra.kafka.admin import Admin
from infra.kafka.local import kafka_available
from infra.kafka.reason import reason
from infra.kafka.running import running_kafka
from infra.postgres.local import find_postgres
from infra.postgres.migrate import MigrationError, status
from infra.settings import Settings, SettingsError
from infra.wiring import LOCAL_CLASSIFIER, Adapters
from sluice.certificate import state_of
from sluice.reach import api_keys, edge_url, unready, worker_url
from sluice.switch_scope import trained_intents
from sluice.terminal import WRONG, AsJson, console, print_json, read_settings, show

LIBRARIES = ("faust-streaming", "aiokafka", "mode-streaming", "confluent-kafka", "pydantic", "fastavro", "psycopg")

Verdict = Literal["ok", "off", "wrong"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    what: str
    verdict: Verdict  # off: not running, which may be as intended
    detail: str
    fix: str = ""


def doctor(as_json: AsJson = False) -> None:
    """Look at everything Sluice needs. Exit code 1 when something is wrong; what is merely off is not.

    Examples:

      sluice doctor

      sluice doctor --json
    """
    settings = read_settings()
    findings = [finding for check in CHECKS for finding in check(settings)]
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        show([asdict(finding) for finding in findings], title="Doctor", as_json=False)
        if all(finding.verdict == "ok" for finding in findings):
            console.print("everything is reachable")
    if any(finding.verdict == "wrong" for finding in findings):
        raise typer.Exit(WRONG)


def _versions(_: Settings) -> Iterator[Finding]:
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    yield Finding("versions", "ok", f"sluice 0.1.0, Python {platform.python_version()}, {libraries}")


def _kafka(settings: Settings) -> Iterator[Finding]:
    running = running_kafka(settings)
    if running is None:
        missing = kafka_available()
        yield Finding("Kafka", "wrong" if missing else "off", missing or "not running", missing or "sluice up")
        return
    try:
        states = Admin(running.brokers).describe_topics() if running.keeps_data else ()
    except KafkaException as error:
        why = reason(running.brokers, error.args[0].str())
        yield Finding("Kafka", "wrong", f"{running.bootstrap}: {why}", "KAFKA_BOOTSTRAP_SERVERS")
        return
    yield Finding("Kafka", "ok", f"{running.kind} at {running.bootstrap}")
    differing = [f"{state.spec.name}: {'; '.join(state.differences)}" for state in states if state.differences]
    if differing:
        yield Finding("topics", "wrong", "; ".join(differing), "sluice topics create, describe")
    else:
        yield Finding("topics", "ok", f"{len(states)} as they should be" if states else "made on demand")


def _postgres(settings: Settings) -> Iterator[Finding]:
    local = find_postgres(settings.home / "postgres") if settings.database_url is None else None
    if settings.database_url is None and local is None:
        yield Finding("Postgres", "off", "not running", "sluice up, or DATABASE_URL")
        return
    url = settings.database_url.get_secret_value() if settings.database_url else local.url() if local else ""
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            found = connection.execute("select extversion from pg_extension where extname = 'vector'").fetchone()
            number = connection.info.server_version // 10000
        pending = [entry.migration.name for entry in status(url) if entry.applied_at is None]
    except (psycopg.Error, MigrationError) as error:
        yield Finding("Postgres", "wrong", str(error).strip(), "DATABASE_URL, sluice migrate")
        return
    yield Finding("Postgres", "ok", f"{'embedded' if local else 'yours'}, version {number}")
    if found is None or pending:
        yield Finding("schema", "wrong", f"pending: {', '.join(pending) or 'pgvector'}", "sluice migrate")
    else:
        yield Finding("schema", "ok", f"migrated, pgvector {found[0]}")


def _policy(settings: Settings) -> Iterator[Finding]:
    try:
        policy = Adapters(settings, {}).policy
    except SettingsError as error:
        yield Finding("policy", "wrong", str(error), "SLUICE_POLICY")
        return
    yield Finding("policy", "ok", f"{settings.policy or 'the one of the demo shop'}, hash {policy.hash[:12]}")
    known = trained_intents(settings)
    strange = policy.unknown_intents(known) if known else ()
    if strange:
        yield Finding("topics", "off", f"the router never names {', '.join(strange)}", "SLUICE_POLICY: a typo?")


def _certificate(settings: Settings) -> Iterator[Finding]:
    found = state_of(settings)
    yield Finding("certificate", found.verdict, found.detail, found.fix)


def _trained(settings: Settings) -> Iterator[Finding]:
    for what, file in (("router", "router.json"), ("gate", "verifier.json")):
        if what == "router" and settings.model_router != LOCAL_CLASSIFIER:
            continue
        path = settings.artefacts / file
        if path.is_file():
            yield Finding(f"trained {what}", "ok", str(path))
        else:
            yield Finding(f"trained {what}", "off", f"no {path}", f"sluice train {what} SUITE, or SLUICE_MODELS_DIR")


def _servers(settings: Settings) -> Iterator[Finding]:
    yield _answers("edge", f"{edge_url(settings)}/readyz", "sluice edge, or sluice up", needed=False)
    yield _answers("worker", f"{worker_url(settings)}/readyz", "sluice worker all, or sluice up", needed=False)
    names = {settings.model_router, settings.model_commodity, settings.model_frontier}
    if any(name.startswith("vllm/") for name in names) and settings.vllm_base_url:
        yield _answers("vLLM", f"{settings.vllm_base_url.rstrip('/')}/models", "VLLM_BASE_URL", needed=True)
    if not api_keys(settings):
        yield Finding("API keys", "off", "none: the edge refuses everybody", "SLUICE_API_KEYS")


def _answers(what: str, url: str, fix: str, *, needed: bool) -> Finding:
    try:
        why = unready(url)
    except httpx.TransportError as error:
        return Finding(what, "wrong" if needed else "off", f"{url}: {type(error).__name__}", fix)
    return Finding(what, "ok", url) if why is None else Finding(what, "wrong", f"{url}: {why}", fix)


CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    _versions,
    _kafka,
    _postgres,
    _policy,
    _trained,
    _certificate,
    _servers,
)
