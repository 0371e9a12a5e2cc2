"""A helpdesk behind a webhook, signed to Standard Webhooks 1.0 (https://www.standardwebhooks.com).

Each call is one POST of `{"type", "timestamp", "data"}`. Its `webhook-id` is the idempotency key, so a receiver that
keeps ids does nothing twice. Where the receiver can be asked, `GET <find_url>?key=` answers what was done under a key.
"""

import json
from datetime import UTC

import httpx
from standardwebhooks import Webhook

from infra.helpdesk.exchange import CONNECT_WITHIN, PASSING, Answer, exchange, within
from infra.helpdesk.payload import HAND_OVER, REPLY, Payload, hand_over_payload, reply_payload
from processors.errors import DependencyDown, TryLater, Undeliverable
from processors.ports import Clock, HandOver, Reply
from schemas.ingress import Channel

NAME = "helpdesk webhook"
FIND_WITHIN = 5.0  # seconds


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
        answer = await exchange(self._client, request, FIND_WITHIN, NAME)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise DependencyDown(NAME, f"status {answer.status} when asked for a key")
        return _reference(answer.body, key)

    async def _post(self, act: str, payload: Payload, deadline: float) -> str:
        key = str(payload["key"])
        told = {"type": f"ticket.{act}", "timestamp": self._clock.now().isoformat(), "data": payload}
        body = json.dumps(told, ensure_ascii=False)
        request = self._client.build_request(
            "POST",
            self._url,
            content=body.encode(),
            headers={"content-type": "application/json", **self._signature(key, body)},
            timeout=within(deadline),
        )
        answer = await exchange(self._client, request, deadline, NAME)
        _judge(answer)
        return _reference(answer.body, key)

    def _signature(self, key: str, body: str) -> dict[str, str]:
        now = self._clock.now().astimezone(UTC)  # the signer takes any time for UTC
        return {
            "webhook-id": key,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(key, now, body),
        }


def _judge(answer: Answer) -> None:
    """Raise unless the status says done."""
    status = answer.status
    if 200 <= status < 300:
        return
    if status in PASSING:
        raise TryLater(f"{NAME}: status {status}", after=answer.retry_after)
    if status >= 500:
        raise DependencyDown(NAME, f"status {status}")
    raise Undeliverable(f"{NAME}: status {status}")


def _reference(answer: bytes, key: str) -> str:
    """The `id` of the answer; the key where there is none."""
    try:
        told = json.loads(answer)
    except ValueError:
        return key
    reference = told.get("id") if isinstance(told, dict) else None
    return str(reference)[:200] if reference else key
