"""The mailbox's door: a raw message (RFC 5322) becomes a ticket, with its thread, its marks and what is proved of it.

Whoever hands a message in is trusted to be the receiving mail server: only that server can say what of a message's
trace headers is its own. Of what Sluice puts into its own mail only the signed reply token is believed.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes
from email.errors import MessageError
from email.headerregistry import AddressHeader, BaseHeader
from email.message import Message
from email.policy import EmailPolicy

from authres import AuthenticationResultsHeader, AuthResError
from inscriptis import get_annotated_text
from inscriptis.model.config import ParserConfig

from processors.ingress import LanguageOf, Malformed, TooLarge, clean, clean_line, within_limit
from processors.ingress.quotes import reply_of
from processors.mail_token import ADDRESS, TokenKey, conversation_of, joined, tokens_in
from schemas.ingress import Attachment, Channel, Identity, Marks, Proof, TicketReceived, ticket_id

PROVIDER = "email"
MAX_MAIL_BYTES = 10 * 1024 * 1024  # attachments included; the text alone may be MAX_MESSAGE_BYTES
MAX_HTML = 1024 * 1024  # characters
MAX_HEADER = 8 * 1024  # characters of one header; the rest is not read
MAX_FILE_TEXT = 16 * 1024  # characters of an attached text; the rest is not read
MAX_PARTS = 200
MAX_BOUNDARIES = 50  # the standard parser's time grows with lines × open boundaries
MAX_LINES = 200_000
MAX_IDS = 50

# The standard library's parser raises almost anything on hostile headers; each of these means "not readable".
UNREADABLE = (
    MessageError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    RuntimeError,
    ArithmeticError,
    AssertionError,
)

_ADDRESSED = ("To", "Cc", "Delivered-To", "X-Original-To", "Envelope-To")  # where a plus address of ours may stand
_ID = re.compile(r"<([^<>\s]{1,998})>")
_TAG = re.compile(r"<[^<>]*>")
_NO_REPLY = re.compile(
    r"(?:(?:no|do-?not)[-_.]?reply|auto-?reply|notifications?|newsletters?|mailings?)(?:[-_.+\d].*)?"
)
_DAEMON = re.compile(r"mailer-daemon|postmaster|bounces?|bounce[-+=].*")
_ANSWERING_MACHINE = re.compile(
    r"(?:(?:re|r|aw|antw|sv|rif|ref|fwd?|wg|tr)\s*(?:\[\d+\])?\s*:\s*)*"
    r"(?:automatic reply|auto(?:matic)?[- ]?(?:response|reply)|out of (?:the )?office|ooo\b"
    r"|(?:on|annual) (?:leave|vacation)"
    r"|automatische antwort|abwesenheit\w*|réponse automatique|absen(?:ce|te?) du bureau|respuesta automática"
    r"|fuera de (?:la )?oficina|risposta automatica|fuori (?:ufficio|sede)|automatisch antwoord|afwezig\w*)(?!\w)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Mailbox:
    """The own mailbox: what is ours, and whose word on a sender counts."""

    account: str  # names the mailbox in every id
    addresses: frozenset[str] = frozenset()  # own addresses, lower case
    domains: frozenset[str] = frozenset()  # own domains, lower case: no customer writes from them
    authserv_ids: frozenset[str] = frozenset()  # RFC 8601 §2.2, lower case; empty: no sender is ever proved
    secret: bytes = field(default=b"", repr=False)  # of the reply tokens; empty: none is believed


class _Bounded(EmailPolicy):
    """`policy.default`, with headers cut before they are parsed: its parser is quadratic in places."""

    def header_fetch_parse(self, name: str, value: str) -> str:
        """The header's value as a structured header, never longer than MAX_HEADER."""
        header: str = super().header_fetch_parse(name, value[:MAX_HEADER] if type(value) is str else value)
        return header


_POLICY = _Bounded()


