"""Two sections that cannot both be right are told from two that speak of different things."""

import json
from pathlib import Path

import pytest

from processors.conflict import conflicts
from schemas.retrieval import Passage

SHOP = Path(__file__).parents[2] / "evals" / "datasets" / "shop" / "articles.jsonl"
CARD = "A gift card is valid for 24 months from the day of purchase."


def section(text: str, article: str = "a", name: str = "one", title: str = "Help", heading: str = "") -> Passage:
    return Passage(article_id=article, section_id=name, version=1, title=title, heading=heading, text=text, score=0.9)


def clash(one: str, other: str) -> tuple[str, ...]:
    return conflicts([section(one), section(other, "b", "two")])


def test_both_sections_are_named_with_what_they_say() -> None:
    other = "Our gift cards are valid for 36 months from the day of purchase."
    assert clash(CARD, other) == ("a#one and b#two disagree: 24 months, 36 months",)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (CARD, CARD.replace("24 months", "3 years")),
        (CARD, CARD.replace("24", "thirty-six")),
        ("Return an unused item within 30 days of delivery.", "Return any unused item within 14 days of delivery."),
        ("A return label costs $5.95 for every parcel.", "The return label costs $6.95 for each parcel sent."),
        ("Order standard parcels for Christmas by December 16.", "Order standard Christmas parcels by 14 December."),
        ("The support line opens on weekdays at 9 a.m.", "On weekdays the support line opens at 10 am."),
        (
            "Standard delivery arrives in 3-5 business days.",
            "Standard delivery arrives in 7 to 9 working days by post.",
        ),
        ("A refund reaches your bank within 5 days.", "A refund reaches your bank account after at least 10 days."),
        ("Free delivery starts with orders over $50.", "Free delivery starts with orders over $75."),
        ("Pay for one order with up to 4 codes at checkout.", "Pay for one order with up to 10 codes at checkout."),
        ("We deduct up to 30% of the price for signs of use.", "We deduct up to 20% of the price for signs of use."),
        ("Opened sleeping bags can be returned for a refund.", "Opened sleeping bags cannot be returned for a refund."),
        ("We ship camping stoves to Canada.", "We don't ship camping stoves to Canada."),
    ],
)
def test_another_number_date_or_policy_for_the_same_thing_is_a_conflict(one: str, other: str) -> None:
    assert len(clash(one, other)) == len(clash(other, one)) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(CARD, CARD.replace("24 months", "2 years"), id="the same in another unit"),
        pytest.param(CARD, CARD.replace("24 months", "two years"), id="the same in words"),
        pytest.param("The late fee for a return is $1,250.", "The late fee for a return is $1250.00.", id="written"),
        pytest.param(CARD, "The warranty for a tent is 5 years.", id="another thing"),
        pytest.param(
            "Standard delivery costs $4.95 per order placed.",
            "Express delivery costs $12.95 per order placed.",
            id="plan",
        ),
        pytest.param(
            "Delivery to your door arrives in 3-5 days.", "Delivery to your door arrives in 4 days.", id="in its range"
        ),
        pytest.param(
            "Pay with at least 1 gift card per order.", "Pay with up to 4 gift cards per order.", id="bounds that meet"
        ),
        pytest.param(
            "The parcel reaches your door within 10 days.", "The parcel reaches your door in 3 days.", id="in its bound"
        ),
        pytest.param("Step 2: select the account settings.", "Step 3: select the account settings.", id="steps"),
        pytest.param(
            "In Thunderbird 102 the account settings moved.",
            "In Thunderbird 115 the account settings moved.",
            id="version",
        ),
        pytest.param(
            "The plan costs $5 a month, or $50 a month for teams.", "The plan costs $9 a month for teams.", id="several"
        ),
        pytest.param(
            "| Plan box monthly price | $29.00 |", "| Plan box monthly price | $34.00 |", id="rows of a table"
        ),
        pytest.param(
            "Opened sleeping bags can be returned if the seal is whole.",
            "Opened sleeping bags cannot be returned if the seal is broken.",
            id="under conditions",
        ),
        pytest.param("You can return opened sleeping bags.", "Opened tents cannot be returned.", id="another policy"),
    ],
)
def test_what_can_be_true_side_by_side_is_none(one: str, other: str) -> None:
    assert clash(one, other) == clash(other, one) == ()


def test_headings_of_their_own_make_two_things_of_the_same_words() -> None:
    fees = ("The yearly card fee is $95 for all holders.", "The yearly card fee is $50 for all holders.")
    gold, silver = (section(fee, name, title=name) for fee, name in zip(fees, ("Gold", "Silver"), strict=True))
    assert conflicts([gold, silver]) == ()
    assert conflicts([gold, silver.model_copy(update={"title": "Questions about Gold"})])


def test_sections_of_one_article_are_told_apart_by_their_own_headings() -> None:
    fees = ("You may approve payments up to $100 alone.", "You may approve payments up to $50 alone.")
    admin = section(fees[0], name="1", title="Roles: admin, finance", heading="Admin")
    assert conflicts([admin, section(fees[1], name="2", title="Roles: admin, finance", heading="Finance")]) == ()


def test_one_section_does_not_clash_with_itself() -> None:
    assert conflicts([section(CARD), section(CARD.replace("24", "36"))]) == ()


def test_the_shop_s_one_contradiction_is_found_and_nothing_else() -> None:
    articles = [json.loads(line) for line in SHOP.read_text().splitlines()]
    sections = [
        section(each["text"], article["id"], each["id"], article["title"], each["heading"])
        for article in articles
        if not article["valid_to"]
        for each in article["sections"]
    ]
    assert conflicts(sections) == (
        "gift-cards#gift-card-validity and gift-card-terms#validity disagree: 24 months, 36 months",
    )
