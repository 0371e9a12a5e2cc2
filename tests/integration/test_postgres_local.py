"""The embedded server is a real Postgres with pgvector: it keeps what it committed, and is found by its folder."""

import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from infra.postgres.local import LocalPostgres, ensure_postgres, find_postgres, start_postgres
from infra.settings import Settings


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder the server's account may be let into, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="sluice-postgres-"))
    yield path
    if (server := find_postgres(path)) is not None:
        server.stop()
    shutil.rmtree(path, ignore_errors=True)


def answer(url: str, question: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(question.encode())
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def test_it_is_postgres_18_with_pgvector(postgres: LocalPostgres) -> None:
    assert str(answer(postgres.url(), "select version()")).startswith("PostgreSQL 18")
    found = answer(postgres.url(), "select name from pg_available_extensions where name = 'vector'")
    assert found == "vector"


def test_it_sorts_and_folds_alike_on_every_machine(postgres: LocalPostgres) -> None:
    assert answer(postgres.url(), "select lower('ÄÖ')") == "äö"
    assert answer(postgres.url(), "select datlocprovider from pg_database where datname = 'sluice'") == "b"


def test_a_killed_server_comes_back_with_what_it_committed(folder: Path) -> None:
    server = start_postgres(folder)
    answer(server.url(), "create table kept as select 7 as value")
    os.kill(server.pid, signal.SIGKILL)
    assert answer(start_postgres(folder).url(), "select value from kept") == 7


def test_a_second_start_finds_the_running_server(folder: Path) -> None:
    server = start_postgres(folder)
    assert start_postgres(folder) == server
    assert find_postgres(folder) == server


def test_a_stopped_server_is_not_found_and_stopping_twice_is_stopping_once(folder: Path) -> None:
    server = start_postgres(folder)
    server.stop()
    server.stop()
    assert find_postgres(folder) is None


def test_a_folder_closed_since_the_start_does_not_keep_it_running(folder: Path) -> None:
    server = start_postgres(folder / "inner")
    folder.chmod(0o700)
    server.stop()
    assert find_postgres(folder / "inner") is None


def test_a_long_path_is_no_obstacle(folder: Path) -> None:
    server = start_postgres(folder / ("long" * 30), durable=False)
    assert answer(server.url(), "select 1") == 1
    server.stop()
    assert not server.sockets.exists()


def test_nobody_else_may_reach_the_socket(folder: Path) -> None:
    server = start_postgres(folder)
    assert stat.S_IMODE(server.sockets.stat().st_mode) & 0o077 == 0
    assert answer(server.url(), "show listen_addresses") == ""


def test_a_configured_database_is_used_and_never_stopped(postgres: LocalPostgres) -> None:
    running = ensure_postgres(Settings(database_url=postgres.url()))
    running.stop()
    assert answer(running.owner_url, "select 1") == 1


def test_without_a_configured_database_the_embedded_one_starts(folder: Path) -> None:
    running = ensure_postgres(Settings(home=folder))
    assert answer(running.owner_url, "select current_database()") == "sluice"
    running.stop()
    assert find_postgres(folder / "postgres") is None
