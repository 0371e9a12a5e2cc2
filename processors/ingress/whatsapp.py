"""WhatsApp's door: one signed webhook of Meta's Cloud API becomes the tickets of all its messages.

Shapes: https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages. A message
of a kind nobody knows is a ticket without words, which a person reads. Only what nobody can answer is not a ticket:
delivery statuses, reactions, and the sign that somebody has opened the chat.
"""

import binascii
import hashlib
import hmac
import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from processors.ingress import LanguageOf, Malformed, clean, clean_line
from schemas.ingress import Attachment, Channel, Identity, Marks, Proof, TicketReceived, ticket_id

PROVIDER = "whatsapp-cloud"
MAX_WEBHOOK_BYTES = 3 * 1024 * 1024  # the most Meta sends at once
MAX_TEXT = 60_000  # characters; WhatsApp itself takes 4096
OLDEST = timedelta(days=7)  # how long Meta retries
STALE = timedelta(days=8)  # a delivery of nothing newer is none of Meta's retries

STATUSES = ("sent", "delivered", "read", "failed", "deleted", "played")
NOT_TICKETS = ("reaction", "request_welcome")
MEDIA = ("image", "video", "audio", "voice", "document", "sticker")

_PHONE = re.compile(r"[1-9][0-9]{6,14}", re.ASCII)  # E.164 without the plus
_WORD = re.compile(r"[A-Za-z0-9_.=+/-]{1,200}", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)

Json = object  # as json.loads gives it


@dataclass(frozen=True)
class MetaApp:
    """What an app at Meta shares with its webhook. While its secret is changed, the old and the new one are valid."""

    secrets: tuple[str, ...] = field(repr=False)
    verify_token: str | None = field(default=None, repr=False)  # None: no handshake is answered

    def signed(self, raw: bytes, signature: str) -> bool:
        """Whether `X-Hub-Signature-256` is the HMAC-SHA256 of these very bytes under one of the secrets."""
        given = signature.encode("utf-8", "replace")
        expected = [hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest() for secret in self.secrets]
        return any(hmac.compare_digest(given, f"sha256={digest}".encode()) for digest in expected)

    def knows(self, verify_token: str) -> bool:
        """Whether this is the token agreed on for the handshake."""
        token = self.verify_token
        return token is not None and hmac.compare_digest(token.encode(), verify_token.encode("utf-8", "replace"))


@dataclass(frozen=True)
class Failure:
    """A reply that Meta took and could not deliver."""

    message_id: str
    code: int | None  # of Meta's error codes


@dataclass(frozen=True)
class Delivery:
    """What one webhook brought."""

    tickets: tuple[TicketReceived, ...] = ()
    others: tuple[str, ...] = ()  # what is counted and nothing more, each by a word of a short list
    failures: tuple[Failure, ...] = ()
    stale: bool = False  # messages, and none of the last days: Meta gave up on these long ago


def receive_whatsapp(raw: bytes, *, received_at: datetime, language: LanguageOf | None = None) -> Delivery:
    """Every ticket of a webhook, in its order. The message's id makes the ticket's: a redelivery is the same ticket.

    Raises:
        Malformed: it is no webhook of a WhatsApp account.
    """
    values = list(_values(_parsed(raw)))
    messages = [(value, message) for value in values if value for message in _list(value, "messages")]
    kinds = [_kind(message) for _, message in messages]
    told = [pair for pair, kind in zip(messages, kinds, strict=True) if kind not in NOT_TICKETS]
    digest = hashlib.sha256(raw).hexdigest()
    tickets = [
        _ticket(value, message, f"sha256:{digest}:{place}", received_at, language)
        for place, (value, message) in enumerate(told)
    ]
    moments = [_moment(message) for _, message in messages]
    return Delivery(
        tickets=tuple(tickets),
        others=(*(kind for kind in kinds if kind in NOT_TICKETS), *_others(values)),
        failures=tuple(failure for value in values if value for failure in _failures(value)),
        stale=bool(moments) and all(moment and moment < received_at - STALE for moment in moments),
    )


# -- the envelope


