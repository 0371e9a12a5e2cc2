"""What people's edits are, and what their acts on drafts earn."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.pilot import Earned, Ending, Row, earned, edit_class, lines, row_of, total
from processors.certificate import binomial_tail
from processors.edits import changes_fact
from processors.policy import Policy
from processors.ports import Handled
from processors.queue import Fault, diff
from schemas.gate import Decision, Disposition, SentenceCheck, TicketEscalated
from schemas.ingress import Channel, TicketReceived, ticket_id
from schemas.outcome import Outcome, TicketSettled
from schemas.resolution import Citation, Draft, Sentence
from schemas.retrieval import Evidence, Passage
from schemas.router import Admission, Band, Route, Tier
from sluice.pilot import BAR, bar

AT = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)
DRAFT = "Standard delivery takes 3 to 5 working days. No signature is needed. You find the parcel in the app."
POLICY = Policy.parse("""
    languages = ["en"]
    [thresholds]
    min_confidence = 0.3
    min_in_scope = 0.3
    sure_confidence = 0.6
    [hard_rules]
    amount_limit = 200
    [channels]
    api = "auto"
    [intents]
    delivery_time = "auto"
    refund_request = "suggest"
    [sla_minutes]
    handoff = 60
    suggest = 240
    [reply_expiry_minutes]
    default = 60
""")


def edited(before: str, after: str) -> str:
    assert before in DRAFT
    return DRAFT.replace(before, after)


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        (edited("3 to 5", "4 to 6"), Ending.FACT),
        (edited("3 to 5 working days", "a few working days"), Ending.FACT),
        (edited("No signature is needed.", "A signature is needed."), Ending.FACT),
        (edited("in the app", "in the app, not on the page"), Ending.FACT),
        (edited("in the app", "at https://shop.example/parcels"), Ending.FACT),
        (edited("in the app", "in the app by Friday"), Ending.FACT),
        (DRAFT + " We refund the postage.", Ending.POLICY),
        (edited("No signature is needed.", "No signature is needed or allowed."), Ending.POLICY),
        (DRAFT + " You must be at home.", Ending.POLICY),
        (DRAFT + " Our depot in Leeds keeps parcels for collection too.", Ending.MISSING),
        (DRAFT + " Yours left on 17 November.", Ending.MISSING),
        ("Hi Anna, thanks for your message! " + DRAFT + " Kind regards, Mia", Ending.TONE),
        (edited("You find the parcel in the app", "The parcel is in the app"), Ending.TONE),
        ("\n\n".join(DRAFT.split(". ")), Ending.TONE),
        (edited(" You find the parcel in the app.", ""), Ending.TONE),
    ],
)
def test_an_edit_is_of_the_gravest_class_it_touches(text: str, ending: Ending) -> None:
    assert edit_class(DRAFT, text) is ending


@given(st.text("ab 3.not mustrefund", max_size=60))
def test_what_the_guard_calls_a_changed_fact_is_never_called_tone(text: str) -> None:
    if changes_fact(diff(DRAFT, text)):
        assert edit_class(DRAFT, text) is not Ending.TONE


QUOTE = "Standard delivery takes 3 to 5 working days."


def handled(
    outcome: Outcome,
    text: str | None = None,
    reason: str | None = None,
    *,
    intent: str = "delivery_time",
    supported: bool = True,
    draft: bool = True,
) -> Handled:
    """A person's act on a draft that the switch held back."""
    cited = Sentence(text=QUOTE, citation=Citation(article_id="d", section_id="s", quote=QUOTE))
    passage = Passage(article_id="d", section_id="s", version=1, title="D", heading="S", text=QUOTE, score=0.7)
    line = f"intents.{intent}" if intent == "refund_request" else None
    event = TicketEscalated(
        ticket=TicketReceived(
            ticket_id=ticket_id("api", "shop", "1"),
            conversation="k",
            channel=Channel.API,
            provider="api",
            account="shop",
            provider_message_id="1",
            body="How long?",
            body_full="How long?",
            language="en",
            received_at=AT,
        ),
        admission=Admission(revision=1, owner="bot"),
        route=Route(
            intent=intent,
            band=Band.SUGGEST if line else Band.AUTO,
            tier=Tier.COMMODITY,
            confidence=0.9,
            rule=line,
            reasons=("the policy",) if line else (),
            model="local",
        ),
        evidence=Evidence(passages=(passage,), best_score=0.7),
        draft=Draft(sentences=(cited,), model="local", prompt_hash="0" * 64) if draft else None,
        decision=Decision(
            disposition=Disposition.SUGGEST,
            rule="switched-to-suggest",
            checks=(SentenceCheck(text=QUOTE, supported=supported, score=0.97),),
            floor=0.92,
            retrieval_threshold=0.3,
            verifier="scripted",
            policy_hash="p",
            config_hash="c",
            switch_state="suggest",
            switch_epoch=1,
            decided_at=AT,
        ),
        summary="",
        due_at=AT,
    )
    act = TicketSettled(
        ticket_id=event.ticket.ticket_id,
        conversation="k",
        revision=1,
        intent=intent,
        outcome=outcome,
        actor="mia",
        text=text,
        reason=reason,
        settled_at=AT,
    )
    return Handled(1, act, event.model_dump_json())


