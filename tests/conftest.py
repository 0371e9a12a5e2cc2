"""What tests share: a clean environment, one real Kafka broker and one real Postgres for the whole session."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import settings as hypothesis_settings
from psycopg import sql
from xdist.scheduler import LoadScopeScheduling

from infra.kafka.admin import Admin, with_partitions
from infra.kafka.local import LocalKafka, kafka_available, start_kafka
from infra.postgres.local import DATABASE, LocalPostgres, start_postgres
from infra.settings import PREFIX, Settings, env_name
from schemas.topics import all_topics

hypothesis_settings.register_profile("here", deadline=None)  # a busy machine is no failure
hypothesis_settings.load_profile("here")


PARTITIONS = 3  # enough to be several; twelve take a second to make
SERVERS = {"kafka", "own_kafka", "postgres"}
TEMPLATE = "sluice_template"

_numbers = count(1)

os.environ.pop("COLUMNS", None)  # pytest-xdist gives its processes 80, and a console keeps what it was imported with


class Apart(LoadScopeScheduling):
    """Runs a file in one process, and all of `e2e` in one: there is one set of ports, and one stack for them all."""

    def _split_scope(self, nodeid: str) -> str:
        return "e2e" if nodeid.startswith("tests/e2e/") else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Share the tests out among the processes (pytest-xdist's groups do not work with pytest 9.2)."""
    return Apart(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a server, so that `make check` can leave them out."""
    for item in items:
        placed = any(item.path.is_relative_to(Path(__file__).parent / folder) for folder in ("integration", "e2e"))
        real = any(name in item.nodeid for name in ("[postgres", "[recorded"))  # a contract test on the real adapter
        if placed or real or SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.server)


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's shell reaches a test."""
    known = {env_name(field, info) for field, info in Settings.model_fields.items()}
    ours = [name for name in os.environ if name.startswith(PREFIX) and not name.startswith("SLUICE_TEST_")]
    for name in {*ours, *known & set(os.environ)}:
        monkeypatch.delenv(name)


# -- Kafka


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """The session's broker as host:port. Fails, never skips, where Java or Maven is missing."""
    with _broker() as broker:
        yield broker.bootstrap


@pytest.fixture
def kafka_topics(kafka: str) -> str:
    """The session's broker with every topic new and empty, of three partitions, and no consumer group."""
    _fresh_topics(kafka)
    return kafka


@pytest.fixture
def own_kafka() -> Iterator[LocalKafka]:
    """A broker for one test alone, for those that kill it, or kill a worker: its group's ghost lives on for seconds."""
    with _broker() as broker:
        _fresh_topics(broker.bootstrap)
        yield broker


@contextmanager
def _broker() -> Iterator[LocalKafka]:
    if (reason := kafka_available()) is not None:
        pytest.fail(reason, pytrace=False)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-kafka-", ignore_cleanup_errors=True))
        broker = start_kafka(Path(folder))
        stack.callback(broker.kill)
        stack.enter_context(_ends_with_us(broker.pid))
        yield broker


def _fresh_topics(bootstrap: str) -> None:
    """Make every topic new that holds anything: making them all each time would keep the broker busy for a second."""
    admin = Admin(bootstrap)
    specs = with_partitions(all_topics(), PARTITIONS)
    used = {topic for (topic, _), end in admin.ends(spec.name for spec in specs).items() if end}
    admin.delete_groups()
    admin.delete_topics([*used])
    admin.create_topics(specs)


# -- Postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[LocalPostgres]:
    """The session's server, without any tables."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-postgres-", ignore_cleanup_errors=True))
        server = start_postgres(Path(folder), durable=False)
        stack.callback(server.stop)
        stack.enter_context(_ends_with_us(server.pid))
        yield server


@pytest.fixture(scope="session")
def migrated(postgres: LocalPostgres) -> str:
    """The name of a migrated database that nobody connects to: the template of every test's own."""
    from infra.postgres.migrate import migrate

    _execute(postgres, "create database {} template {}", TEMPLATE, DATABASE)
    migrate(postgres.url(TEMPLATE))
    return TEMPLATE


@pytest.fixture
def database(postgres: LocalPostgres, migrated: str) -> Iterator[str]:
    """A migrated, empty database for one test alone, as its owner's URL; `infra.settings.as_role` for the others."""
    name = f"test_{next(_numbers)}"
    _execute(postgres, "create database {} template {}", name, migrated)
    yield postgres.url(name)
    _execute(postgres, "drop database {} with (force)", name)


def _execute(server: LocalPostgres, statement: str, *names: str) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


# -- processes


@pytest.fixture
def environ(kafka_topics: str, database: str, tmp_path: Path) -> dict[str, str]:
    """The environment of a command run as a process against the session's Kafka and the test's database."""
    ours = {"KAFKA_BOOTSTRAP_SERVERS": kafka_topics, "DATABASE_URL": database, "SLUICE_HOME": str(tmp_path / "var")}
    return {**os.environ, **ours}


@contextmanager
def _ends_with_us(pid: int) -> Iterator[None]:
    """End a server even if these tests are killed: `cat` sees the end of its input when we are gone."""
    watch = subprocess.Popen(
        ["sh", "-c", f"cat >/dev/null; kill {pid}"],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        watch.kill()
        watch.communicate()
