"""The chat's door: what a key may open, what a session proves, and what a message becomes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from itsdangerous import URLSafeSerializer

from infra.sessions import SignedSessions
from processors.ingress import Malformed, NotAllowed
from processors.ingress.api import ApiKey
from processors.ingress.chat import BadSession, ChatMessage, ChatSession, SessionRequest, open_session, receive_chat
from schemas.ingress import Channel, Identity, Proof, TicketReceived

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
RANDOM = UUID("00000000-0000-4000-8000-000000000001")
SERVICE = ApiKey("shop", "service")
PUBLIC = ApiKey("shop", "customer")
SECRET = "a secret of the tests, long enough to sign"


def opened(key: ApiKey = SERVICE, random_id: UUID = RANDOM, **asked: object) -> ChatSession:
    request = SessionRequest.model_validate(asked)
    return open_session(request, key=key, random_id=random_id, expires_at=NOW + timedelta(hours=1))


def received(session: ChatSession, text: str = "Where is it?", message_id: str = "m-1") -> TicketReceived:
    return receive_chat(ChatMessage(text=text, message_id=message_id), session=session, received_at=NOW)


# -- who may open what


def test_a_service_key_proves_the_customer_of_a_session() -> None:
    ticket = received(opened(customer_id="cus_1"))
    assert ticket.identity == Identity(claimed="cus_1", proof=Proof.SESSION, value="cus_1")
    assert (ticket.channel, ticket.provider, ticket.account) == (Channel.CHAT, "chat", "shop")


@pytest.mark.parametrize("key", [SERVICE, PUBLIC])
def test_an_anonymous_session_proves_nothing(key: ApiKey) -> None:
    assert received(opened(key)).identity == Identity()


@pytest.mark.parametrize(
    ("key", "asked", "field"),
    [
        (PUBLIC, {"customer_id": "cus_1"}, "customer_id"),
        (PUBLIC, {"conversation": "c-1"}, "conversation"),
        (ApiKey("shop", "service", (Channel.API,)), {}, "Authorization"),
    ],
)
def test_a_key_opens_no_more_than_it_may(key: ApiKey, asked: dict[str, str], field: str) -> None:
    with pytest.raises(NotAllowed) as refused:
        opened(key, **asked)
    assert refused.value.field == field


# -- which conversation


@pytest.mark.parametrize(
    ("other", "asked"),
    [
        (SERVICE, {"customer_id": "cus_2", "conversation": "c-1"}),
        (SERVICE, {"conversation": "c-1"}),
        (ApiKey("another", "service"), {"customer_id": "cus_1", "conversation": "c-1"}),
        (SERVICE, {"customer_id": "cus_1", "conversation": "c-2"}),
    ],
)
def test_nobody_joins_the_conversation_of_somebody_else(other: ApiKey, asked: dict[str, str]) -> None:
    mine = opened(customer_id="cus_1", conversation="c-1")
    assert opened(other, **asked).conversation != mine.conversation


def test_a_colon_in_a_name_joins_no_other_conversation() -> None:
    mine = opened(customer_id="a", conversation="b:c")
    assert opened(customer_id="a:b", conversation="c").conversation != mine.conversation


def test_the_longest_names_open_a_session_that_takes_messages() -> None:
    longest = {"customer_id": "客" * 200, "conversation": "話" * 200}
    session, other = opened(**longest), opened(**longest | {"conversation": "話" * 199 + "语"})
    assert received(session, message_id="号" * 200).conversation == session.conversation
    assert session == opened(**longest)
    assert session.conversation != other.conversation


def test_a_later_session_goes_on_with_a_named_conversation() -> None:
    named = {"customer_id": "cus_1", "conversation": "c-1"}
    assert opened(random_id=UUID(int=2), **named).conversation == opened(**named).conversation


# -- what a message becomes


def test_the_same_message_of_a_conversation_is_the_same_ticket() -> None:
    session = opened()
    assert received(session).ticket_id == received(session, "Where is it? ").ticket_id
    assert received(session).ticket_id != received(session, message_id="m-2").ticket_id
    assert received(session).ticket_id != received(opened(random_id=UUID(int=2))).ticket_id


def test_a_text_is_cleaned() -> None:
    assert received(opened(), " Where\r\nis\x00 it? ").body == "Where\nis it?"


@pytest.mark.parametrize("text", ["  ", "\x00", "\u202e\n", "\u200b\x00 ", "\ufeff\u2060", "\u3164\u2800"])
def test_a_message_without_text_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        received(opened(), text)


# -- tokens


def test_a_token_holds_its_session() -> None:
    session, sessions = opened(customer_id="cus_1"), SignedSessions(SECRET)
    assert sessions.read(sessions.sign(session), NOW) == session


def resigned(session: ChatSession, secret: str, salt: str) -> str:
    told = [session.account, session.conversation, session.customer, int(session.expires_at.timestamp())]
    return str(URLSafeSerializer(secret, salt=salt).dumps(told))


@pytest.mark.parametrize(
    "forge",
    [
        lambda token: token[:-2] + ("AA" if token[-2:] != "AA" else "BB"),
        lambda token: "x" + token,
        lambda token: token.rpartition(".")[0],
        lambda token: token.rpartition(".")[0] + ".",
        lambda token: token + "\ud800",
        lambda token: token[1:],
        lambda token: "",
        lambda token: token * 20,
        lambda token: SignedSessions(SECRET + "2").sign(opened()),
        lambda token: resigned(opened(), SECRET, "another purpose"),
    ],
)
def test_a_forged_token_opens_nothing(forge: Callable[[str], str]) -> None:
    sessions = SignedSessions(SECRET)
    with pytest.raises(BadSession, match="unknown"):
        sessions.read(forge(sessions.sign(opened(customer_id="cus_1"))), NOW)


@pytest.mark.parametrize(("after", "open_"), [(3599, True), (3600, False), (90_000, False)])
def test_a_token_opens_nothing_once_its_time_is_over(after: int, open_: bool) -> None:
    sessions = SignedSessions(SECRET)
    token, now = sessions.sign(opened()), NOW + timedelta(seconds=after)
    if open_:
        assert sessions.read(token, now)
    else:
        with pytest.raises(BadSession, match="expired"):
            sessions.read(token, now)