def receive_email(
    raw: bytes, *, mailbox: Mailbox, received_at: datetime, language: LanguageOf | None = None
) -> TicketReceived:
    """One ticket from one message. The Message-ID makes its id; where there is none, the bytes do.

    Raises:
        Malformed: the bytes are no message.
        TooLarge: the message, or its text, is larger than a ticket may be.
    """
    message = _parse(raw)
    parts = _leaves(message)
    written = _text(parts)
    full = within_limit("body", "\n\n".join((written, *_beside(parts, written))).strip())
    answered, root = _thread(message)
    own_id = next(iter(_ids(_first(message, "Message-ID"))), None)
    provider_id = own_id or f"sha256:{hashlib.sha256(raw).hexdigest()}"
    sender = _sender(message)
    begun = _joined(message, answered, sender, mailbox, received_at)
    body = reply_of(written, first=begun is None and root is None)
    return TicketReceived(
        ticket_id=ticket_id(PROVIDER, mailbox.account, provider_id),
        conversation=begun or _conversation(mailbox, sender, root or provider_id),
        channel=Channel.EMAIL,
        provider=PROVIDER,
        account=mailbox.account,
        provider_message_id=provider_id,
        identity=_identity(message, sender, mailbox),
        sender=sender,
        subject=_subject(message),
        body=body,
        body_full=full,
        language=language(body) if language and body else None,
        attachments=tuple(_attachment(part) for part in parts if not _is_text(part)),
        marks=_marks(message, sender, own_id, mailbox),
        in_reply_to=answered,
        received_at=received_at,
    )


# -- the message


def _parse(raw: bytes) -> Message:
    if len(raw) > MAX_MAIL_BYTES:
        raise TooLarge("message", MAX_MAIL_BYTES)
    if raw.lower().count(b"boundary") > MAX_BOUNDARIES or raw.count(b"\n") + raw.count(b"\r") > 2 * MAX_LINES:
        raise Malformed("message", "has too many parts or lines")
    try:
        message = message_from_bytes(raw, policy=_POLICY)
    except UNREADABLE as error:
        raise Malformed("message", f"cannot be read ({type(error).__name__})") from None
    if not any(name.lower() == "from" for name, _ in message.raw_items()):
        raise Malformed("From", "is missing: not an e-mail message")
    return message


def _leaves(message: Message) -> tuple[Message, ...]:
    """The parts that hold something, in order. A message within the message is one part: an attachment."""
    found: list[Message] = []
    waiting: list[Message] = [message]
    while waiting:
        part = waiting.pop()
        if part.is_multipart() and _kind(part).startswith("multipart/"):
            waiting.extend(_children(part)[::-1])
        else:
            found.append(part)
        if len(found) + len(waiting) > MAX_PARTS:
            raise Malformed("message", f"has more than {MAX_PARTS} parts")
    return tuple(found)


def _children(part: Message) -> list[Message]:
    inner = part.get_payload()
    return [child for child in inner if isinstance(child, Message)] if isinstance(inner, list) else []


def _kind(part: Message) -> str:
    try:
        return clean_line(part.get_content_type(), 100)
    except UNREADABLE:
        return "application/octet-stream"


def _raw(message: Message, name: str) -> tuple[str, ...]:
    """Every header of this name as it stands, top of the message first; unfolded, never interpreted."""
    wanted = name.lower()
    return tuple(
        clean_line(str(value), MAX_HEADER) for header, value in message.raw_items() if header.lower() == wanted
    )


def _first(message: Message, name: str) -> str:
    return next(iter(_raw(message, name)), "")


def _subject(message: Message) -> str:
    return _decoded_line(message, "Subject")[:998]


def _decoded_line(message: Message, name: str) -> str:
    """A header with its encoded words (RFC 2047) read; some senders encode even Message-IDs."""
    try:
        return clean_line(str(message[name] or ""), MAX_HEADER)
    except UNREADABLE:
        return _first(message, name)


# -- text


def _is_text(part: Message) -> bool:
    return _kind(part) in ("text/plain", "text/html") and not _is_file(part)


def _is_file(part: Message) -> bool:
    try:
        return part.get_content_disposition() == "attachment" or part.get_filename() is not None
    except UNREADABLE:
        return True


def _text(parts: tuple[Message, ...]) -> str:
    """The plain parts; where they are empty, the HTML parts as text. Line feeds only, nothing invisible."""
    for kind, read in (("text/plain", clean), ("text/html", _from_html)):
        texts = [read(_decoded(part)).strip() for part in parts if _is_text(part) and _kind(part) == kind]
        if any(texts):
            return "\n\n".join(filter(None, texts))
    return ""


