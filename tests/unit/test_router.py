"""Rules come before the classifier, the policy after it, and whatever is unknown or unsure goes to a person."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from infra.scripted.classifier import ScriptedClassifier
from processors.errors import DependencyDown, ModelFailed
from processors.policy import Policy
from processors.ports import (
    Classification,
    Completion,
    LedgerEntry,
    LedgerHead,
    Model,
    Prompt,
    SwitchView,
    T,
)
from processors.router import ClassifyReply, ModelClassifier, readable, route
from schemas.control import SwitchState
from schemas.ingress import Attachment, Channel, Marks, TicketReceived
from schemas.router import Admission, Author, Band, Message, Route, Tier

ROOT = Path(__file__).parents[2]
POLICY = Policy.parse((ROOT / "infra" / "policy.toml").read_text())
INSTRUCTIONS = (ROOT / "processors" / "prompts" / "router.md").read_text()
NOW = datetime(2026, 11, 20, tzinfo=UTC)
SURE = Classification("delivery_time", confidence=0.95, in_scope=0.97, agreed=True, model="scripted/classifier")
PROVED = Admission(revision=1, customer_id="cus_0001", owner="bot")
OFF = SwitchView(SwitchState.OFF, 7, None, "drill")


def ticket(body: str = "How long does standard delivery take?", **changes: object) -> TicketReceived:
    fields: dict[str, object] = {
        "ticket_id": uuid4(),
        "conversation": "c1",
        "channel": Channel.API,
        "provider": "api",
        "account": "shop",
        "provider_message_id": "m1",
        "body": body,
        "body_full": body,
        "received_at": NOW,
    }
    return TicketReceived.model_validate({**fields, **changes})


async def routed(
    given: TicketReceived, found: Classification | Exception = SURE, admission: Admission = PROVED
) -> Route:
    return await route(given, admission, policy=POLICY, classifier=ScriptedClassifier(answers=[found]))


async def test_a_plain_question_may_be_answered() -> None:
    found = await routed(ticket())
    assert (found.intent, found.band, found.tier) == ("delivery_time", Band.AUTO, Tier.COMMODITY)
    assert (found.rule, found.reasons, found.model) == (None, (), "scripted/classifier")


async def test_a_hard_rule_decides_before_the_classifier() -> None:
    classifier = ScriptedClassifier(answers=[SURE])
    found = await route(ticket("I will sue you"), PROVED, policy=POLICY, classifier=classifier)
    assert (found.band, found.rule, found.intent) == (Band.ESCALATE, "legal_threat", "legal_threat")
    assert classifier.seen == []


@pytest.mark.parametrize(("found", "intent"), [(SURE, "delivery_time"), (ModelFailed("none"), "unknown")])
async def test_a_rule_that_no_topic_is_filed_under_takes_the_classifiers(
    found: Classification | Exception, intent: str
) -> None:
    unfiled = POLICY.model_copy(update={"hard_rules": POLICY.hard_rules.model_copy(update={"intents": {}})})
    classifier = ScriptedClassifier(answers=[found])
    made = await route(ticket("I will sue you"), PROVED, policy=unfiled, classifier=classifier)
    assert (made.band, made.rule, made.intent) == (Band.ESCALATE, "legal_threat", intent)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"confidence": 0.2}, "low_confidence"),
        ({"confidence": float("nan")}, "low_confidence"),
        ({"in_scope": 0.1}, "out_of_scope"),
        ({"in_scope": float("nan")}, "out_of_scope"),
        ({"confidence": 0.5, "agreed": False}, "disagreement"),
        ({"intent": "unknown"}, "unknown_intent"),
        ({"intent": ""}, "unknown_intent"),
        ({"intent": "chargeback"}, "intents.chargeback"),
    ],
)
async def test_an_unsure_classification_goes_to_a_person(change: dict[str, object], rule: str) -> None:
    found = await routed(ticket(), replace(SURE, **change))  # type: ignore[arg-type]
    assert (found.band, found.rule) == (Band.ESCALATE, rule)
    assert found.reasons


async def test_doubt_between_topics_that_are_treated_alike_does_no_harm() -> None:
    alike = replace(SURE, confidence=0.3, alternatives=(("shipping_cost", 0.4), ("legal_threat", 0.1)))
    apart = replace(SURE, confidence=0.3, alternatives=(("legal_threat", 0.4), ("shipping_cost", 0.02)))
    assert (await routed(ticket(), alike)).band is Band.AUTO
    assert (await routed(ticket(), apart)).rule == "low_confidence"


async def test_half_confidence_gets_the_stronger_model() -> None:
    found = await routed(ticket(), replace(SURE, confidence=0.5))
    assert (found.band, found.tier) == (Band.AUTO, Tier.FRONTIER)


async def test_a_classifier_without_an_answer_goes_to_a_person() -> None:
    found = await routed(ticket(), ModelFailed("cut off"))
    assert (found.band, found.rule, found.intent) == (Band.ESCALATE, "classifier_failed", "unknown")


async def test_a_classifier_that_is_down_is_waited_for() -> None:
    with pytest.raises(DependencyDown):
        await routed(ticket(), DependencyDown("vllm"))


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"body": " -- ", "subject": ""}, "nothing_to_read"),
        ({"body": "", "subject": " "}, "nothing_to_read"),
        ({"language": "de"}, "language"),
        ({"body": "word " * 9000}, "too_long"),
    ],
)
async def test_what_cannot_be_read_goes_to_a_person(changes: dict[str, object], rule: str) -> None:
    found = await routed(ticket().model_copy(update=changes))
    assert (found.band, found.rule) == (Band.ESCALATE, rule)


@pytest.mark.parametrize(
    ("given", "found", "admission", "rule"),
    [
        (ticket(marks=Marks(auto_reply=True)), SURE, PROVED, "automatic_message"),
        (ticket(), SURE, Admission(revision=1, customer_id="cus_0001", owner="person"), "owned_by_person"),
        (ticket(channel=Channel.HELPDESK), SURE, PROVED, "channels.helpdesk"),
        (ticket(), replace(SURE, intent="refund_request"), PROVED, "intents.refund_request"),
        (ticket(), replace(SURE, intent="new_topic"), PROVED, "intents.new_topic is not listed"),
        (ticket("Please cancel order W10023."), replace(SURE, intent="cancel_order"), PROVED, "action_requested"),
        (
            ticket("Where is order W10023?"),
            replace(SURE, intent="order_status"),
            Admission(revision=1, owner="bot"),
            "identity_unproved",
        ),
    ],
)
async def test_what_needs_a_look_is_only_suggested(
    given: TicketReceived, found: Classification, admission: Admission, rule: str
) -> None:
    decided = await routed(given, found, admission)
    assert (decided.band, decided.rule) == (Band.SUGGEST, rule)
    assert decided.reasons


async def test_a_picture_without_words_is_not_read_as_the_message_before_it() -> None:
    earlier = (Message(author=Author.CUSTOMER, text="How long does standard delivery take?", at=NOW),)
    found = await routed(ticket(""), SURE, PROVED.model_copy(update={"transcript": earlier}))
    assert (found.band, found.rule) == (Band.ESCALATE, "nothing_to_read")


@pytest.mark.parametrize(("channel", "band"), [(Channel.WHATSAPP, Band.SUGGEST), (Channel.EMAIL, Band.AUTO)])
async def test_in_a_messenger_a_picture_is_part_of_the_question(channel: Channel, band: Band) -> None:
    policy = POLICY.model_copy(update={"channels": {channel: Band.AUTO}})
    picture = Attachment(name="image", media_type="image/jpeg", size=0, sha256="")
    given = ticket(channel=channel, attachments=(picture,))
    found = await route(given, PROVED, policy=policy, classifier=ScriptedClassifier(answers=[SURE]))
    assert found.band is band


async def test_the_same_record_question_is_answered_once_identity_is_proved() -> None:
    found = await routed(ticket("Where is order W10023?"), replace(SURE, intent="order_status"))
    assert found.band is Band.AUTO


async def test_an_amount_is_a_claim_where_the_intent_says_so() -> None:
    text = "The stove for $279.00 arrived in two pieces"
    assert (await routed(ticket(text))).band is Band.AUTO
    assert (await routed(ticket(text), replace(SURE, intent="damaged_item"))).rule == "amount_over_limit"


def test_a_very_short_message_is_read_with_the_one_before_it() -> None:
    earlier = tuple(
        Message(author=author, text=text, at=NOW)
        for author, text in [(Author.CUSTOMER, "Where is W10023?"), (Author.BOT, "It is on its way.")]
    )
    admission = PROVED.model_copy(update={"transcript": earlier})
    assert (
        readable(ticket("still nothing", subject="Re: order"), admission)
        == "Re: order\nstill nothing\nWhere is W10023?"
    )
    assert "W10023" not in readable(ticket("A longer message that says by itself what is wanted"), admission)


# -- a prompted model


class OneReply:
    """A model that gives one reply, whatever it is asked."""

    name = "scripted/one"

    def __init__(self, reply: ClassifyReply) -> None:
        self.reply = reply
        self.asked: list[Prompt] = []

    async def complete(self, prompt: Prompt, schema: type[T], deadline: float) -> Completion[T]:
        self.asked.append(prompt)
        return Completion(schema.model_validate(self.reply.model_dump()), self.name, 100, 10, 0.0)


class Pages:
    """A ledger as a list."""

    def __init__(self) -> None:
        self.entries: list[LedgerEntry] = []

    async def append(self, entry: LedgerEntry) -> LedgerHead:
        self.entries.append(entry)
        return LedgerHead("chain", len(self.entries), "0" * 64)


def prompted(model: Model) -> ModelClassifier:
    return ModelClassifier(model, ("delivery_time", "out_of_scope"), INSTRUCTIONS)


async def test_a_prompted_model_sees_the_ticket_as_data_after_the_ledger() -> None:
    model = OneReply(ClassifyReply(intent="delivery_time", confidence=0.9, in_scope=0.95))
    ledger = Pages()
    found = await route(ticket(), PROVED, policy=POLICY, classifier=prompted(model), ledger=ledger)
    assert (found.intent, found.band, found.model) == ("delivery_time", Band.AUTO, "scripted/one")
    assert ledger.entries[0].prompt_hash == model.asked[0].hash
    assert ledger.entries[0].shown[0].fields == ("subject", "body")
    assert "standard delivery" in model.asked[0].user
    assert model.asked[0].system == INSTRUCTIONS


async def test_an_intent_that_was_not_offered_is_no_answer() -> None:
    model = OneReply(ClassifyReply(intent="refund_everything", confidence=1.0, in_scope=1.0))
    found = await route(ticket(), PROVED, policy=POLICY, classifier=prompted(model), ledger=Pages())
    assert (found.band, found.rule) == (Band.ESCALATE, "classifier_failed")


async def test_a_prompted_model_is_never_asked_while_the_switch_is_off() -> None:
    model, ledger = OneReply(ClassifyReply(intent="delivery_time", confidence=1.0, in_scope=1.0)), Pages()
    found = await route(ticket(), PROVED, policy=POLICY, classifier=prompted(model), ledger=ledger, switch=OFF)
    assert (found.band, found.rule) == (Band.ESCALATE, "switched_off")
    assert (model.asked, ledger.entries) == ([], [])


async def test_a_prompted_model_without_a_ledger_is_a_bug() -> None:
    model = OneReply(ClassifyReply(intent="delivery_time", confidence=1.0, in_scope=1.0))
    with pytest.raises(ValueError, match="needs the ledger"):
        await route(ticket(), PROVED, policy=POLICY, classifier=prompted(model))
    assert model.asked == []


async def test_the_ledger_names_the_ticket_and_its_revision() -> None:
    given = ticket(ticket_id=UUID(int=5))
    ledger = Pages()
    model = OneReply(ClassifyReply(intent="delivery_time", confidence=1.0, in_scope=1.0))
    await route(given, PROVED, policy=POLICY, classifier=prompted(model), ledger=ledger)
    entry = ledger.entries[0]
    assert (entry.ticket_id, entry.revision, entry.customer_id) == (UUID(int=5), 1, "cus_0001")
    assert (entry.stage, entry.model) == ("router", "scripted/one")
