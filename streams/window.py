"""Bookkeeping of work in flight, without a broker: what may be committed, and whose turn it is."""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from enum import Enum, auto
from typing import Generic, TypeVar

T = TypeVar("T")


class Place(Enum):
    """How an offset follows the ones before it."""

    NEXT = auto()
    REPEATED = auto()  # read again within one assignment: the first copy counts
    AFTER_GAP = auto()


class Window(Generic[T]):
    """The uncommitted offsets of one partition in one assignment, in the order they were read.

    Only the contiguous finished prefix may be committed: Kafka keeps one number a partition, and everything below
    it counts as done.
    """

    def __init__(self, start: int) -> None:
        self.next = start  # the offset expected next
        self._entries: OrderedDict[int, T] = OrderedDict()
        self._finished: set[int] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def place(self, offset: int) -> Place:
        """Where an offset stands to those read before."""
        if offset == self.next:
            return Place.NEXT
        return Place.REPEATED if offset < self.next else Place.AFTER_GAP

    def skip_to(self, offset: int) -> None:
        """Go on behind a gap that holds no records."""
        self.next = offset

    def open(self, offset: int, entry: T) -> None:
        """Take the next offset in."""
        self._entries[offset] = entry
        self.next = offset + 1

    def finish(self, offset: int) -> list[T]:
        """Mark an offset as done and let go of the contiguous finished prefix, oldest first."""
        self._finished.add(offset)
        released = []
        while self._entries and (head := next(iter(self._entries))) in self._finished:
            self._finished.remove(head)
            released.append(self._entries.pop(head))
        return released

    @property
    def committable(self) -> int:
        """The offset to commit: the lowest unfinished one, or the next one expected."""
        return next(iter(self._entries), self.next)

    @property
    def oldest(self) -> T | None:
        """The entry that holds the commit back."""
        return next(iter(self._entries.values()), None)


class Lanes:
    """One lane per key: entries of a key take turns in the order they joined, keys do not wait for each other."""

    def __init__(self) -> None:
        self._last: dict[Hashable, asyncio.Future[None]] = {}

    def __len__(self) -> int:
        return len(self._last)

    def join(self, key: Hashable) -> "Turn":
        """Queue up at the end of a key's lane; the order of the calls is the order of the turns."""
        before, mine = self._last.get(key), asyncio.get_running_loop().create_future()
        self._last[key] = mine
        mine.add_done_callback(lambda done: self._leave(key, done))
        return Turn(before, mine)

    def _leave(self, key: Hashable, done: asyncio.Future[None]) -> None:
        if self._last.get(key) is done:
            del self._last[key]


class Turn:
    """A place in a lane, used as `async with`: entered when all before it have left."""

    def __init__(self, before: asyncio.Future[None] | None, mine: asyncio.Future[None]) -> None:
        self._before, self._mine = before, mine

    async def __aenter__(self) -> None:
        try:
            if self._before is not None:
                await asyncio.shield(self._before)
        except asyncio.CancelledError:
            self.leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Give the turn up, or end it. One given up early still waits for those before it."""
        if self._before is None or self._before.done():
            self._end()
        else:
            self._before.add_done_callback(lambda _: self._end())

    def _end(self) -> None:
        if not self._mine.done():
            self._mine.set_result(None)
