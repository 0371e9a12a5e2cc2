"""A reply as an e-mail: threaded, in one piece whatever the ticket holds, and honest about who wrote it."""

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from aiosmtplib.email import quote_address
from hypothesis import given
from hypothesis import strategies as st

from processors.disclosure import Disclosure
from processors.errors import Undeliverable
from processors.mail_reply import Letter, Letterhead, letter_of
from processors.mail_token import TokenKey, conversation_of, joined, tokens_in
from processors.ports import Link, Reply
from schemas.ingress import Channel, TicketReceived, ticket_id
from schemas.resolution import Sentence

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
KEY = TokenKey("support@shop.example", b"k" * 32)
HEAD = Letterhead(
    name="Wrenfield Bänke & Söhne",
    address="support@shop.example",
    key=KEY,
    disclosure=Disclosure("An AI system wrote this answer.", "This note was sent automatically."),
)
TICKET = TicketReceived(
    ticket_id=ticket_id("email", KEY.account, "m2@example.net"),
    conversation=conversation_of(KEY.account, "0" * 32),
    channel=Channel.EMAIL,
    provider="email",
    account=KEY.account,
    provider_message_id="m2@example.net",
    sender="ada@example.net",
    subject="My order",
    body="Where is it?",
    body_full="Where is it?",
    in_reply_to=("r1@shop.example", "m1@example.net"),
    received_at=NOW,
)
SENTENCE = Sentence(text="Returns take 45 days — naïvely.")


def letter(ticket: TicketReceived = TICKET, **changes: object) -> Letter:
    given = {"key": "k:1", "ticket": ticket, "text": SENTENCE.text, "sentences": (SENTENCE,), **changes}
    return letter_of(Reply(**given), HEAD, NOW)  # type: ignore[arg-type]


def read(written: Letter) -> EmailMessage:
    message = message_from_bytes(written.content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def of(**changes: object) -> TicketReceived:
    return TICKET.model_copy(update=changes)


def test_an_answer_of_the_bot_says_so_in_headers_and_words() -> None:
    message = read(letter(links=(Link("Returns", "https://help.shop.example/returns"),)))
    assert (message["Auto-Submitted"], message["X-Auto-Response-Suppress"]) == ("auto-replied", "All")
    assert message.get_content().splitlines() == [
        "Returns take 45 days — naïvely.",
        "",
        "More about this:",
        "Returns: https://help.shop.example/returns",
        "",
        "An AI system wrote this answer.",
    ]


def test_a_persons_answer_carries_no_sign_of_a_machine() -> None:
    message = read(letter(actor="grace"))
    assert message["Auto-Submitted"] is message["X-Auto-Response-Suppress"] is None
    assert message.get_content().strip() == SENTENCE.text


def test_an_acknowledgement_is_automatic_and_claims_no_answer() -> None:
    message = read(letter(text="A colleague will answer.", sentences=()))
    assert message["Auto-Submitted"] == "auto-replied"
    assert message.get_content().split() == f"A colleague will answer. {HEAD.disclosure.note}".split()


def test_it_goes_back_to_the_sender_from_the_mailbox() -> None:
    written = letter()
    message = read(written)
    assert message["To"].addresses[0].addr_spec == written.recipient == "ada@example.net"
    assert message["From"].addresses[0].display_name == HEAD.name
    assert message["From"].addresses[0].addr_spec == "support@shop.example"
    assert message["Reply-To"].addresses[0].addr_spec == written.sender


def test_both_tokens_lead_the_receiver_back() -> None:
    written = letter()
    by_id, by_address = tokens_in([written.message_id], []), tokens_in([], [written.sender])
    for tokens in (by_id, by_address):
        assert joined(KEY, tokens, sender="ada@example.net", now=NOW) == TICKET.conversation


# -- threads


@pytest.mark.parametrize(
    ("ticket", "parent", "references"),
    [
        (TICKET, "<m2@example.net>", "<m1@example.net> <r1@shop.example> <m2@example.net>"),
        (of(in_reply_to=()), "<m2@example.net>", "<m2@example.net>"),
        (
            of(in_reply_to=("a b", "<x>", "é@x", "m1@example.net")),
            "<m2@example.net>",
            "<m1@example.net> <m2@example.net>",
        ),
        (of(provider_message_id="sha256:" + "0" * 64), None, None),
        (of(provider_message_id="a\r\nBcc: x@evil.example"), None, None),
    ],
)
def test_it_answers_the_customers_message(ticket: TicketReceived, parent: str | None, references: str | None) -> None:
    message = read(letter(ticket))
    assert (message["In-Reply-To"], message["References"]) == (parent, references)


def test_a_long_thread_keeps_its_root_and_its_end_and_every_id_whole() -> None:
    ids = [f"{number}.{'x' * 200}@example.net" for number in range(40)]
    references = read(letter(of(in_reply_to=tuple(ids[::-1]))))["References"].split()
    assert references == [f"<{name}>" for name in (ids[0], *ids[-18:], "m2@example.net")]


# -- subjects and addresses


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("My order", "Re: My order"),
        ("Re: My order", "Re: My order"),
        ("AW: Bestellung", "AW: Bestellung"),
        ("Regarding: things", "Re: Regarding: things"),
        ("", "Re: your message"),
        ("Größe 北京 😀", "Re: Größe 北京 😀"),
        ("Hi\r\nBcc: victim@evil.example\r\n\r\nbody", "Re: Hi Bcc: victim@evil.example body"),
        ("x" * 5000, "Re: " + "x" * 200),
        ("ab\ud800c\u202ed\x00e", "Re: abcde"),
    ],
)
def test_a_subject_is_one_line_of_bearable_length(subject: str, shown: str) -> None:
    message = read(letter(of(subject=subject)))
    assert message["Subject"] == shown
    assert message["Bcc"] is None


