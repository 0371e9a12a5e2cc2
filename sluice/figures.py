"""Figures on the screen: the tables of a report, and tickets shown in full."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from schemas.gate import ReplyApproved, TicketEscalated
from schemas.resolution import Sentence
from sluice.terminal import console, verbatim


def percent(value: float | None, interval: Sequence[float] | None = None) -> str:
    """A rate as people read it, with its 95 % interval."""
    if value is None:
        return "–"
    return f"{value:.1%}" + (f"  [dim]({interval[0]:.1%} to {interval[1]:.1%})[/]" if interval else "")


def show_report(found: Mapping[str, Any]) -> None:
    """The report of an evaluation."""
    origin = found["provenance"]
    console.print(
        f"[bold]{origin['suite']}[/], {origin['split']}, {found['tickets']} tickets, up to the {origin['stage']}; "
        f"trained on {origin['trained_on']}"
    )
    show_intents(found["intents"])
    if origin["stage"] == "gate":
        show_channels(found["channels"])
        show_quality(found)
        _show_confusion(found["gate"]["confusion"])
    show_measures(found["measures"])
    show_bars(found["bars"])


def _show_confusion(confusion: Mapping[str, Mapping[str, int]]) -> None:
    if not any(count for cells in confusion.values() for count in cells.values()):
        return  # tickets without labels
    table = Table(title="Expected band → what happened", title_justify="left")
    for column in ("expected", "auto", "suggest", "handoff"):
        table.add_column(column, justify="left" if column == "expected" else "right")
    for band, cells in confusion.items():
        table.add_row(band, *(str(cells[name]) for name in ("auto", "suggest", "handoff")))
    console.print(table)


def show_measures(rows: Sequence[Mapping[str, Any]]) -> None:
    """Figures by name, with their 95 % intervals."""
    table = Table(title="Figures, with their 95 % intervals", title_justify="left")
    for column in ("figure", "value", "from", "to", "n"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    for row in rows:
        table.add_row(row["name"], *(percent(row[name]) for name in ("value", "low", "high")), str(row["n"]))
    console.print(table)


def show_bars(rows: Sequence[Mapping[str, Any]]) -> None:
    """Figures against their bars; nothing where the suite has none."""
    if not rows:
        return
    table = Table(title="Bars", title_justify="left")
    for column in ("figure", "found", "bar", "aim", "released", "verdict"):
        table.add_column(column, justify="left" if column in ("figure", "verdict") else "right")
    for row in rows:
        bar = row["bar"]
        sign, limit = ("≥", bar["least"]) if "least" in bar else ("≤", bar["most"])
        verdict = verbatim(row["verdict"], "green" if row["verdict"] == "ok" else "bold red")
        told = (percent(row["value"]), f"{sign} {percent(limit)}", percent(bar.get("aim")), percent(row["released"]))
        table.add_row(row["name"], *told, verdict)
    console.print(table)


def show_quality(found: Mapping[str, Any]) -> None:
    """Deflection, groundedness, bad answers, latency and cost."""
    console.print(f"deflection    {percent(found['deflection'], found['deflection_interval'])}")
    console.print(f"groundedness  {percent(found['groundedness'])}  [dim](by the {found['groundedness_by']})[/]")
    bad = percent(found["bad_rate"], found["bad_interval"])
    console.print(f"bad answers   {found['bad_answers']} of {found['auto_sent']} auto-sent: {bad}")
    if found["p50_ms"] is not None:
        console.print(f"latency       p50 {found['p50_ms']:.0f} ms, p95 {found['p95_ms']:.0f} ms")
    cost = found["cost_usd"] / found["tickets"] if found["tickets"] else 0.0
    console.print(f"cost          ${cost:.4f} a ticket")


def show_intents(rows: Sequence[Mapping[str, Any]]) -> None:
    """Tickets by intent and disposition."""
    table = Table(title="Tickets by intent", title_justify="left")
    table.add_column("intent")
    names = ("tickets", "auto", "suggest", "handoff", "bad")
    for name in names:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(verbatim(row["intent"]), *(str(row[name] or "") for name in names))
    table.add_section()
    table.add_row("all", *(str(sum(row[name] for row in rows)) for name in names), style="bold")
    console.print(table)


def show_channels(rows: Sequence[Mapping[str, Any]]) -> None:
    """Tickets by channel and disposition, with the median latency."""
    table = Table(title="Tickets by channel", title_justify="left")
    table.add_column("channel")
    names = ("tickets", "auto", "suggest", "handoff", "bad")
    for name in (*names, "p50 ms"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(verbatim(row["channel"]), *(str(row[name] or "") for name in names), f"{row['p50_ms']:.0f}")
    console.print(table)


def show_ticket(title: str, event: ReplyApproved | TicketEscalated) -> None:
    """One ticket in full: what came, what was decided and why, the draft with its citations, the sources."""
    ticket, decision = event.ticket, event.decision
    body = Text()
    _add(body, f"{ticket.subject or '(no subject)'}\n", style="bold")
    _add(body, f"{ticket.body.strip()}\n\n")
    who = event.admission.customer_id or "nobody proved"
    _add(
        body,
        f"{ticket.channel.value}, {who}; intent {event.route.intent} ({event.route.confidence:.2f})\n",
        style="dim",
    )
    _add(body, f"{decision.disposition.value}", style="bold magenta")
    _add(body, f" by {decision.rule}: {'; '.join((*event.route.reasons, *decision.reasons)) or 'nothing against it'}\n")
    if event.draft is not None:
        _add(body, "\n")
        for sentence, supported in zip(event.draft.sentences, _supported(event), strict=True):
            _append_sentence(body, sentence, supported)
    if isinstance(event, TicketEscalated):
        _add(body, f"\n{event.summary}\n", style="italic")
        _append_context(body, event)
    console.print(Panel(body, title=verbatim(title), title_align="left"))


def _add(body: Text, text: str, style: str = "") -> None:
    body.append_text(verbatim(text, style))


def _supported(event: ReplyApproved | TicketEscalated) -> list[bool]:
    found = [check.supported for check in event.decision.checks]
    sentences = len(event.draft.sentences) if event.draft else 0
    return (found + [False] * sentences)[:sentences]


def _append_sentence(body: Text, sentence: Sentence, supported: bool) -> None:
    _add(body, sentence.text, style="green" if supported else "red")
    if sentence.citation is not None:
        section = f"#{sentence.citation.section_id}" if sentence.citation.section_id else ""
        _add(body, f"  [{sentence.citation.article_id}{section}]", style="cyan")
    _add(body, "\n" if supported else "  (not supported)\n", style="red")


def _append_context(body: Text, event: TicketEscalated) -> None:
    for message in event.admission.transcript:
        _add(body, f"  {message.author.value}: {message.text.strip()[:160]}\n", style="dim")
    for passage in event.evidence.passages[:3]:
        _add(
            body,
            f"  source {passage.article_id}#{passage.section_id} v{passage.version} ({passage.score:.2f})\n",
            "dim",
        )
    for fact in event.evidence.facts[:5]:
        _add(
            body, f"  record {fact.record}: {', '.join(f'{k} {v}' for k, v in list(fact.fields.items())[:4])}\n", "dim"
        )
