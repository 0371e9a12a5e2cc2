"""`sluice policy`: what the policy says, in words, and which tickets another one would put into other hands."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from evals.replay import Change, Left, change_of, is_decision, ordered
from infra.kafka.history import entries
from infra.rows import read_text
from infra.settings import Settings
from infra.wiring import POLICY
from processors.policy import Policy, PolicyError
from processors.rules import RULES
from schemas.gate import Disposition, ReplyApproved, TicketEscalated
from schemas.router import Band
from schemas.topics import Topic
from sluice.days import Days, days
from sluice.reach import bootstrap
from sluice.terminal import (
    USAGE,
    WRONG,
    AsJson,
    commands,
    console,
    explained,
    fail,
    print_json,
    read_settings,
    stderr,
    verbatim,
)

LEFT_ON = (Topic.AUTO_SEND.value, Topic.ESCALATION.value)
SAFE = {Disposition.AUTO: "red", Disposition.SUGGEST: "yellow", Disposition.HANDOFF: "green"}

app = commands("The policy in words, and what another one would change.")


# -- show


@app.command()
def show(
    file: Annotated[Path | None, typer.Argument(help="A policy file. Default: the policy in force.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say in words what may be answered without a person, and what never is.

    Examples:

      sluice policy show

      sluice policy show new.toml --json
    """
    settings = read_settings()
    policy = _read(file or _in_force(settings))
    if as_json:
        print_json({"hash": policy.hash, **policy.model_dump(mode="json", by_alias=True)})
        return
    for line in in_words(policy):
        console.print(verbatim(line), soft_wrap=True)


def in_words(policy: Policy) -> Iterator[str]:
    """What a policy says, a sentence a line."""
    yield f"Policy {policy.hash[:12]}"
    needs = ", a certificate covers it" if policy.auto.certificate == "required" else ""
    yield f"Answered without a person, where every sentence has its source, the switch is on auto{needs}:"
    yield f"  topics    {_listed(policy.intents, Band.AUTO)}"
    yield f"  channels  {_listed(policy.channels, Band.AUTO)}"
    if not needs:
        yield "  No certificate is asked for: nothing bounds the rate of bad answers."
    yield "Drafted, and sent by a person:"
    yield f"  topics    {_listed(policy.intents, Band.SUGGEST)}; every topic that is not listed"
    yield f"  channels  {_listed(policy.channels, Band.SUGGEST)}; every channel that is not listed"
    yield "Left to a person, without a draft:"
    yield f"  topics    {_listed(policy.intents, Band.ESCALATE)}"
    yield f"  channels  {_listed(policy.channels, Band.ESCALATE)}"
    yield f"  languages other than {', '.join(policy.languages)}"
    yield f"  messages longer than {policy.hard_rules.max_characters} characters"
    yield f"  more than {policy.hard_rules.amount_limit} claimed back, in any currency"
    yield f"  whatever meets a hard rule: {', '.join(rule.name for rule in RULES)}"
    for name, phrases in policy.hard_rules.phrases.items():
        yield f"    {name} also by: {', '.join(repr(phrase) for phrase in phrases)}"
    least = policy.thresholds
    yield f"  a topic named with less than {least.min_confidence:.0%}, in scope with less than {least.min_in_scope:.0%}"
    yield f"  where two models disagree on the topic, and it is named with less than {least.sure_confidence:.0%}"
    yield "A proved customer's own records may answer:"
    for intent, kinds in policy.facts.items():
        yield f"  {intent}: {', '.join(kinds)}"
    for record in policy.records.values():
        yield f"    of a {record.name} is told: {', '.join(record.tells)}"
    yield f"The stronger model drafts: {', '.join(policy.frontier) or 'no topic'}, and whatever is named less surely"
    yield (
        f"A person should have acted within {policy.sla_minutes_of.handoff} minutes, "
        f"on a draft within {policy.sla_minutes_of.suggest}"
    )
    shed = policy.overload.shed_after_seconds
    if shed is not None:
        yield f"What has waited longer than {shed} seconds is drafted for a person, not answered"


def _listed(bands: dict[Any, Band], band: Band) -> str:
    return ", ".join(str(getattr(name, "value", name)) for name, found in bands.items() if found is band) or "none"


# -- diff


@dataclass
class Replayed:
    """What came of making decisions again."""

    tickets: int = 0
    unsent: int = 0  # of them, decided while the switch was not on auto
    other_policy: int = 0  # of them, decided by another policy than the one in force
    changes: list[Change] = field(default_factory=list)

    @property
    def sends_more(self) -> int:
        """Tickets that might go out without a person, and do not now."""
        return sum(change.sends_more for change in self.changes)


