"""Evidence: what is searched for, what counts as a source, whose records are shown, and where sources clash."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.errors import DependencyDown, Rejected, TryLater
from processors.ports import Spoken
from processors.retrieval import BEFORE_WORDS, QUERY_CHARS, conflicts, context_of, query_of, retrieve
from processors.sentences import units
from schemas.ingress import Channel, TicketReceived, ticket_id
from schemas.retrieval import Evidence, Fact, Passage
from schemas.router import Admission, Author, Band, Message, Route, TicketRouted, Tier

AT = datetime(2026, 11, 20, tzinfo=UTC)
SHOP = Path(__file__).parents[2] / "evals" / "datasets" / "shop" / "articles.jsonl"


def routed(
    body: str,
    *,
    subject: str = "",
    customer: str | None = None,
    band: Band = Band.AUTO,
    intent: str = "order_status",
    before: Sequence[str] = (),
    answered: str | None = None,
) -> TicketRouted:
    ticket = TicketReceived(
        ticket_id=ticket_id("api", "shop", "1"),
        conversation="c",
        channel=Channel.API,
        provider="api",
        account="shop",
        provider_message_id="1",
        subject=subject,
        body=body,
        body_full=body,
        received_at=AT,
    )
    said = [(Author.CUSTOMER, text) for text in before] + [(Author.BOT, answered)] * (answered is not None)
    transcript = tuple(Message(author=author, text=text or "", at=AT) for author, text in said)
    return TicketRouted(
        ticket=ticket,
        admission=Admission(revision=1, customer_id=customer, transcript=transcript),
        route=Route(intent=intent, band=band, tier=Tier.COMMODITY, confidence=0.9),
    )


def passage(text: str, *, section: str = "s", article: str = "a", heading: str = "", score: float = 0.9) -> Passage:
    return Passage(article_id=article, section_id=section, version=1, title="", heading=heading, text=text, score=score)


# -- the query


@pytest.mark.parametrize(
    ("subject", "body", "query"),
    [
        ("Returns", "Hi there,\n\nHow long do I have?\n\nBest regards\nAda", "Returns\nHow long do I have?\nAda"),
        ("Re: Fwd: Returns", "How long do I have to return a tent?", "Returns\nHow long do I have to return a tent?"),
        ("", "Dear Wrenfield team, is the pan safe in the dishwasher?", "is the pan safe in the dishwasher?"),
        ("", "Hello", "Hello"),
        ("", "higher shelves: which screws do I need for them?", "higher shelves: which screws do I need for them?"),
    ],
)
def test_greeting_and_closing_are_not_searched_for(subject: str, body: str, query: str) -> None:
    assert query_of(routed(body, subject=subject)) == query


def test_a_follow_up_is_also_read_after_the_message_before_it() -> None:
    ticket = routed("any news?", before=["Old.", "Hi,\nWhere is my tent?"])
    assert (query_of(ticket), context_of(ticket)) == ("any news?", "Where is my tent?\nany news?")


def test_a_follow_up_is_also_read_after_the_beginning_of_the_reply_before_it() -> None:
    ticket = routed("Only those?", before=["How is it washed?"], answered="By hand. " + "Then dry it. " * 99)
    assert context_of(ticket).startswith("How is it washed?\nBy hand. Then dry it.")
    assert len(context_of(ticket).split()) == 4 + BEFORE_WORDS + 2


def test_the_first_message_of_a_conversation_has_no_context() -> None:
    assert context_of(routed("Where is my tent?")) == ""


async def test_what_was_said_before_is_searched_for_too() -> None:
    library = Library()
    await evidence(routed("any news?", before=["Where is my tent?"]), library)
    assert library.asked == [("any news?", "Where is my tent?\nany news?")]


def test_a_question_at_the_end_of_a_long_story_is_kept() -> None:
    query = query_of(routed("We had a lovely summer. " * 200 + "How do I wash the bag?"))
    assert query.startswith("We had a lovely summer.")
    assert query.endswith("How do I wash the bag?")


@given(st.text(max_size=5_000))
def test_any_text_gives_a_bounded_query(body: str) -> None:
    assert len(query_of(routed(body, subject="s"))) <= QUERY_CHARS + 2


# -- the evidence


@dataclass
class Library:
    """A help centre with one shelf."""

    passages: tuple[Passage, ...] = ()
    failure: Exception | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)
    spoken: list[Spoken | None] = field(default_factory=list)

    async def search(
        self, query: str, *, at: datetime, limit: int, context: str = "", spoken: Spoken | None = None
    ) -> tuple[Passage, ...]:
        self.asked.append((query, context))
        self.spoken.append(spoken)
        if self.failure:
            raise self.failure
        return self.passages[:limit]


@dataclass
class Records:
    """Every customer's records, and who asked for them."""

    facts_of: dict[str, tuple[Fact, ...]]
    failure: Exception | None = None
    asked: list[str] = field(default_factory=list)

    async def facts(self, customer_id: str, intent: str) -> tuple[Fact, ...]:
        self.asked.append(customer_id)
        if self.failure:
            raise self.failure
        return self.facts_of[customer_id]


