"""A ticket as its channel delivered it, before anything was decided."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID, uuid5

from pydantic import Field

from schemas.event import Aware, Event, Step, Value

TICKET_NAMESPACE = UUID("6f1b1f0e-6c39-5c0f-8a55-0f4b9a3c7d21")
MAX_MESSAGE_BYTES = 256 * 1024


class Channel(StrEnum):
    """The door a message came through."""

    UNKNOWN = "unknown"  # what a reader sees of a channel newer than itself; policy denies it
    API = "api"
    EMAIL = "email"
    CHAT = "chat"
    WHATSAPP = "whatsapp"
    HELPDESK = "helpdesk"


class Proof(StrEnum):
    """How a channel proved who is writing. What the text claims is never a proof."""

    NONE = "none"
    API_KEY = "api_key"  # the key's scope allows naming a customer; `value` is a customer id
    DMARC = "dmarc"  # a configured server called the From aligned; `value` is an e-mail address
    SESSION = "session"  # a chat session that the account's own backend opened for a customer; `value` is a customer id
    PHONE = "phone"  # the signed webhook of the provider that owns the number; `value` is E.164 digits without the plus


class Identity(Value):
    """Who the message claims to be from, and what the channel proved of it."""

    claimed: str | None = None
    proof: Proof = Proof.NONE
    value: str | None = None  # the proved customer id or address; None when nothing is proved


class Attachment(Value):
    """A file by reference: its bytes never travel on Kafka."""

    name: str
    media_type: str
    size: int  # bytes
    sha256: str
    url: str | None = None


class Marks(Value):
    """Signs that a machine wrote the message (RFC 3834). Any of them forbids an automatic answer."""

    auto_reply: bool = False
    bulk: bool = False
    loop: bool = False
    bounce: bool = False

    @property
    def automatic(self) -> bool:
        """Whether any mark is set."""
        return self.auto_reply or self.bulk or self.loop or self.bounce


class TicketReceived(Event):
    """A customer's message. It carries no revision and no transcript: admission adds them."""

    ticket_id: UUID
    conversation: Annotated[str, Field(max_length=500)]  # the Kafka key: one conversation, one partition, one order
    channel: Channel
    provider: Annotated[str, Field(max_length=100)]  # api, email, whatsapp-cloud, zendesk, ...
    account: Annotated[str, Field(max_length=500)]  # the API key's account, the mailbox, the phone number id
    provider_message_id: Annotated[str, Field(max_length=1000)]
    identity: Identity = Identity()
    sender: str | None = None  # where a reply would go; not a proof of anything
    subject: str = ""
    body: str  # quotes and signature stripped; what is classified
    body_full: str  # as received
    language: str | None = None  # ISO 639-1
    attachments: tuple[Attachment, ...] = ()
    marks: Marks = Marks()
    in_reply_to: tuple[str, ...] = ()  # RFC 5322 In-Reply-To and References, newest first
    received_at: Aware
    steps: tuple[Step, ...] = ()


def ticket_id(provider: str, account: str, provider_message_id: str) -> UUID:
    """The deterministic id of a provider's message: the same message is always the same ticket (RFC 9562 §5.5)."""
    return uuid5(TICKET_NAMESPACE, "\x1f".join((provider, account, provider_message_id)))
