"""What somebody tries who holds a stage's login and may run any statement: each attack by name, none shows a row."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from psycopg import Connection

from infra.postgres.pool import open_pool
from infra.settings import as_role
from tests.integration.test_rls import SEED, STAGES, column, session

ROOT = Path(__file__).parents[2]
EVERYBODY = (*STAGES, "people", "auditor", "guard")
DENIED = psycopg.errors.InsufficientPrivilege
CANARY = "canary-ben"


@pytest.fixture(scope="module")
def seeded(shared_database: str) -> str:
    """Two customers' rows, and the statistics of all tables."""
    with psycopg.connect(as_role(shared_database, "sluice_owner"), autocommit=True) as owner:
        owner.execute(SEED)
        owner.execute("analyze")
    with psycopg.connect(shared_database) as administrator:  # a copied database forgets what the migration revoked
        administrator.execute("revoke temporary on database test_shared from public")
    return shared_database


@pytest.fixture
def as_stage(seeded: str) -> Iterator[Callable[[str], Connection]]:
    """Connections by login."""
    opened: list[Connection] = []

    def connect(role: str) -> Connection:
        opened.append(session(seeded, role))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


Login = Callable[[str], Connection]
FORGED = ("", " ", "%", "*", "ann,ben", "ann' or '1'='1", "ANN", "ann\n", "null", "{ann,ben}", "_nn")


@pytest.mark.parametrize("value", FORGED)
def test_a_forged_customer_is_a_name_like_any_other(as_stage: Login, value: str) -> None:
    assert column(as_stage("router"), "select text from message", customer=value) == []
    assert column(as_stage("retrieval"), "select record from crm_record", customer=value) == []


def test_a_forged_ticket_that_is_none_shows_nothing(as_stage: Login) -> None:
    with pytest.raises(psycopg.errors.InvalidTextRepresentation) as refused:
        column(as_stage("outcome"), "select text from message", ticket="' or true --")
    assert CANARY not in str(refused.value)


async def test_what_a_failed_transaction_named_is_not_there_for_the_pools_next_borrower(seeded: str) -> None:
    pool = await open_pool(as_role(seeded, "sluice_retrieval"), size=1)
    try:
        with suppress(psycopg.errors.DivisionByZero):
            async with pool.connection() as connection, connection.transaction():
                await connection.execute("select set_config('sluice.customer', 'ben', true)")
                await connection.execute("select 1 / 0")
        async with pool.connection() as connection:
            assert await (await connection.execute("select record from crm_record")).fetchall() == []
    finally:
        await pool.close()


def test_no_statement_of_ours_names_anybody_beyond_its_transaction() -> None:
    folder = ROOT / "infra" / "postgres"
    sources = "\n".join(path.read_text() for kind in ("*.sql", "*.py") for path in folder.rglob(kind))
    calls = re.findall(r"set_config\('sluice\.[^;]*?(true|false)\)", sources)
    assert calls
    assert set(calls) == {"true"}
    assert not re.search(r"^\s*set (session )?\"?sluice\.", sources, re.MULTILINE | re.IGNORECASE)


@pytest.mark.parametrize("role", EVERYBODY)
@pytest.mark.parametrize("other", ["sluice_owner", "sluice_people", "sluice_auditor", "postgres"])
def test_no_login_becomes_another(as_stage: Login, role: str, other: str) -> None:
    if other != f"sluice_{role}":
        for statement in (f"set role {other}", f"set session authorization {other}"):
            with pytest.raises((DENIED, psycopg.errors.InvalidParameterValue)):
                as_stage(role).execute(statement.encode())


@pytest.mark.parametrize(
    "statement",
    [
        "alter table message disable row level security",
        "alter table message no force row level security",
        "drop policy stage on message",
        "create policy mine on message using (true)",
        "alter role current_user bypassrls",
        "create view mine as select * from message",
        "create temporary view mine as select * from message",
        "create temporary table mine as select * from message",
        "create function mine(text) returns boolean language sql cost 0.0001 as 'select true'",
        "create function pg_temp.mine(text) returns boolean language sql as 'select true'",
        "truncate message",
        "truncate ledger",
        "create foreign data wrapper mine",
        "copy message to '/tmp/stolen'",
        "copy message to program 'cat'",
        "select pg_read_file('/etc/passwd')",
        "select lo_import('/etc/passwd')",
        "select lo_export(1, '/tmp/stolen')",
        "select stavalues1 from pg_statistic",
        "select rolpassword from pg_authid",
        "select last_value from message_message_id_seq",
    ],
)
@pytest.mark.parametrize("role", ["router", "outcome", "people"])
def test_no_login_gets_around_the_policies_by(as_stage: Login, role: str, statement: str) -> None:
    with pytest.raises(psycopg.Error) as refused:
        as_stage(role).execute(statement.encode())
    assert refused.value.sqlstate in {"42501", "42601", "3F000"} or "permission denied" in str(refused.value)


