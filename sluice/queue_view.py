"""How the people's queue looks in the terminal. What customers wrote is shown as text, never obeyed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from processors.memory import line_of, recalled
from processors.ports import ItemKind, ItemState, Queued, QueueItem, QueueStats
from processors.queue import Case, case_of
from schemas.gate import ReplyApproved, TicketEscalated
from schemas.resolution import Sentence
from sluice.terminal import plain

SOON = timedelta(hours=1)  # to the end of an item's time
SHORT = 8  # characters of an id that a person has to type
KIND = {
    ItemKind.SUGGEST: "green",
    ItemKind.HANDOFF: "cyan",
    ItemKind.PARKED: "magenta",
    ItemKind.CONFLICT: "yellow",
    ItemKind.DEAD: "red",
}


def span(seconds: float) -> str:
    """A time as a person says it: 40 s, 12 min, 3 h, 2 d."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size * (1.5 if unit == "d" else 1):
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _closed(queued: Queued) -> str:
    """How an item ended; without anybody's act, its ticket did."""
    if queued.closed_as is None:
        return "redriven" if queued.kind is ItemKind.DEAD else "sent by the helpdesk"
    return f"{queued.closed_as} by {plain(queued.closed_by or '')}"


def due(queued: Queued, now: datetime) -> Text:
    """The item's clock: overdue red, soon yellow, else green."""
    if queued.state is ItemState.CLOSED:
        return Text(_closed(queued), style="dim")
    if queued.due_at is None:
        return Text("–", style="dim")
    left = (queued.due_at - now).total_seconds()
    if left < 0:
        return Text(f"{span(-left)} over", style="bold red")
    return Text(f"in {span(left)}", style="yellow" if left < SOON.total_seconds() else "green")


def who(queued: Queued) -> Text:
    """Who holds it, or whose conversation it belongs to."""
    if queued.held_by:
        return Text(plain(queued.held_by), style="bold")
    return Text(f"({plain(queued.person)})" if queued.person else "", style="dim")


