"""Vetoes and features: what a quote says, what it does not, and what is read alike in different notations."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.groundedness.features import NAMES, Asked, Near, Subject, features
from processors.groundedness.text import place_of, plain, quantities, units_of
from processors.groundedness.vetoes import align, record_vetoes, vetoes
from processors.ports import Source
from schemas.resolution import Citation, Sentence

TEXT = """Standard delivery takes 3 to 5 working days and costs **$4.95**. Express parcels travel with Northline.
You can enable alerts in [My account](account.md). No signature is needed.

The following items cannot be returned:

- gift cards,
- opened food.

If the e-mail is not there, follow these steps:

1. Open **My orders**.
2. Select *Track parcel*.

| Method | Price | Time |
|---|---|---|
| Standard | $4.95 | 3 to 5 days |
| Express | $12.95 | 1 to 2 days |

Refunds are paid within 10 days, unless the item is faulty. We deduct up to 30% when an item shows use.
Standard costs $4.95 and Express costs $12.95 today. The seller pays the carrier."""
SOURCE = Source("delivery", "methods", TEXT, "Delivery: Methods")
FIRST = "Standard delivery takes 3 to 5 working days and costs $4.95."
ROW = "| Method | Price | Time |\n|---|---|---|\n| Standard | $4.95 | 3 to 5 days |\n| Express | $12.95 | 1 to 2 days |"
SWAPPABLE = "Standard costs $4.95 and Express costs $12.95 today."
REFUNDS = "Refunds are paid within 10 days, unless the item is faulty."


def fired(text: str, quote: str, told: str = "") -> tuple[str, ...]:
    """The vetoes of a sentence that quotes the source."""
    citation = Citation(article_id="delivery", section_id="methods", quote=quote)
    return vetoes(align(Sentence(text=text, citation=citation), SOURCE), told)


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        (FIRST, FIRST),
        (FIRST, "Standard delivery takes 3 to 5 working days and costs **$4.95**."),
        ("You can enable alerts in My account.", "You can enable alerts in [My account](account.md)."),
        ("Standard delivery takes three to five working days.", "Standard delivery takes 3 to 5 working days"),
        ("Express parcels travel with Northline.", "Express  parcels\ntravel with Northline."),
        ("Method: Express; Price: $12.95; Time: 1 to 2 days.", ROW),
        ("The following items cannot be returned:\n\n- gift cards,\n- opened food.",
         "The following items cannot be returned:\n\n- gift cards,\n- opened food."),
        ("1. Open My orders.\n2. Select Track parcel.", "1. Open **My orders**.\n2. Select *Track parcel*."),
        (REFUNDS, REFUNDS),
    ],
)  # fmt: skip
def test_a_sentence_its_quote_says_fires_no_veto(text: str, quote: str) -> None:
    assert fired(text, quote) == ()


@pytest.mark.parametrize(
    ("veto", "text", "quote"),
    [
        ("quote-not-verbatim", FIRST, "Standard delivery takes 2 to 5 working days"),
        ("quote-not-verbatim", FIRST, ""),
        ("quote-not-verbatim", "It takes 5 days.", "tandard delivery"),
        ("number-not-in-quote", "Standard delivery takes 3 to 6 working days and costs $4.95.", FIRST),
        ("number-not-in-quote", "Standard delivery takes 3 to 5 days and costs $4.95.", FIRST),  # not working days
        ("number-not-in-quote", "Standard delivery costs $12.95.", "costs **$4.95**"),  # it stands elsewhere
        ("number-not-in-quote", "Write to help@evil.example.", "No signature is needed."),
        ("number-not-in-quote", "See evil.example/pay now.", "No signature is needed."),
        ("number-not-in-quote", "Use version 115.5.2.", "No signature is needed."),
        ("numbers-out-of-order", "Standard costs $12.95 and Express costs $4.95 today.", SWAPPABLE),
        ("antonym", "You can disable alerts in My account.", "You can enable alerts in [My account](account.md)."),
        ("negation", "A signature is needed.", "No signature is needed."),
        ("negation", "Standard delivery does not take 3 to 5 working days and costs $4.95.", FIRST),
        ("negation", "Gift cards, opened food.", "gift cards,\n- opened food."),  # the list says what can't be returned
        ("condition-dropped", "Refunds are paid within 10 days.", "Refunds are paid within 10 days"),
        ("name-not-in-quote", "These parcels travel with Parcelway.", "Express parcels travel with Northline."),
        ("altered-copy", "Express parcels travel with bicycles.", "Express parcels travel with Northline."),
        ("altered-copy", "We deduct up to 30% when a box shows use.", "We deduct up to 30% when an item shows use."),
        ("altered-copy", "The carrier pays the seller.", "The seller pays the carrier."),
    ],
)  # fmt: skip
def test_what_a_quote_does_not_say_fires(veto: str, text: str, quote: str) -> None:
    assert veto in fired(text, quote)


def test_a_list_reads_on_after_its_opening_line_was_told() -> None:
    assert (
        fired("Gift cards, opened food.", "gift cards,\n- opened food.", told="The following items cannot be returned:")
        == ()
    )


def test_steps_after_a_condition_are_no_negation() -> None:
    assert fired("Open My orders.", "Open **My orders**.") == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3 to 5 working days", ("3", "5 work day")),
        ("three weeks, 45-day period, 24h", ("3 week", "45 day", "24 hour")),
        ("$4.95, $ 1.250,00 and USD 1,250", ("$4.95", "$1250", "$1250")),
        ("June 1, 2026 or 1st of June 2026 or 2026-06-01", ("6/1", "2026") * 3),
        ("8 p.m. is 20:00", ("20:00", "20:00")),
        ("30 % or 30 percent", ("30%", "30%")),
        ("order W10023, version 115.5.2", ("w10023", "115.5.2")),
        ("https://www.wrenfield.example/track.", ("wrenfield.example/track",)),
        ("write to Help@wrenfield.example", ("help@wrenfield.example",)),
        ("on Monday and in January", ("monday", "january")),
        ("one of them may", ()),
    ],
)
def test_quantities_are_read_alike_in_every_notation(text: str, found: tuple[str, ...]) -> None:
    assert quantities(text) == found


@pytest.mark.timeout(20)
@pytest.mark.parametrize("sign", ["[", "[a](", "a", "a-", "1", "1,", "$1 ", "<a", " ", "@a", "v1.", "*_", "| "])
def test_no_ticket_can_be_written_that_takes_forever_to_read(sign: str) -> None:
    hostile = sign * (20_000 // len(sign)) + "x"
    assert len(plain(hostile)) + len(quantities(hostile)) + len(units_of(hostile)) > 0


def test_markdown_reads_as_plain_text() -> None:
    assert (
        plain("## Track {#track}\n\n- **Open** [My orders](orders.md)\n| a | `b` |\n|---|---|")
        == "Track Open My orders a b"
    )


def test_the_units_of_a_source_are_its_plain_text_in_parts() -> None:
    assert " ".join(unit.text for unit in units_of(TEXT)) == plain(TEXT)


@given(st.text(alphabet="aB1 .,:;-*_`#|[]()\n$%é", max_size=80))
def test_any_text_is_verbatim_in_itself(text: str) -> None:
    assert place_of(text, text) == () or " ".join(unit.text for unit in place_of(text, text)) == plain(text)
    assert bool(place_of(text, text)) == bool(plain(text))


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_quote_that_is_not_in_the_source_is_always_vetoed(text: str, quote: str) -> None:
    if plain(quote) not in plain(TEXT) or not plain(quote):
        assert fired(text, quote) == ("quote-not-verbatim",)


@given(place=st.integers(0, 2), digit=st.sampled_from("0123456789"))
def test_a_number_changed_anywhere_is_vetoed(place: int, digit: str) -> None:
    at = [index for index, sign in enumerate(FIRST) if sign.isdigit()][place]
    changed = FIRST[:at] + digit + FIRST[at + 1 :]
    assert ("number-not-in-quote" in fired(changed, FIRST)) == (changed != FIRST)


# -- records

RECORD = Source("crm:order/W10023", None, "order_id: W10023\nstatus: shipped\nexpected_at: 2026-11-27")
SHIPPED = "The status of your order W10023 is: shipped."


def fired_of_record(text: str, quote: str = "status: shipped", question: str = "where is my order") -> tuple[str, ...]:
    """The vetoes of a sentence that cites the record, where the templates make one text of it."""
    citation = Citation(article_id=RECORD.article_id, quote=quote)
    return record_vetoes(Sentence(text=text, citation=citation), RECORD, {SHIPPED}, question)


def test_a_record_is_told_by_its_template_only() -> None:
    assert fired_of_record(SHIPPED) == ()
    assert fired_of_record("Your order W10023 has shipped.") == ("record-not-equal",)
    assert fired_of_record(SHIPPED, quote="status: delivered") == ("quote-not-verbatim",)


@pytest.mark.parametrize(
    ("question", "vetoed"),
    [("where is W10023?", False), ("where is w10999", True), ("W10023 or W10999?", False), ("order 12 of 2026", False)],
)
def test_another_record_than_the_one_asked_about_is_vetoed(question: str, vetoed: bool) -> None:
    assert ("other-record" in fired_of_record(SHIPPED, question=question)) == vetoed


# -- features

NEAR = Near(whole=0.5, part=0.6, tokens_asked=0.4, tokens_told=0.3)


def vector(text: str, quote: str, question: str = "How long does standard delivery take?") -> dict[str, float]:
    """The features of a sentence by name, all cosines fixed."""
    citation = Citation(article_id="delivery", section_id="methods", quote=quote)
    aligned = align(Sentence(text=text, citation=citation), SOURCE)
    cited = Subject(heading=plain(SOURCE.heading), text=plain(TEXT), near=NEAR, near_heading=0.2)
    asked = Asked(question=question, answer=aligned.span, near_answer=NEAR, cited=cited)
    return dict(zip(NAMES, features(aligned, asked, 1.0, {"deliveri": 1.0, "standard": 3.0}), strict=True))


def test_a_copy_is_covered_whole() -> None:
    copied = vector(FIRST, FIRST)
    whole = ("coverage", "coverage-idf", "bigrams", "rouge-l-recall", "longest-run", "char-5-grams", "quantities-kept")
    assert [copied[name] for name in whole] == [1.0] * len(whole)
    assert (copied["novel-words"], copied["negation-gap"], copied["length-ratio"]) == (0.0, 0.0, 0.0)


def test_what_is_not_in_the_quote_lowers_the_support() -> None:
    made_up = vector("Bicycles cost 7 francs.", FIRST)
    assert made_up["coverage"] < 0.5
    assert made_up["quantities-kept"] == 0.0
    assert made_up["novel-words"] == 3.0


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("How long does it take?", 1.0),
        ("How much is it?", 1.0),
        ("Until when may I return it?", 1.0),
        ("Is it big?", 0.0),
    ],
)
def test_an_answer_is_asked_for_the_kind_of_value_it_tells(question: str, told: float) -> None:
    assert vector(FIRST, FIRST, question)["asked-kind-told"] == told
    assert vector("No signature is needed.", "No signature is needed.", question)["asked-kind-told"] == -told


def test_a_question_of_other_words_shares_none() -> None:
    assert vector(FIRST, FIRST, "Wo ist mein Paket?")["asked-in-answer"] == 0.0
    assert vector(FIRST, FIRST)["asked-in-answer"] > 0.5


@given(st.text(max_size=60), st.text(max_size=60))
def test_features_are_finite_for_any_text(text: str, question: str) -> None:
    assert all(map(math.isfinite, vector(text, FIRST, question).values()))
