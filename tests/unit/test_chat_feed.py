"""What a chat is told: which outcomes, how long they are kept, and how much a slow reader may be behind."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from schemas.outcome import Outcome, TicketSettled
from schemas.resolution import Citation, Sentence
from streams.ingress.feed import ChatEvent, ChatFeed, ChatStream, FeedLimits, TooManyStreams, event_of
from streams.ingress.outcomes import OutcomeView, Place

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
HERS, HIS = "chat:shop:ann:1", "chat:shop:ben:1"


def settled(outcome: Outcome = Outcome.SENT, number: int = 1, conversation: str = HERS, **more: Any) -> TicketSettled:
    told = {"ticket_id": UUID(int=number), "conversation": conversation, "revision": number, "account": "shop"}
    return TicketSettled.model_validate(told | {"outcome": outcome, "text": "Monday.", "settled_at": NOW} | more)


def feed(**limits: int) -> ChatFeed:
    return ChatFeed(OutcomeView(), FeedLimits(**limits))


async def waiting(stream: ChatStream) -> list[ChatEvent]:
    """All that waits to be told."""
    found = []
    while (event := await stream.next(0)) is not None:
        found.append(event)
    return found


async def names(stream: ChatStream) -> list[str]:
    return [event.name for event in await waiting(stream)]


# -- what an outcome says


TOLD = [
    (Outcome.SENT, "answer", "Monday."),
    (Outcome.APPROVED, "answer", "Monday."),
    (Outcome.EDITED, "answer", "Monday."),
    (Outcome.ACKNOWLEDGED, "acknowledged", "Monday."),
    (Outcome.HANDED_OFF, "handed_over", None),
    (Outcome.SUGGESTED, "handed_over", None),
    (Outcome.PARKED, "handed_over", None),
    (Outcome.CONFLICT, "handed_over", None),
    (Outcome.DEAD, "handed_over", None),
    (Outcome.TAKEN_OVER, "handed_over", None),
    (Outcome.SUPERSEDED, None, None),
    (Outcome.REJECTED, None, None),
    (Outcome.RELEASED, None, None),
    (Outcome.REOPENED, None, None),
    (Outcome.RATED, None, None),
]


@pytest.mark.parametrize(("outcome", "name", "text"), TOLD)
def test_a_customer_is_told_what_went_out_and_never_a_draft(
    outcome: Outcome, name: str | None, text: str | None
) -> None:
    event = event_of(settled(outcome, reason="band: escalate", actor="mira", diff="-a"), Place(0, 1))
    assert (event and event.name) == name
    told = json.loads(event.data) if event else {}
    assert told.get("text") == text
    assert not {"reason", "actor", "diff", "decision", "cost_usd"} & set(told)


def test_every_outcome_has_a_row() -> None:
    assert {outcome for outcome, _, _ in TOLD} == set(Outcome)


@pytest.mark.parametrize(
    ("outcome", "actor", "by"),
    [(Outcome.SENT, "bot", "ai"), (Outcome.SENT, "mira", "person"), (Outcome.EDITED, "mira", "person")],
)
def test_an_answer_says_whether_a_machine_wrote_it(outcome: Outcome, actor: str, by: str) -> None:
    event = event_of(settled(outcome, actor=actor), Place(0, 1))
    assert event is not None
    assert json.loads(event.data)["by"] == by


def test_sources_are_named_once_and_linked_by_the_template() -> None:
    cited = [("track-your-order", "a"), ("track-your-order", "b"), ("crm:order/W1", None), ("crm:account/cus_1", None)]
    sentences = [Sentence(text="x", citation=Citation(article_id=a, section_id=s, quote="q")) for a, s in cited]
    event = event_of(settled(sentences=(*sentences, Sentence(text="y"))), Place(0, 1), "https://help.example/{article}")
    assert event is not None
    assert [(source["title"], source["url"]) for source in json.loads(event.data)["sources"]] == [
        ("Track your order", "https://help.example/track-your-order"),
        ("Your order W1", None),
        ("Your account", None),
    ]


def test_an_event_is_told_in_the_format_of_its_standard() -> None:
    event = ChatEvent("answer", json.dumps({"text": "One.\n\nTwo."}), Place(3, 17))
    assert event.encoded == b'id: 3-17\nevent: answer\ndata: {"text": "One.\\n\\nTwo."}\n\n'


# -- order, resumption, isolation


async def test_a_reader_that_names_an_event_gets_what_followed_it() -> None:
    kept = feed()
    for number in (1, 2, 3):
        kept.settled(settled(number=number), Place(0, number))
    assert [event.place for event in await waiting(kept.open(HERS, Place(0, 1)))] == [Place(0, 2), Place(0, 3)]


@pytest.mark.parametrize(
    ("again", "place"), [(settled(), Place(0, 5)), (settled(), Place(0, 4)), (settled(number=2), Place(0, 4))]
)
async def test_a_record_that_comes_again_is_told_once(again: TicketSettled, place: Place) -> None:
    kept = feed()
    stream = kept.open(HERS, None)
    kept.settled(settled(), Place(0, 4))
    kept.settled(again, place)
    assert await names(stream) == ["answer"]


async def test_a_conversation_is_told_to_its_own_readers_only() -> None:
    kept = feed()
    hers, his = kept.open(HERS, None), kept.open(HIS, None)
    kept.settled(settled(), Place(0, 1))
    kept.progress(HIS, UUID(int=9), "working")
    assert (await names(hers), await names(his)) == (["answer"], ["status"])


async def test_a_ticket_of_another_channel_is_not_kept() -> None:
    kept = feed()
    kept.settled(settled(conversation="api:shop::1"), Place(0, 1))
    assert kept.size == 0


@pytest.mark.parametrize(
    ("text", "place"),
    [("3-17", Place(3, 17)), ("3-", None), ("-1-2", None), ("٣-1", None), ("3-17\n", None), ("", None), (None, None)],
)
def test_the_last_event_id_is_a_place_or_nothing(text: str | None, place: Place | None) -> None:
    assert Place.parse(text) == place


# -- statuses


async def test_a_status_is_told_to_who_comes_while_the_ticket_is_worked_on() -> None:
    kept = feed()
    kept.progress(HERS, UUID(int=1), "looking")
    kept.progress(HERS, UUID(int=1), "working")
    (event,) = await waiting(kept.open(HERS, None))
    assert json.loads(event.data)["state"] == "working"
    assert event.encoded.startswith(b"event: status\n")  # no id: it is not resumed from


async def test_late_news_of_a_settled_ticket_is_dropped() -> None:
    outcomes = OutcomeView()
    kept = ChatFeed(outcomes)
    kept.progress(HERS, UUID(int=1), "working")
    outcomes.settle(settled())
    kept.settled(settled(), Place(0, 1))
    kept.progress(HERS, UUID(int=1), "checking")
    assert await names(kept.open(HERS, None)) == ["answer"]


async def test_a_superseded_ticket_is_over_and_nothing_more_is_said() -> None:
    kept = feed()
    kept.progress(HERS, UUID(int=1), "working")
    stream = kept.open(HERS, None)
    kept.settled(settled(Outcome.SUPERSEDED), Place(0, 1))
    states = [json.loads(event.data)["state"] for event in await waiting(stream)]
    assert states == ["working", "over"]


# -- bounds


async def test_a_reader_too_far_behind_is_cut_off() -> None:
    kept = feed(waiting=2)
    stream = kept.open(HERS, None)
    for number in (1, 2, 3):
        kept.settled(settled(number=number), Place(0, number))
    assert stream.too_slow
    assert stream.ended


@pytest.mark.parametrize(("limits", "alone"), [({"streams_each": 1}, True), ({"streams": 1}, False)])
def test_so_many_streams_are_open_at_most(limits: dict[str, int], alone: bool) -> None:
    kept = feed(**limits)
    stream = kept.open(HERS, None)
    with pytest.raises(TooManyStreams) as refused:
        kept.open(HERS if alone else HIS, None)
    assert refused.value.of_conversation is alone
    kept.leave(HERS, stream)
    assert kept.open(HERS, None)


async def test_of_a_conversation_the_latest_events_are_kept() -> None:
    kept = feed(events_each=2)
    for number in (1, 2, 3):
        kept.settled(settled(number=number), Place(0, number))
    assert [event.place for event in await waiting(kept.open(HERS, None))] == [Place(0, 2), Place(0, 3)]


async def test_the_longest_silent_conversation_is_forgotten_first() -> None:
    kept = feed(kept_bytes=3000)
    kept.settled(settled(), Place(0, 1))
    for number in range(2, 20):
        kept.settled(settled(number=number, conversation=f"chat:shop::{number}"), Place(0, number))
    assert kept.size <= 3000
    assert await names(kept.open(HERS, None)) == []
    assert await names(kept.open("chat:shop::19", None)) == ["answer"]


async def test_a_closed_feed_ends_its_streams_after_what_waits() -> None:
    kept = feed()
    stream = kept.open(HERS, None)
    kept.settled(settled(), Place(0, 1))
    kept.close()
    assert not stream.ended
    assert await names(stream) == ["answer"]
    assert stream.ended