def _parsed(raw: bytes) -> Json:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise Malformed("body", "is no JSON") from None


def _values(body: Json) -> Iterator[Mapping[str, Json] | None]:
    """The value of each change about messages, and None for each other change."""
    if _at(body, "object") != "whatsapp_business_account":
        raise Malformed("object", "is not whatsapp_business_account")
    for entry in _list(body, "entry"):
        for change in _list(entry, "changes"):
            value = _at(change, "value")
            yield value if _at(change, "field") == "messages" and isinstance(value, dict) else None


def _others(values: Sequence[Mapping[str, Json] | None]) -> Iterator[str]:
    for value in values:
        if value is None:
            yield "field"
            continue
        yield from (f"status-{_one_of(STATUSES, _at(status, 'status'))}" for status in _list(value, "statuses"))
        yield from ("error" for _ in _list(value, "errors"))


def _failures(value: Mapping[str, Json]) -> Iterator[Failure]:
    for status in _list(value, "statuses"):
        if _at(status, "status") == "failed":
            code = _at(next(iter(_list(status, "errors")), None), "code")
            yield Failure(_word(_at(status, "id")) or "unknown", code if isinstance(code, int) else None)


# -- one message


def _ticket(
    value: Mapping[str, Json], message: Json, unnamed: str, received_at: datetime, language: LanguageOf | None
) -> TicketReceived:
    account = _word(_at(value, "metadata", "phone_number_id")) or "unknown"
    message_id = _word(_at(message, "id")) or unnamed
    system = _kind(message) == "system"
    sender = _phone(_at(message, "from"))
    read = READERS.get(_kind(message), _unknown)(message)
    body = read.words[:MAX_TEXT].strip()
    quoted = _word(_at(message, "context", "id"))
    return TicketReceived(
        ticket_id=ticket_id(PROVIDER, account, message_id),
        conversation=_conversation(account, sender or _line(message, "from_user_id") or message_id),
        channel=Channel.WHATSAPP,
        provider=PROVIDER,
        account=account,
        provider_message_id=message_id,
        identity=_identity(None if system else sender, _line(message, "from") or _line(message, "from_user_id")),
        sender=sender,
        body=body,
        body_full="\n".join(filter(None, (body, read.note))),
        language=language(body) if language and body else None,
        attachments=read.files,
        marks=Marks(auto_reply=system),
        in_reply_to=(quoted,) if quoted else (),
        received_at=_bounded(_moment(message), received_at),
    )


def _identity(phone: str | None, claimed: str) -> Identity:
    """The number is Meta's word, under its signature. Somebody known by a user name only stays unproved."""
    if phone is None:
        return Identity(claimed=claimed or None)
    return Identity(claimed=phone, proof=Proof.PHONE, value=phone)


def _conversation(account: str, who: str) -> str:
    """One conversation for each pair of numbers; hashed, as the key stands in logs."""
    digest = hashlib.sha256(f"{account}\n{who}".encode()).hexdigest()
    return f"whatsapp:{account}:{digest[:32]}"


