"""`sluice switch`: stop automatic replies, or arm them, by both paths: the topic and the table."""

import asyncio
import getpass
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import typer
from rich.text import Text

from infra.settings import Settings
from processors.errors import SluiceError
from processors.ports import SwitchRow
from processors.switch import FRESH, NEVER, Board, Entry
from schemas.control import Scope, ScopeKind, SwitchState
from sluice.switch_paths import Missed, look, set_switch
from sluice.switch_scope import Unchecked, doubt, is_customer
from sluice.terminal import (
    DOWN,
    USAGE,
    AsJson,
    commands,
    console,
    fail,
    print_json,
    read_settings,
    run_and_leave,
    show,
    stderr,
    verbatim,
)

LOOKS_WITHIN = 2.0  # seconds; a stop has been made by then
LONGEST_WHY = 1000  # characters

app = commands("The kill switch: what may be sent without a person.")

ScopeOption = Annotated[str, typer.Option(help="all, channel:NAME, intent:NAME or customer:ID.")]
Why = Annotated[str, typer.Option(help="The reason, kept with the record.", prompt="Why")]
Actor = Annotated[str, typer.Option(help="Who does it. Default: the account you are logged in with.")]
Force = Annotated[
    bool, typer.Option("--force", help="Take an intent that neither the policy nor the classifier knows.")
]


@app.command("show")
def show_switch(as_json: AsJson = False) -> None:
    """Show every scope as the topic and as the table have it. The most restrictive one that matches a ticket wins.

    `state` is what holds: the stricter of the two. With one of them away it shows the other, and ends with 3.

    Examples:

      sluice switch show

      sluice switch show --json
    """
    _hush()
    topic, table = run_and_leave(look(read_settings()))
    missed = [path for path in (topic, table) if isinstance(path, Missed)]
    if len(missed) == 2:
        fail(f"neither path answers: {missed[0]}; {missed[1]}. `sluice doctor` says what is reachable", DOWN)
    rows = _lines(None if isinstance(topic, Missed) else topic, None if isinstance(table, Missed) else table)
    epoch = "unknown" if isinstance(topic, Missed) else topic.epoch
    show(rows, title=f"Switch (epoch {epoch})", as_json=as_json)
    if missed:
        fail(f"only one path answers: {missed[0]}", DOWN)


def _lines(board: Board | None, table: Sequence[SwitchRow] | None) -> list[dict[str, object]]:
    """A line a scope; None for a path that does not answer."""
    by_scope = {row.scope: row for row in table or ()}
    scopes = {Scope(), *by_scope, *(board.scopes if board else ())}
    return [
        _line(scope, board.entry(scope) if board else None, _held(scope, by_scope.get(scope), table is not None))
        for scope in sorted(scopes, key=str)
    ]


def _held(scope: Scope, row: SwitchRow | None, answers: bool) -> Entry | None:
    """What the table holds in a scope. Without a row for `all` it is a fresh deployment."""
    if row is None:
        return FRESH if answers and scope.kind is ScopeKind.ALL else None
    return Entry(row.state, row.stop, row.why, row.actor, row.set_at)


def _line(scope: Scope, topic: Entry | None, table: Entry | None) -> dict[str, object]:
    """What holds is the stricter of the two paths; of equals, what the table says of it."""
    decides = min((entry for entry in (table, topic) if entry), key=lambda entry: entry.state.strictness)
    return {
        "scope": str(scope),
        "state": decides.state.value,
        "topic": topic.state.value if topic else None,
        "table": table.state.value if table else None,
        "why": decides.why,
        "actor": decides.actor or None,
        "since": None if decides.set_at == NEVER else decides.set_at.isoformat(timespec="seconds"),
        "stop": f"{topic.place.offset if topic else -1}:{table.place.sequence if table else 0}",
    }


@app.command()
def off(why: Why, scope: ScopeOption = "all", actor: Actor = "", force: Force = False, as_json: AsJson = False) -> None:
    """Send everything in the scope straight to people; no model is called.

    It is done when Kafka or Postgres took it (exit code 0; the other is named on standard error), and fails with 3
    where neither did.

    Examples:

      sluice switch off --why 'wrong amounts'

      sluice switch off --scope intent:refund_status --why 'wrong amounts'
    """
    _set(scope, SwitchState.OFF, why, actor, force=force, as_json=as_json)


