"""Whatever arrives from outside, what reads it ends with a value or with the one error it declares."""

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.sessions import SignedSessions
from processors.ingress import Malformed, TooLarge
from processors.ingress.chat import BadSession, ChatSession
from processors.ingress.email import Mailbox, receive_email
from processors.ingress.whatsapp import receive_whatsapp
from processors.mail_token import TokenKey, is_own_id, joined, message_id, sign, tokens_in
from schemas.codec import EVENT_ON, Undecodable, decode, encode
from schemas.control import Scope, SwitchSet, SwitchState
from schemas.event import Event
from schemas.ingress import TicketReceived
from schemas.topics import Topic
from streams.outcome import letter_of
from streams.step import Record
from tests.streams.test_layers import NOW, armed, ticket, walk

EXAMPLES = settings(max_examples=150, deadline=None)
AWKWARD = (
    b"",
    b"\x00",
    b"\xff" * 9,
    b"\x80" * 11 + b"\x01",
    b"\xed\xa0\x80",
    b"=?utf-8?b?//8=?=",
    b"\r\n\r\n",
    b"9" * 40,
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def mangled(whole: bytes, keep: int = 0) -> st.SearchStrategy[bytes]:
    """A message cut, torn, doubled or overwritten in a few places; the first `keep` bytes stay."""
    places = st.integers(keep, len(whole))
    pieces = st.sampled_from(AWKWARD) | st.binary(max_size=12)
    edits = st.lists(st.tuples(places, places, pieces), min_size=1, max_size=4)

    def edited(edits: list[tuple[int, int, bytes]]) -> bytes:
        data = whole
        for begin, end, piece in edits:
            data = data[:begin] + piece + data[max(keep, end) :]
        return data

    return edits.map(edited)


async def _events() -> dict[Topic, Event]:
    """One event of every kind, as the stages publish them."""
    world, failing = await armed(), await armed()
    await walk(world, ticket())
    await walk(failing, ticket("I want to speak to a lawyer."))
    switch = SwitchSet(scope=Scope(), state=SwitchState.OFF, why="w", actor="a", set_at=NOW)
    found = {Topic(record.topic): record for each in (world, failing) for record in each.published}
    found.pop(Topic.AUDIT_HEADS, None)
    return {Topic.SWITCH: switch, **{topic: world.read(record) for topic, record in found.items()}}


EVENTS = asyncio.run(_events())


def test_an_event_of_every_kind_is_mangled_here() -> None:
    assert EVENTS.keys() == EVENT_ON.keys()


@pytest.mark.parametrize("topic", EVENT_ON)
@EXAMPLES
@given(data=st.data())
def test_a_mangled_event_is_read_or_undecodable(topic: Topic, data: st.DataObject) -> None:
    kind = EVENT_ON[topic]
    with suppress(Undecodable):
        assert encode(decode(kind, data.draw(mangled(encode(EVENTS[topic]), keep=10))))  # it can be handed on


@EXAMPLES
@given(mangled(EVENTS[Topic.INBOUND].model_dump_json().encode()))
def test_a_mangled_json_ticket_is_read_or_undecodable(data: bytes) -> None:
    with suppress(Undecodable):
        assert encode(decode(TicketReceived, data))  # what was taken can be handed on


@EXAMPLES
@given(st.dictionaries(st.sampled_from(sorted(TicketReceived.model_fields)), JSON_VALUES))
def test_a_json_ticket_of_any_values_is_read_or_undecodable(values: dict[str, Any]) -> None:
    whole = EVENTS[Topic.INBOUND].model_dump(mode="json")
    with suppress(Undecodable):
        assert encode(decode(TicketReceived, json.dumps(whole | values).encode()))


@pytest.mark.parametrize(
    "deep", [b"[" * 100_000, b'{"a":' * 100_000, b'{"steps":' + b"[" * 100_000, b'{"body":' + b"9" * 100_000]
)
def test_json_without_end_is_undecodable(deep: bytes) -> None:
    with pytest.raises(Undecodable):
        decode(TicketReceived, deep)


HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["stage", "reason", "source-topic", "source-partition", "attempt", "letter-reason", "x"]),
        st.sampled_from([*map(str.encode, EVENT_ON), *AWKWARD]) | st.binary(max_size=20),
    ),
    max_size=6,
)


@EXAMPLES
@given(HEADERS, st.none() | st.binary(max_size=20), st.none() | mangled(encode(EVENTS[Topic.AUTO_SEND])))
def test_a_dead_letter_is_always_read(headers: list[tuple[str, bytes]], key: bytes | None, value: bytes | None) -> None:
    record = Record("gate.dead", 0, 0, key, value, tuple(headers), NOW)
    assert letter_of(record).data == value