def _moment(message: Json) -> datetime | None:
    """When Meta took the message: seconds since 1970, as a string."""
    try:
        return datetime.fromtimestamp(int(_string(message, "timestamp")), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _bounded(moment: datetime | None, received_at: datetime) -> datetime:
    """Within Meta's retries, never later than now. Unknown is the oldest, for which no reply may go out any more."""
    oldest = received_at - OLDEST
    return min(max(moment or oldest, oldest), received_at)


# -- what it says


@dataclass(frozen=True)
class _Read:
    """A message's content."""

    words: str = ""  # the customer's own, and all that a model reads
    note: str = ""  # what else came, for a person
    files: tuple[Attachment, ...] = ()


def _kind(message: Json) -> str:
    return _line(message, "type", limit=40) or "message"


def _text(message: Json) -> _Read:
    return _said(message, _string(message, "text", "body"))


def _button(message: Json) -> _Read:
    return _said(message, _string(message, "button", "text"))


def _interactive(message: Json) -> _Read:
    """A button or a line of a list that the customer chose; a filled form is for a person."""
    chosen = _string(message, "interactive", "button_reply", "title")
    chosen = chosen or _string(message, "interactive", "list_reply", "title")
    form = _line(message, "interactive", "nfm_reply", "response_json", limit=4000)
    return _Read(note=f"[form: {form}]") if form else _said(message, chosen)


def _said(message: Json, words: str) -> _Read:
    words = clean(words).strip()
    return _Read(words=words, note="" if words else f"[{_kind(message)}: empty]")


def _media(message: Json) -> _Read:
    """A file by reference: its address at Meta is short-lived, its id is not."""
    kind = _kind(message)
    caption = clean(_string(message, kind, "caption")).strip()
    media = _word(_at(message, kind, "id"))
    name = _line(message, kind, "filename", limit=255) or kind
    file = Attachment(
        name=re.split(r"[/\\]", name)[-1].lstrip(".") or kind,
        media_type=_line(message, kind, "mime_type", limit=100) or "application/octet-stream",
        size=0,  # Meta tells it only to who asks for the file
        sha256=_sha256(_string(message, kind, "sha256")),
        url=f"whatsapp-media:{media}" if media else None,
    )
    return _Read(words=caption, note=f"[{kind}]", files=(file,))


def _location(message: Json) -> _Read:
    place = [_line(message, "location", part) for part in ("name", "address")]
    point = [_at(message, "location", part) for part in ("latitude", "longitude")]
    numbers = [f"{number:.5f}" for number in point if isinstance(number, float)]
    return _Read(note=f"[location: {', '.join(filter(None, (*place, *numbers)))}]")


def _contacts(message: Json) -> _Read:
    names = [_line(contact, "name", "formatted_name") or "unnamed" for contact in _list(message, "contacts")[:20]]
    return _Read(note=f"[contacts: {', '.join(names)}]")


def _order(message: Json) -> _Read:
    """A basket sent from the catalogue; what to do with it is a person's matter."""
    words = clean(_string(message, "order", "text")).strip()
    items = _list(message, "order", "product_items")[:50]
    shown = [f"{_line(item, 'quantity') or '1'} × {_line(item, 'product_retailer_id')}" for item in items]
    return _Read(note="\n".join(filter(None, (f"[order: {', '.join(shown)}]", words))))


def _system(message: Json) -> _Read:
    """WhatsApp's own word: a customer has changed their number."""
    return _Read(note=f"[system: {_line(message, 'system', 'body')}]")


def _unknown(message: Json) -> _Read:
    kind = _line(message, "unsupported", "type") or _line(next(iter(_list(message, "errors")), None), "title")
    return _Read(note=f"[{_kind(message)}{': ' + kind if kind else ''}]")


READERS: Mapping[str, Callable[[Json], _Read]] = {
    "text": _text,
    "button": _button,
    "interactive": _interactive,
    **dict.fromkeys(MEDIA, _media),
    "location": _location,
    "contacts": _contacts,
    "order": _order,
    "system": _system,
}


# -- reading JSON whose shape is not certain


def _at(value: Json, *path: str) -> Json:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _list(value: Json, *path: str) -> list[Json]:
    found = _at(value, *path)
    return found if isinstance(found, list) else []


def _string(value: Json, *path: str) -> str:
    found = _at(value, *path)
    return str(found) if isinstance(found, str | int) else ""


def _line(value: Json, *path: str, limit: int = 200) -> str:
    return clean_line(_string(value, *path), limit)


def _word(found: Json) -> str | None:
    """An id: a word without blanks; None where it is something else."""
    return found if isinstance(found, str) and _WORD.fullmatch(found) else None


def _phone(found: Json) -> str | None:
    return found if isinstance(found, str) and _PHONE.fullmatch(found) else None


def _one_of(known: Sequence[str], found: Json) -> str:
    return found if isinstance(found, str) and found in known else "other"


def _sha256(told: str) -> str:
    """Hex, as our attachments have it; Meta writes base64. Empty where it is neither."""
    if _HEX.fullmatch(told):
        return told
    try:
        digest = b64decode(told, validate=True)
    except (ValueError, binascii.Error):
        return ""
    return digest.hex() if len(digest) == 32 else ""
