"""Reply tokens lead an answer back to its conversation, and only the one they were sent to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.mail_token import (
    LIFETIME,
    MAX_LOCAL_PART,
    TokenKey,
    conversation_of,
    is_own_id,
    joined,
    message_id,
    plus_address,
    sign,
    tokens_in,
)

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
KEY = TokenKey("support@shop.example", b"k" * 32)
CONVERSATION = conversation_of(KEY.account, "0123456789abcdef" * 2)
ADA = "ada@example.net"


def token(address: str = ADA, conversation: str = CONVERSATION, key: TokenKey = KEY) -> str:
    signed = sign(key, conversation=conversation, address=address, sent_for=NOW)
    assert signed is not None
    return signed


def test_a_token_leads_its_receiver_back() -> None:
    assert joined(KEY, [token()], sender=ADA, now=NOW) == CONVERSATION
    assert joined(KEY, [token("Ada@Example.net")], sender=ADA, now=NOW) == CONVERSATION


@pytest.mark.parametrize(
    ("key", "sender", "now"),
    [
        (KEY, "mallory@evil.example", NOW),
        (KEY, "", NOW),
        (replace(KEY, secret=b"x" * 32), ADA, NOW),
        (replace(KEY, account="sales@shop.example"), ADA, NOW),
        (KEY, ADA, NOW + LIFETIME + timedelta(days=1)),
    ],
)
def test_a_token_is_worth_nothing_to_anybody_else_or_later(key: TokenKey, sender: str, now: datetime) -> None:
    assert joined(key, [token()], sender=sender, now=now) is None


@given(st.integers(0, 44), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_token_changed_in_any_letter_is_refused(at: int, letter: str) -> None:
    changed = token()[:at] + letter + token()[at + 1 :]
    assert (joined(KEY, [changed], sender=ADA, now=NOW) is None) == (changed != token())


@pytest.mark.parametrize(
    "forged", ["", "a", token()[:-1], token() + "a", token().upper(), "a" * 45, "1" * 45, "é" * 45]
)
def test_what_is_no_token_is_refused(forged: str) -> None:
    assert joined(KEY, [forged], sender=ADA, now=NOW) is None


def test_the_first_good_token_counts() -> None:
    other = conversation_of(KEY.account, "f" * 32)
    tokens = [token("mallory@evil.example"), token(conversation=other), token()]
    assert joined(KEY, tokens, sender=ADA, now=NOW) == other


@pytest.mark.parametrize("conversation", ["chat-12", "email:support@shop.example:12", "email:other@x:" + "0" * 32])
def test_conversations_of_other_doors_get_no_token(conversation: str) -> None:
    assert sign(KEY, conversation=conversation, address=ADA, sent_for=NOW) is None


def test_the_same_key_gives_the_same_message_id() -> None:
    first, again, other = (message_id(KEY, token(), idempotency_key=k, domain="shop.example") for k in ("1", "1", "2"))
    assert first == again != other
    assert first.endswith(f".{token()}@shop.example")
    assert is_own_id(first)


def test_tokens_are_found_where_they_stand_and_however_they_are_written() -> None:
    ids = ["x@example.net", message_id(KEY, token(), idempotency_key="1", domain="shop.example").upper()]
    plus = plus_address("support@shop.example", token(conversation=conversation_of(KEY.account, "f" * 32)))
    found = tokens_in(ids, [f'"Support" <{plus}>, bob@example.net'])
    assert found == (token(), token(conversation=conversation_of(KEY.account, "f" * 32)))


def test_a_plus_address_is_never_longer_than_mail_allows() -> None:
    assert len(plus_address("support@shop.example", token()).partition("@")[0]) <= MAX_LOCAL_PART
    assert (
        plus_address("a-very-long-support-mailbox@shop.example", token()) == "a-very-long-support-mailbox@shop.example"
    )


def test_the_secret_is_not_shown() -> None:
    assert "kkk" not in repr(KEY)
