"""Row-level security: another customer's rows cannot be read, even where the application's own filter is gone."""

from uuid import UUID

import psycopg
import pytest
from psycopg import Connection

from infra.settings import as_role

ANN, BEN, NOBODY = (UUID(int=n) for n in (1, 2, 3))
GUARDED = (
    "acknowledgement",
    "act",
    "audit_draw",
    "automatic_mail",
    "claim",
    "conversation",
    "crm_customer",
    "crm_record",
    "decision",
    "helpdesk_delivery",
    "item",
    "kb_article",
    "kb_section",
    "label",
    "ledger",
    "message",
)
STAGES = ("edge", "router", "retrieval", "resolution", "gate", "outcome")
SEED = """
insert into crm_customer (customer_id, email, phone)
    values ('ann', 'ann@example.com', '15550100017'), ('ben', 'ben@example.com', '15550100018');
insert into crm_record (customer_id, record, kind, fields) values
    ('ann', 'order/1', 'order', '{}'), ('ben', 'order/2', 'order', '{}'), ('ben', 'ticket/2', 'ticket', '{}');
insert into conversation (conversation, revision) values ('k-ann', 1), ('k-ben', 1), ('k-both', 2);
insert into message (conversation, revision, author, ticket_id, customer_id, text, body_hash, at) values
    ('k-ann', 1, 'customer', '00000000-0000-0000-0000-000000000001', 'ann', 'canary-ann', 'h', now()),
    ('k-both', 1, 'customer', '00000000-0000-0000-0000-000000000002', 'ben', 'canary-ben', 'h', now()),
    ('k-both', 2, 'customer', '00000000-0000-0000-0000-000000000003', null, 'canary-nobody', 'h', now());
insert into claim (conversation, revision, key, ticket_id, actor, channel, intent, state, holder, lease_until)
    select 'k-' || who, 1, 'key-' || who, gen_random_uuid(), 'bot', 'api', 'i', 'sent', gen_random_uuid(), now()
    from unnest(array['ann', 'ben']) as who;
insert into item (key, kind, conversation, revision, reason, event) values
    ('item-ann', 'suggest', 'k-ann', 1, '', ''), ('item-ben', 'suggest', 'k-ben', 1, '', '');
insert into acknowledgement (key, conversation) values ('note-ann', 'k-ann'), ('note-ben', 'k-ben');
insert into automatic_mail (key, address) values ('mail-ann', 'hash-ann'), ('mail-ben', 'hash-ben');
insert into decision (ticket_id, revision, disposition, rule, record, decided_at) values
    ('00000000-0000-0000-0000-000000000001', 1, 'auto', '6', '{}', now()),
    ('00000000-0000-0000-0000-000000000002', 1, 'auto', '6', '{}', now());
insert into ledger values ('chain-ann', 1, '', '{}', 'h'), ('chain-ben', 1, '', '{}', 'h');
insert into helpdesk_delivery (act, key, ticket_id, conversation, channel, text, payload) values
    ('reply', 'key-ann', '00000000-0000-0000-0000-000000000001', 'k-ann', 'api', 'canary-ann', '{}'),
    ('reply', 'key-ben', '00000000-0000-0000-0000-000000000002', 'k-ben', 'api', 'canary-ben', '{}');
insert into audit_draw (ticket_id, revision, seed) values ('00000000-0000-0000-0000-000000000001', 1, 's');
insert into label (ticket_id, revision, auditor, kind, verdict, reason, intent, drawn, answered_at)
    values ('00000000-0000-0000-0000-000000000001', 1, 'mia', 'person', 'bad', 'canary-ann', 'i', true, now());
insert into kb_article (article_id, version, title, audience, content_hash) values
    ('open', 1, 't', 'public', 'h'), ('staff', 1, 't', 'internal', 'h');
insert into kb_section
    select article_id, 1, 's', 1, 'h', 't', audience, 'h', array_fill(0.1, array[384])::vector, '' from kb_article;
"""


@pytest.fixture(scope="module")
def seeded(shared_database: str) -> str:
    with psycopg.connect(as_role(shared_database, "sluice_owner")) as owner:
        owner.execute(SEED)
    return shared_database


