"""What customers and other systems wrote stands on the screen as they wrote it, and commands nothing."""

import io
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import typer
from rich.console import Console

from infra.kafka.history import Entry
from infra.kafka.reader import Record
from schemas.gate import Disposition
from sluice import figures, send, terminal, trace
from tests.unit.test_outcome import TICKET, escalated

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
HOSTILE = "[/nope] [link=https://evil.example]here[/link] \x1b]8;;x\x07 \x1b[2J \u202e"
SHOWN = "[/nope] [link=https://evil.example]here[/link]"


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """A terminal in place of every command's; what was written to it."""
    written = io.StringIO()
    console = Console(file=written, width=300, force_terminal=True, color_system=None)
    for module in (terminal, trace, send, figures):
        monkeypatch.setattr(module, "console", console)
    monkeypatch.setattr(terminal, "stderr", console)
    return written.getvalue


def harmless(written: str) -> bool:
    """Whether the text stands there word for word, and nothing of it reached the terminal as a command."""
    return SHOWN in written and not any(part in written for part in ("\x1b]8", "\x1b[2J", "\x07", "\u202e"))


def test_trace_shows_a_subject_as_it_is(screen: Callable[[], str]) -> None:
    ticket = TICKET.model_copy(update={"subject": HOSTILE})
    record = Record("tickets.inbound", 0, 7, None, None, {}, NOW)
    trace._show_way([Entry(record, ticket)])
    assert harmless(screen())


def test_a_table_shows_its_cells_and_title_as_they_are(screen: Callable[[], str]) -> None:
    terminal.show([{"why": HOSTILE, "offset": 3, "at": None}], title="Dead [/letters]", as_json=False)
    assert harmless(screen())
    assert "Dead [/letters]" in screen()


def test_send_shows_reason_and_reply_as_they_are(screen: Callable[[], str]) -> None:
    send._show("7", {"outcome": "sent", "reason": HOSTILE, "text": "[/also] good"}, waited=True)
    assert harmless(screen())
    assert "[/also] good" in screen()


def test_an_error_shows_what_it_quotes_as_it_is(screen: Callable[[], str]) -> None:
    with pytest.raises(typer.Exit):
        terminal.fail(f"the edge answered 500: {HOSTILE}")
    assert harmless(screen())


def test_a_ticket_in_full_is_shown_as_it_is(screen: Callable[[], str]) -> None:
    ticket = TICKET.model_copy(update={"subject": HOSTILE, "body": "[/body]"})
    event = escalated(Disposition.HANDOFF).model_copy(update={"ticket": ticket, "summary": "[/summary]\x1b[2J"})
    figures.show_ticket("handed over", event)
    assert harmless(screen())
    assert "[/summary]" in screen()
