"""A policy that names what does not exist, or fires on everything, is refused or reported, never taken silently."""

from pathlib import Path

import pytest

from processors.policy import Policy, PolicyError

TOML = (Path(__file__).parents[2] / "infra" / "policy.toml").read_text()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('amount_intents = ["refund_request"', 'amount_intents = ["refund_requst"', "'refund_requst' is not listed"),
        ('["consumer tribunal"]', '[""]', "phrases.legal_threat: an empty phrase"),
        ('["consumer tribunal"]', '["\\u200b "]', "phrases.legal_threat: an empty phrase"),
    ],
)
def test_what_can_never_be_meant_is_refused(old: str, new: str, says: str) -> None:
    assert old in TOML
    with pytest.raises(PolicyError, match=says):
        Policy.parse(TOML.replace(old, new, 1))


def test_topics_that_the_router_does_not_name_are_listed_by_their_line() -> None:
    text = TOML.replace('gift_card = "auto"', 'gift_crad = "auto"')
    policy = Policy.parse(text)
    known = set(Policy.parse(TOML).intents)
    assert policy.unknown_intents(known) == ("intents.gift_crad",)
    assert policy.unknown_intents(known - {"order_status"}) == (
        "intents.order_status",
        "intents.gift_crad",
        "facts.order_status",
    )
