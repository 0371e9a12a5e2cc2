"""The mailbox's door: threads, marks, proofs, quotes and files of real messages, and hostile bytes."""

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.disclosure import Disclosure
from processors.ingress import Malformed, TooLarge
from processors.ingress.email import MAX_MAIL_BYTES, Mailbox, receive_email
from processors.ingress.quotes import reply_of
from processors.mail_reply import Letter, Letterhead, letter_of
from processors.mail_token import LIFETIME, TokenKey
from processors.ports import Reply
from schemas.ingress import Channel, Identity, Marks, Proof, TicketReceived, ticket_id

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
MAILBOX = Mailbox(
    account="support@shop.example",
    addresses=frozenset({"support@shop.example"}),
    domains=frozenset({"shop.example"}),
    authserv_ids=frozenset({"mx.shop.example"}),
    secret=b"k" * 32,
)
SAID = Disclosure("AI wrote this.", "Note.")
HEAD = Letterhead("Shop", "support@shop.example", TokenKey(MAILBOX.account, MAILBOX.secret), SAID)
PASS = "mx.shop.example; spf=pass smtp.mailfrom=example.net; dmarc=pass (p=reject) header.from=example.net"


def mail(body: str = "Where is my order W10023?", **headers: str | None) -> bytes:
    """A message; header names by keyword, `_` for `-`, None leaves one out."""
    given = {
        "From": "Ada Lovelace <ada@example.net>",
        "To": "support@shop.example",
        "Subject": "My order",
        "Message-ID": "<m1@example.net>",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"{name}: {value}" for name, value in given.items() if value is not None]
    return ("\r\n".join(lines) + "\r\n\r\n" + body.replace("\n", "\r\n")).encode()


def receive(raw: bytes, mailbox: Mailbox = MAILBOX) -> TicketReceived:
    return receive_email(raw, mailbox=mailbox, received_at=NOW)


def test_a_plain_message_becomes_a_ticket() -> None:
    ticket = receive(mail())
    assert ticket.ticket_id == ticket_id("email", "support@shop.example", "m1@example.net")
    assert (ticket.channel, ticket.sender, ticket.subject) == (Channel.EMAIL, "ada@example.net", "My order")
    assert ticket.body == ticket.body_full == "Where is my order W10023?"
    assert ticket.marks == Marks()


def test_a_message_without_an_id_is_named_by_its_bytes() -> None:
    first, again, other = (receive(mail(body, Message_ID=None)) for body in ("One", "One", "Two"))
    assert first.ticket_id == again.ticket_id != other.ticket_id


# -- threads


@pytest.mark.parametrize(
    "headers",
    [
        {"References": "<m1@example.net> <r1@shop.example>", "In_Reply_To": "<r1@shop.example>"},
        {"References": "<m1@example.net>\r\n\t<r1@shop.example>"},
        {"In_Reply_To": "<m1@example.net>"},
        {"In_Reply_To": "<m1@example.net> <other@example.net>"},
    ],
)
def test_a_reply_joins_the_thread_of_its_root(headers: dict[str, str]) -> None:
    reply = receive(mail("And now?", Message_ID="<m2@example.net>", **headers))
    assert reply.conversation == receive(mail()).conversation


def test_a_stranger_who_knows_the_message_id_opens_a_thread_of_his_own() -> None:
    stranger = receive(mail(From="mallory@evil.example", Message_ID="<x@evil.example>", References="<m1@example.net>"))
    assert stranger.conversation != receive(mail()).conversation


def test_the_answered_messages_are_kept_newest_first() -> None:
    ticket = receive(mail(References="<a@x> <b@x>", In_Reply_To="<c@x>"))
    assert ticket.in_reply_to == ("c@x", "b@x", "a@x")


def test_the_conversation_key_holds_no_address() -> None:
    assert "ada" not in receive(mail()).conversation


# -- answers to our own messages


def answer_to(ticket: TicketReceived) -> Letter:
    return letter_of(Reply("k", ticket, "Tomorrow.", ()), HEAD, NOW)


def encoded(text: str) -> str:
    """A header as careless senders write it, in two encoded words."""
    words = (b64encode(part.encode()).decode() for part in (text[:40], text[40:]))
    return "\r\n ".join(f"=?utf-8?b?{word}?=" for word in words)


OURS = answer_to(receive(mail()))