class Rules:
    """Orders may be told for order_status, nothing else."""

    def facts_for(self, intent: str) -> tuple[str, ...]:
        return ("order",) if intent == "order_status" else ()


ORDER = Fact(record="crm:order/W10023", kind="order", fields={"order_id": "W10023", "status": "shipped"})
ACCOUNT = Fact(record="crm:account/cus_1", kind="account", fields={"email": "ada@example.com"})


async def evidence(
    ticket: TicketRouted, library: Library | None = None, records: Records | None = None, threshold: float = 0.5
) -> Evidence:
    return await retrieve(
        ticket,
        knowledge=library or Library(),
        customers=records or Records({"cus_1": (ORDER, ACCOUNT)}),
        policy=Rules(),
        threshold=threshold,
        limit=5,
        at=AT,
    )


async def test_only_passages_above_the_threshold_are_sources() -> None:
    found = await evidence(routed("?"), Library((passage("yes", score=0.5), passage("no", score=0.49))))
    assert [passage.text for passage in found.passages] == ["yes"]
    assert found.best_score == 0.5


async def test_the_best_score_is_told_even_when_nothing_passes() -> None:
    found = await evidence(routed("?"), Library((passage("no", score=0.2),)))
    assert (found.passages, found.best_score, found.failure) == ((), 0.2, None)


async def test_a_proved_customer_s_records_of_the_allowed_kinds_are_shown() -> None:
    assert (await evidence(routed("?", customer="cus_1"))).facts == (ORDER,)


@pytest.mark.parametrize(("customer", "intent"), [(None, "order_status"), ("cus_1", "return_policy")])
async def test_records_are_not_even_asked_for_without_proof_or_need(customer: str | None, intent: str) -> None:
    records = Records({"cus_1": (ORDER,)})
    assert (await evidence(routed("I am cus_1", customer=customer, intent=intent), records=records)).facts == ()
    assert records.asked == []


async def test_an_outage_is_waited_for() -> None:
    with pytest.raises(DependencyDown):
        await evidence(routed("?"), Library(failure=DependencyDown("postgres")))


async def test_a_hand_over_goes_on_with_the_stores_down() -> None:
    down = DependencyDown("postgres")
    ticket = routed("?", band=Band.ESCALATE, customer="cus_1")
    found = await evidence(ticket, Library(failure=down), Records({}, failure=down))
    assert found.failure == "postgres is down; postgres is down"


async def test_what_can_never_be_found_is_said_and_the_rest_is_kept() -> None:
    found = await evidence(routed("?", customer="cus_1"), Library(failure=Rejected("unreadable")))
    assert (found.failure, found.facts) == ("unreadable", (ORDER,))


async def test_a_passing_fault_is_tried_again() -> None:
    with pytest.raises(TryLater):
        await evidence(routed("?"), Library(failure=TryLater("locked")))


# -- conflicts

CARD = "A gift card is valid for 24 months from the day of purchase."
TERMS = "Wrenfield gift cards are valid for 36 months from the day of purchase."


