"""A reply as an e-mail (RFC 5322): threaded under the customer's message, and honest about who wrote it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime

from processors.disclosure import BOT, Disclosure
from processors.errors import Undeliverable
from processors.ingress import clean, clean_line
from processors.loops import ANSWERED
from processors.mail_token import ADDRESS, TokenKey, message_id, plus_address, sign
from processors.ports import Link, Reply
from schemas.ingress import TicketReceived

MAX_SUBJECT = 200  # characters
MAX_REFERENCES = 20  # Message-IDs: the thread's first one and the newest
ANSWER = "Re: "
_ID = re.compile(r"[!-;=?-~]{1,250}")  # printable ASCII without blanks and brackets
_URL = re.compile(r"https?://[!-~]+")
_DOT_ATOM = re.compile(r"[^.]+(?:\.[^.]+)*")  # RFC 5322 §3.2.3, of what ADDRESS lets into a local part
_HASHED = "sha256:"  # how the mail door names a message that has no Message-ID
_ID_HEADERS = ("message-id", "in-reply-to", "references")


@dataclass(frozen=True)
class Letterhead:
    """Who we are, and what we say of ourselves."""

    name: str  # of the sender; may be empty
    address: str
    key: TokenKey
    disclosure: Disclosure

    @property
    def domain(self) -> str:
        """The domain of the own address."""
        return self.address.rpartition("@")[2].lower()


@dataclass(frozen=True)
class Letter:
    """A message with its envelope (RFC 5321); both addresses as the wire has them, quoted where they must be."""

    sender: str  # MAIL FROM: what a mailbox says of its own accord comes back into the same conversation
    recipient: str
    message_id: str  # without brackets
    content: bytes  # with CRLF, in ASCII


class _Wire(EmailPolicy):
    """`policy.SMTP` in 7 bits, with Message-IDs kept whole: the library would encode those longer than a line."""

    def fold_binary(self, name: str, value: str) -> bytes:
        """One header as bytes."""
        if name.lower() in _ID_HEADERS:
            return (f"{name}: " + "\r\n ".join(str(value).split()) + "\r\n").encode("ascii")
        folded: bytes = super().fold_binary(name, value)
        return folded


_POLICY = _Wire(linesep="\r\n", cte_type="7bit")


def letter_of(reply: Reply, head: Letterhead, now: datetime) -> Letter:
    """The one message of a reply: but for its Date, the same reply gives the same bytes.

    What a person sends is that person's word: it carries no sign of an automatic answer.

    Raises:
        Undeliverable: the ticket has no address to answer to, or no letter can be made of the reply.
    """
    ticket = reply.ticket
    recipient = ticket.sender or ""
    if not (recipient.isascii() and ADDRESS.fullmatch(recipient.lower())):
        raise Undeliverable("there is no e-mail address to answer to")
    token = sign(head.key, conversation=ticket.conversation, address=recipient, sent_for=ticket.received_at)
    own_id = message_id(head.key, token, idempotency_key=reply.key, domain=head.domain)
    back, to = _on_the_wire(plus_address(head.address, token)), _on_the_wire(recipient)
    try:
        content = _message(reply, head, back=back, to=to, own_id=own_id, now=now).as_bytes()
    except (ValueError, MessageError, LookupError) as error:  # LookupError: the library's parser at its wits' end
        raise Undeliverable(f"no letter can be made of it: {type(error).__name__}") from error
    return Letter(back, to, own_id, content)


def _message(reply: Reply, head: Letterhead, *, back: str, to: str, own_id: str, now: datetime) -> EmailMessage:
    ticket, name = reply.ticket, clean_line(head.name, 100)
    message = EmailMessage(policy=_POLICY)
    message["From"] = Address(name, addr_spec=_on_the_wire(head.address))
    message["To"] = to
    if message["To"].defects:
        raise ValueError("the address has a fault")
    message["Reply-To"] = Address(name, addr_spec=back)
    message["Subject"] = _subject(ticket)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{own_id}>"
    for header, value in {**_thread(ticket), **_signs(reply)}.items():
        message[header] = value
    message.set_content(_text(reply, head), cte="quoted-printable")
    return message


def _on_the_wire(address: str) -> str:
    """The address with its local part quoted where its dots are out of order (RFC 5321 §4.1.2).

    Carriers have given such addresses out, `a..b@` and `a.@` among them, and their people write from them.
    """
    local, _, domain = address.rpartition("@")
    return address if _DOT_ATOM.fullmatch(local) else f'"{local}"@{domain}'


def _subject(ticket: TicketReceived) -> str:
    subject = clean_line(ticket.subject, MAX_SUBJECT) or "your message"
    return subject if ANSWERED.match(subject) else ANSWER + subject


def _thread(ticket: TicketReceived) -> dict[str, str]:
    """In-Reply-To and References (RFC 5322 §3.6.4): the parent's references, and the parent."""
    parent = ticket.provider_message_id
    if parent.startswith(_HASHED) or not _ID.fullmatch(parent):
        return {}
    earlier = [found for found in ticket.in_reply_to[::-1] if _ID.fullmatch(found) and found != parent]
    if len(earlier) >= MAX_REFERENCES:
        earlier = [earlier[0], *earlier[2 - MAX_REFERENCES :]]
    return {"In-Reply-To": f"<{parent}>", "References": " ".join(f"<{found}>" for found in (*earlier, parent))}


def _signs(reply: Reply) -> dict[str, str]:
    """What an automatic message says of itself (RFC 3834 §5, MS-OXCMAIL 2.2.3.2.14)."""
    if reply.actor != BOT:
        return {}
    return {"Auto-Submitted": "auto-replied", "X-Auto-Response-Suppress": "All"}


def _text(reply: Reply, head: Letterhead) -> str:
    links = _links(reply.links) if reply.actor == BOT else ""
    parts = (clean(reply.text).strip(), links, head.disclosure.below(reply))
    return "\n\n".join(part for part in parts if part) + "\n"


def _links(links: Iterable[Link]) -> str:
    shown = [f"{clean_line(link.title, 200)}: {link.url}" for link in links if _URL.fullmatch(link.url)]
    return "\n".join(("More about this:", *shown)) if shown else ""
