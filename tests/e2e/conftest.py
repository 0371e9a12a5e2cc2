"""A whole stack, started by the product's own commands, for tests that look at it only from outside."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
import uvicorn

from infra.clock import SystemClock
from infra.postgres.local import find_postgres
from infra.scripted.otlp_server import create_receiver
from infra.scripted.whatsapp_server import Account, create_whatsapp
from infra.settings import as_role, load_settings
from infra.wiring import POLICY
from processors.policy import waiving
from schemas.outcome import TERMINAL, Outcome

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "evals" / "datasets" / "shop"
SOON = 60.0  # seconds anything may take before a test fails
FIRST_PORT = int(os.environ.get("SLUICE_TEST_PORTS", "18700"))  # another one lets two runs share a machine
PORTS = {
    "SLUICE_EDGE_PORT": str(FIRST_PORT),
    "SLUICE_WORKER_PORT": str(FIRST_PORT + 1),
    "SLUICE_EDGE_METRICS_PORT": str(FIRST_PORT + 2),
}
MAIL = {
    "SLUICE_EMAIL_AUTHSERV_IDS": "mx.wrenfield.example",
    "SLUICE_EMAIL_MAILBOXES": "support@wrenfield.example",
    "SLUICE_EMAIL_DOMAINS": "wrenfield.example",
    "SLUICE_MAIL_SECRET": "a secret of the end-to-end tests",
    "MAIL_FROM": "Wrenfield <support@wrenfield.example>",
    "SMTP_HOST": "127.0.0.1",
    "SMTP_PORT": str(FIRST_PORT + 130),
    "SMTP_SECURITY": "none",
}
MAIL_SERVER = f"http://127.0.0.1:{FIRST_PORT + 131}"
META = Account(
    token="meta-token", secret="meta-secret", webhook=f"http://127.0.0.1:{PORTS['SLUICE_EDGE_PORT']}/v1/whatsapp"
)
META_PORT = FIRST_PORT + 20
WHATSAPP = {
    "WHATSAPP_API_URL": f"http://127.0.0.1:{META_PORT}/v23.0",
    "WHATSAPP_ACCESS_TOKEN": META.token,
    "WHATSAPP_PHONE_NUMBER_ID": META.number,
    "WHATSAPP_APP_SECRET": META.secret,
    "WHATSAPP_VERIFY_TOKEN": "agreed",
}
TRACE_PORT = FIRST_PORT + 90
TRACES = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{TRACE_PORT}"}  # most tests run without anybody there


@dataclass(frozen=True)
class Stack:
    """A running stack, armed, with the shop's help centre and customers."""

    environ: dict[str, str]
    client: httpx.Client
    database: str  # as the auditor

    def command(self, *arguments: str, expect: int = 0, within: float = 180.0) -> str:
        """Run `sluice` and return what it printed."""
        run = subprocess.run(
            [sys.executable, "-m", "sluice.main", *arguments],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=within,
        )
        assert run.returncode == expect, f"{arguments}: {run.returncode}\n{run.stdout}\n{run.stderr}"
        return run.stdout

    def send(self, body: str, key: str | None = None, **fields: str) -> UUID:
        """Post a ticket; its id."""
        headers = {"Idempotency-Key": key or str(uuid4())}
        response = self.client.post("/v1/tickets", json={"body": body, **fields}, headers=headers)
        assert response.status_code == httpx.codes.ACCEPTED, response.text
        return UUID(response.json()["ticket_id"])

    def mail(self, message: EmailMessage) -> UUID:
        """Post a raw mail; its ticket's id."""
        headers = {"Content-Type": "message/rfc822"}
        response = self.client.post("/v1/email", content=message.as_bytes(), headers=headers)
        assert response.status_code == httpx.codes.ACCEPTED, response.text
        return UUID(response.json()["ticket_id"])

    def outcome(self, ticket: UUID, *wanted: Outcome) -> dict[str, Any]:
        """The ticket's state as the edge tells it, once it is one of the wanted outcomes; by default any terminal."""
        names = {outcome.value for outcome in wanted or TERMINAL}

        def settled() -> dict[str, Any] | None:
            state: dict[str, Any] = self.client.get(f"/v1/tickets/{ticket}").json()
            return state if state.get("outcome") in names else None

        return eventually(settled)

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What the database holds."""
        with psycopg.connect(self.database) as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    def replies(self, ticket: UUID) -> list[str]:
        """The text of every reply to a ticket that reached the helpdesk."""
        query = "select text from helpdesk_delivery where act = 'reply' and ticket_id = %s order by delivery_id"
        return [row[0] for row in self.rows(query, ticket)]

    @property
    def staff(self) -> tuple[str, dict[str, str]]:
        """The person of the staff key that `sluice up` made, and the header that shows it."""
        key, _, person = (Path(self.environ["SLUICE_HOME"]) / "staff-keys").read_text().strip().partition("=")
        return person, {"Authorization": f"Bearer {key}"}

    def mails(self, to: str) -> list[dict[str, Any]]:
        """The mails that the mail server took for an address, oldest first."""
        taken: list[dict[str, Any]] = httpx.get(f"{MAIL_SERVER}/messages").json()
        return [mail for mail in taken if mail["to"] == to]

    def items(self, ticket: UUID) -> list[tuple[str, str]]:
        """Kind and reason of a ticket's items on the people's queue."""
        return [(row[0], row[1]) for row in self.rows("select kind, reason from item where ticket_id = %s", ticket)]

    def logs(self) -> list[Path]:
        """The log files of the processes."""
        return sorted((Path(self.environ["SLUICE_HOME"]) / "run").glob("*.log"))

    @property
    def worker(self) -> int:
        """The pid of the worker process."""
        pid: int = json.loads((Path(self.environ["SLUICE_HOME"]) / "run" / "worker.json").read_text())["pid"]
        return pid


def eventually(check: Callable[[], Any], within: float = SOON) -> Any:
    """The first truthy answer."""
    deadline = time.monotonic() + within
    while not (answer := check()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)
    return answer


@pytest.fixture(scope="session")
def meta() -> Iterator[httpx.Client]:
    """Meta's side of WhatsApp: customers write through it, and it keeps the replies."""
    config = uvicorn.Config(create_whatsapp(META, SystemClock()), port=META_PORT, log_config=None)
    server = uvicorn.Server(config)
    serving = threading.Thread(target=server.run, daemon=True)
    serving.start()
    eventually(lambda: server.started)
    with httpx.Client(base_url=f"http://127.0.0.1:{META_PORT}") as client:
        yield client
    server.should_exit = True
    serving.join(SOON)


