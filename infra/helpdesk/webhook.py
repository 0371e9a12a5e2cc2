"""A helpdesk behind a webhook, signed to Standard Webhooks 1.0 (https://www.standardwebhooks.com).

Each call is one POST of `{"type", "timestamp", "data"}`. Its `webhook-id` is the idempotency key, so a receiver that
keeps ids does nothing twice. Where the receiver can be asked, `GET <find_url>?key=` answers what was done under a key.
"""

import asyncio
import json
from datetime import UTC
from email.utils import parsedate_to_datetime

import httpx
from standardwebhooks import Webhook

from infra.helpdesk.payload import HAND_OVER, REPLY, Payload, hand_over_payload, reply_payload
from processors.errors import DependencyDown, TryLater, Undeliverable
from processors.ports import Clock, HandOver, Reply
from schemas.ingress import Channel

NAME = "helpdesk webhook"
CONNECT_WITHIN = 3.0  # seconds; a connection that fails is a call that certainly did nothing
FIND_WITHIN = 5.0  # seconds
MAX_ANSWER = 64 * 1024  # bytes
PASSING = (408, 425, 429)

# The request was never written: the helpdesk cannot have done anything.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class WebhookHelpdesk:
    """Replies and hand-overs as signed webhooks. 2xx is done; what else it answers is read as RFC 9110 means it."""

    def __init__(
        self, client: httpx.AsyncClient, *, url: str, secret: str, clock: Clock, find_url: str | None = None
    ) -> None:
        self._client, self._url, self._find_url = client, url, find_url
        self._signer = Webhook(secret)
        self._clock = clock

    async def reply(self, reply: Reply, deadline: float) -> str:
        """Post a `ticket.reply`; the receiver's reference, or the key where it gives none."""
        return await self._post(REPLY, reply_payload(reply), deadline)

    async def hand_over(self, hand_over: HandOver, deadline: float) -> str:
        """Post a `ticket.hand_over`; the receiver's reference, or the key where it gives none."""
        return await self._post(HAND_OVER, hand_over_payload(hand_over), deadline)

    async def find(self, key: str, channel: Channel) -> str | None:
        """Ask the receiver what was done under a key.

        Raises:
            LookupError: no address to ask is configured.
            DependencyDown: it does not answer.
        """
        if self._find_url is None:
            raise LookupError("this helpdesk cannot be asked: no address for it is configured")
        request = self._client.build_request(
            "GET", self._find_url, params={"key": key}, headers=self._signature(key, ""), timeout=CONNECT_WITHIN
        )
        status, answer, _ = await self._exchange(request, FIND_WITHIN)
        if status == 404:
            return None
        if status != 200:
            raise DependencyDown(NAME, f"status {status} when asked for a key")
        return _reference(answer, key)

    async def _post(self, act: str, payload: Payload, deadline: float) -> str:
        key = str(payload["key"])
        told = {"type": f"ticket.{act}", "timestamp": self._clock.now().isoformat(), "data": payload}
        body = json.dumps(told, ensure_ascii=False)
        request = self._client.build_request(
            "POST",
            self._url,
            content=body.encode(),
            headers={"content-type": "application/json", **self._signature(key, body)},
            timeout=httpx.Timeout(deadline, connect=min(CONNECT_WITHIN, deadline / 2)),
        )
        status, answer, headers = await self._exchange(request, deadline)
        _judge(status, headers)
        return _reference(answer, key)

    def _signature(self, key: str, body: str) -> dict[str, str]:
        now = self._clock.now().astimezone(UTC)  # the signer takes any time for UTC
        return {
            "webhook-id": key,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(key, now, body),
        }

    async def _exchange(self, request: httpx.Request, deadline: float) -> tuple[int, bytes, httpx.Headers]:
        """Send, and read the answer, within a total deadline: a drip of bytes does not extend it."""
        try:
            async with asyncio.timeout(deadline):
                response = await self._client.send(request, stream=True, follow_redirects=False)
                try:
                    return response.status_code, await _read(response), response.headers
                finally:
                    await response.aclose()
        except _NEVER_SENT as error:
            raise DependencyDown(NAME, type(error).__name__, untouched=True) from None
        except (httpx.HTTPError, httpx.StreamError, TimeoutError) as error:
            raise DependencyDown(NAME, type(error).__name__) from None


async def _read(response: httpx.Response) -> bytes:
    """The answer's body, cut: only its reference matters, and a broken receiver may send anything."""
    read = bytearray()
    async for chunk in response.aiter_bytes():
        read += chunk
        if len(read) >= MAX_ANSWER:
            break
    return bytes(read[:MAX_ANSWER])


def _judge(status: int, headers: httpx.Headers) -> None:
    """Raise unless the status says done."""
    if 200 <= status < 300:
        return
    if status in PASSING:
        raise TryLater(f"{NAME}: status {status}", after=_retry_after(headers))
    if status >= 500:
        raise DependencyDown(NAME, f"status {status}")
    raise Undeliverable(f"{NAME}: status {status}")


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds of a Retry-After (RFC 9110 §10.2.3). A date counts from the receiver's own clock."""
    value = headers.get("retry-after", "")
    try:
        if value.isdigit():
            return float(value)
        asked = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, asked.total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _reference(answer: bytes, key: str) -> str:
    """The `id` of the answer; the key where there is none."""
    try:
        told = json.loads(answer)
    except ValueError:
        return key
    reference = told.get("id") if isinstance(told, dict) else None
    return str(reference)[:200] if reference else key
