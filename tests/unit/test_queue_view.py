"""The queue in the terminal: clocks as people read them, drafts beside their sources, customers' text as text only."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from rich.console import Console, RenderableType

from processors.ports import Answered, Holder, ItemKind, ItemState, QueueCount, Queued, QueueItem, QueueStats
from schemas.gate import Disposition, SentenceCheck
from schemas.ingress import Channel
from schemas.outcome import Outcome
from schemas.resolution import Citation, Draft, Sentence
from sluice.queue_view import as_document, due, item_view, list_table, span, stats_view
from sluice.terminal import plain
from tests.unit.test_outcome import TICKET, escalated

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
QUEUED = Queued(
    item_id=UUID(int=0xABCDEF << 104),
    kind=ItemKind.SUGGEST,
    state=ItemState.OPEN,
    conversation="c",
    ticket_id=TICKET.ticket_id,
    revision=1,
    customer_id=None,
    channel=Channel.EMAIL,
    intent="return_policy",
    subject="Return window",
    reason="the switch is suggest",
    opened_at=NOW - timedelta(hours=2),
    due_at=NOW + timedelta(minutes=20),
)
CITED = Citation(article_id="returns-policy", section_id="window", quote="You have 45 days from delivery.")
DRAFT = Draft(
    sentences=(Sentence(text="You have 45 days.", citation=CITED), Sentence(text="We pay for the parcel.")),
    model="local/x",
    prompt_hash="0",
)


def shown(view: RenderableType, width: int = 120) -> str:
    console = Console(width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def item(**changes: object) -> QueueItem:
    event = escalated(Disposition.SUGGEST)
    checks = (SentenceCheck(text="a", supported=True, score=0.97), SentenceCheck(text="b", supported=False, score=0.1))
    decision = event.decision.model_copy(update={"checks": checks})
    event = event.model_copy(update={"draft": DRAFT, "decision": decision, **changes})
    return QueueItem(QUEUED, event.model_dump_json(), current_revision=1)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (59, "59 s"), (61, "1 min"), (7200, "2 h"), (100_000, "28 h"), (400_000, "5 d")]
)
def test_a_time_is_said_as_people_say_it(seconds: float, said: str) -> None:
    assert span(seconds) == said


@pytest.mark.parametrize(
    ("minutes", "said", "style"),
    [(-180, "3 h over", "bold red"), (20, "in 20 min", "yellow"), (300, "in 5 h", "green")],
)
def test_an_items_clock_has_the_colour_of_its_hurry(minutes: int, said: str, style: str) -> None:
    clock = due(replace(QUEUED, due_at=NOW + timedelta(minutes=minutes)), NOW)
    assert (clock.plain, clock.style) == (said, style)


def test_a_closed_item_says_how_it_ended() -> None:
    closed = replace(QUEUED, state=ItemState.CLOSED, closed_by="mia", closed_as=Outcome.APPROVED)
    assert due(closed, NOW).plain == "approved by mia"


@pytest.mark.parametrize("width", [80, 120])
def test_the_list_shows_whole_names_to_type_and_who_has_what(width: int) -> None:
    text = shown(list_table([replace(QUEUED, state=ItemState.HELD, held_by="mia")], NOW), width)
    for part in (str(QUEUED.item_id)[:8], "suggest", "mia", "in 20 min", "Return window", "email"):
        assert part in text


def test_a_draft_stands_beside_the_words_it_cites() -> None:
    (line,) = [line for line in shown(item_view(item(), NOW)).splitlines() if "You have 45 days." in line]
    assert "You have 45 days from delivery." in line
    assert "(not supported)" in shown(item_view(item(), NOW))
    assert "no source" in shown(item_view(item(), NOW))


def test_an_item_without_a_draft_or_a_readable_event_is_shown_all_the_same() -> None:
    assert "No draft" in shown(item_view(item(draft=None), NOW))
    assert "cannot be read" in shown(item_view(QueueItem(QUEUED, "{", 1), NOW))


def test_an_item_warns_of_what_came_after_it() -> None:
    later = replace(item(), current_revision=2, answered=Answered("parked", "bot"))
    text = shown(item_view(later, NOW))
    assert "written again" in text
    assert "parked by bot" in text


@pytest.mark.parametrize("hostile", ["\x1b[31m", "\x07", "\x9b2J", "\u202e", "\r"])
def test_what_a_customer_wrote_commands_no_terminal(hostile: str) -> None:
    ticket = TICKET.model_copy(update={"body": f"Hello{hostile}there [bold]you[/bold]"})
    text = shown(item_view(item(ticket=ticket), NOW))
    assert hostile not in text
    assert "[bold]you[/bold]" in text
    assert hostile not in plain(hostile)


@pytest.mark.parametrize("hostile", ["\x1b[31m", "\u202e"])
def test_what_a_helpdesk_calls_a_reply_commands_no_terminal(hostile: str) -> None:
    answered = replace(item(), answered=Answered("sent", "bot", delivery=f"desk-7{hostile}[/nope]"))
    text = shown(item_view(answered, NOW))
    assert hostile not in text
    assert "desk-7" in text
    assert "[/nope]" in text


def test_a_holder_named_like_markup_is_shown() -> None:
    assert "[/mia]" in shown(stats_view(QueueStats((), (Holder("[/mia]", 2, 4),)), NOW))


def test_the_figures_are_shown() -> None:
    count = QueueCount(ItemKind.DEAD, ItemState.OPEN, 12, 3, 5400.0, NOW - timedelta(days=3))
    text = shown(stats_view(QueueStats((count,), (Holder("mia", 2, 4),)), NOW))
    for part in ("dead", "12", "3", "2 h", "3 d", "mia"):
        assert part in text


def test_an_item_for_scripts_has_its_draft_and_its_event() -> None:
    document = as_document(item(), NOW)
    assert (document["draft"], document["overdue"]) == ("You have 45 days. We pay for the parcel.", False)
    assert document["event"]["ticket"]["body"] == TICKET.body