LETTER = b"\r\n".join(
    (
        b"From: =?utf-8?q?Ad=C3=A4?= <ada@example.net>",
        b"Message-ID: <m1@example.net>",
        b"Subject: =?iso-8859-1?b?5Q==?= order",
        b"Authentication-Results: mx.shop.example; dmarc=pass header.from=example.net",
        b'Content-Type: multipart/mixed; boundary="b"',
        b"",
        b"--b",
        b"Content-Type: text/plain; charset=utf-8; format=flowed",
        b"Content-Transfer-Encoding: quoted-printable",
        b"",
        b"Where is it? =C3=A4=",
        b"--b",
        b"Content-Type: text/html; charset=utf-16",
        b"Content-Transfer-Encoding: base64",
        b"",
        b"PGI+aGk8L2I+",
        b"--b",
        b"Content-Type: message/rfc822",
        b"",
        b"Subject: inner",
        b"",
        b"text",
        b"--b",
        b"Content-Type: image/png; name*=utf-8''%e4.png",
        b"Content-Disposition: attachment; filename*0=a; filename*1=b.png",
        b"",
        b"x",
        b"--b--",
    )
)
MAILBOX = Mailbox("support@shop.example", authserv_ids=frozenset({"mx.shop.example"}))


@EXAMPLES
@given(mangled(LETTER))
def test_a_mangled_mail_is_a_ticket_or_no_message(raw: bytes) -> None:
    with suppress(Malformed, TooLarge):
        assert encode(receive_email(raw, mailbox=MAILBOX, received_at=NOW))


WEBHOOK = json.dumps(
    {
        "object": "whatsapp_business_account",
        "entry": [
            {
                "id": "1",
                "changes": [
                    {
                        "field": "messages",
                        "value": {
                            "metadata": {"phone_number_id": "106540352242922"},
                            "contacts": [{"wa_id": "15550100017", "profile": {"name": "Ada"}}],
                            "messages": [
                                {
                                    "from": "15550100017",
                                    "id": "w",
                                    "timestamp": "1",
                                    "text": {"body": "hi"},
                                    "type": "text",
                                }
                            ],
                            "statuses": [{"id": "w", "status": "failed", "errors": [{"code": 1}]}],
                        },
                    }
                ],
            }
        ],
    }
).encode()


@EXAMPLES
@given(mangled(WEBHOOK))
def test_a_mangled_webhook_is_tickets_or_malformed(raw: bytes) -> None:
    with suppress(Malformed, TooLarge):
        assert all(encode(each) for each in receive_whatsapp(raw, received_at=NOW).tickets)


KEY = TokenKey("support@shop.example", b"secret")
TOKEN = sign(KEY, conversation=f"email:{KEY.account}:{'0' * 32}", address="ada@example.net", sent_for=NOW) or ""
OWN_ID = message_id(KEY, TOKEN, idempotency_key="k", domain="shop.example")


@EXAMPLES
@given(st.text() | mangled(TOKEN.encode()).map(lambda raw: raw.decode(errors="replace")), st.text())
def test_a_forged_mail_token_leads_nowhere(token: str, sender: str) -> None:
    if (token, sender.lower()) != (TOKEN, "ada@example.net"):
        assert joined(KEY, [token], sender=sender, now=NOW) is None


@EXAMPLES
@given(st.lists(st.text() | mangled(OWN_ID.encode()).map(lambda raw: raw.decode(errors="replace")), max_size=4))
def test_ids_and_addresses_of_any_form_are_looked_through(found: list[str]) -> None:
    assert len(tokens_in(found, found)) <= len(found) * len(OWN_ID)
    assert all(isinstance(is_own_id(each), bool) for each in found)


SESSIONS = SignedSessions("secret")
SESSION = ChatSession("shop", "chat:shop::1", None, datetime(2030, 1, 1, tzinfo=UTC))
SIGNED = SESSIONS.sign(SESSION)


@EXAMPLES
@given(st.text() | mangled(SIGNED.encode()).map(lambda raw: raw.decode("latin-1")))
def test_a_forged_session_is_refused(token: str) -> None:
    """Or it is the same session, spelt otherwise: base64 is read past what is no letter of it."""
    with suppress(BadSession):
        assert SESSIONS.read(token, NOW) == SESSION


def test_a_session_of_another_secret_is_refused() -> None:
    assert SESSIONS.read(SIGNED, NOW) == SESSION
    with pytest.raises(BadSession):
        SESSIONS.read(SignedSessions("another").sign(SESSION), NOW)
