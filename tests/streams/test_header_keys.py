"""A header key that is not UTF-8: Kafka takes it, and it stops nobody."""

import json
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from tests.streams.conftest import Crew, eventually


class Raw(str):
    """A header key of other bytes than its text's."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return b"\xff\xfe-key"


async def send(bootstrap: str, bodies: Sequence[bytes], headers: Sequence[tuple[str, bytes]]) -> None:
    """Publish bodies in one batch; aiokafka's compiled builder refuses such keys, the one in Python does not ask."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        batch = producer.create_batch()
        batch._builder = _DefaultRecordBatchBuilderPy(2, 0, 0, -1, -1, 0, 100_000)
        for body in bodies:
            batch.append(key=b"c1", value=body, timestamp=None, headers=headers)
        await (await producer.send_batch(batch, "tickets.inbound", partition=0))


async def test_a_header_key_that_is_no_utf8_stops_no_partition(crew: Crew) -> None:
    crew.start()
    await send(crew.bootstrap, [json.dumps({"id": "odd"}).encode(), b"odd poison"], [(Raw(), b"1"), ("note", b"\xff")])
    await send(crew.bootstrap, [json.dumps({"id": "next"}).encode()], [])
    eventually(lambda: crew.results() == {"odd", "next"})
    (dead,) = eventually(lambda: crew.topic("router.dead"))
    assert (dead.value, dead.headers["\\xff\\xfe-key"], dead.headers["note"]) == (b"odd poison", b"1", b"\xff")


async def test_such_a_record_can_be_read_from_outside_without_its_headers(crew: Crew) -> None:
    await send(crew.bootstrap, [b"odd"], [(Raw(), b"1")])
    await send(crew.bootstrap, [b"plain"], [("note", b"1")])
    assert [(record.value, record.headers) for record in crew.topic("tickets.inbound")] == [
        (b"odd", {}),
        (b"plain", {"note": b"1"}),
    ]
