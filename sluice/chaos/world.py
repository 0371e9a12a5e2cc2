"""The world a chaos run breaks: brokers, Postgres, a model, a helpdesk and workers as processes of its own."""

import asyncio
import base64
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import IO

import httpx
from confluent_kafka.admin import AdminClient

from infra.kafka.admin import Admin, with_partitions
from infra.kafka.local import LocalCluster, LocalKafka, start_cluster, start_kafka
from infra.postgres.local import LocalPostgres, start_postgres
from infra.postgres.migrate import migrate
from infra.settings import Settings, load_settings
from infra.wiring import POLICY, embedder_of
from loadtest.chaos.history import Flip
from processors.policy import waiving
from schemas.control import Scope, SwitchState
from schemas.topics import all_topics
from sluice.demo.own import own_environ
from sluice.stack import Say
from sluice.suite import SHOP, load, open_suite, prepare
from sluice.switch_paths import set_switch

PARTITIONS = 4
SESSION = 6.0  # seconds: the least a broker allows, so that a paused worker is found out soon
READY_WITHIN = 60.0  # seconds
DRAINED_WITHIN = 40.0
LIMITS = {
    "SLUICE_SESSION_TIMEOUT": str(SESSION),
    "SLUICE_MODEL_DEADLINE": "4",
    "SLUICE_HELPDESK_DEADLINE": "3",
    "SLUICE_CLAIM_LEASE": "8",
}


class WorldFailed(Exception):
    """A part of the world did not come up; the message says which, and where its log is."""


@dataclass
class Worker:
    """A place for a worker process. The supervisor fills it again unless a fault holds it."""

    name: str
    stages: str = "all"
    environ: Mapping[str, str] = field(default_factory=dict)  # beside the world's own
    prefix: Sequence[str] = ()  # before its command, such as one that enters a namespace
    host: str = "127.0.0.1"  # where its health is asked for
    process: "subprocess.Popen[bytes] | None" = None
    port: int | None = None  # of its health and metrics, once it listens
    held: bool = False  # by a fault: not to be started by anybody else
    crashes: int = 0  # ends that nobody asked for

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


