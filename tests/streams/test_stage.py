"""One stage on the real broker: nothing is lost, nothing is acknowledged too early, everything bad is put aside."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.codec import encode
from schemas.ingress import Channel, TicketReceived
from tests.streams.conftest import SOON, Crew, eventually, orders


def ticket() -> TicketReceived:
    return TicketReceived(
        ticket_id=uuid4(),
        conversation="c1",
        channel=Channel.API,
        provider="api",
        account="shop",
        provider_message_id="m1",
        body="Hello",
        body_full="Hello",
        received_at=datetime.now(UTC),
    )


@contextmanager
def traffic(crew: Crew) -> Iterator[set[str]]:
    """Tickets at a steady rate while the context lasts; the ids Kafka acknowledged."""
    sent, over = set[str](), Event()

    def publish() -> None:
        for number in count():
            if over.wait(0.03):
                return
            crew.send({"id": number, "sleep": 0.02}, key=f"key-{number % 20}")
            sent.add(str(number))

    thread = Thread(target=publish)
    thread.start()
    try:
        yield sent
    finally:
        over.set()
        thread.join()


def test_a_slow_head_and_a_killed_worker_lose_nothing_under_live_traffic(crew: Crew) -> None:
    crew.send({"id": "slow", "sleep": 8}, key="slow")
    with traffic(crew) as sent:
        crew.start()
        (slow,) = eventually(lambda: [line for line in crew.log("begin") if line["id"] == "slow"][:1])
        eventually(lambda: len(crew.log("end")) > 50)
        crew.start()  # joins while tickets are in flight
        crew.stop(crew.workers[0], signal.SIGKILL)
        assert crew.committed()[slow["partition"]] <= slow["offset"]
        crew.start()
        eventually(lambda: "slow" in crew.results())
    eventually(lambda: {"slow", *sent} <= crew.results())
    assert len(sent) > 200
    assert crew.topic("router.dead") == []


def test_nothing_in_hand_is_ever_committed(crew: Crew) -> None:
    worker = crew.start()
    crew.send({"id": "slow", "sleep": 30}, key="slow")
    (slow,) = eventually(lambda: crew.log("begin"))
    crew.send(*orders(60))
    others = {0, 1, 2} - {slow["partition"]}
    eventually(lambda: all(crew.committed()[number] > 0 for number in others))
    assert len(crew.log("end")) == 60
    assert crew.committed()[slow["partition"]] <= slow["offset"]
    crew.stop(worker, signal.SIGKILL)


def poison(good: bytes) -> dict[str, bytes | None]:
    return {
        "random bytes": bytes(range(256)),
        "an unknown schema": b"\xc3\x01" + b"\x07" * 8 + good[10:],
        "a truncated record": good[:-3],
        "no bytes": b"",
        "a tombstone": None,
        "JSON of another shape": b'{"ticket_id": 1}',
        "JSON that is no UTF-8": b'{"body": "\xff\xfe"}',
    }


def test_poison_becomes_dead_letters_and_the_rest_goes_on(crew: Crew) -> None:
    good = ticket()
    bad = poison(encode(good))
    crew.start(read="ticket")
    for value in bad.values():
        crew.send(value, key="poisoned", headers=[("note", b"\xff\xfe")])
    crew.send(encode(good), key="poisoned")
    eventually(lambda: crew.results() == {str(good.ticket_id)})
    dead = crew.topic("router.dead")
    assert sorted(record.value or b"" for record in dead) == sorted(value or b"" for value in bad.values())
    assert {record.key for record in dead} == {b"poisoned"}
    assert {record.headers["note"] for record in dead} == {b"\xff\xfe"}
    assert {record.headers["reason"] for record in dead} == {b"Undecodable"}


def test_a_stage_that_can_handle_nothing_stops_loudly(crew: Crew) -> None:
    crew.send(*orders(150, fail="bug"))
    worker = crew.start()
    assert worker.wait(30) == 1
    assert len(crew.topic("router.dead")) == 100
    assert "DeadLetterLimit" in crew.errors()


def test_a_ticket_that_faust_drops_is_missed_and_read_again(crew: Crew, tmp_path: Path) -> None:
    worker = crew.start(lossy=tmp_path / "dropped")
    crew.send({"id": "last", "drop": True})
    assert worker.wait(SOON) == 1
    assert "OffsetGap" in crew.errors()
    crew.start(lossy=tmp_path / "dropped")
    eventually(lambda: crew.results() == {"last"})


def test_what_retention_removed_unread_is_reported_and_the_rest_is_handled(crew: Crew) -> None:
    worker = crew.start()
    crew.send({"id": "before"}, partition=1)
    eventually(lambda: crew.committed()[1] == 1)
    crew.stop(worker)
    crew.send(*orders(4), partition=1)
    admin = AdminClient({"bootstrap.servers": crew.bootstrap})
    for removed in admin.delete_records([TopicPartition("tickets.inbound", 1, 4)]).values():
        removed.result(10)
    crew.start()
    eventually(lambda: crew.results() == {"before", "3"})
    assert "retention removed 3 unread messages" in crew.errors(1)
    eventually(lambda: crew.committed()[1] == 5)


@pytest.mark.parametrize(("sleep", "done"), [(2, True), (60, False)])
def test_sigterm_lets_work_finish_or_hands_it_back(crew: Crew, sleep: float, done: bool) -> None:
    worker = crew.start(drain=3)
    crew.send({"id": "first"})
    eventually(lambda: crew.results() == {"first"})
    crew.send({"id": "slow", "sleep": sleep})
    eventually(lambda: len(crew.log("begin")) == 2)
    assert crew.stop(worker) == 0
    assert ("slow" in crew.results()) is done
    assert sum(offset for offset in crew.committed().values() if offset > 0) == 1 + done


def test_a_worker_without_a_broker_says_so_and_exits(tmp_path: Path) -> None:
    alone = Crew("127.0.0.1:9", tmp_path)
    assert alone.start().wait(30) != 0
