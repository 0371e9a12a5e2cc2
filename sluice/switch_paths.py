"""The two paths of the switch, the topic and the table: a stop needs either of them, an arming both."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from prometheus_client import CollectorRegistry

from infra.clock import SystemClock
from infra.kafka.local import KafkaFailed
from infra.kafka.producer import Producer
from infra.kafka.security import Address
from infra.settings import Settings, SettingsError
from infra.wiring import open_adapters
from processors.errors import DependencyDown, SluiceError
from processors.ports import SwitchRow, SwitchTable
from processors.switch import FRESH, Board, Entry
from schemas.control import Scope, ScopeKind, Stop, SwitchSet, SwitchState
from schemas.topics import Topic
from sluice.reach import brokers_of, database_of
from sluice.terminal import DOWN, WRONG, fail
from streams.metrics import Metrics
from streams.switch import PLACE, NoTopic, SwitchReader

WITHIN = 5.0  # seconds a path has to take a stop, or to say what holds
INNER = 4.0  # seconds a client has, so that it closes by itself before its path's time is up
HEAD_START = 0.3  # seconds the topic waits for the table's sequence
LOOSENS_WITHIN = 10.0  # seconds a path has to take an arming once it answers
CLOSES_WITHIN = 1.0  # seconds a path has to let go when its time is up

BETWEEN = "another stop came in between; see `sluice switch show`"

T = TypeVar("T")
U = TypeVar("U")
Row = asyncio.Task[SwitchRow | None]


@dataclass(frozen=True)
class Missed:
    """A path that did not do it."""

    why: str

    def __str__(self) -> str:
        return self.why


@dataclass(frozen=True)
class Written:
    """Where a record was written. A stop by either path is enough."""

    scope: str
    state: str
    topic_offset: int | None
    table_sequence: int | None
    missed: tuple[str, ...]  # the paths that did not take it, and why


async def set_switch(settings: Settings, scope: Scope, state: SwitchState, *, why: str, actor: str) -> Written:
    """Set a scope. What tightens is done when either path took it; what loosens needs both.

    Ends the command where that does not succeed, and says which path took what.
    """
    record = SwitchSet(scope=scope, state=state, why=why, actor=actor, set_at=SystemClock().now())
    if state is not SwitchState.AUTO:
        written = await _tighten(settings, record)
        if written is not None:
            return written
    return await _loosen(settings, record)


async def look(settings: Settings) -> tuple[Board | Missed, tuple[SwitchRow, ...] | Missed]:
    """The switch as the topic has it, read as the workers do, and as the table has it."""
    return await _on_both(_board(settings), _rows(settings))


def read_board(brokers: Address) -> Board:
    """The switch as the topic has it.

    Raises:
        DependencyDown: Kafka does not answer.
    """
    return asyncio.run(_board_on(brokers))


# -- what tightens


async def _tighten(settings: Settings, record: SwitchSet) -> Written | None:
    """Write by both paths at once. None where a path holds something stricter, so that the record loosens it.

    The topic carries the table's sequence where the table is quick enough to tell it: then the table takes the record
    once, and not again when a worker mirrors it.
    """
    row = asyncio.create_task(_write(settings, record))
    offset, written = await _on_both(_publish_stop(settings, record, row), row)
    if isinstance(offset, Missed) and isinstance(written, Missed):
        fail(f"neither path took it: {offset}; {written}. `sluice doctor` says what is reachable", DOWN)
    if offset is None or written is None:
        return None
    return Written(
        scope=str(record.scope),
        state=record.state.value,
        topic_offset=None if isinstance(offset, Missed) else offset,
        table_sequence=None if isinstance(written, Missed) else written.stop.sequence,
        missed=tuple(str(path) for path in (offset, written) if isinstance(path, Missed)),
    )


async def _write(settings: Settings, record: SwitchSet) -> SwitchRow | None:
    async with _table(settings) as table:
        return await table.set(record, offset=None)


async def _publish_stop(settings: Settings, record: SwitchSet, row: Row) -> int | None:
    """The record's offset; None where the topic holds something stricter, and nothing was published."""
    brokers = await _in_thread(brokers_of, settings)
    async with Producer(brokers, deadline=INNER) as producer:
        # Nothing is stricter than off: there, nothing need be read first.
        if record.state is not SwitchState.OFF and await _is_stricter(brokers, record):
            return None
        await asyncio.wait([row], timeout=HEAD_START)
        written = row.result() if row.done() and not row.cancelled() and row.exception() is None else None
        return await _publish(producer, record, written)


