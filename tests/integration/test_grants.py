"""Who may do what with which table, and call which function: the whole matrix, as it is meant to be."""

import psycopg
import pytest

from infra.postgres.local import LocalPostgres

TABLES = (
    "acknowledgement",
    "act",
    "audit_draw",
    "automatic_mail",
    "claim",
    "conversation",
    "crm_customer",
    "crm_record",
    "decision",
    "guard",
    "helpdesk_delivery",
    "item",
    "kb_article",
    "kb_section",
    "kb_word",
    "label",
    "ledger",
    "message",
    "migration",
    "switch",
    "switch_log",
)
# s select, i insert, u update, d delete, t truncate, r references, g trigger, m maintain; for the first three and
# references, some of the columns count
MATRIX: dict[str, dict[str, str]] = {
    "edge": {},
    "gate": {},
    "router": {"conversation": "siu", "crm_customer": "s", "crm_record": "s", "ledger": "si", "message": "si"},
    "retrieval": {"crm_record": "s", "kb_article": "s", "kb_section": "s", "kb_word": "s"},
    "resolution": {"ledger": "si"},
    "outcome": {
        "acknowledgement": "siu",
        "automatic_mail": "sid",
        "claim": "siu",
        "conversation": "su",
        "decision": "si",
        "helpdesk_delivery": "si",
        "item": "siu",
        "message": "siu",
        "switch": "siu",
        "switch_log": "si",
    },
    "people": {
        "act": "siu",
        "claim": "siu",
        "conversation": "siu",
        "crm_customer": "s",
        "crm_record": "s",
        "decision": "s",
        "helpdesk_delivery": "si",
        "item": "su",
        "kb_article": "s",
        "kb_section": "s",
        "kb_word": "s",
        "label": "s",
        "message": "siu",
        "switch": "siu",
        "switch_log": "si",
    },
    "auditor": {**dict.fromkeys(TABLES, "s"), "audit_draw": "si", "label": "si"},
    "guard": {"guard": "siu", "label": "s", "switch": "siu", "switch_log": "si"},
}
COLUMNS = {
    ("router", "conversation", "insert"): {"conversation"},
    ("router", "conversation", "update"): {"revision", "touched_at"},
    ("outcome", "conversation", "update"): {"touched_at"},
    ("people", "conversation", "insert"): {"conversation", "owner", "person"},
    ("people", "conversation", "update"): {"owner", "person", "touched_at"},
    ("outcome", "message", "update"): {"intent", "outcome"},
    ("people", "message", "update"): {"intent", "outcome"},
    ("outcome", "item", "update"): {"state", "closed_at", "traceparent"},
    ("outcome", "acknowledgement", "update"): {"text", "delivery"},
    ("people", "item", "update"): {"state", "held_by", "closed_at", "closed_by", "closed_as"},
    ("people", "act", "update"): {"published_at"},
    ("guard", "label", "select"): {
        "label_id",
        "ticket_id",
        "revision",
        "kind",
        "verdict",
        "intent",
        "drawn",
        "answered_at",
    },
}
CALLS: dict[str, set[str]] = {
    "edge": set(),
    "gate": set(),
    "auditor": {"record_label"},
    "guard": {"save_guard", "strictness", "switch_lock", "switch_set"},
    "router": {"admit", "ledger_append", "moment_of", "proved_customer"},
    "retrieval": {"customer_facts"},
    "resolution": {"ledger_append"},
    "outcome": {
        "acknowledged",
        "ask_acknowledgement",
        "came_back",
        "claim",
        "claim_outside",
        "close_dead",
        "end_claim",
        "event_field",
        "helpdesk_find",
        "helpdesk_receive",
        "kept_outside",
        "left_outside",
        "mark_sent",
        "may_acknowledge",
        "may_mail",
        "not_held_by",
        "open_item",
        "record_decision",
        "release_outside",
        "reopen_answer",
        "reopen_ticket",
        "settle_outside",
        "stopping_scope",
        "strictness",
        "switch_lock",
        "switch_set",
        "trace_outside",
    },
    "people": {
        "claim",
        "close_dead",
        "close_item",
        "end_claim",
        "event_field",
        "give_back",
        "give_back_unheld",
        "helpdesk_find",
        "helpdesk_receive",
        "lock_item",
        "mark_sent",
        "not_held_by",
        "not_theirs",
        "note_act",
        "release_item",
        "stopping_scope",
        "strictness",
        "switch_lock",
        "switch_set",
        "take_item",
        "take_over",
        "unpark_item",
    },
}
FOR_POLICIES = {"setting", "name_for_now"}
LETTERS = {
    "s": "select",
    "i": "insert",
    "u": "update",
    "d": "delete",
    "t": "truncate",
    "r": "references",
    "g": "trigger",
    "m": "maintain",
}


