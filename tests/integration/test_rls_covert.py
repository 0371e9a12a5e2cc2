"""Row-level security from its far side: guesses about hidden rows, the owner, and a database that was migrated itself.

The manual on covert channels: https://www.postgresql.org/docs/current/ddl-rowsecurity.html. Postgres takes a condition
for free of leaks where no leaky function is given a column, and may ask it before the policy.
"""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

from infra.postgres.local import DATABASE, LocalPostgres
from infra.postgres.migrate import migrate
from infra.settings import as_role
from tests.integration.test_rls import GUARDED, SEED, STAGES, column, session

NAME = "test_covert"
TEXTS = "select text from message"
GUESSES = [
    ("outcome", "message", "text", "canary-ben"),
    ("outcome", "helpdesk_delivery", "text", "canary-ben"),
    ("retrieval", "crm_record", "customer_id", "ben"),
    ("router", "crm_customer", "email", "ben@example.com"),
    ("resolution", "ledger", "chain", "chain-ben"),
]


@pytest.fixture(scope="module")
def covert(postgres: LocalPostgres) -> Iterator[str]:
    """A database that was migrated itself: a copy of one does not have what was granted on the database."""
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as administrator:
        administrator.execute(f"create database {NAME} template {DATABASE}".encode())
        migrate(postgres.url(NAME))
        with psycopg.connect(as_role(postgres.url(NAME), "sluice_owner")) as owner:
            owner.execute(SEED)
        yield postgres.url(NAME)
        administrator.execute(f"drop database {NAME} with (force)".encode())


@pytest.mark.xfail(raises=AssertionError, reason="a limit of Postgres: docs/guarantees.md")
@pytest.mark.parametrize(("role", "table", "shown", "guess"), GUESSES)
def test_a_right_guess_of_a_hidden_row_has_no_effect(
    covert: str, role: str, table: str, shown: str, guess: str
) -> None:
    assert not guessed(covert, role, table, f"{shown} = '{guess}'")


@pytest.mark.parametrize(("role", "table", "shown", "guess"), GUESSES)
def test_a_wrong_guess_has_none(covert: str, role: str, table: str, shown: str, guess: str) -> None:
    assert not guessed(covert, role, table, f"{shown} = '{guess} it is not'")


def guessed(database: str, role: str, table: str, guess: str) -> bool:
    """Whether a condition had an effect on a row that nobody named; its constants alone are given to a function."""
    effect = f"case when {guess} then set_config('guess.right', 'yes', false) is null else false end"
    with session(database, role) as connection:
        for scan in ("indexscan", "indexonlyscan", "bitmapscan"):
            connection.execute(f"set enable_{scan} = off".encode())
        assert connection.execute(f"select from {table} where {effect}".encode()).fetchall() == []
        return column(connection, "select coalesce(current_setting('guess.right', true), '')") == ["yes"]


@pytest.mark.parametrize("table", GUARDED)
def test_the_owner_sees_by_its_policy_alone(covert: str, table: str) -> None:
    with psycopg.connect(as_role(covert, "sluice_owner")) as owner:
        owner.execute(f"drop policy owner on {table}".encode())
        assert owner.execute(f"select count(*) from {table}".encode()).fetchone() == (0,)
        owner.rollback()


@pytest.mark.parametrize("role", [*STAGES, "people", "auditor", "guard"])
@pytest.mark.parametrize("made", ["table stolen (a int)", "view stolen as select 1"])
def test_no_login_makes_anything_temporary(covert: str, role: str, made: str) -> None:
    with session(covert, role) as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute(f"create temporary {made}".encode())


def test_a_statement_an_administrator_prepared_follows_the_role(covert: str) -> None:
    with psycopg.connect(covert, autocommit=True) as connection:
        connection.execute("set plan_cache_mode = force_generic_plan")
        connection.execute(f"prepare texts as {TEXTS}".encode())
        assert "canary-ben" in column(connection, "execute texts")
        connection.execute("set role sluice_outcome")
        assert column(connection, "execute texts") == []


def test_an_upsert_does_not_reach_a_hidden_row(covert: str) -> None:
    upsert = (
        "insert into claim (conversation, revision, key, ticket_id, actor, channel, intent, state, holder, lease_until)"
        " values ('k-ann', 9, 'key-ben', gen_random_uuid(), 'bot', 'api', 'i', 'sent', gen_random_uuid(), now())"
        " on conflict (key) do update set delivery = 'stolen' returning key"
    )
    with session(covert, "outcome") as connection, pytest.raises(errors.InsufficientPrivilege):
        column(connection, upsert, conversation="k-ann")
