"""What the integration tests share beside tests/conftest.py."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from infra.postgres.local import LocalPostgres


@pytest.fixture(scope="module")
def shared_database(postgres: LocalPostgres, migrated: str) -> Iterator[str]:
    """A migrated database that all tests of a module read, as its owner's URL."""
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} template {}").format(sql.Identifier("test_shared"), sql.Identifier(migrated))
        )
        yield postgres.url("test_shared")
        connection.execute("drop database test_shared with (force)")
