"""Outcomes as signed webhooks, for systems outside that do not read Kafka."""

import hashlib
from collections.abc import Mapping

import httpx

from infra.signed_webhook import SignedWebhook
from processors.ports import Clock
from schemas.outcome import TicketSettled

NAME = "outcome webhook"
KEPT_BACK = {"decision", "steps"}  # how it was decided is for `sluice trace`


class OutcomeWebhook:
    """Posts `ticket.<outcome>`. The same event always has the same `webhook-id`."""

    def __init__(self, client: httpx.AsyncClient, *, url: str, secret: str, clock: Clock) -> None:
        self._webhook = SignedWebhook(client, name=NAME, url=url, secret=secret, clock=clock)

    async def tell(self, settled: TicketSettled, deadline: float) -> None:
        """Post one outcome; raises as `SignedWebhook.post` does."""
        await self._webhook.post(f"ticket.{settled.outcome}", event_id(settled), told(settled), deadline)


def event_id(settled: TicketSettled) -> str:
    """SHA-256 of the event, hex, cut: the same event, read again, is the same call."""
    return hashlib.sha256(settled.model_dump_json().encode()).hexdigest()[:32]


def told(settled: TicketSettled) -> Mapping[str, object]:
    """What a system outside learns of an outcome, as JSON values."""
    return settled.model_dump(mode="json", exclude=KEPT_BACK)
