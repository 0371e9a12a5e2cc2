"""`sluice queue`: what waits for a person, and what they do with it."""

import asyncio
import getpass
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer

from infra.kafka.producer import Producer
from infra.settings import Settings
from infra.telemetry import tracing
from infra.wiring import open_adapters
from processors.errors import DependencyDown
from processors.ports import Act, ItemKind, ItemState, Queue, Queued, QueueFilter, QueueItem, QueueStats
from processors.queue import (
    Acted,
    Fault,
    PeopleDesk,
    Result,
    announce,
    approve,
    case_of,
    edit,
    named_person,
    reject,
    release,
    resolve,
    take,
)
from schemas.ingress import Channel
from schemas.topics import Topic
from sluice.queue_view import SHORT, as_document, as_row, item_view, list_table, stats_view
from sluice.reach import brokers_of, database_of
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
    stderr,
    verbatim,
)
from streams.spans import act_span

HELD = 4  # exit code: another person has it

T = TypeVar("T")
Work = Callable[[UUID, str, PeopleDesk], Coroutine[Any, Any, Acted]]

app = commands(
    "The people's queue: what waits for a person, and what they do with it. Exit code 4: another person has the item."
)


class State(StrEnum):
    """Which items `list` shows."""

    WAITING = "waiting"  # open or held
    OPEN = "open"
    HELD = "held"
    CLOSED = "closed"
    ALL = "all"


STATES = {
    State.WAITING: (ItemState.OPEN, ItemState.HELD),
    State.OPEN: (ItemState.OPEN,),
    State.HELD: (ItemState.HELD,),
    State.CLOSED: (ItemState.CLOSED,),
    State.ALL: (),
}

ItemName = Annotated[str, typer.Argument(help="The item's id, or its beginning as `list` shows it.")]
As = Annotated[
    str, typer.Option("--as", help="Who you are. Default: SLUICE_AGENT, else the account you are logged in with.")
]
Keep = Annotated[
    bool | None,
    typer.Option("--keep/--give-back", help="Whether the conversation stays yours, or is the bot's again."),
]


# -- looking


