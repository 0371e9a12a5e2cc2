"""A world for a drill's cases: Kafka, Postgres, and outcome workers that send what was approved before they came."""

import base64
import os
import secrets
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx
import psycopg
from confluent_kafka import Producer as PlainProducer

from infra.clock import SystemClock
from infra.kafka.admin import Admin, with_partitions
from infra.kafka.local import LocalKafka, start_kafka
from infra.postgres.local import LocalPostgres, start_postgres
from infra.postgres.migrate import migrate
from infra.settings import load_settings
from loadtest.drill.measure import Fate, fate
from loadtest.drill.plan import NAME, Ticket, approved, tickets
from schemas.codec import encode
from schemas.control import Scope, SwitchState
from schemas.topics import Topic, all_topics
from sluice.chaos.world import Layout, Worker, World
from sluice.drill.load import OwnRows
from sluice.drill.relay import Relay, to_port, to_socket
from sluice.drill.run import Ground

PARTITIONS = 4
STALENESS = 2.0  # seconds without news of the switch after which a worker sends nothing
SLOW = 0.15  # seconds the helpdesk takes for a reply, so that there is something to stop
SOON = 60.0  # seconds anything may take
LIMITS = {
    "SLUICE_SESSION_TIMEOUT": "6",
    "SLUICE_SWITCH_STALENESS": str(STALENESS),
    "SLUICE_MAX_IN_FLIGHT": "8",
    "SLUICE_HELPDESK_DEADLINE": "3",
    "SLUICE_CLAIM_LEASE": "8",
}
RELAYED = """\
listeners=PLAINTEXT://127.0.0.1:{{port}},RELAY://127.0.0.1:{inner},CONTROLLER://127.0.0.1:{{controller}}
advertised.listeners=PLAINTEXT://127.0.0.1:{{port}},RELAY://127.0.0.1:{outer}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,RELAY:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
"""  # a broker that names the relay's port to whoever came by the relay


class Stuck(Exception):
    """Something did not happen in time; the message says what."""


@dataclass
class Site:
    """A broker that can be reached directly and by a relay, and a server for databases."""

    kafka: LocalKafka
    postgres: LocalPostgres
    relay: Relay  # to Kafka


@contextmanager
def site(home: Path, postgres: LocalPostgres | None = None) -> Iterator[Site]:
    """A broker, and a server unless there is one, for as long as the context lasts."""
    with ExitStack() as stack:
        outer, inner = _free_ports(2)
        folder = home.resolve() / "kafka"
        kafka = start_kafka(folder, RELAYED.format(inner=inner, outer=outer))
        stack.callback(kafka.kill)
        if postgres is None:
            postgres = start_postgres(home.resolve() / "postgres")
            stack.callback(postgres.stop)
        relay = stack.enter_context(Relay(to_port(inner), outer).running())
        yield Site(kafka, postgres, relay)


@dataclass
class Drilled:
    """The world of one case: two workers, `near` and `far`; far reaches Kafka and Postgres by relays alone."""

    ground: Ground
    world: World
    kafka: Relay
    postgres: Relay
    near: Worker
    far: Worker
    helpdesk: Sequence[str]  # how it is started
    replies: int  # that are approved before a stop comes
    waiting: dict[str, Ticket] = field(default_factory=dict)  # approved, by conversation

    # -- replies

    def approve(self, count: int, *, intent: str = NAME, customer_id: str | None = None) -> OwnRows:
        """Put replies before the workers, as the gate does."""
        mine = OwnRows(self.ground.owner_url, tickets(count), customer_id)
        mine.insert()
        now = SystemClock().now()
        producer = PlainProducer({"bootstrap.servers": str(self.ground.brokers), "partitioner": "murmur2_random"})
        for ticket in mine.tickets:
            event = approved(ticket, now, intent=intent, customer_id=customer_id)
            producer.produce(Topic.AUTO_SEND.value, encode(event), key=ticket.conversation.encode())
            self.waiting[ticket.conversation] = ticket
        if producer.flush(SOON):
            raise Stuck("Kafka did not take the replies")
        return mine

    def helpdesk_takes(self, seconds: float) -> None:
        """How long a reply takes from now on."""
        self.world.tell(self.world.helpdesk, status=200, times=1_000_000, delay=seconds)

    # -- what came of them

    def claims(self) -> list[tuple[str, str, datetime]]:
        """Conversation, state and time of every claim under which something was, or may be, sent."""
        query = "select conversation, state, claimed_at from claim where state <> 'released'"
        return self._rows(query)

    def suggested(self) -> list[str]:
        """The conversations with a draft for a person."""
        return [name for (name,) in self._rows("select conversation from item where kind = 'suggest'")]

    def with_provider(self, at: datetime) -> int:
        """How many replies the helpdesk had been given, and had not answered for, at a moment."""
        query = "select count(*) from claim where state = 'sent' and claimed_at <= %s and settled_at > %s"
        return int(self._rows(query, (at, at))[0][0])

    def fate(self) -> Fate:
        """What became of everything that was approved."""
        sent = [name for name, state, _ in self.claims() if state == "sent"]
        return fate(self.waiting, sent, self.suggested())

    def fence(self, scope: Scope, after: datetime) -> datetime | None:
        """When the table took the first stop of a scope from a moment on; None where it has none yet."""
        query = (
            "select written_at from switch_log where scope_kind = %s and scope_value = %s and state <> 'auto'"
            " and set_at >= %s order by sequence limit 1"
        )
        rows = self._rows(query, (scope.kind.value, scope.value, after))
        return rows[0][0] if rows else None

    def _rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple]:  # type: ignore[type-arg]
        with psycopg.connect(self.ground.owner_url) as owner:
            return owner.execute(query.encode(), parameters or None).fetchall()

    # -- workers

    def start(self, *crew: Worker) -> None:
        """Start workers, and the helpdesk they send to, and wait until they are ready."""
        helps = "helpdesk" in self.world.servers
        if not helps:
            self.world.serve("helpdesk", self.helpdesk)
        for worker in crew:
            self.world.start(worker)
        if not helps:
            self.until(lambda: _answers(self.world.helpdesk), "the helpdesk answers")
            self.helpdesk_takes(SLOW)
        for worker in crew:
            self.until(lambda worker=worker: self.world.ready(worker), f"{worker.name} ready")  # type: ignore[misc]

    def until(self, check: Callable[[], object], what: str, within: float = SOON) -> None:
        """Wait for something.

        Raises:
            Stuck: it did not come.
        """
        deadline = time.monotonic() + within
        while not check():
            if time.monotonic() > deadline:
                raise Stuck(f"not within {within:.0f} s: {what}; the logs are in {self.world.home}")
            time.sleep(0.05)

    def until_sent(self, count: int) -> None:
        """Wait until so many replies are out."""
        self.until(lambda: self.fate().sent >= count, f"{count} replies sent")

    def until_settled(self) -> Fate:
        """Wait until everything that was approved is sent, or a person's draft."""
        self.helpdesk_takes(0)
        self.until(lambda: self.fate().lost == 0, "every reply sent or a person's")
        return self.fate()