def _beside(parts: tuple[Message, ...], written: str) -> Iterator[str]:
    """What else the mail says: lines of an HTML alternative that the plain part lacks, and text files."""
    seen = _squeezed(written)
    for part in parts:
        if _kind(part) == "text/html" and not _is_file(part):
            lines = _from_html(_decoded(part)[:MAX_HTML]).split("\n")
            new = (line.strip() for line in lines if _squeezed(line) and _squeezed(line) not in seen)
            yield from ("\n".join(found) for found in [list(new)] if found)
        elif _kind(part) == "text/plain" and _is_file(part):
            yield clean(_decoded(part))[:MAX_FILE_TEXT].strip()


def _squeezed(text: str) -> str:
    """A text by its letters and digits, as a line is wrapped and marked differently in HTML and in plain text."""
    return "".join(filter(str.isalnum, text.casefold()))


def _decoded(part: Message) -> str:
    """The part's text. A wrong or unknown charset gives replacement characters, never a failure."""
    content = _bytes(part)
    try:
        return content.decode(part.get_content_charset("utf-8"), "replace")
    except UNREADABLE:
        return content.decode("utf-8", "replace")


def _bytes(part: Message) -> bytes:
    try:
        inner = part.get_payload(0) if part.is_multipart() else part.get_payload(decode=True)
        content = inner.as_bytes() if isinstance(inner, Message) else inner
    except UNREADABLE:
        return b""
    return content if isinstance(content, bytes) else b""


def _from_html(html: str) -> str:
    """HTML as text; what stands in a blockquote gets the `> ` of plain mail."""
    if len(html) > MAX_HTML:
        raise TooLarge("body", MAX_HTML)
    try:
        found = get_annotated_text(clean(html), ParserConfig(annotation_rules={"blockquote": ["quote"]}))
    except UNREADABLE:
        found = {}
    text = clean(_quoted(found.get("text", ""), [span[:2] for span in found.get("label", ())]))
    return text if text.strip() else clean(_TAG.sub(" ", html))  # nested too deep for the parser, or tags alone


def _quoted(text: str, spans: list[tuple[int, int]]) -> str:
    """The lines, those that touch a span marked. A sweep, as a hostile message has as many spans as lines."""
    ordered, lines, at, until = sorted(spans, reverse=True), [], 0, 0
    for line in text.split("\n"):
        end = at + len(line)
        while ordered and ordered[-1][0] < end:
            until = max(until, ordered.pop()[1])
        lines.append(f"> {line.strip()}" if line.strip() and at < until else line.strip())
        at = end + 1
    return "\n".join(lines)


# -- files


