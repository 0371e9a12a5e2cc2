"""`sluice audit`: judge a random sample of the answers that went out by themselves, and say what the sample shows."""

import getpass
import json
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer

from evals.audit import CALLED, report, to_draw
from infra.rows import UnreadableFile, read_rows
from infra.settings import Settings
from infra.wiring import open_adapters
from processors.ports import Audited, AuditorKind, Drawn, Label, Labels, Verdict
from processors.queue import named_person
from sluice.audit_certify import certify_by_audits
from sluice.audit_view import KEYS, as_document, audit_view
from sluice.reach import database_of
from sluice.terminal import USAGE, AsJson, aside, console, fail, print_json, read_settings, run, show, stderr, verbatim

VERDICTS = {"g": Verdict.GOOD, "b": Verdict.BAD, "u": Verdict.UNSURE}
SKIP, QUIT = "s", "q"
PAGE = 1000  # labels read at a time
LONGEST_REASON = 1000  # characters

T = TypeVar("T")


@dataclass(frozen=True)
class Auditor:
    """Who judges. Only somebody at a keyboard counts as a person."""

    name: str
    kind: AuditorKind

    def __str__(self) -> str:
        return self.name if self.kind is AuditorKind.PERSON else f"{CALLED[self.kind]} by {self.name}"


@dataclass(frozen=True)
class Wish:
    """What to draw."""

    share: float | None
    number: int | None
    seed: str
    since: datetime


@dataclass(frozen=True)
class Given:
    """A verdict as it was given."""

    ticket_id: UUID
    revision: int
    verdict: Verdict
    reason: str