async def _is_stricter(brokers: Address, record: SwitchSet) -> bool:
    async with _topic(brokers) as topic:
        entry = topic.entry(record.scope)
    return entry is not None and entry.state.strictness < record.state.strictness


# -- what loosens


async def _loosen(settings: Settings, record: SwitchSet) -> Written:
    """Lift the stop that is in force, in the table and then on the topic, each by its name.

    A stop that comes in meanwhile, by either path, stays in force. Where the topic does not take the record, the
    table's stop is put back: what loosens is done by both paths or not at all.
    """
    undone = f"{record.scope} is not {record.state}"
    async with AsyncExitStack() as opened:
        paths = await _on_both(
            opened.enter_async_context(_topic_of(settings)), opened.enter_async_context(_table(settings))
        )
        topic, table = paths
        if isinstance(topic, Missed) or isinstance(table, Missed):
            missed = "; ".join(str(path) for path in paths if isinstance(path, Missed))
            fail(f"{undone}: that takes both paths, and nothing was changed. {missed}", DOWN)
        entry = topic.entry(record.scope)  # named before the table is loosened: a stop after this one is not lifted
        before = await _in_time("Postgres", _caught_up(table, record.scope, entry))
        if isinstance(before, Missed):
            fail(f"{undone}: that takes both paths, and nothing was changed. {before}", DOWN)
        lifts = before.stop if before else Stop()
        row = await _in_time("Postgres", table.set(record.model_copy(update={"lifts": lifts}), offset=None))
        if row is None:
            fail(f"{undone}: {BETWEEN}", WRONG)
        if isinstance(row, Missed):
            fail(f"{undone}: {row}. {await _put_back(table, record, before)}", DOWN)
        named = record.model_copy(update={"lifts": entry.place if entry else None})
        offset = await _in_time("Kafka", _publish_seen(settings, topic, named, row))
        if isinstance(offset, Missed):
            fail(f"{undone}: {offset}. {await _put_back(table, record, before)}", DOWN)
        if offset is None:
            fail(f"{undone}: {BETWEEN}. {await _put_back(table, record, before)}", WRONG)
    return Written(str(record.scope), record.state.value, offset, row.stop.sequence, ())


async def _caught_up(table: SwitchTable, scope: Scope, entry: Entry | None) -> SwitchRow | None:
    """The scope's row once it has the topic's stop, which it must not get from a slow mirror after the arming."""
    if entry is not None and entry.place.offset >= 0 and entry.state is not SwitchState.AUTO:
        await table.set(entry.record(scope), offset=entry.place.offset)
    return next((row for row in await table.rows() if row.scope == scope), None)


async def _publish_seen(settings: Settings, topic: SwitchReader, record: SwitchSet, row: SwitchRow) -> int | None:
    """The record's offset once it is read back; None where its readers ignore it, or something came after it."""
    brokers = await _in_thread(brokers_of, settings)
    async with Producer(brokers, deadline=INNER) as producer:
        offset = await _publish(producer, record, row)
    while topic.board.epoch < offset:
        await asyncio.sleep(0.02)
    taken = topic.entry(record.scope)
    return offset if taken is not None and taken.place.offset == offset else None


async def _put_back(table: SwitchTable, record: SwitchSet, before: SwitchRow | None) -> str:
    """Stop the scope in the table again as it was stopped before; what came of it, in words."""
    was = before.state if before else FRESH.state if record.scope.kind is ScopeKind.ALL else SwitchState.AUTO
    if was is SwitchState.AUTO:
        return "The table held no stop"
    why, actor = (before.why, before.actor) if before else (FRESH.why, record.actor)
    stop = record.model_copy(update={"state": was, "why": why, "actor": actor})
    missed = await _in_time("Postgres", table.set(stop, offset=None))
    if isinstance(missed, Missed):
        return f"The table may hold it ({missed}), the topic does not: look at `sluice switch show`"
    return "The table is stopped as it was before"