def _attachment(part: Message) -> Attachment:
    content = _bytes(part)
    return Attachment(
        name=_file_name(part),
        media_type=_kind(part),
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _file_name(part: Message) -> str:
    try:
        name = part.get_filename() or ""
    except UNREADABLE:
        name = ""
    return clean_line(re.split(r"[/\\]", name)[-1], 255).lstrip(".") or "unnamed"


# -- the thread (RFC 5322 §3.6.4)


def _ids(header: str) -> Iterator[str]:
    return (found.group(1) for found in _ID.finditer(header))


def _thread(message: Message) -> tuple[tuple[str, ...], str | None]:
    """The messages this one answers, newest first, and the thread's root: None for a first message."""
    answered = list(_ids(_decoded_line(message, "In-Reply-To")))
    references = list(_ids(_decoded_line(message, "References")))
    found = tuple(dict.fromkeys((*answered, *references[::-1])))[:MAX_IDS]
    return found, next(iter((*references, *answered)), None)


def _joined(
    message: Message, answered: tuple[str, ...], sender: str | None, mailbox: Mailbox, now: datetime
) -> str | None:
    """The conversation of the message of ours that this one answers, by its token; None where it has none to believe.

    Before the thread's root, as clients drop and rewrite References, and before what the subject says.
    """
    if sender is None or not mailbox.secret:
        return None
    addresses = [value for name in _ADDRESSED for value in _raw(message, name)]
    key = TokenKey(mailbox.account, mailbox.secret)
    return joined(key, tokens_in(answered, addresses), sender=sender, now=now)


def _conversation(mailbox: Mailbox, sender: str | None, root: str) -> str:
    """Sender and root together: whoever learns a Message-ID does not join the thread of somebody else.

    Hashed, as the key stands in logs and holds an address.
    """
    digest = hashlib.sha256(f"{sender or ''}\n{root}".encode()).hexdigest()
    return conversation_of(mailbox.account, digest[:32])


# -- who writes


def _sender(message: Message) -> str | None:
    """The one From address, lower case, or None where there is not exactly one."""
    found = _from(message)
    return found if found and ADDRESS.fullmatch(found) else None


def _from(message: Message) -> str | None:
    stated = [str(value) for name, value in message.raw_items() if name.lower() == "from"]
    if len(stated) != 1 or len(stated[0]) > MAX_HEADER:  # what is cut before it is read may hide another address
        return None
    try:
        header = message["From"]
        if not isinstance(header, AddressHeader):
            return None
        alone = len(header.addresses) == 1 and header.groups[0].display_name is None
        return str(header.addresses[0].addr_spec).lower() if alone else None
    except UNREADABLE:
        return None


def _identity(message: Message, sender: str | None, mailbox: Mailbox) -> Identity:
    """The From address is a claim. It is proved only by the receiving server's own DMARC verdict on its domain."""
    claimed = sender or clean_line(_first(message, "From"), 320) or None
    if sender and _well_formed(message, sender) and _dmarc_domain(message, mailbox) == sender.partition("@")[2]:
        return Identity(claimed=claimed, proof=Proof.DMARC, value=sender)
    return Identity(claimed=claimed)


def _well_formed(message: Message, sender: str) -> bool:
    """Whether every parser reads the same address: no defects, and the address stands there literally."""
    header = message["From"]
    literal = sender in _first(message, "From").lower()
    return literal and isinstance(header, BaseHeader) and not header.defects


def _dmarc_domain(message: Message, mailbox: Mailbox) -> str | None:
    """The domain that passed DMARC (RFC 7489), said by the topmost Authentication-Results (RFC 8601 §5)."""
    topmost = _first(message, "Authentication-Results")
    try:
        results = AuthenticationResultsHeader.parse(f"Authentication-Results: {topmost}")
    except (AuthResError, *UNREADABLE):
        return None
    if str(results.authserv_id).lower() not in mailbox.authserv_ids:
        return None
    verdicts = [result for result in results.results if str(result.method).lower() == "dmarc"]
    if len(verdicts) != 1 or str(verdicts[0].result).lower() != "pass":
        return None
    domains = [str(p.value).lower() for p in verdicts[0].properties if (p.type, p.name) == ("header", "from")]
    return domains[0].rpartition("@")[2] if len(domains) == 1 else None


# -- signs of a machine (RFC 3834)


def _marks(message: Message, sender: str | None, own_id: str | None, mailbox: Mailbox) -> Marks:
    local = (sender or "").partition("@")[0]
    return Marks(
        auto_reply=sender is None or _auto_reply(message) or bool(_NO_REPLY.fullmatch(local)),
        bulk=_bulk(message),
        loop=_loop(message, sender, own_id, mailbox),
        bounce=_bounce(message) or bool(_DAEMON.fullmatch(local)),
    )


def _auto_reply(message: Message) -> bool:
    submitted = _first(message, "Auto-Submitted").partition(";")[0].strip().lower()
    suppress = _first(message, "X-Auto-Response-Suppress").lower()
    return (
        submitted not in ("", "no")
        or suppress not in ("", "none")
        or any(_raw(message, name) for name in ("X-Autoreply", "X-Autorespond", "X-Auto-Reply-From"))
        or "auto_reply" in _first(message, "Precedence").lower()
        or bool(_ANSWERING_MACHINE.match(_subject(message)))
    )


def _bulk(message: Message) -> bool:
    lists = any(name.lower().startswith("list-") for name, _ in message.raw_items())
    return lists or _first(message, "Precedence").lower() in ("bulk", "list", "junk")


def _loop(message: Message, sender: str | None, own_id: str | None, mailbox: Mailbox) -> bool:
    domain = (sender or "").partition("@")[2]
    id_domain = (own_id or "").rpartition("@")[2].lower()
    ours = sender in mailbox.addresses or any(_within(name, mailbox.domains) for name in (domain, id_domain))
    return ours or bool(_first(message, "X-Loop"))


def _within(domain: str, domains: frozenset[str]) -> bool:
    """Whether it is one of the domains, or below one."""
    return any(domain == own or domain.endswith(f".{own}") for own in domains)


def _bounce(message: Message) -> bool:
    null_sender = any(path.strip("<> ") == "" for path in _raw(message, "Return-Path"))
    return null_sender or bool(_raw(message, "X-Failed-Recipients")) or _kind(message) == "multipart/report"
