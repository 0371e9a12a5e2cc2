"""The chat's door: who may open a session, and how a message of one becomes a ticket."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from processors.errors import Rejected
from processors.ingress import LanguageOf, Malformed, NotAllowed, clean, shows_nothing
from processors.ingress.api import ApiKey, Name, conversation_name
from schemas.ingress import Channel, Identity, Proof, TicketReceived, ticket_id

PROVIDER = "chat"
MAX_TEXT = 8_000  # characters; a chat message is no document


class BadSession(Rejected):
    """The session token opens nothing: it was not signed here, or its time is over."""


class SessionRequest(BaseModel):
    """What a session is opened for. A site's public key may leave both out only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    customer_id: Name | None = Field(
        None, description="Who is signed in at the site. Proved, and therefore for keys of scope `service` only."
    )
    conversation: Name | None = Field(
        None,
        description="The site's own id of the conversation, to go on with it in a later session. For keys of scope "
        "`service` only. Without it, a new conversation begins.",
    )


class ChatMessage(BaseModel):
    """A message as the customer sends it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(min_length=1, max_length=MAX_TEXT)
    message_id: Name = Field(
        description="The sender's own id of the message: sent again with the same text, it is the same ticket."
    )


@dataclass(frozen=True)
class ChatSession:
    """What the holder of a session token may do: write to one conversation and read its answers."""

    account: str
    conversation: str
    customer: str | None  # proved; None for an anonymous session
    expires_at: datetime


def open_session(request: SessionRequest, *, key: ApiKey, random_id: UUID, expires_at: datetime) -> ChatSession:
    """A session of the account. `random_id` names the conversation of a session that names none.

    Raises:
        NotAllowed: the key may not chat, or names what only a key of scope service may name.
    """
    if Channel.CHAT not in key.channels:
        raise NotAllowed("Authorization", "this key may not open chats")
    for field in ("customer_id", "conversation"):
        if getattr(request, field) is not None and key.scope != "service":
            raise NotAllowed(field, "only a key of scope service may name it")
    named = request.conversation or str(random_id)
    conversation = conversation_name(PROVIDER, key.account, request.customer_id or "", named)
    return ChatSession(key.account, conversation, request.customer_id, expires_at)


def receive_chat(
    message: ChatMessage, *, session: ChatSession, received_at: datetime, language: LanguageOf | None = None
) -> TicketReceived:
    """One ticket from a message of a session. The same message id of the same conversation is always the same ticket.

    Raises:
        Malformed: nothing is left of the text.
    """
    body = clean(message.text).strip()
    if shows_nothing(body):
        raise Malformed("text", "holds no text")
    message_id = f"{session.conversation}:{message.message_id}"
    return TicketReceived(
        ticket_id=ticket_id(PROVIDER, session.account, message_id),
        conversation=session.conversation,
        channel=Channel.CHAT,
        provider=PROVIDER,
        account=session.account,
        provider_message_id=message_id,
        identity=_identity(session),
        body=body,
        body_full=body,
        language=language(body) if language else None,
        received_at=received_at,
    )


def _identity(session: ChatSession) -> Identity:
    if session.customer is None:
        return Identity()
    return Identity(claimed=session.customer, proof=Proof.SESSION, value=session.customer)
