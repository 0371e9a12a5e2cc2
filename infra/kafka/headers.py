"""Reads records whose header keys are not UTF-8, which aiokafka 0.14.0 cannot: one would stop its partition for ever.

Kafka takes any bytes as a key. aiokafka's compiled parser raises on such a record in every fetch, and so never gets
past it. Here a batch that it cannot read is read by aiokafka's slower parser in Python, with `\\xff` for a bad byte.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record import default_records, memory_records

PRIVATE = (
    (fetcher, ("MemoryRecords", "PartitionRecords")),
    (memory_records, ("_MemoryRecordsPy",)),
    (memory_records._MemoryRecordsPy, ("_cache_next", "next_batch", "has_next", "size_in_bytes")),
    (default_records, ("_DefaultRecordBatchPy",)),
    (default_records._DefaultRecordBatchPy, ("_maybe_uncompress", "_read_msg")),
)


def read_any_header() -> None:
    """Let every aiokafka consumer of this process read such records. Doing it again changes nothing.

    Raises:
        ImportError: a private part it needs is gone.
    """
    missing = [f"{owner.__name__}.{name}" for owner, names in PRIVATE for name in names if not hasattr(owner, name)]
    if missing:
        raise ImportError(f"infra/kafka/headers.py needs aiokafka 0.14.0; missing here: {', '.join(missing)}")
    fetcher.MemoryRecords = Records


class Records:
    """The batches of one fetched partition, as the fetcher asks for them."""

    def __init__(self, fetched: bytes) -> None:
        self._records: Any = memory_records._MemoryRecordsPy(fetched)

    def size_in_bytes(self) -> int:
        """The length of what was fetched."""
        return int(self._records.size_in_bytes())

    def has_next(self) -> bool:
        """Whether there is another whole batch."""
        return bool(self._records.has_next())

    def next_batch(self) -> "Batch | None":
        """The next batch, None behind the last."""
        raw = self._records._next_slice
        batch = self._records.next_batch()
        return None if batch is None else Batch(batch, raw)


class Batch:
    """A batch as aiokafka reads it, and its bytes for when it cannot."""

    def __init__(self, batch: Any, raw: memoryview) -> None:  # noqa: ANN401
        self._batch, self._raw = batch, raw

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._batch, name)

    def __next__(self) -> Any:  # noqa: ANN401
        return next(self._batch)  # how the fetcher looks at a control batch

    def __iter__(self) -> Iterator[Any]:
        read = 0
        try:
            for record in self._batch:
                read += 1
                yield record
        except UnicodeDecodeError:
            yield from islice(_leniently(self._raw), read, None)


def _leniently(raw: memoryview) -> Iterator[Any]:
    """Every record of a batch, read by the parser in Python, which decodes what it slices out of its buffer."""
    batch: Any = default_records._DefaultRecordBatchPy(raw)
    batch._maybe_uncompress()
    batch._buffer = _Lenient(batch._buffer)
    return iter(batch)


class _Lenient(bytearray):
    """Bytes that always decode."""

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401
        found = super().__getitem__(key)
        return _Lenient(found) if isinstance(key, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        """The text, with `\\xff` in the place of a byte that is none."""
        return super().decode(encoding, errors)
