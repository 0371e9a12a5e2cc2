"""Mail that may be a machine's answer to ours is a person's to look at; a customer's first question is not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from processors.loops import RULES, loops
from processors.policy import Automatic, Email, Policy, text_hit
from schemas.ingress import Channel, TicketReceived, ticket_id
from schemas.router import Admission, Author, EarlierTicket, Message

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LIMITS = Email(quick_seconds=120, replies=2, window_minutes=600, sender_replies=3)
ANSWER = "Standard delivery takes 3 to 5 working days."
OWN_ID = f"{'a' * 26}.{'b' * 45}@shop.example"
TICKET = TicketReceived(
    ticket_id=ticket_id("email", "shop", "1"),
    conversation="email:shop:1",
    channel=Channel.EMAIL,
    provider="email",
    account="shop",
    provider_message_id="1",
    subject="Delivery",
    body="And to Alaska?",
    body_full="And to Alaska?",
    received_at=AT,
)


def said(author: Author, minutes: float, text: str = ANSWER) -> Message:
    return Message(author=author, text=text, at=AT - timedelta(minutes=minutes))


def sent(minutes: float, outcome: str = "sent") -> EarlierTicket:
    at = AT - timedelta(minutes=minutes)
    return EarlierTicket(ticket_id="t", subject="s", intent=None, outcome=outcome, received_at=at)


def fired(*transcript: Message, earlier: tuple[EarlierTicket, ...] = (), **changes: object) -> list[str]:
    admission = Admission(revision=len(transcript) + 1, transcript=transcript, earlier_tickets=earlier)
    return list(loops(TICKET.model_copy(update=changes), admission, LIMITS))


BOT, CUSTOMER, PERSON = Author.BOT, Author.CUSTOMER, Author.PERSON


@pytest.mark.parametrize(
    ("transcript", "expected"),
    [
        ((), []),
        ((said(BOT, 3),), []),
        ((said(BOT, 1.9),), ["answered-at-once"]),
        ((said(BOT, -0.1),), ["answered-at-once"]),
        ((said(BOT, 300), said(PERSON, 1)), []),
        ((said(CUSTOMER, 30, "and  to ALASKA?\n"), said(PERSON, 20)), ["same-again"]),
        ((said(BOT, 30, "and to alaska?"),), []),
        ((said(BOT, 30), said(BOT, 300)), ["answered-enough"]),
        ((said(BOT, 30), said(BOT, 601)), []),
    ],
)
def test_a_follow_up_is_judged_by_what_was_said_before(transcript: tuple[Message, ...], expected: list[str]) -> None:
    assert fired(*transcript) == expected


@pytest.mark.parametrize("body", [ANSWER, f"You wrote: {ANSWER.upper()} Thank you.", ANSWER.replace(" ", "\n")])
def test_what_we_said_comes_back_to_us_once(body: str) -> None:
    assert fired(said(BOT, 30), body=body) == ["same-again"]


@pytest.mark.parametrize(
    ("earlier", "expected"),
    [
        ((sent(5), sent(10), sent(15)), ["answered-enough"]),
        ((sent(5), sent(10), sent(61)), []),
        ((sent(5), sent(10), sent(15, "suggest")), []),
    ],
)
def test_a_proved_sender_gets_so_many_answers_an_hour(earlier: tuple[EarlierTicket, ...], expected: list[str]) -> None:
    assert fired(earlier=earlier) == expected


def test_answers_elsewhere_count_with_those_here() -> None:
    assert fired(said(BOT, 30), earlier=(sent(5), sent(10))) == ["answered-enough"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"subject": "Re: Delivery"}, ["answers-unknown"]),
        ({"subject": "AW: Lieferung"}, ["answers-unknown"]),
        ({"subject": "Regarding delivery"}, []),
        ({"subject": "Re: Delivery", "in_reply_to": ("order-confirmation@shop.example",)}, []),
        ({"in_reply_to": (OWN_ID,)}, ["answers-unknown"]),
    ],
)
def test_an_answer_to_nothing_on_record_is_looked_at(changes: dict[str, object], expected: list[str]) -> None:
    assert fired(**changes) == expected


def test_a_second_question_before_any_answer_is_no_answer() -> None:
    before = said(CUSTOMER, 30, "How long?")
    assert fired(before, in_reply_to=("m1@example.net",)) == []
    assert fired(before, provider="own-door") == []
    assert fired(before) == ["answers-unknown"]


def test_an_answer_to_what_is_on_record_is_no_riddle() -> None:
    assert fired(said(BOT, 30), subject="Re: Delivery", in_reply_to=(OWN_ID,)) == []


@pytest.mark.parametrize("channel", [channel for channel in Channel if channel is not Channel.EMAIL])
def test_other_channels_have_no_answering_machines(channel: Channel) -> None:
    assert fired(said(BOT, 0), said(BOT, 0, TICKET.body), channel=channel) == []


def test_every_rule_can_fire() -> None:
    found = fired(said(BOT, 1), said(BOT, 1), body=ANSWER) + fired(in_reply_to=(OWN_ID,))
    assert set(found) == set(RULES)


def test_the_words_the_disclosure_tells_to_use_reach_a_person() -> None:
    policy = Policy.parse((Path(__file__).parents[2] / "infra" / "policy.toml").read_text())
    _, told, _ = policy.automatic.disclosure.split('"')
    hit = text_hit(f"Re: My order\n{told}", policy)
    assert hit is not None
    assert hit.name == "person_demanded"
    assert (policy.automatic, policy.email) == (Automatic(), Email())