def test_switching_row_security_off_is_an_error_and_not_a_way_through(as_stage: Login) -> None:
    router = as_stage("router")
    router.execute("set row_security = off")
    with pytest.raises(DENIED, match="row-level security"):
        router.execute("select text from message")


@pytest.mark.parametrize(
    "condition",
    [
        "1 / (case when customer_id = 'ben' then 0 else 1 end) = 1",
        "case when customer_id = 'ben' then text::integer else 1 end = 1",
        "length(case when customer_id = 'ben' then repeat(text, 2000000000) else '' end) = 0",
    ],
    ids=["division by zero", "a cast that quotes its value", "a string too long"],
)
def test_a_leaky_condition_never_meets_a_hidden_row(as_stage: Login, condition: str) -> None:
    found = column(as_stage("router"), f"select text from message where {condition}", customer="ann")
    assert found == ["canary-ann"]


def test_a_unique_violation_tells_nothing_of_the_row_it_met(as_stage: Login) -> None:
    insert = (
        "insert into claim (conversation, revision, key, ticket_id, actor, channel, intent, state, holder, lease_until)"
        " values ('k-ann', 9, 'key-ben', gen_random_uuid(), 'bot', 'api', 'i', 'sent', gen_random_uuid(), now())"
    )
    with pytest.raises(psycopg.errors.UniqueViolation) as met:
        column(as_stage("outcome"), f"{insert} returning key", conversation="k-ann")
    assert met.value.diag.message_detail is None
    update = "on conflict (key) do update set holder = excluded.holder returning key"
    with pytest.raises(DENIED) as refused:
        column(as_stage("outcome"), f"{insert} {update}", conversation="k-ann")
    assert CANARY not in str(refused.value)


def test_a_foreign_key_tells_nothing_of_the_row_it_met(as_stage: Login) -> None:
    missing = "insert into message (conversation, revision, author, text, at) values ('k-none', 1, 'bot', 'x', now())"
    with pytest.raises(psycopg.errors.ForeignKeyViolation) as met:
        column(as_stage("outcome"), f"{missing} returning text", conversation="k-none")
    assert CANARY not in str(met.value)


def test_copy_shows_what_a_query_would(as_stage: Login) -> None:
    outcome = as_stage("outcome")
    with outcome.transaction():
        outcome.execute("select set_config('sluice.customer', 'ann', true)")
        with outcome.cursor().copy("copy message (text) to stdout") as copy:
            assert b"".join(bytes(part) for part in copy) == b"canary-ann\n"


def test_a_prepared_statement_goes_by_who_is_named_when_it_runs(as_stage: Login) -> None:
    router = as_stage("router")
    router.execute("prepare messages as select text from message")
    router.execute("set plan_cache_mode = force_generic_plan")
    seen = [column(router, "execute messages", customer=name) for name in ("ann", "ben", "", "ann")]
    assert seen == [["canary-ann"], ["canary-ben"], [], ["canary-ann"]]


@pytest.mark.parametrize("role", EVERYBODY)
def test_statistics_of_guarded_columns_are_shown_to_nobody(as_stage: Login, role: str) -> None:
    shown = column(
        as_stage(role), "select attname from pg_stats where tablename in ('message', 'crm_customer', 'crm_record')"
    )
    assert shown == []


def test_another_logins_statements_are_not_shown(as_stage: Login) -> None:
    as_stage("people").execute(f"select text from message where text = '{CANARY}'".encode())
    others = "select query from pg_stat_activity where usename = 'sluice_people'"
    assert set(column(as_stage("router"), others)) <= {"<insufficient privilege>"}


@pytest.mark.parametrize("role", ["router", "outcome", "people"])
def test_no_login_hands_on_what_it_may(as_stage: Login, seeded: str, role: str) -> None:
    as_stage(role).execute("grant select on message to sluice_gate")  # a warning: it grants nothing
    with psycopg.connect(seeded) as owner:
        assert column(owner, "select has_any_column_privilege('sluice_gate', 'message', 'select')") == [False]


def test_a_large_object_of_one_login_is_closed_to_the_others(as_stage: Login) -> None:
    (number,) = column(as_stage("outcome"), "select lo_from_bytea(0, 'x')")
    with pytest.raises(DENIED):
        as_stage("router").execute("select lo_get(%s::oid)", (number,))
