"""Migrations apply once, in order, and refuse a changed history."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from infra.postgres.local import LocalPostgres
from infra.postgres.migrate import MigrationError, Phase, migrate, read_migrations, status
from infra.settings import as_role

FILES = {
    "0001_one.sql": "-- before deploy\ncreate table one (a int);",
    "0002_two.sql": "-- after deploy\ncreate table two (a int);",
    "0003_three.sql": "-- before deploy\ncreate table three (a int);",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def bare(database: str) -> str:
    """A database that no migration has seen."""
    with psycopg.connect(database) as owner:
        owner.execute("drop table migration")
    return database


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as owner:
        rows = owner.execute("select relname from pg_class where relname in ('one', 'two', 'three')").fetchall()
    return {name for (name,) in rows}


def test_what_is_pending_is_applied_once_and_in_order(bare: str, folder: Path) -> None:
    assert [migration.name for migration in migrate(bare, folder=folder)] == ["one", "two", "three"]
    assert migrate(bare, folder=folder) == []
    assert tables(bare) == {"one", "two", "three"}


def test_before_the_deployment_only_what_comes_before_it(bare: str, folder: Path) -> None:
    assert [migration.name for migration in migrate(bare, phase=Phase.BEFORE, folder=folder)] == ["one"]
    assert [migration.name for migration in migrate(bare, folder=folder)] == ["two", "three"]


def test_the_status_tells_applied_from_pending(bare: str, folder: Path) -> None:
    assert [entry.applied_at for entry in status(bare, folder)] == [None, None, None]
    migrate(bare, phase=Phase.BEFORE, folder=folder)
    assert [entry.applied_at is not None for entry in status(bare, folder)] == [True, False, False]


def test_a_changed_history_is_refused(bare: str, folder: Path) -> None:
    migrate(bare, folder=folder)
    (folder / "0002_two.sql").write_text("-- after deploy\ncreate table other (a int);")
    with pytest.raises(MigrationError, match="0002 two was changed"):
        migrate(bare, folder=folder)


def test_a_database_newer_than_the_files_is_refused(bare: str, folder: Path) -> None:
    migrate(bare, folder=folder)
    (folder / "0003_three.sql").unlink()
    with pytest.raises(MigrationError, match="has 3 migrations"):
        status(bare, folder)


def test_a_migration_that_fails_leaves_nothing_behind(bare: str, folder: Path) -> None:
    (folder / "0002_two.sql").write_text("-- after deploy\ncreate table two (a int);\nselect 1 / 0;")
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(bare, folder=folder)
    assert tables(bare) == {"one"}
    (folder / "0002_two.sql").write_text(FILES["0002_two.sql"])
    assert [migration.name for migration in migrate(bare, folder=folder)] == ["two", "three"]


def test_two_at_once_apply_everything_once(bare: str, folder: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: migrate(bare, folder=folder), range(2)))
    assert sorted(len(applied) for applied in done) == [0, 3]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("0005_gap.sql", "-- before deploy\nselect 1"),
        ("four.sql", "-- before deploy\nselect 1"),
        ("0004_four.sql", "select 1"),
    ],
)
def test_a_file_that_does_not_fit_is_named(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(MigrationError):
        read_migrations(folder)


def test_the_product_s_own_migrations_say_when_they_apply() -> None:
    assert [migration.number for migration in read_migrations()] == list(range(1, len(read_migrations()) + 1))


@pytest.fixture
def modest(postgres: LocalPostgres, migrated: str) -> Iterator[str]:
    """An empty database of a login that is no superuser; `migrated` has made the roles."""
    assert migrated
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute("create role sluice_modest login createrole")
        connection.execute("grant sluice_owner to sluice_modest")
        connection.execute("create database test_modest owner sluice_modest")
        with psycopg.connect(postgres.url("test_modest"), autocommit=True) as inside:
            inside.execute("create extension vector")
        yield postgres.url("test_modest", "sluice_modest")
        connection.execute("drop database test_modest with (force)")
        connection.execute("drop owned by sluice_modest")
        connection.execute("drop role sluice_modest")


def test_whoever_owns_the_database_may_migrate_it_without_being_superuser(modest: str) -> None:
    assert len(migrate(modest)) == len(read_migrations())
    with psycopg.connect(as_role(modest, "sluice_router")) as router:
        assert router.execute("select count(*) from message").fetchall() == [(0,)]
