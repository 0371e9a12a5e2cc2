"""The API's door: a request and the key it came with become a ticket."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Literal
from urllib.parse import quote
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from processors.ingress import LanguageOf, Malformed, NotAllowed, clean, clean_line, shows_nothing, within_limit
from schemas.ingress import MAX_MESSAGE_BYTES, Attachment, Channel, Identity, Proof, TicketReceived, ticket_id

PROVIDER = "api"
PUBLIC = "api~public"  # the name space of keys of scope customer: what a service key sent is not in it
LONGEST_NAME = 400  # characters of a conversation's name; a longer one is hashed
UNDETERMINED = "und"  # ISO 639-2: no help centre is written in it
MAX_SUBJECT = 998  # characters; the longest line RFC 5322 allows

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


@dataclass(frozen=True)
class ApiKey:
    """What the holder of a key may do.

    `service` belongs to a backend that knows its customers: the customer it names is proved. `customer` sits where
    customers can reach it (a form, a widget): the customer it names is a claim.
    """

    account: str
    scope: Literal["customer", "service"]
    channels: tuple[Channel, ...] = (Channel.API, Channel.CHAT)  # the first is the default

    @property
    def proves_customer(self) -> bool:
        """Whether the customer named with this key is proved."""
        return self.scope == "service"

    @property
    def space(self) -> str:
        """Where its tickets' ids and its conversations are named: who holds a public key names none of a backend's."""
        return PROVIDER if self.scope == "service" else PUBLIC


class AttachedFile(BaseModel):
    """A file by reference: where it lies and what it holds, never its bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    media_type: Name = "application/octet-stream"
    size: int = Field(ge=0, lt=2**63, description="In bytes.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    url: Annotated[str, StringConstraints(max_length=2000, pattern=r"^https?://\S+$")] | None = None


class TicketRequest(BaseModel):
    """A customer's message, as a client posts it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    body: str = Field(min_length=1, max_length=MAX_MESSAGE_BYTES, description="The message as the customer wrote it.")
    subject: str = Field("", max_length=MAX_SUBJECT)
    conversation: Name | None = Field(
        None, description="The client's own id of the conversation. Messages of one are handled in order."
    )
    message_id: Name | None = Field(
        None, description="The client's own id of the message. Makes the ticket's id where no Idempotency-Key is sent."
    )
    customer_id: Name | None = Field(
        None, description="Who writes. Proved where the key's scope is `service`, else a claim that opens no records."
    )
    sender: Name | None = Field(None, description="Where a reply goes. Proves nothing.")
    channel: Channel | None = Field(None, description="One of the key's channels. Default: the key's first.")
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")] | None = Field(
        None, description="ISO 639-1. Detected too: where the text looks like another language, neither is believed."
    )
    attachments: tuple[AttachedFile, ...] = Field((), max_length=50)


def receive_api(
    request: TicketRequest,
    *,
    key: ApiKey,
    idempotency_key: str | None,
    random_id: UUID,
    received_at: datetime,
    language: LanguageOf | None = None,
) -> TicketReceived:
    """One ticket from a posted message. The same Idempotency-Key of an account and a scope is always the same ticket.

    `random_id` makes the id of a message that brings none of its own.

    Raises:
        Malformed: nothing is left of the body, or the Idempotency-Key is unusable.
        NotAllowed: the channel is not one of the key's.
        TooLarge: the body is larger than a ticket may be.
    """
    message_id = _message_id(request, idempotency_key, random_id)
    ticket = ticket_id(key.space, key.account, message_id)
    body = _body(request)
    return TicketReceived(
        ticket_id=ticket,
        conversation=_conversation(request, key, ticket),
        channel=_channel(request, key),
        provider=PROVIDER,
        account=key.account,
        provider_message_id=message_id,
        identity=_identity(request, key),
        sender=request.sender,
        subject=clean_line(request.subject, MAX_SUBJECT),
        body=body,
        body_full=body,
        language=_language(request, body, language),
        attachments=tuple(Attachment(**file.model_dump()) for file in request.attachments),
        received_at=received_at,
    )


def _language(request: TicketRequest, body: str, language: LanguageOf | None) -> str | None:
    """The claimed language where the text does not gainsay it."""
    found = language(body) if language else None
    return UNDETERMINED if found and request.language not in (None, found) else request.language or found


def _message_id(request: TicketRequest, idempotency_key: str | None, random_id: UUID) -> str:
    if idempotency_key is None:
        return request.message_id or str(random_id)
    if not 1 <= len(idempotency_key) <= 200 or not idempotency_key.isprintable():
        raise Malformed("Idempotency-Key", "must be 1 to 200 printable characters")
    return idempotency_key


def _body(request: TicketRequest) -> str:
    body = clean(request.body).strip()
    if shows_nothing(body):
        raise Malformed("body", "holds no text")
    return within_limit("body", body)


def _channel(request: TicketRequest, key: ApiKey) -> Channel:
    channel = request.channel or key.channels[0]
    if channel not in key.channels:
        raise NotAllowed("channel", f"this key may write to {', '.join(key.channels)}")
    return channel


def _conversation(request: TicketRequest, key: ApiKey, ticket: UUID) -> str:
    """Within the account and the customer, so that nobody joins a proved conversation by guessing its name.

    Where nobody is proved, whoever claims the same and names the same conversation is in it: a public form should name
    none, or one that cannot be guessed.
    """
    if key.proves_customer:
        customer = request.customer_id or ""
    else:
        claimed = f"{request.customer_id or ''}\n{request.sender or ''}"
        customer = f"~{sha256(claimed.encode()).hexdigest()[:16]}" if claimed.strip() else ""
    return conversation_name(key.space, key.account, customer, request.conversation or str(ticket))


def conversation_name(space: str, *parts: str) -> str:
    """The key of a conversation, its parts apart whatever they hold; hashed where it would be too long for a ticket."""
    named = ":".join((space, *(quote(part, safe="@+") for part in parts)))
    return named if len(named) <= LONGEST_NAME else f"{space}::{sha256(named.encode()).hexdigest()}"


def is_public(conversation: str) -> bool:
    """Whether a key of scope customer opened it by POST /v1/tickets: nobody is proved in it."""
    return conversation.startswith(f"{PUBLIC}:")


def _identity(request: TicketRequest, key: ApiKey) -> Identity:
    claimed = request.customer_id or request.sender
    if request.customer_id and key.proves_customer:
        return Identity(claimed=claimed, proof=Proof.API_KEY, value=request.customer_id)
    return Identity(claimed=claimed)