@contextmanager
def drilled_world(home: Path, place: Site, owner_url: str, scope: Scope, replies: int) -> Iterator[Drilled]:
    """A world of a case on fresh topics and an empty database, armed; its workers are not started yet."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    with ExitStack() as stack:
        database = owner_url.partition("?")[0].rpartition("/")[2]
        relay = stack.enter_context(Relay(to_socket(str(place.postgres.sockets / ".s.PGSQL.5432"))).running())
        (port,) = _free_ports(1)
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        helpdesk = f"http://127.0.0.1:{port}"
        environ = {
            **os.environ,
            **LIMITS,
            "SLUICE_HOME": str(home),
            "KAFKA_BOOTSTRAP_SERVERS": place.kafka.bootstrap,
            "DATABASE_URL": owner_url,
            "HELPDESK": "webhook",
            "HELPDESK_WEBHOOK_URL": f"{helpdesk}/webhook",
            "HELPDESK_FIND_URL": f"{helpdesk}/webhook",
            "HELPDESK_WEBHOOK_SECRET": secret,
        }
        world = World(home, Layout(()), load_settings(environ), place.kafka, place.postgres, environ, "", helpdesk)
        stack.callback(_end, world)
        by_relay = {
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{place.relay.port}",
            "DATABASE_URL": f"postgresql://postgres@127.0.0.1:{relay.port}/{database}",
        }
        near, far = Worker("near", "outcome"), Worker("far", "outcome", by_relay)
        world.workers = [near, far]
        world.flip(SwitchState.AUTO, "a drill arms its own world")
        ground = Ground.of(world.settings, place.kafka.bootstrap, owner_url, scope)
        words = ["--port", str(port), "--secret", secret]
        try:
            yield Drilled(ground, world, place.relay, relay, near, far, words, replies)
        finally:
            place.relay.mend()


def fresh(place: Site, number: int) -> str:
    """Empty topics and an empty database; its owner's URL."""
    admin = Admin(place.kafka.bootstrap)
    specs = with_partitions(all_topics(), PARTITIONS)
    used = {topic for (topic, _), end in admin.ends(spec.name for spec in specs).items() if end} if number else set()
    admin.delete_groups()
    admin.delete_topics([*used])
    admin.create_topics(specs)
    name = f"drill_{number}"
    with psycopg.connect(place.postgres.url("postgres"), autocommit=True) as owner:
        owner.execute(f"drop database if exists {name} with (force)".encode())
        owner.execute(f"create database {name}".encode())
    migrate(place.postgres.url(name))
    return place.postgres.url(name)


def _answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/deliveries", timeout=2).is_success
    return False


def _end(world: World) -> None:
    for worker in world.workers:
        if worker.process is not None and worker.alive:
            with suppress(ProcessLookupError):
                os.killpg(worker.process.pid, signal.SIGCONT)
            world.stop(worker, signal.SIGKILL)
    for server in world.servers.values():
        server.kill()
        server.wait(10)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in servers]
