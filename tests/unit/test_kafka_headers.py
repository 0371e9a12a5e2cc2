"""Records whose header keys are not UTF-8, as a fetch of aiokafka brings them."""

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from infra.kafka import headers

NONE, GZIP = 0, 1


class Raw(str):
    """A header key of other bytes than its text's."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return b"\xff\xfe-key"


def batch(*keys: str, base: int = 0, producer: int = -1, codec: int = NONE) -> bytes:
    """A batch of one record a key, as a broker stores it."""
    builder = _DefaultRecordBatchBuilderPy(2, codec, int(producer >= 0), producer, 0, 0, 100_000)
    for number, key in enumerate(keys):
        builder.append(number, 0, b"c1", b"body " * 40, [(key, b"\xff")])
    return base.to_bytes(8) + bytes(builder.build())[8:]


def read(fetched: bytes, aborted: tuple[tuple[int, int], ...] = ()) -> list["ConsumerRecord[bytes, bytes]"]:
    place, records = TopicPartition("tickets.inbound", 0), headers.Records(fetched)
    return list(PartitionRecords(place, records, aborted, 0, None, None, True, READ_COMMITTED))


@pytest.mark.parametrize("codec", [NONE, GZIP])
def test_a_key_that_is_no_utf8_is_written_out_and_the_record_keeps_its_bytes(codec: int) -> None:
    found = read(batch("fine", Raw(), "also fine", codec=codec))
    assert [record.headers for record in found] == [
        (("fine", b"\xff"),),
        (("\\xff\\xfe-key", b"\xff"),),
        (("also fine", b"\xff"),),
    ]
    assert {(record.key, record.value) for record in found} == {(b"c1", b"body " * 40)}


def test_every_record_around_it_is_read_once_and_in_order() -> None:
    found = read(batch("a", "b") + batch("c", Raw(), "d", base=2) + batch("e", base=5))
    assert [record.offset for record in found] == [0, 1, 2, 3, 4, 5]


def test_what_its_producer_took_back_stays_unread() -> None:
    fetched = batch(Raw(), producer=7) + batch(Raw(), "kept", base=1)
    assert [record.offset for record in read(fetched, aborted=((7, 0),))] == [1, 2]


def test_a_batch_cut_off_by_the_end_of_the_fetch_is_left_for_the_next() -> None:
    records = headers.Records(batch("a") + batch("b", base=1)[:-3])
    assert [record.offset for record in records.next_batch() or ()] == [0]
    assert not records.has_next()
    assert records.next_batch() is None


def test_another_version_of_the_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers, "PRIVATE", ((headers.fetcher, ("_gone",)),))
    with pytest.raises(ImportError, match="_gone"):
        headers.read_any_header()
