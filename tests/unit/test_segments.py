"""A ticket is judged part by part: an easy question answers for nothing that stands beside it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.policy import Policy
from processors.ports import Classification
from processors.router import MAX_PARTS, route
from processors.segments import clauses, is_aside, is_english, segments
from schemas.ingress import Channel, TicketReceived
from schemas.router import Admission, Band, Route

POLICY = Policy.parse((Path(__file__).parents[2] / "infra" / "policy.toml").read_text())
NOW = datetime(2026, 11, 20, tzinfo=UTC)
EASY = "What does express cost?"


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ("Hi there,\n\nwhat is it? Scrap it all.\n\nThanks a lot", ("what is it?", "Scrap it all.")),
        (
            "What does express cost, and do you ship dogs to the moon?",
            ("What does express cost", "do you ship dogs to the moon?"),
        ),
        ("what does express cost I'd be happier elsewhere", ("what does express cost", "I'd be happier elsewhere")),
        ("The parcel that I ordered for my mother is late.", ("The parcel that I ordered for my mother is late.",)),
        (
            "A line that the mail client has wrapped because it is longer than\nothers is one sentence.",
            ("A line that the mail client has wrapped because it is longer than others is one sentence.",),
        ),
        ("Best regards", ()),
        ("In which order do you hand money back?", ("In which order do you hand money back?",)),
        ("how many shops do you have altogether?", ("how many shops do you have altogether?",)),
        ("which tent is best do you ship dogs", ("which tent is best", "do you ship dogs")),
        ("what does express cost are you a dog person", ("what does express cost", "are you a dog person")),
    ],
)
def test_a_message_is_cut_into_what_it_says(body: str, parts: tuple[str, ...]) -> None:
    assert tuple(part.text for part in segments("", body)) == parts


@given(body=st.text(max_size=300))
def test_no_word_is_lost_but_courtesies(body: str) -> None:
    kept = " ".join(part.text for part in segments("", f"{body}\nwrapping paper"))
    assert "wrapping paper" in kept
    clauses(body)


@pytest.mark.parametrize(
    ("text", "aside"),
    [
        ("Last year it rained for three days.", True),
        ("I log everything for the insurance.", True),
        ("I will have my say.", False),
        ("It is for my son.", False),
        ("Tell him about it.", False),
        ("Das ist mir zu bunt.", False),
    ],
)
def test_an_aside_wants_nothing_and_harms_nobody(text: str, aside: bool) -> None:
    assert is_aside(text) is aside


class ByWords:
    """A classifier that knows a topic by a word of it; all else is nothing it knows."""

    name = "by-words"
    prompt_hash = None
    topics = {"express": "shipping_cost", "size": "size_guide", "scrap": "account_closure"}  # noqa: RUF012 - never changed

    def __init__(self, sizes: Classification) -> None:
        self.sizes = sizes

    async def classify(self, text: str) -> Classification:
        """The first topic whose word is in the text."""
        if "size" in text.lower() and "express" not in text.lower():
            return self.sizes
        topic = next((topic for word, topic in self.topics.items() if word in text.lower()), None)
        if topic:
            return Classification(topic, 0.95, 0.95, agreed=True, model=self.name)
        return Classification("out_of_scope", 0.9, 0.1, agreed=True, model=self.name)


SIZES = Classification("size_guide", 0.95, 0.95, agreed=True, model="by-words")


async def routed(body: str, subject: str = "", sizes: Classification = SIZES) -> Route:
    ticket = TicketReceived(
        ticket_id=uuid4(),
        conversation="c1",
        channel=Channel.API,
        provider="api",
        account="shop",
        provider_message_id="m1",
        subject=subject,
        body=body,
        body_full=body,
        received_at=NOW,
    )
    admission = Admission(revision=1, customer_id="cus_1", owner="bot")
    return await route(ticket, admission, policy=POLICY, classifier=ByWords(sizes))


@pytest.mark.parametrize(
    ("beside", "band", "rule"),
    [
        ("Scrap whatever I have here.", Band.ESCALATE, "intents.account_closure"),
        ("You are the worst.", Band.SUGGEST, "unsure_part"),
        ("Which size do I need for it?", Band.SUGGEST, "second_question"),
        ("My size was wrong by the way.", Band.SUGGEST, "second_topic"),
        ("Ik stap naar hem toe.", Band.SUGGEST, "part_language"),
        ("Please scrap it, whatever it is", Band.ESCALATE, "intents.account_closure"),
    ],
)
async def test_what_stands_beside_an_easy_question_counts(beside: str, band: Band, rule: str) -> None:
    found = await routed(f"{EASY} {beside}")
    assert (found.band, found.rule) == (band, rule)
    assert any(beside[:10] in reason for reason in found.reasons)


@pytest.mark.parametrize(
    "body",
    [EASY, f"Hello,\n\n{EASY} Last year it rained.\n\nThanks\nAda Smith", f"{EASY} Express is new to us, it seems."],
)
async def test_courtesies_and_asides_do_not_keep_an_answer_back(body: str) -> None:
    assert (await routed(body)).band is Band.AUTO


async def test_what_leads_up_to_the_question_may_be_of_another_topic() -> None:
    led = replace(SIZES, confidence=0.7)
    assert (await routed(f"My size was wrong. {EASY}", sizes=led)).band is Band.AUTO
    assert (await routed(f"{EASY} My size was wrong.", sizes=led)).rule == "second_topic"
    assert (await routed(f"My size was wrong. {EASY}")).rule == "second_topic"


@pytest.mark.parametrize(
    ("body", "band", "rule"),
    [
        ("I paid for express. How do I get it?", Band.AUTO, None),
        ("I paid for express. How do I get it? Is that right?", Band.SUGGEST, "unsure_part"),
        ("I paid for express. How do I paint the barrel with it?", Band.SUGGEST, "unsure_part"),
        ("I paid for express. How do I scrap it?", Band.ESCALATE, "intents.account_closure"),
        ("I paid for express. Which size is it?", Band.SUGGEST, "second_question"),
    ],
)
async def test_an_only_question_that_points_back_is_read_with_what_was_said(
    body: str, band: Band, rule: str | None
) -> None:
    sizes = replace(SIZES, alternatives=(("shipping_cost", 0.01),))
    found = await routed(body, sizes=sizes)
    assert (found.band, found.rule) == (band, rule)


async def test_the_subject_is_a_part_too() -> None:
    assert (await routed(EASY, subject="Scrap my things")).band is Band.ESCALATE
    assert (await routed(EASY, subject="hat")).band is Band.AUTO


async def test_a_message_of_very_many_parts_is_read_by_a_person() -> None:
    body = " ".join(f"Express number {number} is fine." for number in range(MAX_PARTS + 1))
    assert (await routed(body)).rule == "many_parts"


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("W33074 label created only.", True),
        ("R879 payout date?", True),  # a code is no word, and of two words nothing can be said
        ("W33220 sheets & poles eta?", True),
        ("W33220 mijn pakket kwijt", False),
        ("R879 übertragen", False),
    ],
)
def test_codes_do_not_make_a_few_words_look_foreign(text: str, english: bool) -> None:
    assert is_english(text) is english
