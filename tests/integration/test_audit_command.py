"""`sluice audit` on real Postgres: what is drawn, judged at a keyboard or from a file, and reported."""

import asyncio
import json
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner, Result

from infra.postgres.conversations import PostgresConversations
from infra.postgres.labels import PostgresLabels
from infra.postgres.pool import open_pool
from infra.postgres.switch import PostgresSwitchTable
from infra.settings import as_role
from processors.ports import AuditorKind, Label, Verdict
from schemas.control import Scope, Stop, SwitchSet, SwitchState
from sluice.main import app
from tests.contracts.test_labels import Room, ident

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "sluice.main", "audit"]
ANSWERS = 5


@pytest.fixture
def sent(database: str) -> str:
    """A database with answers that went out by themselves."""
    asyncio.run(_send(database))
    return database


async def _send(database: str) -> None:
    async with AsyncExitStack() as stack:
        roles = ("sluice_router", "sluice_outcome", "sluice_people")
        pools = [await stack.enter_async_context(await open_pool(as_role(database, role), size=2)) for role in roles]
        router, outcome, switch = PostgresConversations(pools[0]), PostgresConversations(pools[1]), pools[2]
        table = PostgresSwitchTable(switch)
        armed = SwitchSet(
            scope=Scope(), state=SwitchState.AUTO, why="w", actor="ops", set_at=datetime.now(UTC), lifts=Stop()
        )
        await table.set(armed, offset=None)
        await Room(router, outcome, table, None, None).send(*range(ANSWERS))  # type: ignore[arg-type]


def environ(database: str, home: Path) -> dict[str, str]:
    return {**os.environ, "DATABASE_URL": database, "SLUICE_HOME": str(home), "COLUMNS": "160", "TERM": "dumb"}


def call(database: str, home: Path, *arguments: str, given: str = "") -> Result:
    """The command in this process, with no keyboard."""
    return CliRunner().invoke(app, ["audit", *arguments], env=environ(database, home), input=given)


def reported(database: str, home: Path) -> list[dict[str, Any]]:
    run = call(database, home, "--report", "--json")
    assert run.exit_code == 0, run.stderr
    lines: list[dict[str, Any]] = json.loads(run.stdout)["lines"]
    return lines


@contextmanager
def keyboard(database: str, home: Path, *arguments: str) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    """The command with somebody at its keyboard: what they see and type, and the process."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=ROOT, env=environ(database, home), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    try:
        yield ours, process
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def until(terminal: int, words: str) -> None:
    """Read the screen until these words are on it, and no further."""
    seen = ""
    while words not in seen:
        ready, _, _ = select.select([terminal], [], [], 60)
        assert ready, seen
        try:
            seen += os.read(terminal, 1).decode(errors="replace")
        except OSError:
            raise AssertionError(seen) from None
    return seen


def press(terminal: int, key: bytes) -> None:
    """Type a key once the command listens for one: what was typed before is thrown away."""
    until(terminal, "[q]uit")
    deadline = time.monotonic() + 60
    while termios.tcgetattr(terminal)[3] & termios.ICANON:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.write(terminal, key)


async def _waiting(database: str) -> set[UUID]:
    async with await open_pool(as_role(database, "sluice_auditor"), size=1) as pool:
        return {drawn.ticket_id for drawn in await PostgresLabels(pool).waiting(AuditorKind.PERSON, "mia")}


def labels(database: str) -> tuple[Label, ...]:
    async def read() -> tuple[Label, ...]:
        async with await open_pool(as_role(database, "sluice_auditor"), size=1) as pool:
            return await PostgresLabels(pool).labels()

    return asyncio.run(read())


def test_somebody_at_a_keyboard_judges_and_what_they_left_waits_for_them(sent: str, tmp_path: Path) -> None:
    with keyboard(sent, tmp_path, "--n", "3", "--as", "mia") as (terminal, process):
        until(terminal, "what the answer cites")
        press(terminal, b"g")
        until(terminal, "2/3")
        press(terminal, b"b")
        until(terminal, "why")
        os.write(terminal, b"45 days, not 30\r")
        until(terminal, "3/3")
        press(terminal, b"q")
        until(terminal, "2 judged as mia; 1 wait")
        assert process.wait(20) == 0
    kept = [(label.verdict, label.reason, label.kind, label.auditor, label.drawn) for label in labels(sent)]
    assert kept == [
        (Verdict.GOOD, "", AuditorKind.PERSON, "mia", True),
        (Verdict.BAD, "45 days, not 30", AuditorKind.PERSON, "mia", True),
    ]
    listed = json.loads(call(sent, tmp_path, "--list", "--json").stdout)
    assert len(listed) == 3  # as a machine sees them
    waiting = asyncio.run(_waiting(sent))
    assert waiting == {UUID(document["ticket_id"]) for document in listed} - {label.ticket_id for label in labels(sent)}
    (everything, _) = reported(sent, tmp_path)
    assert (everything["auditors"], everything["n"], everything["bad"], everything["unsure"]) == ("person", 2, 1, 0)


def test_what_comes_from_a_file_is_a_machine_audit_whoever_calls(sent: str, tmp_path: Path) -> None:
    listed = call(sent, tmp_path, "--list", "--share", "1", "--json", "--as", "mia")
    documents = json.loads(listed.stdout)
    assert {document["answer"] for document in documents} == {f"Answer {number}" for number in range(ANSWERS)}
    verdicts = "\n".join(json.dumps({"ticket_id": d["ticket_id"], "verdict": "good"}) for d in documents)
    told = call(sent, tmp_path, "--from", "-", "--as", "mia", given=verdicts)
    assert told.stdout.strip() == f"{ANSWERS} judged as machine audit by mia; 0 wait"
    assert {label.kind for label in labels(sent)} == {AuditorKind.MACHINE}
    assert {line["auditors"] for line in reported(sent, tmp_path)} == {"machine audit"}


def test_without_a_keyboard_nobody_is_asked(sent: str, tmp_path: Path) -> None:
    run = call(sent, tmp_path, "--n", "2")
    assert run.exit_code == 2
    assert "no keyboard to judge with" in run.stderr
    assert labels(sent) == ()


@pytest.mark.parametrize("line", ['{"verdict": "good"}', '{"ticket_id": "x", "verdict": "good"}', "[]", "{"])
def test_a_file_that_is_wrong_in_one_line_changes_nothing(sent: str, tmp_path: Path, line: str) -> None:
    good = json.dumps({"ticket_id": str(ident(1)), "verdict": "bad"})
    run = call(sent, tmp_path, "--machine", "m", "--from", "-", given=f"{good}\n{line}\n")
    assert run.exit_code == 2, run.stdout
    assert labels(sent) == ()
