"""`sluice dead`: the dead letters: list them, look at one, send them on their way again."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import typer
from rich.progress import track

from infra.kafka.history import Entry, entries
from infra.kafka.producer import Producer
from infra.kafka.security import Address
from infra.settings import Settings
from schemas.event import Stage
from schemas.topics import EVERY_STAGE
from sluice.letters import (
    Wanted,
    conversation_of,
    copies,
    in_order,
    mark_of,
    place_of,
    since_then,
    source_of,
    why_not,
)
from sluice.reach import bootstrap
from sluice.terminal import (
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
    verbatim,
)

app = commands("Dead letters: tickets a stage could never handle. Each is on the people's queue as well.")


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter("write it as 2026-11-24T09:30, with +00:00 or Z where it is not local time") from None


def _ticket(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise typer.BadParameter("a ticket's id looks like 0b7f1f0e-6c39-5c0f-8a55-0f4b9a3c7d21") from None


Days = Annotated[float, typer.Option(min=0, max=3650, help="How far back to look, where --since does not say.")]
StageOption = Annotated[str | None, typer.Option(help="Only this stage's.")]
Reason = Annotated[str | None, typer.Option(help="Only those with this reason, such as Undecodable.")]
Ticket = Annotated[UUID | None, typer.Option(parser=_ticket, metavar="ID", help="Only this ticket's.")]
Conversation = Annotated[str | None, typer.Option(help="Only this conversation's: the key of its messages.")]
SinceOption = Annotated[
    datetime | None, typer.Option(parser=_moment, metavar="TIME", help="Only what died at this time or later.")
]
Until = Annotated[datetime | None, typer.Option(parser=_moment, metavar="TIME", help="Only what died before.")]
Limit = Annotated[int | None, typer.Option(min=1, help="How many at most.")]


@app.command("list")
def list_dead(
    stage: StageOption = None,
    reason: Reason = None,
    ticket: Ticket = None,
    conversation: Conversation = None,
    days: Days = 1.0,
    since: SinceOption = None,
    until: Until = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """List dead letters, newest last; with --limit, the newest.

    Examples:

      sluice dead list --days 7

      sluice dead list --stage router --reason Undecodable --json

      sluice dead list --since 2026-11-24T09:30 --until 2026-11-24T10:00
    """
    wanted = Wanted(_stage(stage), reason, ticket, conversation, since or _ago(days), until)
    found = sorted(_find(read_settings(), wanted), key=lambda entry: entry.record.at)
    show(_rows(found[-limit:] if limit else found), title="Dead letters", as_json=as_json)


@app.command("show")
def show_dead(
    place: Annotated[str, typer.Argument(help="TOPIC/PARTITION@OFFSET, as `sluice dead list` shows it.")],
    as_json: AsJson = False,
) -> None:
    """Show one dead letter in full, named by its place: TOPIC/PARTITION@OFFSET.

    Examples:

      sluice dead show router.dead/3@17

      sluice dead show router.dead/3@17 --json
    """
    found = [entry for entry in _find(read_settings(), Wanted()) if place_of(entry) == place]
    if not found:
        fail(f"no dead letter at {place}; `sluice dead list` names them", USAGE)
    entry = found[0]
    headers = {name: value.decode(errors="replace") for name, value in entry.record.headers.items()}
    event = entry.event.model_dump(mode="json") if entry.event else None
    raw = entry.record.value.hex() if entry.event is None and entry.record.value is not None else None
    if as_json:
        print_json({**_row(entry), "headers": headers, "event": event, "bytes": raw})
    else:
        show([_row(entry)], title=place, as_json=False)
        console.print(headers)
        console.print(event if event is not None else verbatim(f"unreadable bytes: {raw}"))


@app.command()
def redrive(
    stage: StageOption = None,
    reason: Reason = None,
    ticket: Ticket = None,
    conversation: Conversation = None,
    days: Days = 1.0,
    since: SinceOption = None,
    until: Until = None,
    limit: Limit = None,
    rate: Annotated[float, typer.Option(min=0.1, max=10_000, help="Tickets a second.")] = 10.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be sent.")] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also what was redriven or closed before, and what cannot succeed (Conflict)."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put dead letters back on the topic they came from, each once and in the order their messages first stood there.

    What was answered since stays, even by --force. The claim keeps an answered ticket from being answered again, and
    an overtaken revision from being answered at all. With --limit, the oldest go.

    Examples:

      sluice dead redrive --stage resolution --reason ModelFailed --dry-run

      sluice dead redrive --stage resolution --reason ModelFailed --rate 5 --limit 100

      sluice dead redrive --ticket 0b7f1f0e-6c39-5c0f-8a55-0f4b9a3c7d21
    """
    settings = read_settings()
    wanted = Wanted(_stage(stage), reason, ticket, conversation, since or _ago(days), until)
    letters = in_order(_find(settings, wanted))
    brokers = bootstrap(settings)
    stay = _staying(letters, brokers, force=force)
    going = [entry for entry in letters if place_of(entry) not in stay][:limit]
    left = [_row(entry) | {"stays": stay[place_of(entry)]} for entry in letters if place_of(entry) in stay]
    if not going and not dry_run:
        kinds = ", ".join(sorted({str(row["stays"]) for row in left})) or "there is none"
        fail(f"nothing to redrive: {kinds}; `sluice dead list` shows what there is", WRONG)
    sent = 0 if dry_run else run(_redrive(brokers, going, rate))
    _show_redriven(going if dry_run else going[:sent], left, dry_run=dry_run, as_json=as_json)


