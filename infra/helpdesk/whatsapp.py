"""Replies by WhatsApp's Cloud API: one text message each, within the customer's 24-hour window.

Meta takes no idempotency key and cannot be asked what was sent: at most once comes from the claim alone, and a call
whose answer got lost is parked. The key travels as `biz_opaque_callback_data` and comes back in the statuses, so that
a person who looks for a message finds it.
"""

import json
from collections.abc import Collection
from datetime import UTC
from enum import Enum
from typing import NoReturn

import httpx

from infra.helpdesk.exchange import PASSING, Answer, exchange, within
from processors.disclosure import Disclosure
from processors.errors import DependencyDown, TryLater, Undeliverable
from processors.ports import Clock, Reply
from processors.reply_window import window_closes
from schemas.ingress import Channel

NAME = "WhatsApp"
MAX_TEXT = 4096  # UTF-16 units of text.body
PAIR_PAUSE = 6.0  # seconds between messages to one customer, which Meta asks for


class Kind(Enum):
    """What a code of Meta's means for the reply."""

    CLOSED = "the 24-hour window is closed, and only a template may be sent"
    LATER = "a rate limit"
    OURS = "our account may not send"
    DOWN = "no service"
    REFUSED = "it is refused"


# https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes: by the code, which Meta
# says to go by. Of the codes that are not here, the status decides.
CODES: dict[int, tuple[Kind, str]] = {
    0: (Kind.OURS, "WHATSAPP_ACCESS_TOKEN is not valid"),
    3: (Kind.OURS, "WHATSAPP_ACCESS_TOKEN lacks the permission to send"),
    10: (Kind.OURS, "WHATSAPP_ACCESS_TOKEN lacks the permission to send"),
    190: (Kind.OURS, "WHATSAPP_ACCESS_TOKEN has expired"),
    **dict.fromkeys(range(200, 300), (Kind.OURS, "WHATSAPP_ACCESS_TOKEN lacks the permission to send")),
    33: (Kind.OURS, "WHATSAPP_PHONE_NUMBER_ID is no number of the account"),
    133010: (Kind.OURS, "the number of WHATSAPP_PHONE_NUMBER_ID is not registered"),
    131031: (Kind.OURS, "Meta has locked the account"),
    131042: (Kind.OURS, "Meta misses a payment"),
    131045: (Kind.OURS, "the number's certificate is wrong"),
    368: (Kind.OURS, "Meta has blocked the account for a while"),
    4: (Kind.LATER, "of the app"),
    80007: (Kind.LATER, "of the account"),
    130429: (Kind.LATER, "of the number"),
    131048: (Kind.LATER, "for suspected spam"),
    131056: (Kind.LATER, "of messages to one customer"),
    131047: (Kind.CLOSED, "says Meta"),
    1: (Kind.DOWN, "unknown"),
    2: (Kind.DOWN, "for now"),
    131000: (Kind.DOWN, "something went wrong"),
    131016: (Kind.DOWN, "for now"),
    131057: (Kind.DOWN, "in maintenance"),
    131026: (Kind.REFUSED, "the customer cannot be reached on WhatsApp"),
    131050: (Kind.REFUSED, "the customer wants no such messages"),
    131021: (Kind.REFUSED, "the number is our own"),
    131030: (Kind.REFUSED, "a test account may not write to this number"),
}


class WhatsApp:
    """Sends from the number that the customer wrote to, where it is one of ours."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        url: str,
        token: str,
        numbers: Collection[str],
        clock: Clock,
        disclosure: Disclosure,
    ) -> None:
        self._client, self._url, self._token = client, url.rstrip("/"), token
        self._numbers = frozenset(numbers)  # phone number ids
        self._clock = clock
        self._disclosure = disclosure

    async def reply(self, reply: Reply, deadline: float) -> str:
        """Send a text; Meta's id of the message (`wamid...`), or the key where it gives none."""
        text = self._text(reply)
        self._check(reply, text)
        request = self._client.build_request(
            "POST",
            f"{self._url}/{reply.ticket.account}/messages",
            json=_message(reply, text),
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=within(deadline),
        )
        answer = await exchange(self._client, request, deadline, NAME)
        if not 200 <= answer.status < 300:
            _refuse(answer)
        return _reference(answer.body, reply.key)

    async def find(self, key: str, channel: Channel) -> str | None:
        """Meta has no such question.

        Raises:
            LookupError: always.
        """
        raise LookupError("WhatsApp cannot be asked what was sent")

    def _text(self, reply: Reply) -> str:
        """What the customer reads: below an automatic message, that it is one."""
        text = reply.text.strip()
        return "\n\n".join(filter(None, (text, self._disclosure.below(reply)))) if text else ""

    def _check(self, reply: Reply, text: str) -> None:
        """Refuse before the call what Meta would refuse.

        Raises:
            Undeliverable: the window is closed, the text is too long, or there is no number to send from or to.
        """
        closes = window_closes(reply.ticket)
        if closes is not None and self._clock.now() >= closes:
            at = closes.astimezone(UTC).isoformat(timespec="minutes")
            raise Undeliverable(f"{NAME}: {Kind.CLOSED.value}: it closed at {at}")
        if reply.ticket.account not in self._numbers:
            raise Undeliverable(f"{NAME}: the customer wrote to a number that is not in WHATSAPP_PHONE_NUMBER_ID")
        if reply.ticket.sender is None:
            raise Undeliverable(f"{NAME}: the customer shows no number to write to")
        if not text or len(text.encode("utf-16-le", "replace")) // 2 > MAX_TEXT:
            raise Undeliverable(f"{NAME}: a message has 1 to {MAX_TEXT} characters, and two are not sent as one")


def _message(reply: Reply, text: str) -> dict[str, object]:
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": reply.ticket.sender,
        "type": "text",
        "text": {"preview_url": False, "body": text},
        "biz_opaque_callback_data": reply.key,
    }


def _refuse(answer: Answer) -> NoReturn:
    """What Meta's error means for this reply. `untouched` only where Meta says that it did not take the message."""
    code = _code(answer.body)
    kind, detail = CODES.get(code, (None, "")) if code is not None else (None, "")
    told = f"{kind.value}, {detail} (code {code})" if kind else f"status {answer.status}, code {code}"
    match kind or _by_status(answer.status):
        case Kind.LATER:
            raise TryLater(f"{NAME}: {told}", answer.retry_after or (PAIR_PAUSE if code == 131056 else None))
        case Kind.OURS:
            raise DependencyDown(NAME, told if kind else f"{told}: look at WHATSAPP_ACCESS_TOKEN", untouched=True)
        case Kind.DOWN:
            raise DependencyDown(NAME, told)
        case _:
            raise Undeliverable(f"{NAME}: {told}")


def _by_status(status: int) -> Kind:
    if status in PASSING:
        return Kind.LATER
    if status in (401, 403):
        return Kind.OURS
    return Kind.DOWN if status >= 500 else Kind.REFUSED


def _code(body: bytes) -> int | None:
    """The code of a Graph API error; None where it has another form."""
    try:
        code = json.loads(body)["error"]["code"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return code if type(code) is int else None


def _reference(body: bytes, key: str) -> str:
    try:
        message_id = json.loads(body)["messages"][0]["id"]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return key
    return str(message_id)[:200] if message_id else key