def list_table(items: Sequence[Queued], now: datetime) -> RenderableType:
    """The list: a line an item, those due first at the top."""
    if not items:
        return Text("The queue: nothing that matches")
    table = Table(title="The people's queue", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name, width in (("item", SHORT), ("kind, who", 9), ("age", 6), ("due", 9)):
        table.add_column(name, no_wrap=True, min_width=width)
    table.add_column("about", overflow="ellipsis", no_wrap=True, ratio=1)
    for item in items:
        table.add_row(
            str(item.item_id)[:SHORT],
            Text.assemble((item.kind.value, KIND[item.kind]), "\n", who(item)),
            span((now - item.opened_at).total_seconds()),
            due(item, now),
            _about(item),
        )
    return table


def _about(item: Queued) -> Text:
    """What it is about, in a line, and in another where it comes from and why it is here."""
    place = ", ".join(filter(None, (item.channel.value if item.channel else "", item.intent)))
    why = f"{place}: {item.reason}" if place else item.reason
    subject, reason = (" ".join(plain(text).split()) for text in (item.subject or "(no subject)", why))
    return Text.assemble(subject, (f"\n{reason}", "dim"))


def item_view(item: QueueItem, now: datetime) -> RenderableType:
    """One item in full: the talk, the draft beside its sources, why it is here, and what may be done."""
    case = case_of(item.event)
    parts: list[RenderableType] = [_head(item, now)]
    parts += _talk(case)
    parts.append(_draft(case) if case.draft else Text("\nNo draft: an answer is written by `edit`.", style="italic"))
    parts += _context(case)
    parts.append(Text(f"\nWhy it is here: {plain(item.queued.reason)}"))
    if item.answered is not None:
        told = f"Its reply is {item.answered.state} by {plain(item.answered.actor)}"
        parts.append(
            Text(told + (f", as {plain(item.answered.delivery)}" if item.answered.delivery else ""), style="magenta")
        )
        if item.answered.text:
            parts.append(Text(plain(item.answered.text)))
    if item.current_revision > item.queued.revision > 0:
        parts.append(Text("The customer has written again since: answer the newer item.", style="bold yellow"))
    title = f"{item.queued.kind.value} {item.queued.item_id}"
    return Panel(Group(*parts), title=title, title_align="left", border_style=KIND[item.queued.kind])


def _head(item: QueueItem, now: datetime) -> Text:
    queued = item.queued
    head = Text()
    head.append(plain(queued.subject) or "(no subject)", style="bold")
    head.append(f"\n{queued.channel.value if queued.channel else 'no channel'}, ", style="dim")
    head.append(f"{plain(queued.customer_id or 'nobody proved')}; {plain(queued.intent or 'no intent')}; ", style="dim")
    head.append(f"waits {span((now - queued.opened_at).total_seconds())}, due ", style="dim")
    head.append_text(due(queued, now))
    held = queued.held_by or queued.person
    head.append(
        f"\n{queued.state.value}" + (f" by {plain(held)}" if held and queued.state is not ItemState.CLOSED else "")
    )
    return head


def _talk(case: Case) -> list[RenderableType]:
    if case.ticket is None:
        return [Text("\nThe message cannot be read; `sluice dead list` shows its bytes.", style="red")]
    lines: list[RenderableType] = []
    if case.event and (before := recalled(case.event.admission)):
        lines.append(Rule("earlier tickets of this customer", style="dim"))
        lines += [Text(plain(line_of(ticket)), style="dim") for ticket in before]
    lines.append(Rule("conversation", style="dim"))
    for message in case.event.admission.transcript if case.event else ():
        lines.append(Text(f"{message.author.value}: {plain(message.text).strip()}", style="dim"))
    lines.append(Text(f"customer: {plain(case.ticket.body).strip()}"))
    for attachment in case.ticket.attachments:
        lines.append(Text(f"  attachment {plain(attachment.name)} ({attachment.size} bytes)", style="dim"))
    return lines


def _draft(case: Case) -> RenderableType:
    """Each sentence beside the words of the source it cites."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True, title="draft", title_justify="left")
    table.add_column("the draft says", ratio=1, overflow="fold")
    table.add_column("its source says", ratio=1, overflow="fold")
    checks = case.decision.checks if case.decision else ()
    for number, sentence in enumerate(case.sentences):
        supported = number < len(checks) and checks[number].supported
        said = Text(plain(sentence.text), style="green" if supported else "red")
        said.append("" if supported else "  (not supported)", style="red")
        table.add_row(said, _source(sentence, case))
    return table


def _source(sentence: Sentence, case: Case) -> Text:
    cited = sentence.citation
    if cited is None:
        return Text("no source", style="red")
    place = cited.article_id + (f"#{cited.section_id}" if cited.section_id else "")
    found = [
        passage
        for passage in (case.event.evidence.passages if case.event else ())
        if (passage.article_id, passage.section_id) == (cited.article_id, cited.section_id)
    ]
    version = f" v{found[0].version}" + (", past its review date" if found[0].stale else "") if found else ""
    return Text.assemble((plain(cited.quote), ""), (f"\n{plain(place)}{version}", "cyan"))


def _context(case: Case) -> list[RenderableType]:
    event = case.event
    if event is None:
        return []
    facts = [
        Text(f"record {plain(fact.record)}: {plain(fact.text.replace(chr(10), '; '))}", style="dim")
        for fact in event.evidence.facts
    ]
    cited = {
        (sentence.citation.article_id, sentence.citation.section_id) for sentence in case.sentences if sentence.citation
    }
    others = [
        Text(f"also found {plain(found.article_id)}#{plain(found.section_id)}: {plain(found.heading)}", style="dim")
        for found in event.evidence.passages
        if (found.article_id, found.section_id) not in cited
    ]
    summary = [Text(f"\n{plain(event.summary)}", style="italic")] if isinstance(event, TicketEscalated) else []
    return [*facts, *others[:5], *summary]


def stats_view(stats: QueueStats, now: datetime) -> RenderableType:
    """How many wait, how old they are, and who has what."""
    counts = Table(title="Waiting", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("kind", "state", "items", "overdue", "age p50", "oldest"):
        counts.add_column(name, justify="left" if name in ("kind", "state") else "right")
    for count in stats.counts:
        counts.add_row(
            Text(count.kind.value, style=KIND[count.kind]),
            count.state.value,
            str(count.items),
            Text(str(count.overdue), style="bold red" if count.overdue else "dim"),
            span(count.p50_seconds),
            span((now - count.oldest_at).total_seconds()),
        )
    counts.add_section()
    overdue = sum(count.overdue for count in stats.counts)
    counts.add_row("all", "", str(sum(count.items for count in stats.counts)), str(overdue), "", "", style="bold")
    if not stats.holders:
        return counts
    holders = Table(title="Who has what", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("person", "items", "conversations"):
        holders.add_column(name, justify="left" if name == "person" else "right")
    for holder in stats.holders:
        holders.add_row(Text(plain(holder.person)), str(holder.items), str(holder.conversations))
    return Group(counts, holders)


def as_row(queued: Queued, now: datetime) -> dict[str, Any]:
    """An item of the list for JSON."""
    row = {name: getattr(value, "value", value) for name, value in vars(queued).items()}
    row["age_seconds"] = round((now - queued.opened_at).total_seconds())
    row["overdue"] = queued.state is not ItemState.CLOSED and queued.due_at is not None and queued.due_at < now
    return row


def as_document(item: QueueItem, now: datetime) -> dict[str, Any]:
    """An item in full for JSON: what the list says, the draft, and its event."""
    case = case_of(item.event)
    read: TicketEscalated | ReplyApproved | None = case.event
    return {
        **as_row(item.queued, now),
        "current_revision": item.current_revision,
        "answered": vars(item.answered) if item.answered else None,
        "draft": case.draft,
        "event": read.model_dump(mode="json") if read else item.event,
    }