def audit(
    number: Annotated[
        int | None, typer.Option("--n", min=1, max=100_000, help="How many answers to judge: waiting ones, then drawn.")
    ] = None,
    share: Annotated[
        float | None, typer.Option(min=0, max=1, help="Draw until this share of the answers of these days is drawn.")
    ] = None,
    days: Annotated[float, typer.Option(min=0, max=3650, help="How far back answers are drawn from.")] = 7,
    seed: Annotated[str, typer.Option(help="Draw by this seed. Default: a random one, kept with the draw.")] = "",
    ticket: Annotated[
        UUID | None, typer.Option(help="Judge this ticket's answer; it is no part of the sample.")
    ] = None,
    revision: Annotated[int, typer.Option(min=1, help="The ticket's revision.")] = 1,
    verdicts: Annotated[
        Path | None, typer.Option("--from", help="Verdicts as JSON lines; - is standard input: a machine audit.")
    ] = None,
    machine: Annotated[str, typer.Option(help="Record this as a machine audit under this name.")] = "",
    person: Annotated[
        str, typer.Option("--as", help="Who you are. Default: SLUICE_AGENT, else the account you are logged in with.")
    ] = "",
    as_list: Annotated[
        bool, typer.Option("--list", help="Draw what you ask for, and show what waits; with --json in full.")
    ] = False,
    as_report: Annotated[bool, typer.Option("--report", help="Show how many answers were bad, per intent.")] = False,
    certify: Annotated[
        float | None, typer.Option(min=0.0001, max=0.5, help="Prove this rate, less than the certificate's, by audits.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge answers that went out by themselves, drawn at random: good, bad, or unsure.

    The ticket, the answer and what it cites stand side by side. Stop whenever you like: what was drawn waits for the
    next call, and no answer is drawn twice. An answer is bad when it says something untrue, promises what it must not,
    or does not answer what was asked; wording alone is not bad.

    With --certify, the verdicts that people gave since the certificate was issued are tested once, and a tighter one is
    written where they prove it.

    What does not come from a keyboard is a machine audit, and is called so everywhere. The live guard obeys people's
    verdicts on drawn answers, and a machine's only where the policy says so.

    A line of --from: {"ticket_id": "...", "revision": 1, "verdict": "bad", "reason": "45 days, not 30"}

    Examples:

      sluice audit --n 20

      sluice audit --share 0.05 --as mia

      sluice audit --report

      sluice audit --certify 0.021

      sluice audit --list --json --machine judge-1

      sluice audit --machine judge-1 --from verdicts.jsonl
    """
    settings = read_settings()
    if as_report:
        _report(settings, as_json)
        return
    if certify is not None:
        certify_by_audits(settings, certify, as_json=as_json)
        return
    auditor = _auditor(settings, person, machine, verdicts)
    wish = Wish(share, number, seed or secrets.token_hex(8), datetime.now(UTC) - timedelta(days=days))
    if as_list:
        run(_list(settings, auditor, wish, as_json))
        return
    if verdicts is None and not sys.stdin.isatty():
        fail("no keyboard to judge with: give verdicts by --from FILE, which is a machine audit", USAGE)
    given = list(_read(verdicts)) if verdicts is not None else None
    result = run(_judge(settings, auditor, wish, given, (ticket, revision) if ticket else None, as_json))
    if as_json:
        print_json(result)
    else:
        console.print(verbatim(f"{result['judged']} judged as {auditor}; {result['waiting']} wait"))


def _auditor(settings: Settings, person: str, machine: str, verdicts: Path | None) -> Auditor:
    """Who judges: a file or a pipe is no person, whoever calls."""
    typed = verdicts is None and sys.stdin.isatty()
    kind = AuditorKind.PERSON if typed and not machine else AuditorKind.MACHINE
    try:
        return Auditor(named_person(machine or person or settings.agent or getpass.getuser()), kind)
    except ValueError as error:
        fail(str(error), USAGE)


# -- looking


def _report(settings: Settings, as_json: bool) -> None:
    labels = run(_asked(settings, _all))
    lines = report(labels)
    picked = sum(not label.drawn for label in labels)
    if as_json:
        print_json({"lines": [asdict(line) for line in lines], "picked": picked})
        return
    rows = [
        {
            "auditors": line.auditors,
            "intent": line.intent,
            "n": line.n,
            "bad": line.bad,
            "rate": "" if line.rate is None else f"{line.rate:.1%}",
            "95 % interval": line.interval,
            "unsure": line.unsure,
        }
        for line in lines
    ]
    show(rows, title="Audits of drawn answers", as_json=False)
    if picked:
        console.print(verbatim(f"{picked} more verdicts are on picked answers: no sample, so no part of a rate", "dim"))


async def _list(settings: Settings, auditor: Auditor, wish: Wish, as_json: bool) -> None:
    async def look(labels: Labels) -> list[Drawn | Audited]:
        await _draw(labels, auditor, wish)
        waiting = await labels.waiting(auditor.kind, auditor.name)
        if not as_json:
            return list(waiting)
        return [found for drawn in waiting if (found := await labels.audited(drawn.ticket_id, drawn.revision))]

    found = await _asked(settings, look)
    if as_json:
        print_json([as_document(each) for each in found if isinstance(each, Audited)])
        return
    rows = [
        {
            "ticket": each.ticket_id,
            "revision": each.revision,
            "intent": each.intent,
            "channel": each.channel,
            "sent": each.answered_at.isoformat(timespec="seconds"),
        }
        for each in found
        if isinstance(each, Drawn)
    ]
    show(rows, title=f"Drawn, and waiting for {auditor}", as_json=False)


async def _all(labels: Labels) -> list[Label]:
    found: list[Label] = []
    while page := await labels.labels(found[-1].label_id if found else 0, PAGE):
        found += page
    return found


async def _asked(settings: Settings, ask: Callable[[Labels], Awaitable[T]]) -> T:
    async with open_adapters(settings, database_of(settings), ["auditor"]) as adapters:
        return await ask(adapters.labels)


# -- drawing


async def _draw(labels: Labels, auditor: Auditor, wish: Wish) -> int:
    """Draw what is wished for, beyond what waits; how many."""
    more = 0
    if wish.share is not None:
        more = to_draw(wish.share, await labels.counts(wish.since))
    if wish.number is not None:
        waiting = len(await labels.waiting(auditor.kind, auditor.name))
        more = max(more, wish.number - waiting)
    return await labels.draw(more, seed=wish.seed, since=wish.since) if more > 0 else 0


# -- judging


async def _judge(
    settings: Settings,
    auditor: Auditor,
    wish: Wish,
    given: Sequence[Given] | None,
    picked: tuple[UUID, int] | None,
    as_json: bool,
) -> dict[str, object]:
    async def work(labels: Labels) -> dict[str, object]:
        drawn = 0
        if given is None and picked is None:
            drawn = await _draw(labels, auditor, wish)
        source = _told(given) if given is not None else _typed(labels, auditor, wish.number, picked, as_json)
        judged = 0
        async for verdict in source:
            judged += await _keep(labels, auditor, verdict)
        waiting = len(await labels.waiting(auditor.kind, auditor.name))
        return {
            "auditor": auditor.name,
            "auditors": CALLED[auditor.kind],
            "drawn": drawn,
            "seed": wish.seed if drawn else None,
            "judged": judged,
            "waiting": waiting,
        }

    return await _asked(settings, work)


async def _keep(labels: Labels, auditor: Auditor, given: Given) -> int:
    """1 where the verdict was kept, and a word on it where it was not."""
    kept = await labels.label(
        given.ticket_id, given.revision, given.verdict, auditor=auditor.name, kind=auditor.kind, reason=given.reason
    )
    if kept is None:
        told = (
            f"{given.ticket_id} revision {given.revision}: {auditor} judged it before, or it did not go out by itself"
        )
        stderr.print(verbatim(told, "yellow"), soft_wrap=True)
    return int(kept is not None)


async def _told(given: Sequence[Given]) -> AsyncIterator[Given]:
    for verdict in given:
        yield verdict


async def _typed(
    labels: Labels, auditor: Auditor, number: int | None, picked: tuple[UUID, int] | None, as_json: bool
) -> AsyncIterator[Given]:
    """The verdicts somebody types, one answer after the other, until they quit."""
    say = aside(as_json).print
    waiting = [(drawn.ticket_id, drawn.revision) for drawn in await labels.waiting(auditor.kind, auditor.name)]
    places = [picked] if picked else waiting[:number]
    if not places:
        say(verbatim("nothing waits: --n N or --share S draws answers"))
    for count, place in enumerate(places, 1):
        found = await labels.audited(*place)
        if found is None:
            fail(f"{place[0]} revision {place[1]}: nothing went out by itself")
        say(audit_view(found, place=f"{count}/{len(places)}", auditor=str(auditor)))
        key = _key(say)
        if key == QUIT:
            return
        if key != SKIP:
            yield Given(*place, VERDICTS[key], _reason(VERDICTS[key]))


def _key(say: Callable[..., None]) -> str:
    """One of the keys that mean something; whatever ends the input quits."""
    say(verbatim(KEYS), end=" ")
    while True:
        try:
            typed = typer.getchar().lower()
        except (EOFError, KeyboardInterrupt):
            typed = QUIT
        if typed in {*VERDICTS, SKIP, QUIT}:
            say(verbatim(typed))
            return str(typed)


def _reason(verdict: Verdict) -> str:
    """Why, where it is not good: it is what somebody will mend."""
    if verdict is Verdict.GOOD:
        return ""
    return str(typer.prompt("why", default="", show_default=False, err=True)).strip()[:LONGEST_REASON]


def _read(path: Path) -> Iterator[Given]:
    """The verdicts of a file.

    Raises:
        UnreadableFile: a line is no verdict; nothing was kept.
    """
    rows = enumerate(_lines(path), 1)
    for number, row in rows:
        try:
            yield Given(
                UUID(str(row["ticket_id"])),
                int(row.get("revision", 1)),
                Verdict(row["verdict"]),
                str(row.get("reason", "")).strip()[:LONGEST_REASON],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UnreadableFile(f"{path}:{number}: no verdict: {error}") from None


def _lines(path: Path) -> list[dict[str, Any]]:
    if str(path) != "-":
        return [dict(row) for _, row in read_rows(path)]
    try:
        return [dict(json.loads(line)) for line in sys.stdin if line.strip()]
    except (TypeError, ValueError) as error:
        raise UnreadableFile(f"standard input: no JSON object on each line: {error}") from None
