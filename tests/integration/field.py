"""Conversations in the field: a worker of every stage as a process, and what can be seen of it from outside."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx
import psycopg
from confluent_kafka import Producer
from typer.testing import CliRunner

from infra.kafka.reader import Reader, Record
from infra.language import detect_language
from infra.scripted.smtp_server import MailServer
from infra.settings import as_role
from infra.wiring import POLICY
from processors.ingress.api import ApiKey, TicketRequest, receive_api
from processors.ingress.email import Mailbox, receive_email
from processors.policy import waiving
from schemas.codec import decode, encode
from schemas.ingress import TicketReceived
from schemas.outcome import TERMINAL, Outcome, TicketSettled
from schemas.topics import Topic
from sluice.main import app

ROOT = Path(__file__).parents[2]
SOON = 60.0  # seconds anything may take before a test fails
SECRET = "a secret of the tests, long enough to sign"
MAILBOX = Mailbox(
    "support@shop.example",
    frozenset({"support@shop.example"}),
    frozenset({"shop.example"}),
    secret=SECRET.encode(),
)
KEY = ApiKey("shop", "service")

T = TypeVar("T")


def eventually(look: Callable[[], T | None], within: float = SOON) -> T:
    """The first truthy answer."""
    deadline = time.monotonic() + within
    while not (answer := look()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)
    return answer


@dataclass
class Field:
    """The worker, its broker and database, and the mail server behind it."""

    environ: dict[str, str]
    bootstrap: str
    database: str  # as its owner
    folder: Path
    mails: MailServer
    outcomes: Reader
    _told: list[TicketSettled] = field(default_factory=list)
    _workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    # -- the worker

    def start(self, slot: str = "0") -> None:
        """Start the worker, or another one, and wait until it is ready."""
        script = Path(__file__).with_name("field_worker.py")
        with (self.folder / f"worker-{len(self._workers)}.log").open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, str(script), str(self.folder), slot],
                cwd=ROOT,
                env={**self.environ, "PYTHONPATH": str(ROOT)},
                stderr=log,
            )
        self._workers.append(worker)
        eventually(lambda: self.asked("/readyz") == 200)

    def died(self) -> int:
        """Wait until the worker has ended; its exit code."""
        return self._workers[-1].wait(SOON)

    def stop(self) -> None:
        """End every worker that has not ended by itself."""
        left = [worker for worker in self._workers if worker.poll() is None]
        for worker in left:
            worker.send_signal(signal.SIGTERM)
        for worker in left:
            worker.wait(SOON)

    def asked(self, path: str, number: int = -1) -> int:
        """The status of a worker's path; 0 before it listens. By default the newest worker's."""
        worker = self._workers[number]
        assert worker.poll() is None, f"the worker ended with {worker.returncode}"
        port = self.folder / f"port-{worker.pid}"
        return httpx.get(f"http://127.0.0.1:{port.read_text()}{path}").status_code if port.exists() else 0

    def metrics(self) -> str:
        """What /metrics says."""
        port = (self.folder / f"port-{self._workers[-1].pid}").read_text()
        return httpx.get(f"http://127.0.0.1:{port}/metrics").text

    @contextmanager
    def while_there(self, name: str) -> Iterator[None]:
        """A file for the worker to see, for as long as the context lasts."""
        (self.folder / name).touch()
        try:
            yield
        finally:
            (self.folder / name).unlink(missing_ok=True)

    def shown(self, text: str) -> list[dict[str, Any]]:
        """What the model was shown of tickets with this text in their question."""
        path = self.folder / "shown.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [line for line in lines if text in line["question"]]

    # -- in

    def publish(self, topic: str, key: str | bytes | None, *values: bytes) -> None:
        """Publish bytes as they are."""
        producer = Producer({"bootstrap.servers": self.bootstrap, "partitioner": "murmur2_random"})
        for value in values:
            producer.produce(topic, value, key=key)
        assert producer.flush(10) == 0

    def send(self, ticket: TicketReceived, times: int = 1) -> TicketReceived:
        """Publish a ticket, as the edge does."""
        self.publish(Topic.INBOUND, ticket.conversation, *[encode(ticket)] * times)
        return ticket

    def ask(self, body: str, conversation: str | None = None, **changes: Any) -> TicketReceived:
        """A customer's message through the API's door."""
        request = TicketRequest(body=body, conversation=conversation, language="en")
        ticket = receive_api(request, key=KEY, idempotency_key=None, random_id=uuid4(), received_at=datetime.now(UTC))
        return self.send(ticket.model_copy(update=changes))

    def mail(self, raw: bytes) -> TicketReceived:
        """A message through the mail door."""
        return self.send(receive_email(raw, mailbox=MAILBOX, received_at=datetime.now(UTC), language=detect_language))

    # -- out

    def records(self, *topics: str) -> list[Record]:
        """What topics hold."""
        with Reader(self.bootstrap, topics) as reader:
            return list(reader.until_end())

    def settled(self, ticket: TicketReceived) -> list[TicketSettled]:
        """What was told of a ticket."""
        while new := self.outcomes.poll(0.05):
            self._told += [decode(TicketSettled, record.value) for record in new]
        return [event for event in self._told if event.ticket_id == ticket.ticket_id]

    def outcome(self, ticket: TicketReceived) -> TicketSettled:
        """How a ticket ended, once it has."""
        return eventually(lambda: next((end for end in self.settled(ticket) if end.outcome in TERMINAL), None))

    def ended(self, *tickets: TicketReceived) -> list[Outcome]:
        """How each ended."""
        return [self.outcome(ticket).outcome for ticket in tickets]

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What the database holds."""
        with psycopg.connect(as_role(self.database, "sluice_auditor")) as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    def replies(self, ticket: TicketReceived) -> list[str]:
        """The text of every reply to a ticket that reached the helpdesk."""
        query = "select text from helpdesk_delivery where act = 'reply' and ticket_id = %s order by delivery_id"
        return [row[0] for row in self.rows(query, ticket.ticket_id)]

    def items(self, ticket: TicketReceived) -> list[tuple[str, UUID]]:
        """Kind and id of a ticket's items on the people's queue."""
        return self.rows("select kind, item_id from item where ticket_id = %s", ticket.ticket_id)

    def admitted(self, ticket: TicketReceived) -> bool:
        """Whether the router has given it its revision."""
        return bool(self.rows("select 1 from message where ticket_id = %s", ticket.ticket_id))

    # -- people

    def command(self, *arguments: str, expect: int = 0, text: str | None = None) -> Any:
        """Run `sluice`; what it printed, as JSON."""
        done = CliRunner().invoke(app, [*arguments, "--json"], env=self.environ, input=text)
        assert done.exit_code == expect, f"{arguments}: {done.exit_code}\n{done.output}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def take(self, ticket: TicketReceived, person: str = "mia") -> str:
        """Let a person take a ticket's one item; its id."""
        ((_, item),) = self.items(ticket)
        self.command("queue", "take", str(item), "--as", person)
        return str(item)