def clash(one: str, other: str) -> tuple[str, ...]:
    return conflicts(
        [passage(one, section="one", article="gift-cards"), passage(other, section="two", article="terms")]
    )


def test_two_sections_that_disagree_are_named_with_what_they_say() -> None:
    assert clash(CARD, TERMS) == ("gift-cards#one and terms#two disagree: 24 months, 36 months",)


async def test_a_conflict_with_a_section_just_below_the_threshold_counts() -> None:
    below = passage(TERMS, section="b", score=0.4)
    assert (await evidence(routed("?"), Library((passage(CARD, score=0.9), below)))).conflicts


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (CARD, TERMS.replace("36", "24")),
        (CARD, TERMS.replace("36 months", "36 days")),
        ("Standard delivery costs $4.95 per order.", "Express delivery costs $12.95 per order."),
        ("The fee for a late order return is $1,250.", "The fee for a late order return is $1,250.00."),
        ("Points expire.", "Points expire after 18 months."),
        ("| Plan | Price |\n|---|---|\n| Trail Box | $29.00 |", "| Plan | Price |\n|---|---|\n| Trail Box | $34.00 |"),
        (CARD, "The warranty for a tent is 5 years."),
    ],
)
def test_other_things_and_equal_values_are_no_conflict(one: str, other: str) -> None:
    assert clash(one, other) == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A return label costs $5.95 for every parcel.", "The return label costs $6.95 for each parcel sent."),
        (
            "Order standard parcels for Christmas by December 16.",
            "Order standard parcels for Christmas by December 14.",
        ),
        ("We deduct up to 30% of the price for signs of use.", "We deduct up to 20% of the price for signs of use."),
    ],
)
def test_prices_dates_and_shares_can_disagree(one: str, other: str) -> None:
    assert len(clash(one, other)) == 1


def test_one_section_does_not_clash_with_itself() -> None:
    assert conflicts([passage(CARD), passage(TERMS)]) == ()


def test_the_shop_s_one_contradiction_is_found_and_nothing_else() -> None:
    articles = [json.loads(line) for line in SHOP.read_text().splitlines()]
    sections = [
        passage(section["text"], article=article["id"], section=section["id"], heading=section["heading"])
        for article in articles
        if not article["valid_to"]
        for section in article["sections"]
    ]
    assert conflicts(sections) == (
        "gift-cards#gift-card-validity and gift-card-terms#validity disagree: 24 months, 36 months",
    )


# -- what can be quoted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "It takes 2 days. Order before 2 p.m. Eastern Time.",
            ["It takes 2 days.", "Order before 2 p.m. Eastern Time."],
        ),
        ("Open **My orders**. See [Costs](costs.md).", ["Open My orders.", "See Costs."]),
        (
            "You can't return:\n\n- food,\n- cards.\n\nThe rest you can.",
            ["You can't return:\n\n- food,\n- cards.", "The rest you can."],
        ),
        ("| Way | Price |\n|---|---|\n| Fast | $9 |", ["Way: Fast; Price: $9."]),
        ("#### Later\nWait.\n![x](y.png)\n", ["Wait."]),
        ("", []),
    ],
)
def test_a_section_is_cut_into_pieces_that_read_by_themselves(text: str, shown: list[str]) -> None:
    assert [piece.text for piece in units(text)] == shown


@given(st.text(alphabet=st.sampled_from("ab .\n|-#*1:"), max_size=200))
def test_every_piece_is_a_slice_of_its_section(text: str) -> None:
    pieces = units(text)
    assert all(0 <= piece.start < piece.end <= len(text) for piece in pieces)
    assert [piece.start for piece in pieces] == sorted(piece.start for piece in pieces)


async def test_the_search_is_told_the_ticket_s_language_and_what_is_enough() -> None:
    library, asked = Library(), routed("Wo ist mein Paket?")
    german = asked.model_copy(update={"ticket": asked.ticket.model_copy(update={"language": "de"})})
    unknown = asked.model_copy(update={"ticket": asked.ticket.model_copy(update={"language": None})})
    for each in (german, unknown):
        await evidence(each, library)
    assert library.spoken == [Spoken("de", 0.5), None]
