"""What another policy would have done with the tickets that are decided."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.replay import Left, change_of, end_of, is_decision, ordered
from processors.gate import decide, leave
from processors.outcome import divert
from processors.policy import Policy
from processors.ports import SwitchView
from schemas.control import SwitchState
from schemas.gate import Disposition, ReplyApproved, SentenceCheck
from schemas.ingress import Channel, Identity, Proof, TicketReceived, ticket_id
from schemas.resolution import Citation, Draft, ReplyDrafted, Sentence
from schemas.retrieval import Evidence, Fact, Passage
from schemas.router import Admission, Band, Route, Tier

AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
TEXT = """
    languages = ["en"]
    [thresholds]
    min_confidence = 0.3
    min_in_scope = 0.3
    sure_confidence = 0.6
    [hard_rules]
    amount_limit = 200
    [channels]
    api = "auto"
    chat = "suggest"
    [intents]
    delivery_time = "auto"
    order_status = "auto"
    refund_request = "suggest"
    account_closure = "escalate"
    [facts]
    order_status = ["order"]
    [sla_minutes]
    handoff = 60
    suggest = 240
    [reply_expiry_minutes]
    default = 60
"""
OLD = Policy.parse(TEXT)
AUTO, SUGGEST, HANDOFF = Disposition.AUTO, Disposition.SUGGEST, Disposition.HANDOFF
QUOTE = "Standard delivery takes 3 to 5 working days."
PASSAGE = Passage(
    article_id="delivery", section_id="standard", version=1, title="Delivery", heading="Standard", text=QUOTE, score=0.7
)
ORDER = Fact(record="crm:order/W10023", kind="order", fields={"order_id": "W10023", "status": "shipped"})
DRAFT = Draft(
    sentences=(Sentence(text=QUOTE, citation=Citation(article_id="delivery", section_id="standard", quote=QUOTE)),),
    model="local/extractive",
    prompt_hash="0" * 64,
)
OF_ORDER = Draft(
    sentences=(
        Sentence(text="Your order is shipped.", citation=Citation(article_id=ORDER.record, quote="status: shipped")),
    ),
    model="local/extractive",
    prompt_hash="0" * 64,
)


def changed(before: str, after: str) -> Policy:
    assert TEXT.count(before) == 1
    return Policy.parse(TEXT.replace(before, after))


def left(
    intent: str = "delivery_time",
    rule: str | None = None,
    *,
    band: Band = Band.AUTO,
    reasons: int = 1,
    draft: Draft | None = DRAFT,
    body: str = "How long does it take?",
    channel: Channel = Channel.API,
    confidence: float = 0.9,
    supported: bool = True,
) -> Left:
    """A ticket as it left the gate under the old policy, armed."""
    ticket = TicketReceived(
        ticket_id=ticket_id("api", "shop", body + intent),
        conversation="k",
        channel=channel,
        provider="api",
        account="shop",
        provider_message_id="1",
        identity=Identity(proof=Proof.API_KEY, value="cus_1"),
        body=body,
        body_full=body,
        language="en",
        received_at=AT,
    )
    drafted = ReplyDrafted(
        ticket=ticket,
        admission=Admission(revision=1, customer_id="cus_1", owner="bot"),
        route=Route(
            intent=intent,
            band=band,
            tier=Tier.COMMODITY,
            confidence=confidence,
            rule=rule,
            reasons=tuple(f"reason {number}" for number in range(reasons)) if rule else (),
            model="" if rule in ("amount_over_limit", "language") else "local/classifier",
        ),
        evidence=Evidence(passages=(PASSAGE,), facts=(ORDER,), best_score=0.7),
        draft=draft,
    )
    checks = [SentenceCheck(text=s.text, supported=supported, score=0.97) for s in (draft.sentences if draft else ())]
    decision = decide(
        drafted,
        checks,
        switch=SwitchView(SwitchState.AUTO, 1, None, "armed"),
        policy=OLD.waived,
        threshold=0.3,
        floor=0.92,
        verifier_name="scripted",
        config_hash="c0ffee",
        now=AT,
    )
    return leave(drafted, decision, OLD)


ASKS_500 = "I want my money back, all 500 dollars of it."
CLOSED = left("account_closure", "intents.account_closure", band=Band.ESCALATE, draft=None)
SUGGESTED = left("refund_request", "intents.refund_request", band=Band.SUGGEST)


@pytest.mark.parametrize(
    ("event", "new", "ends"),
    [
        (left(), changed('delivery_time = "auto"', 'delivery_time = "suggest"'), (AUTO, SUGGEST, True)),
        (left(), changed('delivery_time = "auto"', ""), (AUTO, SUGGEST, True)),
        (left(), changed('delivery_time = "auto"', 'delivery_time = "escalate"'), (AUTO, HANDOFF, True)),
        (left(), changed('api = "auto"', ""), (AUTO, SUGGEST, True)),
        (left(), changed('["en"]', '["de"]'), (AUTO, HANDOFF, True)),
        (
            left(),
            changed("amount_limit = 200", 'amount_limit = 200\nphrases.legal_threat = ["how long does it"]'),
            (AUTO, HANDOFF, True),
        ),
        (left(confidence=0.4), changed("min_confidence = 0.3", "min_confidence = 0.5"), (AUTO, HANDOFF, False)),
        (left("order_status", draft=OF_ORDER), changed('order_status = ["order"]', ""), (AUTO, SUGGEST, True)),
        (SUGGESTED, changed('refund_request = "suggest"', 'refund_request = "auto"'), (SUGGEST, AUTO, False)),
        (SUGGESTED, changed('refund_request = "suggest"', 'refund_request = "escalate"'), (SUGGEST, HANDOFF, True)),
        (CLOSED, changed('account_closure = "escalate"', 'account_closure = "auto"'), (HANDOFF, AUTO, False)),
        (CLOSED, changed('account_closure = "escalate"', 'account_closure = "suggest"'), (HANDOFF, SUGGEST, False)),
        (
            left("refund_request", "amount_over_limit", band=Band.ESCALATE, draft=None, body=ASKS_500),
            changed("amount_limit = 200", "amount_limit = 900"),
            (HANDOFF, AUTO, False),
        ),
        (
            left(rule="low_confidence", band=Band.ESCALATE, draft=None, confidence=0.2),
            changed("min_confidence = 0.3", "min_confidence = 0.1"),
            (HANDOFF, AUTO, False),
        ),
        (
            left(rule="channels.chat", band=Band.SUGGEST, channel=Channel.CHAT),
            changed('chat = "suggest"', 'chat = "auto"'),
            (SUGGEST, AUTO, False),
        ),
    ],
)
def test_a_ticket_changes_hands_as_the_new_policy_says(
    event: Left, new: Policy, ends: tuple[Disposition, Disposition, bool]
) -> None:
    change = change_of(event, OLD, new)
    assert change is not None
    assert (change.old.disposition, change.new.disposition, change.new.known) == ends


OPEN = Policy.parse(TEXT.replace('"suggest"', '"auto"').replace('"escalate"', '"auto"'))


@pytest.mark.parametrize(
    "event",
    [
        left(supported=False),
        left(draft=None),
        left(rule="action_requested", band=Band.SUGGEST),
        left("refund_request", "intents.refund_request", band=Band.SUGGEST, reasons=2),
        left(rule="legal_threat", band=Band.ESCALATE, draft=None, body="My lawyer will sue you."),
    ],
)
def test_no_policy_opens_what_it_was_not_the_policy_that_held_back(event: Left) -> None:
    assert end_of(event, OLD, OPEN).disposition is not AUTO
    assert change_of(event, OLD, OPEN) is None


@given(
    intent=st.sampled_from(["delivery_time", "refund_request", "account_closure", "nothing_listed"]),
    rule=st.sampled_from(
        [None, "intents.refund_request", "channels.chat", "language", "low_confidence", "legal_threat"]
    ),
    band=st.sampled_from(Band),
    draft=st.sampled_from([None, DRAFT, OF_ORDER]),
    confidence=st.sampled_from([0.1, 0.5, 0.9]),
    body=st.sampled_from(["How long?", ASKS_500, "My lawyer will sue you."]),
)
def test_the_same_policy_changes_nothing(
    intent: str, rule: str | None, band: Band, draft: Draft | None, confidence: float, body: str
) -> None:
    event = left(intent, rule, band=band, draft=draft, confidence=confidence, body=body)
    assert change_of(event, OLD, Policy.parse(TEXT)) is None


def test_tickets_that_would_go_out_come_first_and_those_nobody_drafts_now_before_them() -> None:
    new = Policy.parse(
        TEXT.replace('"escalate"', '"auto"').replace('refund_request = "suggest"', 'refund_request = "auto"')
    )
    news = Policy.parse(new_text := TEXT.replace('delivery_time = "auto"', 'delivery_time = "suggest"'))
    assert new_text != TEXT
    found = [change_of(left(), OLD, news), change_of(SUGGESTED, OLD, new), change_of(CLOSED, OLD, new)]
    ends = [(change.old.disposition, change.new.disposition) for change in ordered(filter(None, found))]
    assert ends == [(HANDOFF, AUTO), (SUGGEST, AUTO), (AUTO, SUGGEST)]


def test_a_reply_that_was_diverted_is_not_decided_twice() -> None:
    approved = left()
    assert isinstance(approved, ReplyApproved)
    diverted = divert(approved, "stopped", "").divert
    assert is_decision(approved)
    assert not is_decision(diverted)
    assert not is_decision(None)
