"""Migrations: numbered SQL files, applied once each, in order, under a lock; their history cannot be changed."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import psycopg

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 7553221000  # of pg_advisory_lock: one migration of a database at a time

# What bookkeeping needs before any migration has run; the product's own SQL is in queries.sql.
CREATE_TABLE = """
create table if not exists migration (
    number integer primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default clock_timestamp()
)
"""
SELECT_APPLIED = "select number, checksum, applied_at from migration order by number"
HAS_TABLE = "select to_regclass('migration') is not null"
INSERT_APPLIED = "insert into migration (number, name, checksum) values (%s, %s, %s)"


class MigrationError(Exception):
    """The files and the database's history do not fit; nothing was changed."""


class Phase(StrEnum):
    """When a migration is safe, relative to the code that needs it."""

    BEFORE = "before deploy"  # the code that runs now still works with it
    AFTER = "after deploy"  # only the new code works with it


@dataclass(frozen=True)
class Migration:
    """One file of `migrations/`: `0001_roles.sql`, its first line `-- before deploy` or `-- after deploy`."""

    number: int
    name: str
    phase: Phase
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True)
class Status:
    """A migration, and when this database got it; None while it is pending."""

    migration: Migration
    applied_at: datetime | None


def read_migrations(folder: Path = MIGRATIONS) -> list[Migration]:
    """All migrations in order.

    Raises:
        MigrationError: a file is misnamed, misses its phase, or the numbers have a gap.
    """
    migrations = [_read(path) for path in sorted(folder.glob("*.sql"))]
    if [migration.number for migration in migrations] != list(range(1, len(migrations) + 1)):
        raise MigrationError(f"{folder}: the numbers must run from 1 without a gap")
    return migrations


def _read(path: Path) -> Migration:
    number, _, name = path.stem.partition("_")
    text = path.read_text(encoding="utf-8")
    header = text.partition("\n")[0].removeprefix("-- ")
    if not number.isdigit() or header not in list(Phase):
        raise MigrationError(f"{path.name}: name it 0001_what.sql, first line `-- before deploy` or `-- after deploy`")
    return Migration(int(number), name, Phase(header), text)


def migrate(owner_url: str, *, phase: Phase | None = None, folder: Path = MIGRATIONS) -> list[Migration]:
    """Apply what is pending, each in a transaction of its own, and return it.

    With `phase` BEFORE it stops in front of the first migration that must wait until after the deployment.

    Raises:
        MigrationError: an applied migration's text has changed, or the database is newer than the files.
        psycopg.Error: a migration failed; those before it stay applied.
    """
    migrations = read_migrations(folder)
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(%s)", (LOCK,))
        connection.execute(CREATE_TABLE)
        pending = migrations[len(_checked(connection, migrations)) :]
        if phase is Phase.BEFORE:
            pending = pending[: next((i for i, m in enumerate(pending) if m.phase is Phase.AFTER), None)]
        for migration in pending:
            _apply(connection, migration)
    return pending


def status(owner_url: str, folder: Path = MIGRATIONS) -> list[Status]:
    """Every migration with the time it was applied. Raises MigrationError as `migrate` does."""
    migrations = read_migrations(folder)
    with psycopg.connect(owner_url, autocommit=True) as connection:
        known = connection.execute(HAS_TABLE).fetchone()
        applied = _checked(connection, migrations) if known and known[0] else []
    times = [*applied, *([None] * (len(migrations) - len(applied)))]
    return [Status(migration, at) for migration, at in zip(migrations, times, strict=True)]


def _apply(connection: psycopg.Connection, migration: Migration) -> None:
    with connection.transaction():
        connection.execute(migration.text.encode())
        connection.execute("reset role")
        connection.execute(INSERT_APPLIED, (migration.number, migration.name, migration.checksum))


def _checked(connection: psycopg.Connection, migrations: list[Migration]) -> list[datetime]:
    """The times of the applied migrations, after comparing their texts with the files."""
    rows: list[tuple[int, str, datetime]] = connection.execute(SELECT_APPLIED).fetchall()
    if len(rows) > len(migrations):
        raise MigrationError(f"the database has {len(rows)} migrations, this version of Sluice only {len(migrations)}")
    for (number, checksum, _), migration in zip(rows, migrations, strict=False):
        if (number, checksum) != (migration.number, migration.checksum):
            raise MigrationError(f"migration {migration.number:04} {migration.name} was changed after it was applied")
    return [at for _, _, at in rows]