@pytest.mark.parametrize(
    "headers",
    [
        {"References": f"<m1@example.net> <{OURS.message_id}>", "In_Reply_To": f"<{OURS.message_id}>"},
        {"References": f"<{OURS.message_id}>"},
        {"In_Reply_To": f"<{OURS.message_id.upper()}>"},
        {"References": f"<rewritten@relay.example>\r\n <{OURS.message_id}>"},
        {"In_Reply_To": encoded(f"<{OURS.message_id}>")},
        {"To": f"Support <{OURS.sender}>"},
        {"To": "undisclosed:;", "Delivered_To": OURS.sender},
        {"To": "sales@shop.example", "Cc": f"bob@example.net, {OURS.sender}"},
        {"X_Original_To": OURS.sender.upper(), "Subject": "Something else entirely"},
    ],
)
def test_an_answer_to_our_answer_joins_its_conversation(headers: dict[str, str]) -> None:
    assert (
        receive(mail("And now?", Message_ID="<m2@example.net>", **headers)).conversation == receive(mail()).conversation
    )


def test_a_whole_thread_stays_one_conversation() -> None:
    second = receive(mail(Message_ID="<m2@example.net>", In_Reply_To=f"<{OURS.message_id}>"))
    third = receive(mail(Message_ID="<m3@example.net>", In_Reply_To=f"<{answer_to(second).message_id}>"))
    assert third.conversation == receive(mail()).conversation


@pytest.mark.parametrize(
    "headers",
    [
        {"From": "mallory@evil.example"},
        {"From": "Ada <ada@example.net>, mallory@evil.example"},
        {"From": '"ada@example.net" <mallory@evil.example>'},
    ],
)
def test_whoever_learns_our_message_id_reads_no_thread(headers: dict[str, str]) -> None:
    headers = {"In_Reply_To": f"<{OURS.message_id}>", "To": OURS.sender, **headers}
    assert receive(mail(Message_ID="<x@evil.example>", **headers)).conversation != receive(mail()).conversation


def test_an_old_or_foreign_token_falls_back_to_the_root() -> None:
    raw = mail(Message_ID="<m2@example.net>", References=f"<m1@example.net> <{OURS.message_id}>", To=OURS.sender)
    later = receive_email(raw, mailbox=MAILBOX, received_at=NOW + 2 * LIFETIME)
    elsewhere = receive(raw, replace(MAILBOX, secret=b"another deployment's secret, long"))
    unsigned = receive(raw, replace(MAILBOX, secret=b""))
    assert {later.conversation, elsewhere.conversation, unsigned.conversation} == {receive(mail()).conversation}


def test_a_token_without_a_root_and_without_worth_opens_a_conversation() -> None:
    raw = mail(Message_ID="<m2@example.net>", In_Reply_To=f"<a{OURS.message_id[1:].replace('.', '.a')}>")
    assert receive(raw).conversation != receive(mail()).conversation


def test_an_answer_is_read_without_its_quote_however_much_that_is() -> None:
    body = "Yes.\n\nOn Friday Shop wrote:\n" + "> Tomorrow, or the day after.\n" * 20
    assert receive(mail(body, Message_ID="<m2@example.net>", To=OURS.sender)).body == "Yes."


# -- marks

AUTO, BULK, LOOP, BOUNCE = Marks(auto_reply=True), Marks(bulk=True), Marks(loop=True), Marks(bounce=True)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Auto_Submitted": "auto-replied"}, AUTO),
        ({"Auto_Submitted": "auto-generated; owner=x"}, AUTO),
        ({"Auto_Submitted": "no"}, Marks()),
        ({"Precedence": "bulk"}, BULK),
        ({"Precedence": "List"}, BULK),
        ({"Precedence": "junk"}, BULK),
        ({"Precedence": "auto_reply"}, AUTO),
        ({"X_Auto_Response_Suppress": "All"}, AUTO),
        ({"X_Auto_Response_Suppress": "DR, OOF, AutoReply"}, AUTO),
        ({"X_Auto_Response_Suppress": "None"}, Marks()),
        ({"X_Loop": "yes"}, LOOP),
        ({"List_Id": "<news.example.net>"}, BULK),
        ({"List_Unsubscribe": "<mailto:out@example.net>"}, BULK),
        ({"X_Autoreply": "yes"}, AUTO),
        ({"X_Autorespond": "vacation"}, AUTO),
        ({"Return_Path": "<>"}, BOUNCE),
        ({"Return_Path": "<ada@example.net>"}, Marks()),
        ({"X_Failed_Recipients": "bob@example.net"}, BOUNCE),
        ({"Content_Type": 'multipart/report; report-type=delivery-status; boundary="b"'}, BOUNCE),
        ({"From": "MAILER-DAEMON@example.net"}, BOUNCE),
        ({"From": "Postmaster <postmaster@example.net>"}, BOUNCE),
        ({"From": "no-reply@example.net"}, AUTO),
        ({"From": "DoNotReply@example.net"}, AUTO),
        ({"From": "noreen@example.net"}, Marks()),
        ({"From": "Support <Support@Shop.example>"}, LOOP),
        ({"From": "someone@shop.example"}, LOOP),
        ({"Message_ID": "<r1@shop.example>"}, LOOP),
        ({"Subject": "Automatic reply: My order"}, AUTO),
        ({"Subject": "Out of Office: back on Monday"}, AUTO),
        ({"From": "nobody in particular"}, AUTO),
        ({"From": "ada@example.net, bob@example.net"}, AUTO),
    ],
)
def test_signs_of_a_machine_are_marked(headers: dict[str, str], expected: Marks) -> None:
    assert receive(mail(**headers)).marks == expected