# -- either path


async def _publish(producer: Producer, record: SwitchSet, row: SwitchRow | None) -> int:
    sequence = row.stop.sequence if row else 0
    place = await producer.publish(Topic.SWITCH, str(record.scope), record.model_copy(update={"sequence": sequence}))
    if place.partition != PLACE.partition:
        raise DependencyDown(
            "Kafka", f"{PLACE.topic} has several partitions, and one is read: `sluice topics describe`"
        )
    return place.offset


@asynccontextmanager
async def _topic_of(settings: Settings) -> AsyncIterator[SwitchReader]:
    async with _topic(await _in_thread(brokers_of, settings)) as topic:
        yield topic


@asynccontextmanager
async def _topic(brokers: Address) -> AsyncIterator[SwitchReader]:
    """The topic read to its end, by the workers' own reader."""
    metrics = Metrics(CollectorRegistry())
    topic = SwitchReader(brokers, SystemClock(), metrics, staleness=WITHIN, starts_within=INNER)
    await topic.maybe_start()
    try:
        yield topic
    finally:
        await topic.stop()


@asynccontextmanager
async def _table(settings: Settings) -> AsyncIterator[SwitchTable]:
    async with open_adapters(settings, database_of(settings), ["people"]) as adapters:
        yield adapters.switch_table


async def _board(settings: Settings) -> Board:
    return await _board_on(await _in_thread(brokers_of, settings))


async def _board_on(brokers: Address) -> Board:
    """What the topic says; without it, nobody has said anything."""
    try:
        async with _topic(brokers) as topic:
            return topic.board
    except NoTopic:
        return Board()


async def _rows(settings: Settings) -> tuple[SwitchRow, ...]:
    async with _table(settings) as table:
        return await table.rows()


# -- a few seconds, whatever happens


async def _on_both(
    topic: Coroutine[Any, Any, T], table: "Coroutine[Any, Any, U] | asyncio.Task[U]"
) -> tuple[T | Missed, U | Missed]:
    """What each path comes to within its time. No failure of one, of whatever kind, hides what the other did."""
    on_topic, in_table = asyncio.create_task(topic), asyncio.ensure_future(table)
    await _end([on_topic, in_table], WITHIN)
    return _result("Kafka", on_topic), _result("Postgres", in_table)


async def _in_time(path: str, work: Coroutine[Any, Any, T]) -> T | Missed:
    task = asyncio.create_task(work)
    await _end([task], LOOSENS_WITHIN)
    return _result(path, task)


async def _end(tasks: Sequence[asyncio.Task[Any]], within: float) -> None:
    _, late = await asyncio.wait(tasks, timeout=within)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=CLOSES_WITHIN)


def _result(path: str, task: asyncio.Task[T]) -> T | Missed:
    if not task.done() or task.cancelled():
        return Missed(f"{path} does not answer in time")
    error = task.exception()
    if error is None:
        return task.result()
    return Missed(str(error) if isinstance(error, SluiceError | SettingsError) else f"{path}: {type(error).__name__}")


async def _in_thread(find: Callable[[Settings], T], settings: Settings) -> T:
    """Look for a service, where that may take long: a local one that is alive and silent is waited for.

    A daemon thread, as the command must not wait for it either when it ends.
    """
    loop, found = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

    def tell(result: T | None, error: Exception | None) -> None:
        if found.done():
            return
        found.set_exception(error) if error else found.set_result(result)

    def look_for() -> None:
        try:
            result, error = find(settings), None
        except (SluiceError, SettingsError, KafkaFailed, OSError) as reason:
            result, error = None, reason
        with suppress(RuntimeError):  # the command has ended
            loop.call_soon_threadsafe(tell, result, error)

    threading.Thread(target=look_for, daemon=True).start()
    return cast(T, await found)
