"""Reply tokens: what a message of ours carries so that the answer to it finds its conversation again.

A token names the conversation and is signed (HMAC-SHA-256, RFC 2104) together with the one address it was sent to: it
is worth nothing to anybody else. It stands in the Message-ID and, after a plus, in the address that is answered to.
"""

import hashlib
import hmac
import re
from base64 import b32decode, b32encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

LIFETIME = timedelta(days=180)  # from the customer's message on
MAC_BYTES = 10  # RFC 2104 §5: not less than 80 bits. More would not fit into a local part
MAX_LOCAL_PART = 64  # RFC 5321 §4.5.3.1.1
ADDRESS = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?")  # in lower case
_EPOCH = date(2020, 1, 1)
_TOKEN_CHARS = 45  # 16 bytes of conversation, 2 of expiry, 10 of signature: 28 bytes in base 32

_CONVERSATION = re.compile(r"email:.*:([0-9a-f]{32})", re.DOTALL)
_OWN_ID = re.compile(rf"[a-z2-7]{{26}}\.([a-z2-7]{{{_TOKEN_CHARS}}})@.*", re.DOTALL)
_PLUS = re.compile(rf"\+([a-z2-7]{{{_TOKEN_CHARS}}})@")


@dataclass(frozen=True)
class TokenKey:
    """The secret that signs reply tokens, and the mailbox they belong to."""

    account: str  # the mailbox: a token of another one never verifies
    secret: bytes = field(repr=False)


def conversation_of(account: str, digest: str) -> str:
    """The key of a mailbox's conversation; `digest` is 32 hexadecimal digits."""
    return f"email:{account}:{digest}"


def sign(key: TokenKey, *, conversation: str, address: str, sent_for: datetime) -> str | None:
    """The token for an answer to `address`, good until LIFETIME after `sent_for`; lower case letters and digits.

    None for a conversation that the mail door did not open: there is nothing an answer could be led back to.
    """
    found = _CONVERSATION.fullmatch(conversation)
    if found is None or conversation != conversation_of(key.account, found.group(1)):
        return None
    until = (sent_for.astimezone(UTC).date() + LIFETIME - _EPOCH).days
    claim = bytes.fromhex(found.group(1)) + max(0, min(until, 0xFFFF)).to_bytes(2, "big")
    return b32encode(claim + _mac(key, claim, address)).decode().rstrip("=").lower()


def joined(key: TokenKey, tokens: Iterable[str], *, sender: str, now: datetime) -> str | None:
    """The conversation of the first token that was given to this sender and is still good; None where none is."""
    return next(filter(None, (_verified(key, token, sender, now) for token in tokens)), None)


def _verified(key: TokenKey, token: str, sender: str, now: datetime) -> str | None:
    try:
        raw = b32decode(token.upper() + "=" * (-len(token) % 8))
    except ValueError:
        return None
    claim, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
    # The last letter of a token has bits to spare: only the one way to write it counts.
    canonical = len(claim) == 18 and b32encode(raw).decode().rstrip("=").lower() == token
    if not canonical or not hmac.compare_digest(mac, _mac(key, claim, sender)):
        return None
    until = _EPOCH + timedelta(days=int.from_bytes(claim[16:], "big"))
    return conversation_of(key.account, claim[:16].hex()) if now.astimezone(UTC).date() <= until else None


def _mac(key: TokenKey, claim: bytes, address: str) -> bytes:
    signed = b"\x1f".join((b"reply-token/1", key.account.encode(), claim, address.lower().encode()))
    return hmac.new(key.secret, signed, hashlib.sha256).digest()[:MAC_BYTES]


# -- where tokens stand


def message_id(key: TokenKey, token: str | None, *, idempotency_key: str, domain: str) -> str:
    """The Message-ID, without brackets, of the one message under an idempotency key: always the same."""
    unique = hmac.new(key.secret, b"message-id/1\x1f" + idempotency_key.encode(), hashlib.sha256).digest()[:16]
    local = b32encode(unique).decode().rstrip("=").lower()
    return f"{local}.{token}@{domain}" if token else f"{local}@{domain}"


def plus_address(address: str, token: str | None) -> str:
    """The address with the token after a plus; the address itself where that would be longer than mail allows."""
    local, _, domain = address.rpartition("@")
    tagged = f"{local}+{token}"
    return f"{tagged}@{domain}" if token and len(tagged) <= MAX_LOCAL_PART else address


def tokens_in(ids: Iterable[str], addresses: Iterable[str]) -> tuple[str, ...]:
    """What looks like tokens of ours, in the order they are to be believed: Message-IDs first, then addresses."""
    own = (_OWN_ID.fullmatch(found.lower()) for found in ids)
    plus = (token for text in addresses for token in _PLUS.findall(text.lower()))
    return tuple(dict.fromkeys((*(found.group(1) for found in own if found), *plus)))


def is_own_id(found: str) -> bool:
    """Whether a Message-ID has the form of ours. Unsigned: good for caution, never for trust."""
    return _OWN_ID.fullmatch(found.lower()) is not None