# -- who writes


def test_an_aligned_from_is_proved_by_the_own_servers_verdict() -> None:
    ticket = receive(mail(Authentication_Results=PASS, From="Ada <Ada@Example.net>"))
    assert ticket.identity == Identity(claimed="ada@example.net", proof=Proof.DMARC, value="ada@example.net")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authentication_Results": PASS.replace("mx.shop.example", "mx.evil.example")},
        {"Authentication_Results": PASS.replace("dmarc=pass", "dmarc=fail")},
        {"Authentication_Results": PASS.replace("header.from=example.net", "header.from=evil.example")},
        {"Authentication_Results": PASS.replace("header.from=example.net", "")},
        {"Authentication_Results": PASS + "; dmarc=fail header.from=evil.example"},
        {"Authentication_Results": "mx.shop.example; spf=pass smtp.mailfrom=ada@example.net; dkim=pass"},
        {"Authentication_Results": "mx.shop.example dmarc=pass header.from=example.net"},
        {"Authentication_Results": f"mx.evil.example; none\r\nAuthentication-Results: {PASS}"},
        {"Authentication_Results": PASS, "From": "ada@example.net, bob@example.net"},
        {"Authentication_Results": PASS, "From": "ada@example.net\r\nFrom: bob@example.net"},
        {"Authentication_Results": PASS, "From": "team: ada@example.net;"},
        {"Authentication_Results": PASS, "From": "<ada@example.net> <bob@example.net>"},
        {"Authentication_Results": PASS, "From": "=?utf-8?q?ada=40example.net?="},
        {"Authentication_Results": PASS, "From": "evil@evil.example", "Reply_To": "ada@example.net"},
        {"ARC_Authentication_Results": f"i=1; {PASS}"},
    ],
)
def test_nothing_else_proves_a_sender(headers: dict[str, str]) -> None:
    identity = receive(mail(**headers)).identity
    assert (identity.proof, identity.value) == (Proof.NONE, None)


def test_a_mailbox_without_a_trusted_server_proves_nobody() -> None:
    mailbox = replace(MAILBOX, authserv_ids=frozenset())
    assert receive(mail(Authentication_Results=PASS), mailbox).identity.proof is Proof.NONE


# -- text


@pytest.mark.parametrize(
    ("full", "expected"),
    [
        (
            "Thanks, that worked.\n\nOn Mon, 1 Jun 2026 at 10:00, Shop wrote:\n> Try this.\n> And that.",
            "Thanks, that worked.",
        ),
        (
            "Es geht nicht.\n\nAm 01.06.2026 um 10:00 schrieb Shop <s@shop.example>:\n> Bitte neu starten.",
            "Es geht nicht.",
        ),
        ("No luck.\n\n-----Original Message-----\nFrom: Shop\nSent: Monday\nTo: Ada\nSubject: Re\n\nTry.", "No luck."),
        ("No luck.\n\nFrom: Shop\nSent: Monday\nTo: Ada\nSubject: Re: Order\n\nTry this.", "No luck."),
        ("> Did it arrive?\n\nNo, it did not.", "No, it did not."),
        ("It is late.\n\n-- \nAda Lovelace\n+44 20 1234", "It is late."),
        ("It is late.\n\nBest regards,\nAda Lovelace\nAnalytical Ltd", "It is late."),
        ("It is late.\n\nSent from my iPhone", "It is late."),
        ("I need:\n- a refund\n- a new one", "I need:\n- a refund\n- a new one"),
        (
            "Hello,\nThank you, but it is still broken and I want my money back now. Will you pay?",
            "Hello,\nThank you, but it is still broken and I want my money back now. Will you pay?",
        ),
        ("Still broken.\n##- Please reply above this line -##\nShop: try this", "Still broken."),
    ],
)
def test_quotes_and_signatures_are_stripped(full: str, expected: str) -> None:
    assert reply_of(full, first=False) == expected


def test_answers_between_the_quotes_keep_the_whole_text() -> None:
    full = "See below.\n\n> Which order?\nW10023\n> Since when?\nMonday"
    assert reply_of(full, first=False) == full


def test_the_whole_text_stands_where_nothing_would_be_left() -> None:
    full = "> Only a quote\n> and nothing else"
    assert reply_of(full, first=False) == full


def test_a_first_message_that_would_lose_nine_tenths_is_kept_whole() -> None:
    full = "See below.\n\nFrom: Shop\nSent: Monday\nTo: Ada\nSubject: Order\n\n" + "The parcel never came. " * 20
    assert reply_of(full, first=True) == full
    assert reply_of(full, first=False) == "See below."