@pytest.mark.parametrize(
    ("act", "ending", "fault"),
    [
        (handled(Outcome.APPROVED, QUOTE), Ending.UNCHANGED, None),
        (handled(Outcome.EDITED, f" {QUOTE}\n"), Ending.UNCHANGED, None),
        (handled(Outcome.EDITED, "Standard delivery takes 9 days."), Ending.FACT, None),
        (handled(Outcome.EDITED, "Standard delivery takes 9 days.", "tone"), Ending.TONE, None),
        (handled(Outcome.EDITED, f"Hello! {QUOTE}", "policy: not to be promised"), Ending.POLICY, None),
        (handled(Outcome.REJECTED, QUOTE, "missing: which one?"), Ending.REJECTED, Fault.MISSING),
        (handled(Outcome.REJECTED, QUOTE), Ending.REJECTED, Fault.OTHER),
    ],
)
def test_an_act_is_an_ending_and_a_persons_word_for_it_goes_first(
    act: Handled, ending: Ending, fault: Fault | None
) -> None:
    row = row_of(act, POLICY)
    assert row is not None
    assert (row.ending, row.fault, row.week, row.intent) == (ending, fault, "2026-W47", "delivery_time")


@pytest.mark.parametrize(
    ("act", "ready"),
    [
        (handled(Outcome.APPROVED, QUOTE), True),
        (handled(Outcome.APPROVED, QUOTE, intent="refund_request"), True),
        (handled(Outcome.APPROVED, QUOTE, supported=False), False),
    ],
)
def test_only_a_draft_that_nothing_else_held_back_counts_for_auto(act: Handled, ready: bool) -> None:
    row = row_of(act, POLICY)
    assert row is not None
    assert row.ready is ready


@pytest.mark.parametrize(
    "act", [handled(Outcome.EDITED, "x", draft=False), replace(handled(Outcome.EDITED), event="?")]
)
def test_what_had_no_draft_is_no_row(act: Handled) -> None:
    assert row_of(act, POLICY) is None


def rows(good: int, bad: int = 0, intent: str = "delivery_time", week: str = "2026-W47") -> list[Row]:
    endings = [Ending.UNCHANGED] * good + [Ending.FACT] * bad
    return [Row(intent, week, ending, None, ready=True) for ending in endings]


@pytest.mark.parametrize(
    ("good", "bad", "is_earned", "more"),
    [
        (141, 0, False, 1),
        (142, 0, True, 0),
        (224, 1, True, 0),
        (223, 1, False, 1),
        (0, 0, False, 142),
        (0, 9, False, 732),
    ],
)
def test_auto_is_earned_by_the_certificates_own_numbers(good: int, bad: int, is_earned: bool, more: int) -> None:
    found: Earned = earned(total(rows(good, bad)), risk=0.021, delta=0.05)
    assert found.earned is is_earned
    if bad < 9:
        assert found.more == more
    assert binomial_tail(bad, good + bad + found.more, 0.021) <= 0.05


def test_lines_are_by_intent_and_week_and_add_up() -> None:
    found = lines([*rows(3, 1), *rows(2, week="2026-W46"), *rows(1, intent="warranty")])
    assert [(line.intent, line.week, line.n) for line in found] == [
        ("delivery_time", None, 6),
        ("delivery_time", "2026-W46", 2),
        ("delivery_time", "2026-W47", 4),
        ("warranty", None, 1),
        ("warranty", "2026-W47", 1),
    ]
    assert found[0].share(Ending.UNCHANGED, Ending.FACT) == 1.0


@given(st.lists(st.sampled_from(Ending), min_size=1, max_size=50))
def test_a_bar_is_as_long_as_it_should_be(endings: list[Ending]) -> None:
    line = total([Row("a", "2026-W47", ending, None, ready=False) for ending in endings])
    assert len(bar(line).plain) == BAR
