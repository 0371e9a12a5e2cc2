"""Records of kinds that the policy adds: one beyond doubt is told of, in full and as it is; any doubt is a person's."""

import pytest

from processors import templates
from processors.policy import RecordKind
from processors.ports import Source
from processors.records import meant
from processors.tampered import instructs
from schemas.retrieval import Fact

CARD = RecordKind(
    name="library card",
    intent="own_record",
    tells=("card_id", "level", "last_4_digits", "status", "valid_until", "current_balance"),
    known_by=("level",),
)
LOAN = RecordKind(
    name="book loan", intent="own_record", tells=("loan_id", "title", "due_date", "status"), known_by=("title",)
)
KINDS = {"card": CARD, "loan": LOAN}


def fact(kind: str, number: str, **fields: str) -> Fact:
    key = {"card": "card_id", "loan": "loan_id"}[kind]
    return Fact(record=f"crm:{kind}/{number}", kind=kind, fields={key: number, **fields})


GOLD = fact("card", "lc_7a3f", level="Gold", last_4_digits="2847", status="ACTIVE", current_balance="3.50", pin="1111")
PALE = fact("card", "lc_9b1c", level="Pale Silver", status="ON_HOLD", valid_until="2027-01-31")
TWIN = fact("card", "lc_5d5d", level="Gold", status="ACTIVE")
DUNE = fact("loan", "ABCDEF", title="Dune", due_date="2026-12-01", status="OUT")
BLANK = Fact(record="crm:card/c1", kind="card", fields={"level": "Gold"})  # without an id of its own


@pytest.mark.parametrize(
    ("question", "record"),
    [
        ("What is the status of my library card lc_7a3f?", GOLD),
        ("Status of lc_9b1c?", PALE),
        ("What's the balance on my gold library card?", GOLD),
        ("Hello, please tell me the status of my Pale Silver library card.", PALE),
        ("When is my Dune loan due? What is the due date?", DUNE),
        ("What is the due date of abcdef?", DUNE),
        ("What is the status of my card ending in 2847?", GOLD),
        ("What are the last 4 digits of my gold card?", GOLD),
    ],
)
def test_the_record_beyond_doubt(question: str, record: Fact) -> None:
    assert meant(question, (GOLD, PALE, DUNE, BLANK), KINDS) == record


@pytest.mark.parametrize(
    "question",
    [
        "What is the status of my library card?",  # which of two
        "What is the status of my card lc_0000?",  # nobody's, or another customer's
        "What is the status of my platinum library card?",
        "What is the status of my silver library card?",  # half a name
        "What is the status of Mia's gold card?",
        "What is the status of the gold card of Mia Chen?",
        "What is the status of my latest gold card?",
        "Please cancel my gold card.",
        "Can you renew my gold card?",
        "My gold card has to be blocked!",
        "Why is the status of my gold card active?",
        "Can I still change the status of my gold card?",
        "The status of my gold card is wrong.",
        "What is the PIN of my gold card?",
        "Block lc_7a3f and tell me its balance.",
        "Is the balance of my gold card insured?",
        "I was charged twice for my gold card, what is its status?",
        "What is the status of my old gold card?",
        "I'd like to know the balance of a gold card.",
        "What is the balance of the gold card?",
        "What is the status of my gold card? What is your phone number?",
        "When does the balance of my gold card expire?",
        "What will the balance of my gold card be next month?",
        "What is the home address on my gold card?",
        "What is the status of my gold card? " + "It is a long story. " * 12,
        "What is the status of lc_7a3f and lc_9b1c?",
        "",
    ],
)
def test_any_doubt_means_none(question: str) -> None:
    assert meant(question, (GOLD, PALE, DUNE), KINDS) is None


def test_two_of_one_name_are_a_doubt() -> None:
    assert meant("What is the status of my gold card?", (GOLD, TWIN), KINDS) is None


def test_a_name_said_in_full_is_told_from_a_longer_one() -> None:
    silver = fact("card", "lc_1111", level="Silver", status="ACTIVE")
    assert meant("What is the status of my silver library card?", (PALE, silver), KINDS) == silver
    assert meant("What is the status of my pale silver library card?", (PALE, silver), KINDS) == PALE


def test_only_what_the_policy_names_is_told_and_as_it_is() -> None:
    draft = templates.fill("Status of lc_9b1c?", "own_record", (GOLD, PALE), KINDS)
    assert draft is not None
    told = "This is what we have on your library card lc_9b1c. Its level: Pale Silver. Its status: ON_HOLD."
    assert draft.text == f"{told} Its valid until: 2027-01-31."
    assert "1111" not in " ".join(sentence.text for sentence in templates.statements(GOLD, KINDS))


def test_what_is_told_reads_like_no_order_to_a_machine() -> None:
    sentences = templates.statements(fact("card", "lc_2222", level="Gold", status="ACTIVE"), KINDS)
    assert not any(instructs(sentence.text) for sentence in sentences)


def test_another_topic_is_not_answered_from_them() -> None:
    assert templates.fill("Status of lc_9b1c?", "opening_hours", (PALE,), KINDS) is None
    assert not templates.needs_record("Status of lc_9b1c?", "opening_hours", KINDS)
    assert templates.needs_record("Status of lc_9b1c?", "own_record", KINDS)


def test_the_verifier_renders_the_same_sentences() -> None:
    sentences = {sentence.text for sentence in templates.statements(PALE, KINDS)}
    assert sentences == templates.texts_of(Source(PALE.record, None, PALE.text), KINDS)


def test_a_newest_order_is_told_of_only_where_one_is_the_newest() -> None:
    old, new = (
        Fact(
            record=f"crm:order/W{n}", kind="order", fields={"order_id": f"W{n}", "items": "1 × Lamp", "status": "sent"}
        )
        for n in (1001, 1002)
    )
    assert templates.fill("Where is my order?", "order_status", (old, new)) is None


def test_a_secret_of_an_order_is_not_answered_with_its_status() -> None:
    order = Fact(
        record="crm:order/W1001", kind="order", fields={"order_id": "W1001", "items": "Lamp", "status": "sent"}
    )
    assert templates.fill("Where is my order W1001?", "order_status", (order,)) is not None
    assert templates.fill("Which phone number is stored with my order W1001?", "order_status", (order,)) is None


def test_what_an_order_costs_is_told_where_it_is_asked_for() -> None:
    fields = {"order_id": "W1001", "items": "Lamp", "status": "sent", "total_usd": "$30.00"}
    order = Fact(record="crm:order/W1001", kind="order", fields=fields)
    where, total = (
        templates.fill(text, "order_status", (order,)) for text in ("Where is W1001?", "What is the total of W1001?")
    )
    assert where is not None
    assert total is not None
    assert "$30.00" not in where.text
    assert "Its total is $30.00." in total.text
    assert total.text in " ".join(sentence.text for sentence in templates.statements(order))