def session(database: str, role: str) -> Connection:
    return psycopg.connect(as_role(database, f"sluice_{role}"), autocommit=True)


def column(connection: Connection, statement: str, **named: str) -> list[object]:
    """The first column of a statement, in a transaction that has named somebody."""
    with connection.transaction():
        for name, value in named.items():
            connection.execute("select set_config(%s, %s, true)", (f"sluice.{name}", value))
        return sorted(row[0] for row in connection.execute(statement.encode()).fetchall())


READS = [
    ("router", "crm_customer", "customer_id", {}, []),
    ("router", "crm_customer", "customer_id", {"customer": "ann"}, ["ann"]),
    ("router", "crm_customer", "customer_id", {"email": "ben@example.com"}, ["ben"]),
    ("router", "crm_customer", "customer_id", {"phone": "15550100018"}, ["ben"]),
    ("router", "crm_customer", "customer_id", {"phone": "15550100099"}, []),
    ("router", "crm_record", "record", {"customer": "ann"}, []),
    ("router", "crm_record", "record", {"customer": "ben"}, ["ticket/2"]),
    ("router", "conversation", "conversation", {}, []),
    ("router", "conversation", "conversation", {"conversation": "k-ann"}, ["k-ann"]),
    ("router", "message", "text", {}, []),
    ("router", "message", "text", {"customer": "ann"}, ["canary-ann"]),
    ("router", "message", "text", {"customer": "ann", "conversation": "k-both"}, ["canary-ann", "canary-nobody"]),
    ("router", "message", "text", {"conversation": "k-both"}, ["canary-nobody"]),
    ("router", "message", "text", {"conversation": "k-ann"}, []),
    ("router", "message", "text", {"ticket": str(ANN)}, []),
    ("router", "ledger", "chain", {}, []),
    ("retrieval", "crm_record", "record", {}, []),
    ("retrieval", "crm_record", "record", {"customer": "ann"}, ["order/1"]),
    ("retrieval", "crm_record", "record", {"conversation": "k-ann"}, []),
    ("retrieval", "kb_article", "article_id", {}, ["open"]),
    ("retrieval", "kb_section", "article_id", {}, ["open"]),
    ("resolution", "ledger", "chain", {}, []),
    ("resolution", "ledger", "chain", {"chain": "chain-ann"}, ["chain-ann"]),
    ("outcome", "message", "text", {}, []),
    ("outcome", "message", "text", {"customer": "ben"}, ["canary-ben"]),
    ("outcome", "message", "text", {"ticket": str(ANN)}, ["canary-ann"]),
    ("outcome", "conversation", "conversation", {"conversation": "k-ben"}, ["k-ben"]),
    ("outcome", "claim", "key", {}, []),
    ("outcome", "claim", "key", {"key": "key-ann"}, ["key-ann"]),
    ("outcome", "claim", "key", {"conversation": "k-ben"}, ["key-ben"]),
    ("outcome", "item", "key", {}, []),
    ("outcome", "item", "key", {"key": "item-ben"}, ["item-ben"]),
    ("outcome", "acknowledgement", "key", {"customer": "ann"}, []),
    ("outcome", "acknowledgement", "key", {"conversation": "k-ben"}, ["note-ben"]),
    ("outcome", "automatic_mail", "key", {}, []),
    ("outcome", "automatic_mail", "key", {"address": "hash-ann"}, ["mail-ann"]),
    ("outcome", "decision", "ticket_id", {}, []),
    ("outcome", "decision", "ticket_id", {"ticket": str(BEN)}, [BEN]),
    ("outcome", "helpdesk_delivery", "key", {}, []),
    ("outcome", "helpdesk_delivery", "key", {"key": "key-ann"}, ["key-ann"]),
    ("people", "message", "text", {}, ["canary-ann", "canary-ben", "canary-nobody"]),
    ("auditor", "ledger", "chain", {}, ["chain-ann", "chain-ben"]),
    ("auditor", "label", "auditor", {}, ["mia"]),
    ("guard", "label", "verdict", {}, ["bad"]),
]