@dataclass
class World:
    """Everything that runs, and how to hurt it."""

    home: Path
    layout: "Layout"
    settings: Settings
    kafka: LocalKafka | LocalCluster
    postgres: LocalPostgres
    environ: dict[str, str]
    model: str  # address of the scripted model server
    helpdesk: str
    workers: list[Worker] = field(default_factory=list)
    servers: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)  # model, helpdesk
    words: dict[str, list[str]] = field(default_factory=dict)  # how each is started
    flips: list[Flip] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)

    # -- workers

    def start(self, worker: Worker, **more: str) -> None:
        """Start a worker process, unless the world closes; `more` is added to its environment for this once."""
        with self.lock:
            if not self.closing.is_set():
                self._start(worker, more)

    def _start(self, worker: Worker, more: Mapping[str, str]) -> None:
        log = (self.home / f"{worker.name}.log").open("ab")
        words = [sys.executable, "-m", "sluice.main", "worker", worker.stages, "--port", "0", "--json"]
        worker.port = None
        worker.process = subprocess.Popen(
            [*worker.prefix, *words],
            env={**self.environ, **worker.environ, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        assert worker.process.stdout is not None
        told = threading.Thread(target=_listen, args=(worker, worker.process.stdout), daemon=True)
        told.start()

    def stop(self, worker: Worker, how: signal.Signals = signal.SIGTERM, within: float = DRAINED_WITHIN) -> int | None:
        """End a worker process and wait; its exit code."""
        process = worker.process
        if process is None:
            return None
        with suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        try:
            return process.wait(within)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait(within)

    @contextmanager
    def hold(self, worker: Worker) -> Iterator[Worker]:
        """Keep the supervisor from a worker; it is running again, as ever, at the end."""
        with self.lock:
            worker.held = True
        try:
            yield worker
        finally:
            if not worker.alive:
                self.start(worker)
            worker.held = False

    def supervise(self) -> None:
        """Start again what ended by itself, a second later, until the world closes."""
        while not self.closing.wait(1.0):
            with self.lock:
                for worker in self.workers:
                    if not worker.held and not worker.alive:
                        worker.crashes += 1
                        self.start(worker)

    def ready(self, worker: Worker) -> bool:
        """Whether a worker says it is."""
        if worker.port is None or not worker.alive:
            return False
        with suppress(httpx.TransportError):
            return httpx.get(f"http://{worker.host}:{worker.port}/readyz", timeout=2).is_success
        return False

    def await_ready(self, within: float = READY_WITHIN) -> None:
        """Wait for all workers.

        Raises:
            WorldFailed: one is not ready in time.
        """
        deadline = time.monotonic() + within
        while waiting := [worker.name for worker in self.workers if not self.ready(worker)]:
            if time.monotonic() > deadline:
                raise WorldFailed(f"{', '.join(waiting)} not ready; their logs are in {self.home}")
            time.sleep(0.2)

    # -- the others

    def serve(self, name: str, words: Sequence[str]) -> None:
        """Start a scripted server, `sluice scripted NAME ...`, unless the world closes."""
        self.words[name] = [sys.executable, "-m", "sluice.main", "scripted", name, *words]
        with self.lock, (self.home / f"{name}.log").open("ab") as log:
            if self.closing.is_set():
                return
            self.servers[name] = subprocess.Popen(
                self.words[name], env=self.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def restart_server(self, name: str, *, after: float = 0.0) -> None:
        """End a scripted server as by kill -9, start it again, and wait for it; what it remembered is gone."""
        self.servers[name].kill()
        self.servers[name].wait(10)
        time.sleep(after)
        self.serve(name, self.words[name][5:])
        if not self.closing.is_set():
            _answering(f"{self.model}/v1/models" if name == "model" else f"{self.helpdesk}/deliveries")

    def tell(self, server: str, **faults: object) -> None:
        """Tell a scripted server how its next calls fail."""
        httpx.put(f"{server}/faults", json=faults, timeout=5).raise_for_status()

    def revive_kafka(self) -> None:
        """Start the broker, or those that are missing, again at their old addresses, unless the world closes."""
        with self.lock:
            if not self.closing.is_set():
                _brokers(self.home, self.layout)

    def revive_postgres(self) -> None:
        """Start Postgres again on its folder, unless the world closes."""
        with self.lock:
            if not self.closing.is_set():
                start_postgres(self.postgres.directory)

    def flip(self, state: SwitchState, why: str) -> None:
        """Set the switch for everything, by both paths, and note when."""
        asked = datetime.now(UTC)
        asyncio.run(set_switch(self.settings, Scope(), state, why=why, actor="chaos"))
        self.flips.append(Flip(state.value, asked, datetime.now(UTC)))

    # Kept to the end: librdkafka crashes where a client is thrown away while an answer is still on its way.

    @cached_property
    def admin(self) -> Admin:
        return Admin(self.kafka.bootstrap)

    @cached_property
    def admin_client(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.kafka.bootstrap, "log_level": 0})


def _listen(worker: Worker, out: IO[bytes]) -> None:
    """Learn the port from the first line; read on, or the pipe would fill."""
    with out:
        for line in out:
            with suppress(ValueError, KeyError):
                worker.port = json.loads(line)["port"]


@dataclass(frozen=True)
class Layout:
    """What is special about a world."""

    workers: Sequence[Worker]
    brokers: int = 1
    properties: str = ""  # of the one broker
    host: str = "127.0.0.1"  # where the model and the helpdesk listen
    before: Callable[[Path], object] = lambda home: None  # done to the empty home first


def workers(count: int) -> tuple[Worker, ...]:
    """So many workers, each with every stage."""
    return tuple(Worker(f"worker-{number}") for number in range(count))


def _brokers(home: Path, layout: Layout) -> LocalKafka | LocalCluster:
    folder = home.resolve() / "kafka"
    return start_cluster(folder, layout.brokers) if layout.brokers > 1 else start_kafka(folder, layout.properties)


@contextmanager
def world(home: Path, layout: Layout, say: Say) -> Iterator[World]:
    """A new world in an empty `home`, armed and ready; gone at the end, its logs stay.

    Raises:
        WorldFailed: a part does not come up.
    """
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    layout.before(home)
    with ExitStack() as stack:
        kafka = _brokers(home, layout)
        stack.callback(lambda: _brokers(home, layout).kill())
        postgres = start_postgres(home.resolve() / "postgres")
        stack.callback(lambda: start_postgres(home.resolve() / "postgres").stop())
        Admin(kafka.bootstrap).create_topics(with_partitions(all_topics(), PARTITIONS))
        migrate(postgres.url())
        say("Kafka and Postgres are up")
        ports = _free_ports(2)
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        model, helpdesk = (f"http://{layout.host}:{port}" for port in ports)
        environ = _prepare(home, kafka, postgres, say) | LIMITS
        environ |= {
            "MODEL_COMMODITY": "vllm/scripted",
            "MODEL_FRONTIER": "vllm/scripted",  # nobody else to ask while it is away
            "VLLM_BASE_URL": f"{model}/v1",
            "HELPDESK": "webhook",
            "HELPDESK_WEBHOOK_URL": f"{helpdesk}/webhook",
            "HELPDESK_FIND_URL": f"{helpdesk}/webhook",
            "HELPDESK_WEBHOOK_SECRET": secret,
        }
        made = World(home, layout, load_settings(environ), kafka, postgres, environ, model, helpdesk)
        stack.callback(_end, made)
        made.serve("model", ["--host", layout.host, "--port", str(ports[0])])
        made.serve("helpdesk", ["--host", layout.host, "--port", str(ports[1]), "--secret", secret])
        for address in (f"{model}/v1/models", f"{helpdesk}/deliveries"):
            _answering(address)
        made.flip(SwitchState.AUTO, "the chaos run arms itself")
        made.workers = list(layout.workers)
        for worker in made.workers:
            made.start(worker)
        made.await_ready()
        say(f"{len(made.workers)} workers are ready")
        threading.Thread(target=made.supervise, daemon=True).start()
        yield made


def _end(made: World) -> None:
    made.closing.set()
    with made.lock:
        for worker in made.workers:
            worker.held = True
            if worker.process is not None and worker.alive:
                with suppress(ProcessLookupError):
                    os.killpg(worker.process.pid, signal.SIGCONT)
                made.stop(worker, signal.SIGKILL)
        for server in made.servers.values():
            server.kill()
            server.wait(10)


def _patient(policy: str) -> str:
    """A policy whose live guard takes no second message for a complaint: the traffic is full of them."""
    return re.sub(r"^reopened_hours = \d+", "reopened_hours = 0", policy, flags=re.MULTILINE)


def _prepare(home: Path, kafka: LocalKafka | LocalCluster, postgres: LocalPostgres, say: Say) -> dict[str, str]:
    """Load the shop, and train what it needs unless SLUICE_MODELS_DIR or a demo has it; every process's environment."""
    configured = load_settings()
    suite = open_suite(SHOP)
    kept = configured.home if configured.models_dir else configured.home / "demo"
    embedder = embedder_of(configured.model_copy(update={"home": kept}), threads=os.cpu_count() or 1)

    async def ready() -> Path:
        models = configured.models_dir
        if models is None:
            models = (await prepare(suite, configured.model_copy(update={"home": kept}), embedder, say)).models_dir
        await load(suite, postgres.url(), embedder, say)
        return models

    models, policy = asyncio.run(ready()), home / "policy.toml"
    policy.write_text(_patient(waiving(POLICY.read_text(encoding="utf-8"))))  # what is broken is not the answers
    (home / "cache").symlink_to((kept / "cache").resolve())  # the embedding graph, and what was embedded
    return {
        **os.environ,
        **own_environ(configured, suite),
        "SLUICE_HOME": str(home),
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "DATABASE_URL": postgres.url(),
        "SLUICE_MODELS_DIR": str(models),
        "SLUICE_POLICY": str(policy),
    }


def _answering(address: str) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            if httpx.get(address, timeout=2).is_success:
                return
        time.sleep(0.2)
    raise WorldFailed(f"{address} does not answer")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in servers]
