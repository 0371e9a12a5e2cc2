"""Whether a demo may use configured services: a database of its own, or one that holds nothing else."""

import psycopg
import pytest

from infra.postgres.local import LocalPostgres
from processors.switch import Board, Entry
from schemas.control import Scope, Stop, SwitchState
from sluice.demo.own import ACTOR, NotOurs, check_ours
from sluice.suite import open_suite

SHOP = open_suite("shop")
STOPPED = """
with logged as (
    insert into switch_log (scope_kind, scope_value, state, why, actor, set_at)
    values ('all', '', 'off', 'wrong amounts', %s, now()) returning sequence
)
insert into switch (scope_kind, scope_value, state, why, actor, set_at, sequence, seen_at)
select 'all', '', 'off', 'wrong amounts', %s, now(), sequence, now() from logged
"""


def board(actor: str) -> Board:
    return Board({Scope(): Entry(SwitchState.OFF, Stop(offset=0), "wrong amounts", actor)}, 0)


def test_an_empty_database_may_be_used_migrated_or_not(postgres: LocalPostgres, database: str) -> None:
    check_ours(SHOP, postgres.url("postgres"), Board())
    check_ours(SHOP, database, Board())


def test_the_suite_s_own_customers_are_no_others(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("insert into crm_customer values (%s)", [SHOP.customers[0]["customer_id"]])
    check_ours(SHOP, database, board(ACTOR))


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("insert into crm_customer (customer_id) values ('acme-1')", "1 customers of another company"),
        (
            "insert into kb_article (article_id, version, title, content_hash) values ('acme', 1, 'Acme', '')",
            "1 articles of another company",
        ),
        (STOPPED.replace("%s", "'ops'"), "the switch of all, stopped by ops"),
    ],
)
def test_what_is_another_company_s_is_refused(statement: str, told: str, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(statement.encode())
    with pytest.raises(NotOurs, match=told):
        check_ours(SHOP, database, Board())


def test_a_stop_on_the_topic_alone_is_refused_too(database: str) -> None:
    with pytest.raises(NotOurs, match="stopped by ops"):
        check_ours(SHOP, database, board("ops"))