@app.command()
def suggest(
    why: Why, scope: ScopeOption = "all", actor: Actor = "", force: Force = False, as_json: AsJson = False
) -> None:
    """Draft in the scope, and send nothing without a person.

    Where the scope is `auto` this is a stop, as `off` is; where it is `off`, it lifts that, as `auto` does.

    Examples:

      sluice switch suggest --why 'new help centre goes live'

      sluice switch suggest --scope channel:email --why 'a loop with another machine'
    """
    _set(scope, SwitchState.SUGGEST, why, actor, force=force, as_json=as_json)


@app.command()
def auto(
    why: Why, scope: ScopeOption = "all", actor: Actor = "", force: Force = False, as_json: AsJson = False
) -> None:
    """Arm the scope. The record names the stop it lifts: one that came in between stays in force.

    It takes Kafka and Postgres both (exit code 0). It fails with 1 where another stop came in between, and with 3 where
    one of the two does not answer: the stop then stays.

    Examples:

      sluice switch auto --why 'incident 42 is over'

      sluice switch auto --scope intent:refund_status --why 'fixed in 42' --json
    """
    _set(scope, SwitchState.AUTO, why, actor, force=force, as_json=as_json)


def _set(scope: str, state: SwitchState, why: str, actor: str, *, force: bool, as_json: bool) -> None:
    _hush()
    reason, settings = _reason(why), read_settings()
    try:
        wanted = Scope.parse(scope)
    except ValueError as error:
        fail(str(error), USAGE)
    if not force:
        _check(settings, wanted, state)
    written = run_and_leave(set_switch(settings, wanted, state, why=reason, actor=actor.strip() or _account()))
    if as_json:
        print_json(vars(written))
    else:
        console.print(Text.assemble(verbatim(written.scope), " is ", (str(written.state), "bold")))
    for missed in written.missed:
        stderr.print(verbatim(f"by one path only, which is enough: {missed}", "yellow"), soft_wrap=True)
    if wanted.kind is ScopeKind.CUSTOMER and state is not SwitchState.AUTO:
        run_and_leave(_warn_of_unknown(settings, wanted.value))


def _check(settings: Settings, scope: Scope, state: SwitchState) -> None:
    """End the command for a scope that matches nothing, unless it is one to lift."""
    try:
        wrong = doubt(settings, scope)
    except Unchecked as error:
        stderr.print(verbatim(f"{scope} was not checked: {error}", "yellow"), soft_wrap=True)
        return
    if wrong is None or (state is SwitchState.AUTO and run_and_leave(_is_set(settings, scope))):
        return
    fail(f"scope '{scope}': {wrong} (--force takes it as it is)", USAGE)


async def _is_set(settings: Settings, scope: Scope) -> bool:
    topic, table = await look(settings)
    rows = () if isinstance(table, Missed) else table
    return scope in {row.scope for row in rows} or (not isinstance(topic, Missed) and scope in topic.scopes)


async def _warn_of_unknown(settings: Settings, customer_id: str) -> None:
    """Say so where the database has no such customer. It may still have one: a stop may come before a customer."""
    with suppress(SluiceError, TimeoutError):
        async with asyncio.timeout(LOOKS_WITHIN):
            if not await is_customer(settings, customer_id):
                stderr.print(verbatim(f"the database has no customer {customer_id!r}: is it written so?", "yellow"))


def _reason(why: str) -> str:
    if not (reason := why.strip()):
        fail("--why: say why; it is kept with the record", USAGE)
    if len(reason) > LONGEST_WHY:
        fail(f"--why: at most {LONGEST_WHY} characters", USAGE)
    return reason


def _account() -> str:
    """Who is logged in; a container may have an account without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _hush() -> None:
    """Keep the clients' own words off the screen: what they meet is told once, in one line."""
    logging.basicConfig(handlers=[logging.NullHandler()])