@pytest.fixture
def receiver() -> Iterator[httpx.Client]:
    """A receiver of traces; `GET /spans` tells what came."""
    config = uvicorn.Config(create_receiver(), port=TRACE_PORT, log_config=None)
    server = uvicorn.Server(config)
    serving = threading.Thread(target=server.run, daemon=True)
    serving.start()
    eventually(lambda: server.started)
    with httpx.Client(base_url=f"http://127.0.0.1:{TRACE_PORT}") as client:
        yield client
    server.should_exit = True
    serving.join(SOON)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """`sluice up` on the shop, armed by `sluice switch`."""
    with tempfile.TemporaryDirectory(prefix="sluice-e2e-", ignore_cleanup_errors=True) as folder:
        yield from _running(Path(folder) / "var")


def _running(home: Path) -> Iterator[Stack]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    environ |= {"SLUICE_HOME": str(home), **PORTS, **MAIL, **WHATSAPP, **TRACES}
    environ["SLUICE_POLICY"] = str(waived_policy(home.parent))
    settings = load_settings(environ)
    started = Stack(environ, httpx.Client(), "")
    mail_server = start_mail_server(environ)
    try:
        for part in ("router", "gate"):
            started.command("train", part, "shop", within=600.0)
        started.command("up", "--services")
        started.command("ingest", str(SHOP / "articles"))
        started.command("ingest", "--customers", str(SHOP / "crm.jsonl"))
        started.command("up")
        started.command("switch", "auto", "--why", "end-to-end tests")
        key = (home / "api-keys").read_text().partition("=")[0]
        local = find_postgres(settings.home / "postgres")
        assert local is not None
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{PORTS['SLUICE_EDGE_PORT']}", headers=headers) as client:
            yield Stack(environ, client, as_role(local.url(), "sluice_auditor"))
    finally:
        started.command("down")
        mail_server.terminate()
        mail_server.wait(SOON)


def waived_policy(folder: Path) -> Path:
    """The shop's policy without a certificate asked for: these tests look at the way, not at the answers' quality."""
    path = folder / "policy.toml"
    path.write_text(waiving(POLICY.read_text(encoding="utf-8")))
    return path


def start_mail_server(environ: dict[str, str]) -> "subprocess.Popen[bytes]":
    """`sluice scripted smtp`, once it answers."""
    ports = ["--port", MAIL["SMTP_PORT"], "--control", MAIL_SERVER.rpartition(":")[2]]
    command = [sys.executable, "-m", "sluice.main", "scripted", "smtp", *ports]
    server = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        assert server.poll() is None, "the mail server has ended"
        try:
            return httpx.get(f"{MAIL_SERVER}/messages").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    eventually(answers)
    return server


@pytest.fixture(scope="module")
def cautious(stack: Stack) -> Iterator[str]:
    """A customer to whom nothing is sent without a person."""
    (customer,) = stack.rows("select customer_id from crm_customer order by customer_id desc limit 1")[0]
    scope = f"customer:{customer}"
    stack.command("switch", "suggest", "--scope", scope, "--why", "tests")
    yield customer
    stack.command("switch", "auto", "--scope", scope, "--why", "the tests are over")
