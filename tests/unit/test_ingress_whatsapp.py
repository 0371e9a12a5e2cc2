"""WhatsApp's webhooks: what each kind of message becomes, whose word it is, and that no shape of JSON breaks it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.ingress import Malformed
from processors.ingress.whatsapp import Delivery, Failure, MetaApp, receive_whatsapp
from schemas.ingress import Channel, Identity, Marks, Proof, TicketReceived, ticket_id

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
NUMBER, ADA, BEN = "106540352242922", "15550100017", "15550100018"
SHA = "SfInY0gGKTsJlUWbwxC1k+FAD0FZHvzwfpvO0zX0GUI="


def seconds(before: timedelta = timedelta()) -> str:
    return str(int((NOW - before).timestamp()))


def message(kind: str = "text", sender: str = ADA, number: int = 1, **content: object) -> dict[str, Any]:
    """A message as Meta writes it; a text where nothing else is said."""
    said: dict[str, Any] = content or {"text": {"body": "Where is my order?"}}
    return {"from": sender, "id": f"wamid.HBgL{number}==", "timestamp": seconds(), "type": kind, **said}


def change(*messages: object, number: str = NUMBER, **more: object) -> dict[str, Any]:
    metadata = {"display_phone_number": "15550199000", "phone_number_id": number}
    contacts = [{"profile": {"name": "Ada"}, "wa_id": ADA}]
    value = {"messaging_product": "whatsapp", "metadata": metadata, "contacts": contacts, "messages": [*messages]}
    return {"field": "messages", "value": {**value, **more}}


def webhook(*changes: object) -> bytes:
    entry = [{"id": "102290129340398", "changes": [each]} for each in changes]
    return json.dumps({"object": "whatsapp_business_account", "entry": entry}).encode()


def received(*messages: object) -> Delivery:
    return receive_whatsapp(webhook(change(*messages)), received_at=NOW, language=lambda text: "en")


def ticket(**content: Any) -> TicketReceived:
    (found,) = received(message(**content)).tickets
    return found


# -- the signature


BODY = '{"hello":"wörld"}'.encode()
SIGNATURE = "sha256=8cbcc5e800d167afca2d93df1400b54b061e98b8e417d9c6450385633af3cd73"
APP = MetaApp(("another", "test-secret"), verify_token="agreed")


def test_the_signature_is_an_hmac_of_the_raw_bytes_under_either_secret() -> None:
    assert APP.signed(BODY, SIGNATURE)


@pytest.mark.parametrize(
    ("body", "signature"),
    [
        (b'{"hello":"w\\u00f6rld"}', SIGNATURE),
        (BODY + b" ", SIGNATURE),
        (b"", SIGNATURE),
        (BODY, ""),
        (BODY, SIGNATURE[:-1]),
        (BODY, SIGNATURE.removeprefix("sha256=")),
        (BODY, SIGNATURE.replace("sha256", "sha1")),
        (BODY, "sha256=ö"),
        (BODY, "sha256=\udcff"),
    ],
    ids=["re-serialised", "longer", "empty", "none", "cut", "bare", "sha1", "not ASCII", "surrogate"],
)
def test_other_bytes_or_another_signature_are_not_signed(body: bytes, signature: str) -> None:
    assert not APP.signed(body, signature)


def test_without_a_secret_nothing_is_signed() -> None:
    assert not MetaApp(()).signed(BODY, SIGNATURE)


@pytest.mark.parametrize(
    ("app", "token", "known"),
    [(APP, "agreed", True), (APP, "agree", False), (APP, "", False), (MetaApp(()), "", False)],
)
def test_the_handshake_knows_the_agreed_token_only(app: MetaApp, token: str, known: bool) -> None:
    assert app.knows(token) is known


# -- who writes


def test_a_text_is_a_ticket_of_the_number_that_wrote_it() -> None:
    found = ticket()
    assert found.ticket_id == ticket_id("whatsapp-cloud", NUMBER, "wamid.HBgL1==")
    assert (found.channel, found.provider, found.account) == (Channel.WHATSAPP, "whatsapp-cloud", NUMBER)
    assert (found.body, found.body_full, found.language) == ("Where is my order?", "Where is my order?", "en")
    assert found.identity == Identity(claimed=ADA, proof=Proof.PHONE, value=ADA)
    assert (found.sender, found.received_at) == (ADA, NOW)


def test_two_numbers_share_a_conversation_and_its_name_tells_neither() -> None:
    first, second, other = received(message(), message(number=2), message(sender=BEN, number=3)).tickets
    assert first.conversation == second.conversation != other.conversation
    assert ADA not in first.conversation


def test_the_same_person_writing_to_another_number_is_another_conversation() -> None:
    raw = webhook(change(message()), change(message(number=2), number="106540352242923"))
    first, second = receive_whatsapp(raw, received_at=NOW).tickets
    assert (first.account, second.account) == (NUMBER, "106540352242923")
    assert first.conversation != second.conversation


@pytest.mark.parametrize(
    "sender", ["", "0155501000", "+15550100017", "1555", "15550100017; drop", "１5550100017", None]
)
def test_what_is_no_number_proves_nobody_and_gets_no_reply(sender: str | None) -> None:
    (found,) = received({**message(), "from": sender}).tickets
    assert (found.identity.proof, found.sender) == (Proof.NONE, None)


def test_somebody_with_a_user_name_only_is_unproved_and_keeps_a_conversation() -> None:
    unnamed = {key: value for key, value in message().items() if key != "from"}
    first, second = received(
        {**unnamed, "from_user_id": "US.1"}, {**unnamed, "from_user_id": "US.1", "id": "w"}
    ).tickets
    assert first.identity == Identity(claimed="US.1")
    assert first.conversation == second.conversation


@pytest.mark.parametrize(
    ("told", "at"),
    [
        (seconds(timedelta(hours=3)), NOW - timedelta(hours=3)),
        (seconds(timedelta(days=7, hours=2)), NOW - timedelta(days=7)),
        (seconds(timedelta(hours=-3)), NOW),
        ("9" * 40, NOW - timedelta(days=7)),
        ("yesterday", NOW - timedelta(days=7)),
        (None, NOW - timedelta(days=7)),
    ],
    ids=["late", "too old", "future", "absurd", "no number", "none"],
)
def test_a_message_was_written_within_the_days_meta_retries(told: object, at: datetime) -> None:
    (found,) = received({**message(), "timestamp": told}).tickets
    assert found.received_at == at


# -- what it says


@pytest.mark.parametrize(
    ("content", "body", "full"),
    [
        ({"text": {"body": " Hi\r\nthere\u202e "}}, "Hi\nthere", "Hi\nthere"),
        ({"text": {"body": " "}}, "", "[text: empty]"),
        ({"kind": "button", "button": {"text": "Track it", "payload": "p"}}, "Track it", "Track it"),
        (
            {
                "kind": "interactive",
                "interactive": {"type": "button_reply", "button_reply": {"id": "1", "title": "Yes"}},
            },
            "Yes",
            "Yes",
        ),
        (
            {"kind": "interactive", "interactive": {"type": "list_reply", "list_reply": {"title": "Returns"}}},
            "Returns",
            "Returns",
        ),
        ({"kind": "interactive", "interactive": {"nfm_reply": {"response_json": '{"a":1}'}}}, "", '[form: {"a":1}]'),
        (
            {"kind": "location", "location": {"latitude": 52.5, "longitude": 13.4, "name": "Home"}},
            "",
            "[location: Home, 52.50000, 13.40000]",
        ),
        ({"kind": "contacts", "contacts": [{"name": {"formatted_name": "Ben"}}]}, "", "[contacts: Ben]"),
        (
            {
                "kind": "order",
                "order": {"product_items": [{"product_retailer_id": "GL-030", "quantity": 2}], "text": "!"},
            },
            "",
            "[order: 2 × GL-030]\n!",
        ),
        ({"kind": "unsupported", "unsupported": {"type": "poll_creation"}}, "", "[unsupported: poll_creation]"),
        ({"kind": "unsupported", "errors": [{"title": "Unknown"}]}, "", "[unsupported: Unknown]"),
        ({"kind": "hologram", "hologram": {"body": "?"}}, "", "[hologram]"),
    ],
)
def test_every_kind_of_message_is_a_ticket_and_only_words_are_read(
    content: dict[str, Any], body: str, full: str
) -> None:
    found = ticket(**content)
    assert (found.body, found.body_full) == (body, full)


@pytest.mark.parametrize("kind", ["image", "video", "audio", "voice", "document", "sticker"])
def test_media_travels_by_reference(kind: str) -> None:
    media = {"id": "2754859441498128", "mime_type": "image/jpeg", "sha256": SHA, "caption": "Is this right?"}
    found = ticket(kind=kind, **{kind: media})
    (file,) = found.attachments
    assert (found.body, found.body_full) == ("Is this right?", f"Is this right?\n[{kind}]")
    assert (file.name, file.media_type, file.size) == (kind, "image/jpeg", 0)
    assert file.url == "whatsapp-media:2754859441498128"
    assert file.sha256 == "49f227634806293b0995459bc310b593e1400f41591efcf07e9bced335f41942"


@pytest.mark.parametrize(
    ("name", "shown"), [("../../etc/passwd", "passwd"), (".htaccess", "htaccess"), ("", "document")]
)
def test_a_document_has_no_path(name: str, shown: str) -> None:
    found = ticket(kind="document", document={"id": "bad id", "filename": name, "sha256": "?"})
    assert [(file.name, file.url, file.sha256) for file in found.attachments] == [(shown, None, "")]


def test_a_changed_number_is_the_platforms_word_not_the_customers() -> None:
    found = ticket(kind="system", system={"body": "Ada changed from 15550100017 to 15550100019"})
    assert (found.marks, found.identity.proof, found.body) == (Marks(auto_reply=True), Proof.NONE, "")


def test_an_answer_says_which_message_it_is_about() -> None:
    assert ticket(context={"id": "wamid.out1"}, text={"body": "This one"}).in_reply_to == ("wamid.out1",)


# -- batches


def test_every_message_of_every_change_is_a_ticket() -> None:
    raw = webhook(change(message(), message(number=2)), change(message(number=3)))
    found = receive_whatsapp(raw, received_at=NOW).tickets
    assert [each.provider_message_id for each in found] == ["wamid.HBgL1==", "wamid.HBgL2==", "wamid.HBgL3=="]


def test_a_redelivery_is_the_same_ticket_with_the_same_words() -> None:
    first = received(message()).tickets
    again = receive_whatsapp(webhook(change(message())), received_at=NOW + timedelta(hours=1), language=lambda _: "en")
    assert again.tickets == first


def test_a_message_without_an_id_is_named_by_the_bytes_it_came_in() -> None:
    first, second = received({"type": "text"}, {"type": "text"}).tickets
    assert first.ticket_id != second.ticket_id
    assert received({"type": "text"}, {"type": "text"}).tickets == (first, second)


def test_what_nobody_can_answer_is_counted_and_no_ticket() -> None:
    failed = {"id": "wamid.out2", "status": "failed", "errors": [{"code": 131047, "title": "Re-engagement message"}]}
    statuses = [{"id": "wamid.out1", "status": "delivered"}, failed, {"status": "hummed"}]
    reaction = message("reaction", reaction={"message_id": "wamid.out1", "emoji": "\U0001f44d"})
    raw = webhook(change(reaction, statuses=statuses, errors=[{}]), {"field": "account_update", "value": {}})
    found = receive_whatsapp(raw, received_at=NOW)
    assert found.tickets == ()
    assert found.others == ("reaction", "status-delivered", "status-failed", "status-other", "error", "field")
    assert found.failures == (Failure("wamid.out2", 131047),)


@pytest.mark.parametrize(
    ("ages", "stale"), [((9,), True), ((9, 10), True), ((9, 1), False), ((7,), False), ((), False)]
)
def test_a_delivery_is_stale_when_meta_gave_up_on_all_of_it(ages: tuple[int, ...], stale: bool) -> None:
    sent = [{**message(number=age), "timestamp": seconds(timedelta(days=age))} for age in ages]
    assert received(*sent).stale is stale


# -- hostile shapes


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"[]", b"{}", b'{"object": "page"}', b"1e999"])
def test_what_is_no_webhook_of_whatsapp_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        receive_whatsapp(raw, received_at=NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["from", "id", "type", "text", "body", "image", "caption", "errors"]), inner)
    ),
    max_leaves=12,
)
SHAPED = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image", "order", "contacts", "interactive", "location", "system", "?"])},
    optional=dict.fromkeys(("from", "id", "timestamp", "text", "image", "order", "contacts", "location"), JSON),
)


@given(st.lists(JSON | SHAPED, max_size=3))
def test_no_shape_of_a_message_breaks_the_door_or_loses_it(messages: list[object]) -> None:
    found = receive_whatsapp(webhook(change(*messages)), received_at=NOW)
    assert len(found.tickets) == len(messages)
    assert all(NOW - timedelta(days=7) <= each.received_at <= NOW for each in found.tickets)
    assert all(each.model_dump_json().encode() for each in found.tickets)


@given(JSON, JSON)
def test_no_shape_of_the_envelope_breaks_it(entry: object, value: object) -> None:
    for body in ({"entry": entry}, {"entry": [{"changes": [{"field": "messages", "value": value}, value]}]}):
        receive_whatsapp(json.dumps({"object": "whatsapp_business_account", **body}).encode(), received_at=NOW)