@pytest.mark.parametrize("role", MATRIX)
def test_a_role_may_touch_the_tables_of_its_work_and_no_others(shared_database: str, role: str) -> None:
    with psycopg.connect(shared_database) as owner:
        granted = {table: may(owner, f"sluice_{role}", table) for table in TABLES}
    assert granted == {table: MATRIX[role].get(table, "") for table in TABLES}


@pytest.mark.parametrize(("role", "table", "act"), COLUMNS)
def test_a_role_may_touch_these_columns_only(shared_database: str, role: str, table: str, act: str) -> None:
    statement = (
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0"
        " and has_column_privilege(%s, attrelid, attnum, %s)"
    )
    with psycopg.connect(shared_database) as owner:
        rows = owner.execute(statement, (table, f"sluice_{role}", act)).fetchall()
    assert {name for (name,) in rows} == COLUMNS[role, table, act]


@pytest.mark.parametrize("role", CALLS)
def test_a_role_may_call_the_functions_of_its_work_and_no_others(shared_database: str, role: str) -> None:
    statement = (
        "select proname from pg_proc where proowner = 'sluice_owner'::regrole"
        " and has_function_privilege(%s, oid, 'execute')"
    )
    with psycopg.connect(shared_database) as owner:
        rows = owner.execute(statement, (f"sluice_{role}",)).fetchall()
    assert {name for (name,) in rows} - FOR_POLICIES == CALLS[role]


def test_the_matrix_knows_every_table(shared_database: str) -> None:
    statement = (
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'v', 'm')"
    )
    with psycopg.connect(shared_database) as owner:
        assert {name for (name,) in owner.execute(statement).fetchall()} == set(TABLES)


@pytest.mark.parametrize("role", MATRIX)
def test_a_role_may_look_at_no_sequence_and_hand_nothing_on(shared_database: str, role: str) -> None:
    sequences = (
        "select seqrelid::regclass::text from pg_sequence"
        " where has_sequence_privilege(%s, seqrelid, 'usage, select, update')"
    )
    options = (
        "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
        " and has_table_privilege(%s, oid, 'select with grant option, insert with grant option')"
    )
    with psycopg.connect(shared_database) as owner:
        for statement in (sequences, options):
            assert owner.execute(statement, (f"sluice_{role}",)).fetchall() == []


def test_everybody_may_call_nothing_of_ours(shared_database: str) -> None:
    statement = (
        "select proname from pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) as acl"
        " where proowner = 'sluice_owner'::regrole and acl.grantee = 0"
    )
    with psycopg.connect(shared_database) as owner:
        assert owner.execute(statement).fetchall() == []


@pytest.mark.parametrize("role", MATRIX)
def test_a_role_makes_nothing_where_a_migration_ran(postgres: LocalPostgres, migrated: str, role: str) -> None:
    """Asked of the migrated database itself: a copy has what its database was granted anew."""
    statement = (
        "select has_database_privilege(%s, %s, 'temporary, create'), has_schema_privilege(%s, 'public', 'create')"
    )
    with psycopg.connect(postgres.url(migrated)) as owner:
        name = f"sluice_{role}"
        assert owner.execute(statement, (name, migrated, name)).fetchone() == (False, False)


def may(owner: psycopg.Connection, role: str, table: str) -> str:
    """The letters of what a role may do with a table, or with any of its columns."""
    granted = ""
    for letter, act in LETTERS.items():
        check = "has_any_column_privilege" if letter in "siur" else "has_table_privilege"
        row = owner.execute(f"select {check}(%s, %s, %s)".encode(), (role, table, act)).fetchone()
        granted += letter if row and row[0] else ""
    return granted