@contextmanager
def mail_server() -> Iterator[tuple[MailServer, int]]:
    """A mail server in a thread, and its port."""
    server, loop = MailServer(), asyncio.new_event_loop()
    listener = loop.run_until_complete(server.listen())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield server, listener.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(listener.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(SOON)
    loop.close()


@contextmanager
def working(bootstrap: str, database: str, folder: Path) -> Iterator[Field]:
    """A field with its worker running and the switch armed."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    with mail_server() as (server, port), Reader(bootstrap, [Topic.OUTCOME]) as outcomes:
        shedding = folder / "policy.toml"
        shedding.write_text(waiving(POLICY.read_text(encoding="utf-8")).replace("# shed_after", "shed_after"))
        environ = {
            **ours,
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "DATABASE_URL": database,
            "SLUICE_HOME": str(folder / "var"),
            "SLUICE_POLICY": str(shedding),
            "SLUICE_CLAIM_LEASE": "4",
            "SLUICE_HELPDESK_DEADLINE": "2",
            "SLUICE_EMAIL_MAILBOXES": "support@shop.example",
            "SLUICE_EMAIL_DOMAINS": "shop.example",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(port),
            "SMTP_SECURITY": "none",
            "MAIL_FROM": "Shop <support@shop.example>",
            "SLUICE_MAIL_SECRET": SECRET,
            "SLUICE_MAX_IN_FLIGHT_OF": "resolution=3",
            "COLUMNS": "400",
        }
        found = Field(environ, bootstrap, database, folder, server, outcomes)
        found.command("switch", "auto", "--why", "tests")
        try:
            found.start()
            yield found
        finally:
            found.stop()
