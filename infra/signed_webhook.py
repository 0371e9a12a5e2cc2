"""Calls signed to Standard Webhooks 1.0 (https://www.standardwebhooks.com), and what their answers mean.

Each call is one POST of `{"type", "timestamp", "data"}`. Its `webhook-id` is the caller's key, so a receiver that keeps
ids does nothing twice.
"""

import json
from collections.abc import Mapping
from datetime import UTC

import httpx
from standardwebhooks import Webhook

from infra.helpdesk.exchange import CONNECT_WITHIN, PASSING, Answer, exchange, within
from processors.errors import DependencyDown, TryLater, Undeliverable
from processors.ports import Clock

FIND_WITHIN = 5.0  # seconds


class SignedWebhook:
    """One receiver. 2xx is done; what else it answers is read as RFC 9110 means it. `name` stands in errors.

    `secret` may be several, separated by commas: each signs, so that the receiver can change to another in its time.
    """

    def __init__(self, client: httpx.AsyncClient, *, name: str, url: str, secret: str, clock: Clock) -> None:
        self._client, self._name, self._url, self._clock = client, name, url, clock
        self._signers = [Webhook(each.strip()) for each in secret.split(",")]

    async def post(self, kind: str, key: str, data: Mapping[str, object], deadline: float) -> str:
        """Post one call; the receiver's reference, or the key where it gives none. `deadline` is in seconds.

        Raises:
            TryLater: it asks to wait; nothing was done.
            Undeliverable: it refuses the call for good.
            DependencyDown: no answer; unless `untouched`, it may have been done.
        """
        told = {"type": kind, "timestamp": self._clock.now().isoformat(), "data": data}
        body = json.dumps(told, ensure_ascii=False)
        request = self._client.build_request(
            "POST",
            self._url,
            content=body.encode(),
            headers={"content-type": "application/json", **self._signature(key, body)},
            timeout=within(deadline),
        )
        answer = await exchange(self._client, request, deadline, self._name)
        self._judge(answer)
        return _reference(answer.body, key)

    async def find(self, url: str, key: str) -> str | None:
        """Ask at another address what was done under a key; None: nothing.

        Raises:
            DependencyDown: it does not answer.
        """
        request = self._client.build_request(
            "GET", url, params={"key": key}, headers=self._signature(key, ""), timeout=CONNECT_WITHIN
        )
        answer = await exchange(self._client, request, FIND_WITHIN, self._name)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise DependencyDown(self._name, f"status {answer.status} when asked for a key")
        return _reference(answer.body, key)

    def _signature(self, key: str, body: str) -> dict[str, str]:
        now = self._clock.now().astimezone(UTC)  # the signer takes any time for UTC
        return {
            "webhook-id": key,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signer.sign(key, now, body) for signer in self._signers),
        }

    def _judge(self, answer: Answer) -> None:
        """Raise unless the status says done."""
        status = answer.status
        if 200 <= status < 300:
            return
        if status in PASSING:
            raise TryLater(f"{self._name}: status {status}", after=answer.retry_after)
        if status >= 500:
            raise DependencyDown(self._name, f"status {status}")
        raise Undeliverable(f"{self._name}: status {status}")


def _reference(answer: bytes, key: str) -> str:
    """The `id` of the answer; the key where there is none."""
    try:
        told = json.loads(answer)
    except (ValueError, RecursionError):
        return key
    reference = told.get("id") if isinstance(told, dict) else None
    return str(reference)[:200] if reference else key
