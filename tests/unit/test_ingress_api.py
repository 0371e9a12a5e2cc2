"""The API's door: what a key proves, what makes an id, what is refused."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import ValidationError

from processors.ingress import Malformed, NotAllowed, TooLarge
from processors.ingress.api import ApiKey, TicketRequest, is_public, receive_api
from schemas.ingress import MAX_MESSAGE_BYTES, Channel, Identity, Proof, TicketReceived, ticket_id

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
RANDOM = UUID("00000000-0000-4000-8000-000000000001")
SERVICE = ApiKey(account="shop", scope="service")
CUSTOMER = ApiKey(account="widget", scope="customer")
PUBLIC = ApiKey(account="shop", scope="customer")  # of the account that has a service key


def receive(key: ApiKey = SERVICE, idempotency_key: str | None = None, **fields: object) -> TicketReceived:
    request = TicketRequest.model_validate({"body": "Where is my order?", **fields})
    return receive_api(request, key=key, idempotency_key=idempotency_key, random_id=RANDOM, received_at=NOW)


def test_a_service_key_proves_the_customer_it_names() -> None:
    ticket = receive(SERVICE, customer_id="cus_0007")
    assert ticket.identity == Identity(claimed="cus_0007", proof=Proof.API_KEY, value="cus_0007")


def test_a_customer_key_only_claims_the_customer_it_names() -> None:
    ticket = receive(CUSTOMER, customer_id="cus_0007")
    assert ticket.identity == Identity(claimed="cus_0007", proof=Proof.NONE, value=None)


def test_nothing_is_proved_where_no_customer_is_named() -> None:
    assert receive(SERVICE, sender="ada@example.net").identity == Identity(claimed="ada@example.net")


@pytest.mark.parametrize(
    ("idempotency_key", "message_id", "expected"),
    [("key-1", "m-1", "key-1"), ("key-1", None, "key-1"), (None, "m-1", "m-1"), (None, None, str(RANDOM))],
)
def test_the_id_comes_from_the_best_name_the_client_gives(
    idempotency_key: str | None, message_id: str | None, expected: str
) -> None:
    ticket = receive(idempotency_key=idempotency_key, message_id=message_id)
    assert ticket.ticket_id == ticket_id("api", "shop", expected)


def test_the_same_key_of_two_accounts_is_two_tickets() -> None:
    assert receive(SERVICE, "key-1").ticket_id != receive(CUSTOMER, "key-1").ticket_id


@pytest.mark.parametrize("named", [{}, {"conversation": "c-1"}, {"conversation": "é" * 200}])
def test_a_public_key_names_no_ticket_and_no_conversation_of_a_service_key(named: dict[str, str]) -> None:
    backend, page = receive(SERVICE, "order-1001", **named), receive(PUBLIC, "order-1001", **named)
    assert backend.ticket_id != page.ticket_id
    assert backend.conversation != page.conversation
    assert (is_public(backend.conversation), is_public(page.conversation)) == (False, True)


@pytest.mark.parametrize(
    ("key", "other", "customer", "other_customer"),
    [
        (SERVICE, SERVICE, "cus_0001", "cus_0002"),
        (SERVICE, CUSTOMER, "cus_0001", "cus_0001"),
        (SERVICE, SERVICE, "a", "a:c"),
        (SERVICE, SERVICE, "cus_0001", None),
    ],
)
def test_nobody_joins_the_conversation_of_somebody_else(
    key: ApiKey, other: ApiKey, customer: str, other_customer: str | None
) -> None:
    mine = receive(key, customer_id=customer, conversation="c:1")
    theirs = receive(other, customer_id=other_customer, conversation="c:1" if other_customer != "a:c" else "1")
    assert mine.conversation != theirs.conversation


def test_a_follow_up_is_in_the_same_conversation() -> None:
    first = receive(customer_id="cus_0001", conversation="c-1", message_id="1")
    assert receive(customer_id="cus_0001", conversation="c-1", message_id="2").conversation == first.conversation


def test_who_claims_something_else_is_not_in_an_unproved_conversation() -> None:
    ann = receive(CUSTOMER, sender="ann@example.com", conversation="1001")
    ben = receive(CUSTOMER, sender="ben@example.com", conversation="1001", message_id="2")
    again = receive(CUSTOMER, sender="ann@example.com", conversation="1001", message_id="3")
    assert ann.conversation == again.conversation != ben.conversation


def test_a_long_name_is_hashed_and_still_its_own() -> None:
    names = [receive(conversation="é" * 199 + end, message_id=end).conversation for end in "ab"]
    assert len(set(names)) == 2
    assert all(len(name) <= 400 for name in names)


def test_a_message_without_a_conversation_opens_its_own() -> None:
    assert receive(message_id="1").conversation != receive(message_id="2").conversation


def test_the_channel_is_one_of_the_keys() -> None:
    assert receive().channel is Channel.API
    assert receive(channel="chat").channel is Channel.CHAT
    with pytest.raises(NotAllowed, match="channel"):
        receive(channel="email")


def test_invisible_characters_are_removed() -> None:
    ticket = receive(subject="Order\x00\u202e\nW1", body="Where\x00 is\r\nmy \U000e0041order?\x1b[31m")
    assert (ticket.subject, ticket.body) == ("Order W1", "Where is\nmy order?[31m")


@pytest.mark.parametrize("body", ["\x00\x01", " \n\t ", "\u200b\x00 "])
def test_a_body_without_text_is_malformed(body: str) -> None:
    with pytest.raises(Malformed) as fault:
        receive(body=body)
    assert fault.value.field == "body"


@pytest.mark.parametrize("idempotency_key", ["", "x" * 201, "a\nb"])
def test_an_unusable_idempotency_key_is_malformed(idempotency_key: str) -> None:
    with pytest.raises(Malformed, match="Idempotency-Key"):
        receive(idempotency_key=idempotency_key)


def test_a_body_of_more_bytes_than_a_ticket_may_hold_is_too_large() -> None:
    with pytest.raises(TooLarge, match="body"):
        receive(body="é" * (MAX_MESSAGE_BYTES // 2 + 1))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("body", ""),
        ("customer", "misspelt"),
        ("customer_id", "a\x00b"),
        ("channel", "fax"),
        ("language", "english"),
        ("attachments", [{"name": "a.pdf", "size": 2**63, "sha256": "0" * 64}]),
        ("attachments", [{"name": "a.pdf", "size": -1, "sha256": "0" * 64}]),
        ("attachments", [{"name": "a.pdf", "size": 1, "sha256": "0" * 64, "url": "file:///etc/passwd"}]),
    ],
)
def test_a_faulty_request_names_its_field(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as fault:
        receive(**{field: value})
    assert fault.value.errors()[0]["loc"][0] == field


def test_a_claimed_language_is_believed_where_the_text_agrees() -> None:
    request = TicketRequest(body="Wo ist mein Paket?")
    right, wrong = (request.model_copy(update={"language": code}) for code in ("de", "en"))
    for asked, expected in ((request, "de"), (right, "de"), (wrong, "und")):
        ticket = receive_api(
            asked, key=SERVICE, idempotency_key=None, random_id=RANDOM, received_at=NOW, language=lambda _: "de"
        )
        assert ticket.language == expected
