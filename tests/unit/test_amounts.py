"""Amounts of money are read in any notation and currency; where two readings are possible, the larger one counts."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.amounts import largest
from processors.folding import fold
from processors.policy import AMOUNT_RULE, Policy, text_hit

POLICY = Policy.parse((Path(__file__).parents[2] / "infra" / "policy.toml").read_text())


@pytest.mark.parametrize(
    ("text", "at_least"),
    [
        ("$2OO.50", "200.50"),
        ("$25O", "250"),
        ("$ 2 5 0", "250"),
        ("2½ hundred dollars", "250"),
        ("2 hundred 50 dollars", "250"),
        ("$0.2k and 5", "205"),
        ("two hundred dollars and one cent", "200.01"),
        ("$200 and a cent", "200.01"),
        ("two-fifty", "250"),
        ("199.99 twice", "399.98"),
        ("5 x 50 dollars", "250"),
        ("3 × $99", "297"),
        ("$99.95 x 3", "299.85"),
        ("three times $99", "297"),
        ("three coats at $89 each", "267"),
        ("$150 for the coat, $120 for the boots", "270"),
        ("$150 for the coat. And $150 for the boots.", "300"),
        ("AED 250", "250"),
        ("₪250", "250"),
        ("₩250000", "250000"),
        ("250 zł", "250"),
        ("250 reais", "250"),
        ("2e2+1 dollars", "200"),
        ("0x100 dollars", "256"),
        ("zweihundertfünfzig Euro", "250"),
        ("deux cent cinquante euros", "250"),
    ],
)
def test_the_larger_reading_counts(text: str, at_least: str) -> None:
    found = largest(fold(text))
    assert found is not None
    assert found.value >= Decimal(at_least)


@pytest.mark.parametrize(
    "text",
    [
        "refund me R250",
        "When do I get R250 back?",
        "I'm owed 200.01",
        "where is the 350 you owe",
        "I am 250 out of pocket, please put that right",
        "can the $350 go to my card again",
        "re fund 250 dollars",
        "r3fund 250 dollars",
        "voglio indietro i miei 250 euro",
        "返金してください 250ドル",
        "я хочу вернуть 250 долларов",
    ],
)
def test_money_claimed_back_above_the_limit_is_a_persons(text: str) -> None:
    hit = text_hit(text, POLICY)
    assert hit is not None
    assert hit.name == AMOUNT_RULE


@given(value=st.integers(min_value=100, max_value=999_999), sign=st.sampled_from("$€£¥₹₩₪₫₱₴₺₽฿"))
def test_every_currency_sign_and_the_letter_o_is_read(value: int, sign: str) -> None:
    written = f"{sign}{value}".replace("0", "O")
    found = largest(fold(f"refund {written}"))
    assert found is not None
    assert found.value >= value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("the price fell from $250 to $180, refund the difference", "250"),
        ("2k back please, $2k", "2000"),
        ("refund $50, order W10870, 3 days ago", "50"),
        ("How far is refund R613?", None),
        ("refund R613", None),
    ],
)
def test_what_is_said_twice_or_is_no_money_is_not_added_up(text: str, value: str | None) -> None:
    found = largest(fold(text))
    assert (found and found.value) == (Decimal(value) if value else None)
