"""How an answer looks to its auditor: ticket, answer and cited sections side by side, shown and never obeyed."""

from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from processors.ports import Audited, CitedText
from sluice.terminal import plain, verbatim

KEYS = "[g]ood  [b]ad  [u]nsure  [s]kip for now  [q]uit"


def audit_view(found: Audited, *, place: str, auditor: str) -> RenderableType:
    """One answer in full; `place` says how far the auditor has come."""
    asked: list[RenderableType] = [verbatim(found.subject or "(no subject)", "bold")]
    asked += [verbatim(f"{said.author.value}: {said.text.strip()}", "dim") for said in found.transcript]
    asked += [Rule(style="dim")] * bool(found.transcript)
    asked.append(verbatim(found.body.strip()))
    beside = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False)
    for name in ("the customer asked", "we answered", "what the answer cites"):
        beside.add_column(name, ratio=1, overflow="fold")
    beside.add_row(Group(*asked), verbatim(found.answer), Group(*_cited(found)))
    drawn = found.drawn
    about = f"{drawn.intent}, {drawn.channel}, sent {drawn.answered_at:%Y-%m-%d %H:%M} UTC"
    how = "" if drawn.drawn_at else "; picked, not drawn: it says nothing of the rate"
    head = Text(plain(f"{about}{how}"), style="dim")
    title = f"{place} {drawn.ticket_id} revision {drawn.revision}"
    return Panel(Group(head, beside), title=title, subtitle=verbatim(auditor), title_align="left")


def _cited(found: Audited) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for text in found.cited:
        parts += [_source(text), verbatim(text.text.strip()), Text()]
    parts += [verbatim(f"{name}: its text is not there any more", "red") for name in found.lost]
    return parts or [Text("nothing", style="red")]


def _source(text: CitedText) -> Text:
    version = "" if text.version is None else f" v{text.version}"
    return Text.assemble((plain(text.source), "cyan"), (f"{version}: {plain(text.title)}", "bold"))


def as_document(found: Audited) -> dict[str, Any]:
    """An answer in full for JSON, as a machine would read it."""
    drawn = found.drawn
    return {
        "ticket_id": str(drawn.ticket_id),
        "revision": drawn.revision,
        "intent": drawn.intent,
        "channel": drawn.channel,
        "answered_at": drawn.answered_at.isoformat(),
        "drawn_at": drawn.drawn_at.isoformat() if drawn.drawn_at else None,
        "subject": found.subject,
        "body": found.body,
        "transcript": [said.model_dump(mode="json") for said in found.transcript],
        "answer": found.answer,
        "cited": [vars(text) for text in found.cited],
        "lost": list(found.lost),
        "checks": [check.model_dump(mode="json") for check in found.decision.checks] if found.decision else [],
    }