@pytest.mark.parametrize("sender", [None, "", "ada", "ada@", "a@x, b@y", "a@x\r\nBcc: b@y", "ä@example.net", "<a@x>"])
def test_without_one_address_there_is_nothing_to_send(sender: str | None) -> None:
    with pytest.raises(Undeliverable):
        letter(of(sender=sender))


def test_an_unsafe_link_is_left_out() -> None:
    links = (
        Link("A", "javascript:alert(1)"),
        Link("B", "https://x.example/\r\nBcc: a@b"),
        Link("C\r\nD", "https://x.example/c"),
    )
    lines = read(letter(links=links)).get_content().splitlines()
    assert lines[2:4] == ["More about this:", "C D: https://x.example/c"]
    assert lines[4] == ""


@given(st.text(), st.text(), st.text(max_size=200))
def test_whatever_the_ticket_holds_the_message_is_ascii_with_the_same_headers(
    subject: str, text: str, name: str
) -> None:
    written = letter(of(subject=subject, in_reply_to=(name, "m1@example.net")), text=text)
    written.content.decode("ascii")
    assert all(len(line) <= 998 for line in written.content.split(b"\r\n"))
    assert set(read(written).keys()) == set(read(letter()).keys())
    assert written.content.replace(b"\r\n", b"").count(b"\n") == 0


def test_the_same_reply_is_the_same_message_to_the_byte() -> None:
    assert letter() == letter()
    assert letter(key="k:2").message_id != letter().message_id


@pytest.mark.parametrize("local", ["a..b", ".a", "a.", "..."])
def test_an_address_with_dots_out_of_order_is_answered_in_quotes(local: str) -> None:
    written = letter(of(sender=f"{local}@docomo.example"))
    assert written.recipient == f'"{local}"@docomo.example'
    assert f"\r\nTo: {written.recipient}\r\n".encode() in written.content
    assert read(written)["To"].defects == ()


def test_the_answer_of_such_an_address_finds_its_conversation() -> None:
    written = letter(of(sender="a..b@docomo.example"))
    tokens = tokens_in([written.message_id], [])
    assert joined(KEY, tokens, sender="a..b@docomo.example", now=NOW) == TICKET.conversation


@pytest.mark.parametrize("sender", ["a@x..example", "a@x.-y..z", "\u212a@x.example", "a@x.example.", "a b@x.example"])
def test_an_address_that_no_mail_can_have_is_undeliverable(sender: str) -> None:
    with pytest.raises(Undeliverable):
        letter(of(sender=sender))


LOCAL = st.text("ab.!#$%&'*+/=?^_`{|}~-K\u212a", min_size=1, max_size=70)
DOMAIN = st.text("ab1.-_[", min_size=1, max_size=40)
ANY = st.text(st.characters(exclude_categories=()), max_size=120)


@given(local=LOCAL | ANY, domain=DOMAIN | ANY, subject=ANY, name=ANY, text=ANY, parent=ANY)
def test_whatever_it_is_made_of_it_is_a_letter_or_undeliverable(**made: str) -> None:
    sender = f"{made['local']}@{made['domain']}"
    ticket = of(sender=sender, subject=made["subject"], provider_message_id=made["parent"] or "m")
    reply = Reply(key="k:1", ticket=ticket, text=made["text"], sentences=())
    try:
        written = letter_of(reply, replace(HEAD, name=made["name"]), NOW)
    except Undeliverable:
        return
    assert quote_address(written.recipient) == f"<{written.recipient}>"
    assert written.content.isascii()