@pytest.mark.parametrize(("role", "table", "shown", "named", "rows"), READS)
def test_a_role_reads_the_rows_it_named_and_no_others(
    seeded: str, role: str, table: str, shown: str, named: dict[str, str], rows: list[object]
) -> None:
    with session(seeded, role) as connection:
        assert column(connection, f"select {shown} from {table}", **named) == rows


def test_the_facts_of_one_customer_hold_without_the_query_s_own_filter(database: str) -> None:
    filtered = "where customer_id = p_customer and kind = any (p_kinds)"
    with psycopg.connect(as_role(database, "sluice_owner")) as owner:
        owner.execute(SEED)
        (source,) = owner.execute("select pg_get_functiondef('customer_facts'::regproc)").fetchone() or ("",)
        assert filtered in source
        owner.execute(source.replace(filtered, "").encode())
    with session(database, "retrieval") as connection:
        facts = column(connection, "select record from customer_facts('ann', array['order'])")
    assert facts == ["order/1"]


@pytest.mark.parametrize("table", ["message", "claim", "conversation"])
def test_outcome_cannot_write_a_row_of_somebody_it_did_not_name(seeded: str, table: str) -> None:
    writes = {
        "message": "insert into message (conversation, revision, author, customer_id, text, at)"
        " values ('k-ben', 1, 'bot', 'ben', 'x', now())",
        "claim": "insert into claim (conversation, revision, key, ticket_id, actor, channel, intent, state, holder,"
        " lease_until) values ('k-ben', 2, 'n', gen_random_uuid(), 'b', 'api', 'i', 'sent', gen_random_uuid(), now())",
        "conversation": "insert into conversation (conversation) values ('k-new')",
    }
    with session(seeded, "outcome") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        column(connection, writes[table] + " returning 1", customer="ann", conversation="k-ann")


def test_what_a_transaction_named_is_forgotten_with_it(seeded: str) -> None:
    with session(seeded, "retrieval") as connection:
        assert column(connection, "select record from crm_record", customer="ann") == ["order/1"]
        assert column(connection, "select record from crm_record") == []
        connection.execute("select * from customer_facts('ann', array['order'])")
        assert column(connection, "select record from crm_record") == []


def test_no_stage_sees_anything_when_it_named_nobody(seeded: str) -> None:
    for role in STAGES:
        with session(seeded, role) as connection:
            for table in set(GUARDED) - {"kb_article", "kb_section"}:
                try:
                    assert column(connection, f"select count(*) from {table}") == [0]
                except psycopg.errors.InsufficientPrivilege:
                    continue


def test_every_guarded_table_forces_its_policies_on_its_owner_too(seeded: str) -> None:
    with psycopg.connect(seeded) as owner:
        guarded = column(
            owner, "select relname from pg_class where relkind = 'r' and relrowsecurity and relforcerowsecurity"
        )
    assert guarded == sorted(GUARDED)


def test_no_role_stands_above_the_policies(seeded: str) -> None:
    with psycopg.connect(seeded) as owner:
        above = column(
            owner,
            "select rolname from pg_roles where rolname like 'sluice_%' and"
            " (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or not rolcanlogin)",
        )
        members = column(
            owner,
            "select m.rolname from pg_auth_members join pg_roles as m on m.oid = member"
            " join pg_roles as r on r.oid = roleid where r.rolname like 'sluice_%' and not m.rolsuper",
        )
        owned = column(
            owner,
            "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'v', 'S')"
            " and relowner <> 'sluice_owner'::regrole",
        )
    assert (above, members, owned) == ([], [], [])


def test_no_function_runs_with_another_s_rights(seeded: str) -> None:
    with psycopg.connect(seeded) as owner:
        assert (
            column(owner, "select proname from pg_proc where prosecdef and pronamespace = 'public'::regnamespace") == []
        )


@pytest.mark.parametrize("role", [*STAGES, "people", "auditor", "guard"])
def test_every_role_gives_up_in_time(seeded: str, role: str) -> None:
    with session(seeded, role) as connection:
        for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
            assert column(connection, f"show {name}") != ["0"]


@pytest.mark.parametrize("role", [*STAGES, "people", "auditor", "guard"])
def test_no_role_can_make_objects(seeded: str, role: str) -> None:
    with session(seeded, role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("create table stolen (a int)")