def _staying(letters: Sequence[Entry], brokers: Address, *, force: bool) -> Mapping[str, str]:
    """The letters that stay where they are, by place, with the reason in words."""
    since = since_then(brokers, letters)
    twice = {place: f"a copy of {original}" for place, original in copies(letters).items()}
    reasons = {place_of(entry): why_not(entry, since, force=force) for entry in letters}
    return {**twice, **{place: why for place, why in reasons.items() if why is not None}}


def _show_redriven(
    going: Sequence[Entry], left: Sequence[Mapping[str, object]], *, dry_run: bool, as_json: bool
) -> None:
    if as_json:
        print_json({"would be redriven" if dry_run else "redriven": _rows(going), "stay": left})
        return
    show(_rows(going), title="Would be redriven" if dry_run else "Redriven", as_json=False)
    if left:
        show(left, title="Stay", as_json=False)


def _rows(letters: Sequence[Entry]) -> list[dict[str, object]]:
    """What is shown of letters."""
    return [_row(entry) for entry in letters]


async def _redrive(brokers: Address, found: list[Entry], rate: float) -> int:
    sent = 0
    async with Producer(brokers) as producer:
        for entry in track(found, description="redriving", console=stderr):
            await producer.publish(str(source_of(entry)), entry.record.key, entry.record.value, mark_of(entry))
            sent += 1
            await asyncio.sleep(1 / rate)
    return sent


def _find(settings: Settings, wanted: Wanted) -> list[Entry]:
    return [entry for entry in entries(bootstrap(settings), wanted.topics, wanted.since) if wanted.takes(entry)]


def _stage(name: str | None) -> Stage | None:
    if name is None:
        return None
    if name not in {known.value for known in EVERY_STAGE}:
        fail(f"no stage {name!r}; one of {', '.join(known.value for known in EVERY_STAGE)}", USAGE)
    return Stage(name)


def _ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


def _row(entry: Entry) -> dict[str, object]:
    return {
        "at": entry.record.at.isoformat(timespec="seconds"),
        "place": place_of(entry),
        "reason": entry.reason,
        "ticket": entry.ticket_id,
        "conversation": conversation_of(entry),
        "from": source_of(entry),
    }
