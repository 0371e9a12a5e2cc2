"""`sluice ledger`: what models were shown of a customer in one command, and every touch of it named."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict
from uuid import UUID

import psycopg
import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner, Result

from infra.chain import customer_chain
from infra.postgres.ledger import PostgresLedger
from infra.postgres.pool import open_pool
from infra.settings import as_role
from processors.errors import DependencyDown
from processors.ports import LedgerEntry, LedgerHead, Shown
from schemas.topics import Topic
from sluice.ledger import app

Command = Callable[..., Result]
CHAIN = customer_chain("cus_1")


def entry(ticket: int, customer: str | None = "cus_1") -> LedgerEntry:
    shown = (Shown("ticket", str(UUID(int=ticket)), ("body",)), Shown("fact", "crm:order/W1", ("status",)))
    return LedgerEntry(UUID(int=ticket), 1, customer, "resolution", "vllm/llama", "ab12" * 16, shown)


async def _append(database: str, entries: list[LedgerEntry]) -> list[LedgerHead]:
    async with await open_pool(as_role(database, "sluice_resolution"), size=1) as pool:
        return [await PostgresLedger(pool).append(each) for each in entries]


def append(database: str, *entries: LedgerEntry) -> list[LedgerHead]:
    return asyncio.run(_append(database, list(entries)))


def publish(bootstrap: str, heads: list[LedgerHead]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    for head in heads:
        producer.produce(Topic.AUDIT_HEADS.value, json.dumps(asdict(head)).encode(), head.chain.encode())
    assert producer.flush(20) == 0


@pytest.fixture
def command(database: str) -> Command:
    return lambda *arguments, **environ: CliRunner().invoke(app, arguments, env={"DATABASE_URL": database, **environ})


# -- show


def test_a_customer_s_calls_are_told_in_order_and_nobody_else_s(command: Command, database: str) -> None:
    append(database, entry(1), entry(9, "cus_2"), entry(2), entry(3, None))
    told = json.loads(command("show", "--customer", "cus_1", "--json").stdout)
    assert [UUID(call["ticket_id"]).int for call in told["calls"]] == [1, 2]
    assert (told["calls"][0]["model"], told["calls"][0]["prompt_hash"]) == ("vllm/llama", "ab12" * 16)
    assert told["calls"][0]["shown"][1] == {"kind": "fact", "ref": "crm:order/W1", "fields": ["status"]}
    assert told["faults"] == []


def test_the_table_names_model_prompt_and_what_was_shown(command: Command, database: str) -> None:
    append(database, entry(1))
    said = command("show", "--customer", "cus_1", COLUMNS="300").stdout
    assert all(word in said for word in ("vllm/llama", "ab12ab12ab12", "fact crm:order/W1: status"))


def test_a_call_comes_with_the_ticket_s_own_words(command: Command, database: str) -> None:
    append(database, entry(1))
    with psycopg.connect(database) as owner:
        owner.execute("insert into conversation (conversation) values ('c')")
        owner.execute(
            "insert into message (conversation, revision, author, ticket_id, subject, text, at)"
            " values ('c', 1, 'customer', %s, 'Late', 'Where is it?', now())",
            [UUID(int=1)],
        )
    (call,) = json.loads(command("show", "--customer", "cus_1", "--json").stdout)["calls"]
    assert (call["subject"], call["text"]) == ("Late", "Where is it?")


def test_a_touched_row_of_the_customer_is_named_beside_the_rest(command: Command, database: str) -> None:
    append(database, entry(1), entry(2))
    with psycopg.connect(database) as owner:
        owner.execute("update ledger set record = replace(record, 'status', 'address') where sequence = 1")
    result = command("show", "--customer", "cus_1", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["faults"] == [{"chain": CHAIN, "sequence": 1, "what": "was altered"}]


def test_somebody_unknown_is_not_told_as_nothing_shown(command: Command, database: str) -> None:
    refused = command("show", "--customer", "cus_404")
    assert (refused.exit_code, "no customer cus_404" in refused.stderr) == (1, True)
    with psycopg.connect(database) as owner:
        owner.execute("insert into crm_customer (customer_id) values ('cus_404')")
    found = command("show", "--customer", "cus_404")
    assert (found.exit_code, "No model was shown anything" in found.stdout) == (0, True)


# -- verify

TOUCHES = {
    "altered": ("update ledger set record = replace(record, 'W1', 'W2') where sequence = 2", 2, "was altered"),
    "dropped": ("delete from ledger where sequence = 2", 2, "is missing"),
    "reordered": (
        "update ledger as l set previous = o.previous, record = o.record, hash = o.hash from ledger as o"
        " where l.sequence in (2, 3) and o.sequence = 5 - l.sequence",
        2,
        "does not follow the row before it",
    ),
    "cut off": ("delete from ledger where sequence > 2", 4, "is missing, though it was published"),
    "emptied": ("delete from ledger", 4, "is missing, though it was published"),
    "rewritten whole": (
        "do $$ declare r ledger; p text := ''; begin for r in select * from ledger order by sequence loop"
        " r.record := replace(r.record, 'W1', 'W2');"
        " r.hash := encode(sha256(convert_to(p || r.record, 'UTF8')), 'hex');"
        " update ledger set previous = p, record = r.record, hash = r.hash where sequence = r.sequence;"
        " p := r.hash; end loop; end $$",
        4,
        "is not the row that was published",
    ),
}


@pytest.mark.parametrize(("touch", "sequence", "what"), TOUCHES.values(), ids=TOUCHES)
def test_whatever_the_superuser_does_to_the_ledger_is_named(
    command: Command, database: str, kafka_topics: str, touch: str, sequence: int, what: str
) -> None:
    publish(kafka_topics, append(database, *map(entry, range(1, 5))))
    with psycopg.connect(database) as superuser:
        superuser.execute(touch.encode())
    result = command("verify", "--json", KAFKA_BOOTSTRAP_SERVERS=kafka_topics)
    assert result.exit_code == 1
    assert {"chain": CHAIN, "sequence": sequence, "what": what} in json.loads(result.stdout)["faults"]


def test_an_untouched_ledger_is_whole(command: Command, database: str, kafka_topics: str) -> None:
    publish(kafka_topics, append(database, entry(1), entry(2, "cus_2"), entry(3, None)))
    append(database, entry(4))
    result = command("verify", "--json", KAFKA_BOOTSTRAP_SERVERS=kafka_topics)
    told = json.loads(result.stdout)
    assert (result.exit_code, told["rows"], told["chains"], told["faults"]) == (0, 4, 3, [])
    assert told["chains_ending_unpublished"] == 1


def test_a_record_that_is_no_head_is_named(command: Command, database: str, kafka_topics: str) -> None:
    producer = Producer({"bootstrap.servers": kafka_topics})
    producer.produce(Topic.AUDIT_HEADS.value, b"junk", b"k")
    assert producer.flush(20) == 0
    result = command("verify", KAFKA_BOOTSTRAP_SERVERS=kafka_topics)
    assert (result.exit_code, "audit.heads/0@0 is no head" in result.stderr) == (1, True)


def test_without_kafka_it_says_what_would_not_show(command: Command, database: str) -> None:
    append(database, entry(1))
    result = command("verify", "--without-heads")
    assert (result.exit_code, "1 chains end without a published head" in result.stdout) == (0, True)
    assert isinstance(command("verify", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1").exception, DependencyDown)
