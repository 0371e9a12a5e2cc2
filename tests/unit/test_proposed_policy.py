"""A proposed policy keeps the hard rules, is valid, and lets no topic be automatic that its labels do not bear out."""

from pathlib import Path

import pytest

from evals.dataset import LabelledTicket, Suite
from evals.train.policy import fact_kinds, policy_for, propose_policy
from processors.policy import Policy, PolicyError, text_hit
from schemas.router import Band

BASE = (Path(__file__).parents[2] / "infra" / "policy.toml").read_text()


def tickets(intent: str, auto: int, suggest: int = 0, escalate: int = 0) -> list[LabelledTicket]:
    bands = [Band.AUTO] * auto + [Band.SUGGEST] * suggest + [Band.ESCALATE] * escalate
    return [
        LabelledTicket(id=f"{intent}{number}", body="x", proved=False, intent_label=intent, expected_band=band)
        for number, band in enumerate(bands)
    ]


@pytest.mark.parametrize(
    ("auto", "suggest", "escalate", "band"),
    [
        (9, 1, 0, Band.AUTO),
        (6, 4, 0, Band.AUTO),
        (5, 5, 0, Band.SUGGEST),
        (3, 0, 0, Band.SUGGEST),
        (1, 2, 7, Band.ESCALATE),
        (0, 0, 3, Band.SUGGEST),
    ],
)
def test_the_labels_decide_the_band(auto: int, suggest: int, escalate: int, band: Band) -> None:
    policy = Policy.parse(propose_policy(tickets("send-email", auto, suggest, escalate), BASE))
    assert policy.intents == {"send-email": band}


def test_the_shares_stand_beside_the_line() -> None:
    text = propose_policy(tickets("send-email", 3, 1), BASE)
    assert '"send-email" = "suggest"  # n = 4, auto 75%, suggest 25%, escalate 0%' in text


def test_a_topic_whose_answer_may_do_harm_is_not_automatic() -> None:
    rows = [row.model_copy(update={"must_not_auto": row.id == "a1"}) for row in tickets("a", 8)]
    assert Policy.parse(propose_policy(rows, BASE)).intents["a"] is Band.SUGGEST


def test_what_the_classifier_names_counts_and_not_the_label() -> None:
    rows = tickets("a", 8)
    policy = Policy.parse(propose_policy(rows, BASE, predicted={row.id: "b" for row in rows}))
    assert policy.intents == {"b": Band.AUTO}


def test_what_the_verifier_stops_does_not_speak_against_a_topic() -> None:
    rows = [row.model_copy(update={"body": row.id}) for row in tickets("a", auto=20, escalate=20)]
    stopped = {row.body for row in rows if row.expected_band is Band.ESCALATE}
    assert Policy.parse(propose_policy(rows, BASE)).intents["a"] is Band.SUGGEST
    assert Policy.parse(propose_policy(rows, BASE, stopped=stopped)).intents["a"] is Band.AUTO
    assert Policy.parse(propose_policy(rows, BASE, stopped=stopped - {"a20", "a21", "a22"})).intents["a"] is Band.AUTO
    harmful = [row.model_copy(update={"must_not_auto": row.expected_band is Band.ESCALATE}) for row in rows]
    policy = Policy.parse(propose_policy(harmful, BASE, stopped=stopped - {"a20", "a21", "a22"}))
    assert policy.intents["a"] is Band.SUGGEST


@pytest.mark.parametrize(
    ("rare", "others", "band"),
    [
        (tickets("rare", 1), tickets("a", 20), Band.AUTO),
        (tickets("rare", 4, suggest=1), tickets("a", 20), Band.AUTO),
        (tickets("rare", 1, suggest=2), tickets("a", 20), Band.SUGGEST),
        (tickets("rare", 1), tickets("a", 18), Band.SUGGEST),
        (tickets("rare", 1), tickets("a", 15, suggest=8), Band.SUGGEST),
    ],
)
def test_a_rare_topic_is_as_automatic_as_nearly_all_others(
    rare: list[LabelledTicket], others: list[LabelledTicket], band: Band
) -> None:
    assert Policy.parse(propose_policy([*rare, *others], BASE)).intents["rare"] is Band.SUGGEST
    assert Policy.parse(propose_policy([*rare, *others], BASE, stopped={"another"})).intents["rare"] is band


def test_hard_rules_channels_and_times_stay() -> None:
    base, policy = Policy.parse(BASE), Policy.parse(propose_policy(tickets("return_items", 8), BASE, kinds=["order"]))
    assert (policy.channels, policy.thresholds, policy.sla_minutes_of) == (
        base.channels,
        base.thresholds,
        base.sla_minutes_of,
    )
    assert policy.hard_rules.amount_limit == base.hard_rules.amount_limit
    assert policy.hard_rules.amount_intents == ("return_items",)
    assert policy.facts == {"return_items": ("order",)}
    assert text_hit("Close my account", policy) is not None


def test_a_base_that_is_no_policy_is_refused() -> None:
    with pytest.raises(PolicyError):
        propose_policy(tickets("a", 8), BASE.replace("amount_limit", "amount_limmit"))


def test_the_kinds_of_records_are_those_that_customers_have(tmp_path: Path) -> None:
    rows: tuple[dict[str, object], ...] = (
        {"orders": []},
        {"orders": {"W1": {"refunds": [{"refund_id": "R1"}]}}, "subscriptions": []},
    )
    assert fact_kinds(Suite("s", tmp_path, (), rows, {})) == ("order", "refund")


def test_a_suites_policy_is_of_what_its_router_names_and_of_its_records(tmp_path: Path) -> None:
    rows = tuple(tickets("label", 12))
    customers: tuple[dict[str, object], ...] = ({"customer_id": "c", "orders": [{"order_id": "1"}]},)
    suite = Suite("s", tmp_path, (), customers, {"train": rows})
    policy = Policy.parse(policy_for(suite, {row.id: "named" for row in rows}, BASE))
    assert (policy.intents, policy.facts) == ({"named": Band.AUTO}, {"named": ("order",)})