@app.command()
def diff(
    new: Annotated[Path, typer.Argument(help="The policy to try.")],
    over: Annotated[
        str, typer.Option(help="Whose decisions: yesterday, today, a day as 2026-11-23, or two as DAY..DAY.")
    ] = "yesterday",
    old: Annotated[Path | None, typer.Option(help="Compare with this policy. Default: the one in force.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many tickets the table lists; --json has all.")] = 50,
    fail_on_more_auto: Annotated[
        bool, typer.Option("--fail-on-more-auto", help="Exit with 1 where any ticket might go out that does not now.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the tickets that would change hands under another policy; those that would go out without a person first.

    The decisions kept on the topics (a week of them) are made again by both policies. The switch and the certificate
    are left out: what is compared is the policy's own say. What the old policy never let a model draft counts as going
    as far as the new one allows, marked with "at most". Nothing is changed; a policy that is put in force needs a new
    certificate before anything is sent.

    Examples:

      sluice policy diff new.toml --over yesterday

      sluice policy diff new.toml --over 2026-11-16..2026-11-22 --json

      sluice policy diff new.toml --fail-on-more-auto
    """
    settings = read_settings()
    window = _window(over, datetime.now(UTC).date())
    policies = _read(old or _in_force(settings)), _read(new)
    found = _replayed(_decisions(settings, window), *policies)
    if not found.tickets:
        fail(f"no decision from {window} on {' and '.join(LEFT_ON)}, which keep a week: nothing was compared", WRONG)
    if as_json:
        print_json(_as_json(found, window, *policies))
    else:
        _show(found, window, limit)
    if fail_on_more_auto and found.sends_more:
        fail(f"{found.sends_more} tickets might go out without a person that do not now", WRONG)


def _in_force(settings: Settings) -> Path:
    return settings.policy or POLICY


def _read(file: Path) -> Policy:
    with explained():
        text = read_text(file)
    try:
        return Policy.parse(text)
    except PolicyError as error:
        fail(f"{file}: {error}", USAGE)


def _window(over: str, today: date) -> Days:
    named = {"today": today, "yesterday": today - timedelta(days=1)}
    first, _, last = over.partition("..")
    try:
        return days(*(named.get(name) or date.fromisoformat(name) for name in (first, last or first)))
    except (ValueError, OverflowError) as error:
        fail(f"--over {over!r}: use yesterday, today, 2026-11-23, or 2026-11-16..2026-11-22 ({error})", USAGE)


def _decisions(settings: Settings, window: Days) -> Iterator[Left]:
    """What left the gate in that time, each decision once."""
    seen: set[tuple[UUID, int]] = set()
    with explained():
        for entry in entries(bootstrap(settings), LEFT_ON, window.since):
            event = entry.event
            if not isinstance(event, ReplyApproved | TicketEscalated) or not is_decision(event):
                continue
            key = (event.ticket.ticket_id, event.admission.revision)
            if window.since <= event.decision.decided_at < window.until and key not in seen:
                seen.add(key)
                yield event


def _replayed(decisions: Iterator[Left], old: Policy, new: Policy) -> Replayed:
    found = Replayed()
    columns = SpinnerColumn(), TextColumn("{task.completed:.0f} decisions made again")
    with Progress(*columns, console=stderr, transient=True) as progress:
        task = progress.add_task("", total=None)
        for event in decisions:
            found.tickets += 1
            found.unsent += event.decision.switch_state != "auto"
            found.other_policy += event.decision.policy_hash != old.hash
            if (change := change_of(event, old, new)) is not None:
                found.changes.append(change)
            progress.advance(task)
    found.changes = ordered(found.changes)
    return found


def transitions(changes: Sequence[Change]) -> list[tuple[Disposition, Disposition, int]]:
    """From, to and how many, in the order of the changes: to auto first."""
    counted = Counter((change.old.disposition, change.new.disposition) for change in changes)
    return [(start, end, count) for (start, end), count in counted.items()]


def _as_json(found: Replayed, window: Days, old: Policy, new: Policy) -> dict[str, Any]:
    return {
        "since": window.since,
        "until": window.until,
        "old": old.hash,
        "new": new.hash,
        "tickets": found.tickets,
        "decided_while_not_armed": found.unsent,
        "decided_by_another_policy": found.other_policy,
        "sends_more": found.sends_more,
        "transitions": [
            {"from": start, "to": end, "tickets": count} for start, end, count in transitions(found.changes)
        ],
        "changes": [asdict(change) for change in found.changes],
    }


def _show(found: Replayed, window: Days, limit: int) -> None:
    console.print(verbatim(f"{found.tickets} decisions of {window}: {len(found.changes)} tickets would change hands"))
    if found.other_policy:
        console.print(f"{found.other_policy} were decided by another policy than the one compared with", style="yellow")
    if found.unsent:
        console.print(
            f"{found.unsent} were decided while the switch was not on auto: counted as if it were", style="dim"
        )
    if not found.changes:
        return
    table = Table(title="Changes of hands", title_justify="left")
    for name in ("from", "to", "tickets"):
        table.add_column(name, justify="right" if name == "tickets" else "left")
    for start, end, count in transitions(found.changes):
        table.add_row(start.value, f"[{SAFE[end]}]{end.value}[/]", str(count))
    console.print(table)
    _list(found.changes[:limit])
    if len(found.changes) > limit:
        console.print(f"and {len(found.changes) - limit} more: --limit, or --json for all")


def _list(changes: Sequence[Change]) -> None:
    table = Table(title="Tickets", title_justify="left")
    for name in ("ticket", "intent", "from → to", "why"):
        table.add_column(name, overflow="fold")
    for change in changes:
        most = "" if change.new.known else ", at most"
        hands = f"{change.old.disposition.value} → {change.new.disposition.value}{most}"
        why = f"{change.old.rule} → {change.new.rule}: {change.new.reason}"
        ticket = f"{change.ticket_id}:{change.revision}"
        table.add_row(
            ticket, verbatim(change.intent), verbatim(hands, SAFE[change.new.disposition]), verbatim(why[:300])
        )
    console.print(table)
