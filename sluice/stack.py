"""The whole stack on this machine: Kafka, Postgres, the workers and the edge, started in the background."""

import sys
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import httpx
import psycopg
from confluent_kafka import KafkaException

from infra.daemon import Daemon
from infra.kafka.admin import Admin
from infra.kafka.reason import reason
from infra.kafka.running import RunningKafka, ensure_kafka, running_kafka
from infra.postgres.local import RunningPostgres, ensure_postgres, find_postgres
from infra.postgres.migrate import MigrationError, migrate
from infra.settings import Settings
from processors.errors import DependencyDown
from sluice.reach import edge_url, pid_at, taken, unready, usable, worker_url

START_TIMEOUT = 90.0  # seconds; the first start builds the embedding graph
STOP_TIMEOUT = 30.0  # seconds; a worker drains for 20
WORKER, EDGE = "worker", "edge"

Say = Callable[[str], None]


class StackFailed(Exception):
    """A part did not come up; the message ends with its last log lines."""


@dataclass(frozen=True)
class Services:
    """Kafka and Postgres, ready for the workers: topics created, migrations applied."""

    kafka: RunningKafka
    postgres: RunningPostgres


def start_services(settings: Settings, *, allow_memory: bool, say: Say) -> Services:
    """Start what is not configured, both at once, and prepare them.

    Raises:
        KafkaUnavailable, KafkaFailed, PostgresFailed: one does not come up.
        DependencyDown: one that is configured does not answer.
        SettingsError: SLUICE_HOME cannot be used.
    """
    usable(settings)
    with ThreadPoolExecutor(2) as pool:
        starting = pool.submit(ensure_kafka, settings, allow_memory=allow_memory)
        postgres = ensure_postgres(settings)
        _migrate(postgres)
        say(f"Postgres: {'embedded' if postgres.local else 'yours'}")
        kafka = starting.result()
    if kafka.keeps_data:
        try:
            Admin(kafka.brokers).create_topics()
        except KafkaException as error:
            why = reason(kafka.brokers, error.args[0].str())
            raise StackFailed(f"Kafka at {kafka.bootstrap}: {why}") from None
    kinds = {"configured": "yours", "local": "a local Apache Kafka", "memory": "in-process, MEMORY ONLY"}
    say(f"Kafka: {kinds[kafka.kind]} at {kafka.bootstrap}")
    return Services(kafka, postgres)


def _migrate(postgres: RunningPostgres) -> None:
    try:
        migrate(postgres.owner_url)
    except psycopg.OperationalError as error:
        raise DependencyDown("Postgres", str(error).partition("\n")[0]) from None
    except MigrationError as error:
        raise StackFailed(f"Postgres: {error}; `sluice migrate --dry-run` lists the migrations") from None


def daemons(settings: Settings) -> dict[str, Daemon]:
    """The background processes of this home."""
    return {name: Daemon((settings.home / "run").resolve(), name) for name in (WORKER, EDGE)}


def start_processes(settings: Settings, say: Say) -> None:
    """Start the workers and the edge, and wait until both are ready.

    Raises:
        StackFailed: one of them ended, or is not ready in time.
    """
    running = daemons(settings)
    commands = {WORKER: ["worker", "all"], EDGE: ["edge"]}
    ports = {WORKER: settings.worker_port, EDGE: settings.edge_port}
    for name, arguments in commands.items():
        with running[name].lock() as lock:
            if lock is not None:
                # Another stack's process there would be taken for ours.
                if (why := taken(settings.edge_host, ports[name])) is not None:
                    raise StackFailed(f"{why}; SLUICE_{name.upper()}_PORT is the port")
                running[name].spawn([sys.executable, "-m", "sluice.main", *arguments], lock, {})
    _await(running[WORKER], worker_url(settings))
    say("workers: router, retrieval, resolution, gate, outcome are reading")
    _await(running[EDGE], edge_url(settings))
    say(f"edge: {edge_url(settings)}")


def stop_stack(settings: Settings, *, but: Collection[str] = ()) -> list[str]:
    """Stop what was started in this home, the processes first; their names. What it holds stays."""
    running = {name: stop for name, stop in running_parts(settings).items() if name not in but}
    for stop in running.values():
        stop()
    return list(running)


def running_parts(settings: Settings) -> dict[str, Callable[[], None]]:
    """What runs in this home, and how to stop each: the edge, then the workers, which finish what is in flight."""
    processes = daemons(settings)
    found = {name: partial(processes[name].stop, STOP_TIMEOUT) for name in (EDGE, WORKER) if processes[name].alive()}
    kafka = running_kafka(settings)
    services = {"Kafka": kafka.stop} if kafka is not None and kafka.kind != "configured" else {}
    postgres = find_postgres(settings.home / "postgres") if settings.database_url is None else None
    return found | services | ({"Postgres": postgres.stop} if postgres else {})


@contextmanager
def undone_where_it_fails(settings: Settings, say: Say) -> Iterator[None]:
    """Stop again what was started while the context lasted, where it fails or is broken off."""
    before = running_parts(settings)
    with ExitStack() as undo:
        undo.callback(_undo, settings, before, say)
        yield
        undo.pop_all()


def _undo(settings: Settings, before: Collection[str], say: Say) -> None:
    if stopped := stop_stack(settings, but=before):
        say(f"stopped again: {', '.join(stopped)}")
    if before:
        say(f"still running, as before: {', '.join(before)}; `sluice down` stops it")


def _await(daemon: Daemon, url: str) -> None:
    """Wait until our own process is ready there."""
    deadline, why = time.monotonic() + START_TIMEOUT, "it does not answer"
    while daemon.alive() and time.monotonic() < deadline:
        try:
            told = unready(f"{url}/readyz") or _stranger(daemon, url)
        except httpx.TransportError:
            told = why
        if told is None:
            return
        why = told
        time.sleep(0.1)
    raise StackFailed(f"{daemon.name} is not ready: {why}; {daemon.log} ends:\n{daemon.tail()}")


def _stranger(daemon: Daemon, url: str) -> str | None:
    """Why what answers there is not ours; None when it is.

    Raises:
        StackFailed: it is another process for sure.
    """
    ours, theirs = daemon.state().get("pid"), pid_at(f"{url}/livez")
    if ours is None:
        return "somebody else is starting it"
    if ours != theirs:
        raise StackFailed(f"{url} is another process's: SLUICE_{daemon.name.upper()}_PORT is the port")
    return None
