"""`sluice switch`: stop automatic replies, or arm them, by both paths: the topic and the table."""

import asyncio
import getpass
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer

from infra.kafka.producer import Producer
from infra.kafka.reader import Reader
from infra.kafka.security import Address
from infra.settings import Settings
from infra.wiring import open_adapters
from processors.errors import DependencyDown
from processors.ports import SwitchRow
from processors.switch import Board, apply
from schemas.codec import Undecodable, decode
from schemas.control import Scope, Stop, SwitchSet, SwitchState
from schemas.topics import Topic
from sluice.reach import bootstrap, brokers_of, database_of, owner_url
from sluice.terminal import (
    DOWN,
    USAGE,
    WRONG,
    AsJson,
    commands,
    console,
    fail,
    print_json,
    read_settings,
    run,
    show,
    stderr,
)

app = commands("The kill switch: what may be sent without a person.")

T = TypeVar("T")

ScopeOption = Annotated[str, typer.Option(help="all, channel:NAME, intent:NAME or customer:ID.")]
Why = Annotated[str, typer.Option(help="The reason, kept with the record.", prompt="Why")]
Actor = Annotated[str, typer.Option(help="Who does it. Default: the account you are logged in with.")]


@dataclass(frozen=True)
class Written:
    """Where a record was written. A stop by either path is enough."""

    scope: str
    state: str
    topic_offset: int | None
    table_sequence: int | None
    missed: tuple[str, ...]  # the paths that did not answer, and why


@app.command("show")
def show_switch(as_json: AsJson = False) -> None:
    """Show every scope as the topic and as the table have it. The most restrictive one that matches a ticket wins.

    Examples:

      sluice switch show

      sluice switch show --json
    """
    settings = read_settings()
    board = read_board(bootstrap(settings))
    table = run(_rows(settings))
    scopes = {str(scope): scope for scope in (*board.scopes, *(row.scope for row in table), Scope())}
    by_scope = {str(row.scope): row for row in table}
    rows = [_line(board, by_scope.get(name), scope) for name, scope in sorted(scopes.items())]
    show(rows, title=f"Switch (epoch {board.epoch})", as_json=as_json)


def _line(board: Board, row: SwitchRow | None, scope: Scope) -> dict[str, object]:
    entry = board.entry(scope)
    return {
        "scope": str(scope),
        "topic": entry.state.value if entry else None,
        "table": row.state.value if row else None,
        "why": (row.why if row else None) or (entry.why if entry else None),
        "actor": (row.actor if row else None) or (entry.actor if entry else None),
        "since": row.set_at.isoformat(timespec="seconds") if row else None,
        "stop": f"{entry.place.offset if entry else -1}:{row.stop.sequence if row else 0}",
    }


@app.command()
def off(why: Why, scope: ScopeOption = "all", actor: Actor = "", as_json: AsJson = False) -> None:
    """Send everything in the scope straight to people; no model is called.

    Examples:

      sluice switch off --why 'wrong amounts'

      sluice switch off --scope intent:refund_status --why 'wrong amounts'
    """
    _set(scope, SwitchState.OFF, why, actor, as_json)


@app.command()
def suggest(why: Why, scope: ScopeOption = "all", actor: Actor = "", as_json: AsJson = False) -> None:
    """Draft in the scope, and send nothing without a person.

    Examples:

      sluice switch suggest --why 'new help centre goes live'

      sluice switch suggest --scope channel:email --why 'a loop with another machine'
    """
    _set(scope, SwitchState.SUGGEST, why, actor, as_json)


@app.command()
def auto(why: Why, scope: ScopeOption = "all", actor: Actor = "", as_json: AsJson = False) -> None:
    """Arm the scope. The record names the stop it lifts: one that came in between stays in force.

    Examples:

      sluice switch auto --why 'incident 42 is over'

      sluice switch auto --scope intent:refund_status --why 'fixed in 42' --json
    """
    _set(scope, SwitchState.AUTO, why, actor, as_json)


def _set(scope: str, state: SwitchState, why: str, actor: str, as_json: bool) -> None:
    try:
        wanted = Scope.parse(scope)
    except ValueError as error:
        fail(str(error), USAGE)
    written = run(set_switch(read_settings(), wanted, state, why=why, actor=actor or getpass.getuser()))
    if as_json:
        print_json(vars(written))
    else:
        console.print(f"{written.scope} is [bold]{written.state}[/]", highlight=False)
        for missed in written.missed:
            stderr.print(f"[yellow]by one path only: {missed}[/]")


async def set_switch(settings: Settings, scope: Scope, state: SwitchState, *, why: str, actor: str) -> Written:
    """Write a record to the table and to the topic, the table first: its sequence travels with the record.

    A stop is done when either path took it. Each path is told what it lifts in that path: a stop that came in
    since it was read stays in force, and the command says so.
    """
    record = SwitchSet(scope=scope, state=state, why=why, actor=actor, set_at=datetime.now(UTC))
    row = await _attempt(_write_row(settings, record))
    sequence = row.stop.sequence if isinstance(row, SwitchRow) else 0
    offset = await _attempt(_publish(settings, record.model_copy(update={"sequence": sequence})))
    missed = tuple(str(path) for path in (row, offset) if isinstance(path, DependencyDown))
    if len(missed) == 2:
        fail(f"neither path took it: {'; '.join(missed)}", DOWN)
    if row is None or offset is None:
        fail(f"{scope} is not {state} everywhere: another stop came in between; see `sluice switch show`", WRONG)
    return Written(
        scope=str(scope),
        state=state.value,
        topic_offset=offset if isinstance(offset, int) else None,
        table_sequence=sequence or None,
        missed=missed,
    )


async def _attempt(work: Coroutine[Any, Any, T]) -> T | DependencyDown:
    try:
        return await work
    except DependencyDown as error:
        return error


async def _write_row(settings: Settings, record: SwitchSet) -> SwitchRow | None:
    async with open_adapters(settings, database_of(settings), ["people"]) as adapters:
        table = adapters.switch_table
        current = next((row.stop for row in await table.rows() if row.scope == record.scope), Stop())
        return await table.set(record.model_copy(update={"lifts": current}), offset=None)


async def _publish(settings: Settings, record: SwitchSet) -> int | None:
    """The record's offset, or None when the topic's readers will ignore it."""
    brokers = brokers_of(settings)
    entry = (await asyncio.to_thread(read_board, brokers)).entry(record.scope)
    record = record.model_copy(update={"lifts": entry.place if entry else None})
    async with Producer(brokers) as producer:
        place = await producer.publish(Topic.SWITCH, str(record.scope), record)
    board = await asyncio.to_thread(read_board, brokers)
    taken = board.entry(record.scope)
    return place.offset if taken and taken.place.offset == place.offset else None


async def _rows(settings: Settings) -> tuple[SwitchRow, ...]:
    async with open_adapters(settings, owner_url(settings), ["people"]) as adapters:
        return await adapters.switch_table.rows()


def read_board(brokers: Address) -> Board:
    """The switch as `control.switch` has it now. Records nobody can read are passed over, as the workers do."""
    board = Board()
    with Reader(brokers, [Topic.SWITCH]) as reader:
        for record in sorted(reader.until_end(), key=lambda record: record.offset):
            with suppress(Undecodable):
                board, _ = apply(board, decode(SwitchSet, record.value), record.offset)
    return board