@app.command("list")
def list_items(
    kind: Annotated[list[ItemKind] | None, typer.Option(help="Only this kind; may be given several times.")] = None,
    state: Annotated[State, typer.Option(help="waiting is open or held.")] = State.WAITING,
    mine: Annotated[bool, typer.Option("--mine", help="Only what you have.")] = False,
    channel: Annotated[Channel | None, typer.Option(help="Only tickets of this channel.")] = None,
    intent: Annotated[str | None, typer.Option(help="Only tickets of this intent.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
    person: As = "",
    as_json: AsJson = False,
) -> None:
    """Show what waits, overdue first, then what is due next.

    Examples:

      sluice queue list

      sluice queue list --kind suggest --intent return_policy --limit 10

      sluice queue list --mine --as mia --json
    """
    settings = read_settings()
    wanted = QueueFilter(
        kinds=tuple(kind or ()),
        states=STATES[state],
        person=_person(settings, person) if mine else None,
        channel=channel,
        intent=intent,
        limit=limit,
    )
    found, now = run(_looking(settings, lambda queue: queue.list(wanted))), datetime.now(UTC)
    if as_json:
        print_json([as_row(queued, now) for queued in found])
    else:
        console.print(list_table(found, now))


@app.command()
def show(item: ItemName, as_json: AsJson = False) -> None:
    """Show an item in full: the conversation, the draft beside its sources, and why it is here.

    Examples:

      sluice queue show 3f9c2a1e

      sluice queue show 3f9c2a1e --json
    """
    found, now = run(_looking(read_settings(), lambda queue: _get(item, queue))), datetime.now(UTC)
    if as_json:
        print_json(as_document(found, now))
    else:
        console.print(item_view(found, now))


@app.command()
def stats(as_json: AsJson = False) -> None:
    """Show how many items wait, how old they are, how many are overdue, and who has what.

    Examples:

      sluice queue stats

      sluice queue stats --json
    """
    found, now = run(_looking(read_settings(), lambda queue: queue.stats())), datetime.now(UTC)
    if as_json:
        print_json(
            {
                "counts": [
                    {**vars(count), "kind": count.kind.value, "state": count.state.value} for count in found.counts
                ],
                "holders": [vars(holder) for holder in found.holders],
            }
        )
    else:
        console.print(stats_view(found, now))


def print_queue(settings: Settings, owner_url: str, *, limit: int = 10) -> None:
    """Print the queue's figures and the items due next; for the end of a demo."""
    found, counted = run(_contents(settings, owner_url, limit))
    now = datetime.now(UTC)
    console.print(stats_view(counted, now))
    console.print(list_table(found, now))


async def _contents(settings: Settings, owner_url: str, limit: int) -> tuple[tuple[Queued, ...], QueueStats]:
    async with open_adapters(settings, owner_url, ["people"]) as adapters:
        queue = adapters.people.queue
        return await queue.list(QueueFilter(limit=limit)), await queue.stats()


# -- acting


@app.command("take")
def take_item(
    item: ItemName,
    colleague: Annotated[
        str | None, typer.Option("--from", help="Take it over from this colleague, if it is theirs by now.")
    ] = None,
    person: As = "",
    as_json: AsJson = False,
) -> None:
    """Make an item yours, with its whole conversation; the bot is silent in it until you give it back.

    Examples:

      sluice queue take 3f9c2a1e

      sluice queue take 3f9c2a1e --as mia --from ben
    """
    _do(item, person, lambda found, me, desk: take(found, me, desk, from_person=colleague), "taken", as_json)


@app.command("release")
def release_item(item: ItemName, person: As = "", as_json: AsJson = False) -> None:
    """Put an item back. Without another item of yours in it, the conversation is the bot's again.

    Examples:

      sluice queue release 3f9c2a1e
    """
    _do(item, person, release, "released", as_json)


@app.command("approve")
def approve_item(item: ItemName, keep: Keep = None, person: As = "", as_json: AsJson = False) -> None:
    """Send the draft as it is; the conversation is the bot's again, unless you keep it.

    Examples:

      sluice queue approve 3f9c2a1e

      sluice queue approve 3f9c2a1e --keep
    """
    _do(item, person, lambda found, me, desk: approve(found, me, desk, keep=bool(keep)), "sent", as_json)


@app.command("edit")
def edit_item(
    item: ItemName,
    file: Annotated[
        str | None, typer.Option(help="File with the text; - is standard input. Default: $EDITOR with the draft.")
    ] = None,
    reason: Annotated[
        Fault | None, typer.Option(help="What was wrong with the draft; else it is read off what you changed.")
    ] = None,
    keep: Keep = None,
    person: As = "",
    as_json: AsJson = False,
) -> None:
    """Send your own text, in the draft's place or without one. The conversation stays yours till you release it.

    Examples:

      sluice queue edit 3f9c2a1e

      sluice queue edit 3f9c2a1e --file answer.txt --reason tone

      echo "It left our warehouse this morning." | sluice queue edit 3f9c2a1e --file -
    """
    kept = keep is None or keep

    async def work(found: UUID, me: str, desk: PeopleDesk) -> Acted:
        text = _text(file) if file else await _edited(found, me, desk)
        done = False
        try:
            acted = await edit(found, me, text, desk, keep=kept, fault=reason)
            done = acted.result is Result.DONE
        except ValueError as error:
            fail(str(error), USAGE)
        finally:
            if not (done or file):
                stderr.print(verbatim(f"your text is kept: --file {_keep(text)}"), soft_wrap=True)
        return acted

    _do(item, person, work, "sent", as_json)


@app.command("reject")
def reject_item(
    item: ItemName,
    reason: Annotated[Fault, typer.Option(help="What is wrong with the draft, or other.")],
    note: Annotated[str, typer.Option(help="More about it, in words.")] = "",
    keep: Keep = None,
    person: As = "",
    as_json: AsJson = False,
) -> None:
    """Close an item without a reply.

    Examples:

      sluice queue reject 3f9c2a1e --reason fact --note "the 45 days are business days"

      sluice queue reject 3f9c2a1e --reason other --note "answered by phone"
    """
    _do(
        item,
        person,
        lambda found, me, desk: reject(found, me, reason, desk, note=note, keep=bool(keep)),
        "closed",
        as_json,
    )


@app.command("resolve")
def resolve_item(
    item: ItemName,
    sent: Annotated[
        bool, typer.Option("--sent/--not-sent", help="Whether the customer has the reply, as the helpdesk shows.")
    ],
    delivery: Annotated[str | None, typer.Option(help="The helpdesk's own reference of it.")] = None,
    person: As = "",
    as_json: AsJson = False,
) -> None:
    """Say what became of a reply that may have been sent: sent closes the item, not sent lets you answer it.

    Examples:

      sluice queue resolve 3f9c2a1e --sent --delivery msg-4711

      sluice queue resolve 3f9c2a1e --not-sent
    """
    word = "closed" if sent else "free to answer"
    _do(item, person, lambda found, me, desk: resolve(found, me, desk, sent=sent, delivery=delivery), word, as_json)


def _do(item: str, person: str, work: Work, done: str, as_json: bool) -> None:
    """Act, publish the act, and say what came of it."""
    settings = read_settings()
    me = _person(settings, person)
    found, acted, told = run(_acting(settings, item, me, work))
    if as_json:
        settled = acted.settled.model_dump(mode="json") if acted.settled else None
        print_json(
            {"item_id": found, "result": acted.result, "detail": acted.detail, "published": not told, "act": settled}
        )
    if acted.result is not Result.DONE:
        fail(f"{str(found)[:SHORT]}: {said(acted)}", _code(acted))
    if told:
        fail(f"{done}, but not told to Kafka ({told}); the same command again tells it", DOWN)
    if not as_json:
        console.print(verbatim(f"{str(found)[:SHORT]}: {done}" + (f" ({acted.detail})" if acted.detail else "")))


async def _acting(settings: Settings, item: str, me: str, work: Work) -> tuple[UUID, Acted, str]:
    """The item, what came of the act, and why Kafka could not be told, if it could not."""
    async with open_adapters(settings, database_of(settings), ["people"]) as adapters:
        desk = adapters.people
        found = await _named(item, desk.queue)
        acted = await work(found, me, desk)
        try:
            if acted.result is Result.DONE:
                await _tell(found, desk.queue, settings)
        except DependencyDown as error:
            return found, acted, str(error)
    return found, acted, ""


async def _tell(item_id: UUID, queue: Queue, settings: Settings) -> None:
    producer: Producer | None = None
    with tracing(settings, "queue") as tracer:

        async def publish(act: Act) -> None:
            nonlocal producer
            producer = producer or Producer(brokers_of(settings), client_id="sluice-queue", deadline=10.0)
            with act_span(tracer, act.settled, act.traceparent) as headers:
                await producer.publish(Topic.OUTCOME, act.settled.conversation, act.settled, headers)

        try:
            await announce(item_id, queue, publish)
        finally:
            if producer is not None:
                await producer.stop()


SAID = {
    Result.NOT_HELD: "nobody has it: take it first",
    Result.UNKNOWN: "no such item",
    Result.NO_DRAFT: "there is no draft",
    Result.NO_TICKET: "nobody to answer",
}


def said(acted: Acted) -> str:
    """Why an act was not done, in words."""
    match acted.result:
        case Result.HELD:
            return f"{acted.detail} has it"
        case Result.SENDING:
            return f"{acted.detail} sends a reply at this moment"
        case Result.CLOSED:
            return f"it was closed before by {acted.detail or 'the helpdesk'}"
    return ": ".join(filter(None, (SAID.get(acted.result, ""), acted.detail)))


# -- texts and names


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"--file {file}: {error}", USAGE)


async def _edited(item_id: UUID, me: str, desk: PeopleDesk) -> str:
    """The draft as the person leaves it in their editor; nobody writes an answer to what they do not hold."""
    item = await desk.queue.get(item_id)
    if item is not None and item.queued.state is ItemState.CLOSED:
        return "closed"  # an act done again needs no text
    holder = item.queued.held_by if item else None
    if holder != me:
        fail(f"{holder} has it" if holder else "it is not yours: take it first", HELD if holder else WRONG)
    draft = case_of(item.event).draft if item else None
    if not os.isatty(0):
        fail("no terminal to edit in: give the text by --file", USAGE)
    text = await asyncio.to_thread(_in_editor, draft or "")
    if not text.strip() or text.strip() == (draft or "").strip():
        fail("nothing was written, so nothing is sent; `approve` sends a draft as it is", USAGE)
    return text


def _in_editor(draft: str) -> str:
    """What is saved in the person's editor."""
    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory(prefix="sluice-") as folder:
        path = Path(folder) / "answer.txt"
        path.write_text(draft + "\n", encoding="utf-8")
        try:
            subprocess.run([*editor, str(path)], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            fail(f"$EDITOR: {error}; or give the text by --file", USAGE)
        return path.read_text(encoding="utf-8", errors="replace")


def _keep(text: str) -> str:
    """A file of its own with what was written and not sent."""
    with tempfile.NamedTemporaryFile("w", prefix="sluice-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write(text)
    return file.name


def _code(acted: Acted) -> int:
    return HELD if acted.result is Result.HELD else WRONG


def _person(settings: Settings, given: str) -> str:
    try:
        return named_person(given or settings.agent or getpass.getuser())
    except ValueError as error:
        fail(str(error), USAGE)


async def _looking(settings: Settings, look: Callable[[Queue], Awaitable[T]]) -> T:
    async with open_adapters(settings, database_of(settings), ["people"]) as adapters:
        return await look(adapters.people.queue)


async def _named(name: str, queue: Queue) -> UUID:
    found = await queue.named(name.lower())
    if not found:
        fail(f"no item {name}; `sluice queue list --state all` shows them", WRONG)
    if len(found) > 1:
        fail(f"{name} is the beginning of several items: give more of it", USAGE)
    return found[0]


async def _get(name: str, queue: Queue) -> QueueItem:
    item = await queue.get(await _named(name, queue))
    if item is None:
        fail(f"no item {name}", WRONG)
    return item
