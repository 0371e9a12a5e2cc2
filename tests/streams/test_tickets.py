"""Tickets of all kinds through one running worker: order, retries, outages, transactions."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from infra.kafka.admin import Admin, with_partitions
from schemas.topics import all_topics
from tests.streams.conftest import Crew, eventually


@pytest.fixture(scope="module")
def crew(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    """One worker for the whole module."""
    admin, specs = Admin(kafka), with_partitions(all_topics(), 3)
    admin.delete_topics([spec.name for spec in specs])
    admin.create_topics(specs)
    hands = Crew(kafka, tmp_path_factory.mktemp("crew"))
    hands.start()
    yield hands
    hands.end()


def test_a_ticket_without_a_key_is_handled_like_any_other(crew: Crew) -> None:
    producer = Producer({"bootstrap.servers": crew.bootstrap})
    producer.produce("tickets.inbound", b'{"id": "keyless"}')
    producer.flush(10)
    eventually(lambda: "keyless" in crew.results())


def test_a_key_keeps_its_order_while_others_go_on(crew: Crew) -> None:
    hot = [f"hot-{number}" for number in range(8)]
    cold = [f"cold-{number}" for number in range(40)]
    crew.send(*({"id": name, "sleep": 0.2} for name in hot), key="hot")
    crew.send(*({"id": name} for name in cold))
    eventually(lambda: {*hot, *cold} <= crew.results())
    ended = [line["id"] for line in crew.log("end") if line["id"] in {*hot, *cold}]
    assert [name for name in ended if name in hot] == hot
    assert ended[-3:] == hot[-3:]


def test_a_passing_fault_comes_back_from_the_retry_topic(crew: Crew) -> None:
    trace = ("traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01")
    crew.send({"id": "later", "fail": "later", "tries": 1}, headers=[trace])
    eventually(lambda: "later" in crew.results())
    (first, second) = [line for line in crew.log("begin") if line["id"] == "later"]
    assert (first["tries"], second["tries"], second["topic"]) == (1, 2, "router.retry-5s")
    assert second["at"] - first["at"] > 4
    (result,) = [record for record in crew.topic("tickets.router") if record.value == b"later"]
    assert result.headers == dict([trace])


def test_an_outage_is_waited_for_in_place(crew: Crew, tmp_path: Path) -> None:
    down, waiting = tmp_path / "down", {f"waits-{number}" for number in range(10)}
    down.touch()
    crew.send(*({"id": name, "down": str(down)} for name in sorted(waiting)))
    crew.send({"id": "needs nothing"})
    eventually(lambda: "needs nothing" in crew.results())
    tries = eventually(lambda: [line for line in crew.log("begin") if line["id"] in waiting][10:])
    committed = crew.committed()
    assert all(committed[line["partition"]] <= line["offset"] for line in tries)
    assert not waiting & crew.results()
    down.unlink()
    eventually(lambda: waiting <= crew.results())
    assert crew.topic("router.dead") == []


def test_transaction_markers_and_aborted_messages_are_passed_over(crew: Crew) -> None:
    producer = Producer({"bootstrap.servers": crew.bootstrap, "transactional.id": crew.group})
    producer.init_transactions(10)
    for name, end in (
        ("kept", producer.commit_transaction),
        ("aborted", producer.abort_transaction),
        ("kept too", producer.commit_transaction),
    ):
        producer.begin_transaction()
        producer.produce("tickets.inbound", f'{{"id": "{name}"}}'.encode(), key=b"one", partition=1)
        producer.flush(10)
        end(10)
    crew.send({"id": "after"}, key="one", partition=1)
    eventually(lambda: {"kept", "kept too", "after"} <= crew.results())
    assert "aborted" not in {line["id"] for line in crew.log("begin")}
    (last,) = [line for line in crew.log("end") if line["id"] == "after"]
    eventually(lambda: crew.committed()[1] == last["offset"] + 1)