def test_html_is_read_where_there_is_no_plain_text() -> None:
    html = "<p>Where is <b>W10023</b>?</p><p style='display:none'>secret</p><blockquote>old words</blockquote>"
    ticket = receive(mail(html, Content_Type="text/html; charset=utf-8"))
    assert ticket.body == "Where is W10023?"
    assert "> old words" in ticket.body_full
    assert "secret" not in ticket.body_full


def test_plain_text_is_preferred_and_files_go_by_reference() -> None:
    body = (
        "--b\nContent-Type: multipart/alternative; boundary=c\n\n"
        "--c\nContent-Type: text/plain\n\nIt is broken.\n--c\nContent-Type: text/html\n\n<p>HTML</p>\n--c--\n"
        '--b\nContent-Type: image/png\nContent-Disposition: attachment; filename="../../crack.png"\n'
        "Content-Transfer-Encoding: base64\n\nAAEC\n--b--"
    )
    ticket = receive(mail(body, Content_Type="multipart/mixed; boundary=b"))
    assert ticket.body == "It is broken."
    (file,) = ticket.attachments
    assert (file.name, file.media_type, file.size) == ("crack.png", "image/png", 3)
    assert file.sha256 == "ae4b3280e56e2faf83f414a6e3dabe9d5fbe18976544c05fed121accb85b53fc"


def test_a_forwarded_message_is_a_file_not_the_senders_words() -> None:
    body = (
        "--b\nContent-Type: text/plain\n\nPlease see.\n"
        "--b\nContent-Type: message/rfc822\n\nFrom: x@y.example\n\nInner text\n--b--"
    )
    ticket = receive(mail(body, Content_Type="multipart/mixed; boundary=b"))
    assert ticket.body == "Please see."
    assert [file.media_type for file in ticket.attachments] == ["message/rfc822"]


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "no-such-charset", "\x00"])
def test_a_wrong_charset_never_loses_the_ticket(charset: str) -> None:
    raw = mail("", Content_Type=f"text/plain; charset={charset}") + b"Gr\xfc\xdfe"
    assert receive(raw).body.startswith("Gr")


# -- hostile bytes


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"", "From"),
        (b"\x00\xff random", "From"),
        (b"Subject: no sender\r\n\r\nhello", "From"),
        (mail("boundary=" * 60), "message"),
        (mail("\n" * 500_000), "message"),
    ],
)
def test_what_is_no_message_is_malformed(raw: bytes, field: str) -> None:
    with pytest.raises(Malformed) as fault:
        receive(raw)
    assert fault.value.field == field


@pytest.mark.parametrize("raw", [b"x" * (MAX_MAIL_BYTES + 1), mail("words " * 50_000)])
def test_what_is_larger_than_a_ticket_is_refused(raw: bytes) -> None:
    with pytest.raises(TooLarge):
        receive(raw)


NAMES = (
    *("From", "To", "Subject", "Message-ID", "References", "Content-Type", "Content-Disposition", "List-Id"),
    *("Content-Transfer-Encoding", "Return-Path", "Authentication-Results", "Auto-Submitted", "Precedence"),
)
TRICKS = rb"""a@b.c
<>
multipart/mixed; boundary=b
message/rfc822
message/delivery-status
text/html; charset=utf-16
text/plain; charset="\xff"
base64
uuencode
=?utf-8?b?////?=
=?utf-8?q?=00?=
(((((
attachment; filename*=x'y'%FF
mx.shop.example; dmarc=pass header.from=b.c
a:;""".split(b"\n")
VALUES = st.binary(max_size=60) | st.sampled_from(TRICKS)
NESTED = b"--b\r\nContent-Type: message/rfc822\r\n\r\nX: y\r\n\r\nz\r\n--b--"
BODIES = st.binary(max_size=200) | st.just(NESTED)


@settings(max_examples=400, deadline=None)
@given(headers=st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=8), body=BODIES)
def test_any_message_is_a_ticket_or_malformed(headers: list[tuple[str, bytes]], body: bytes) -> None:
    raw = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in headers) + b"\r\n" + body
    try:
        ticket = receive(raw)
    except (Malformed, TooLarge):
        return
    assert ticket.model_dump_json().encode()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_a_ticket_or_malformed(raw: bytes) -> None:
    try:
        receive(b"From: a@b.c\r\n" + raw)
    except Malformed:
        return


@pytest.mark.parametrize(
    "body",
    ["\n" * 50_000 + "x", "On " + "a " * 60_000, "a" + " " * 100_000 + "b", "> " * 50_000, "From: x\n\n" * 20_000],
)
def test_no_text_takes_the_reply_parser_for_ever(body: str) -> None:
    assert reply_of(body, first=True)
