"""Outcomes as signed webhooks, for systems outside that do not read Kafka."""

import hashlib
from collections.abc import Mapping

import httpx

from infra.signed_webhook import SignedWebhook
from processors.ports import Clock
from schemas.outcome import TERMINAL, Outcome, TicketSettled

NAME = "outcome webhook"
LATER_ACTS = frozenset(Outcome) - TERMINAL - {Outcome.ACKNOWLEDGED}  # a person may do each of them again
KEPT_BACK = {"decision", "steps"}  # how it was decided is for `sluice trace`


class OutcomeWebhook:
    """Posts `ticket.<outcome>`. The same event always has the same `webhook-id`."""

    def __init__(self, client: httpx.AsyncClient, *, url: str, secret: str, clock: Clock) -> None:
        self._webhook = SignedWebhook(client, name=NAME, url=url, secret=secret, clock=clock)

    async def tell(self, settled: TicketSettled, deadline: float) -> None:
        """Post one outcome; raises as `SignedWebhook.post` does."""
        await self._webhook.post(f"ticket.{settled.outcome}", event_id(settled), told(settled), deadline)


def event_id(settled: TicketSettled) -> str:
    """SHA-256 of what happened, hex, cut: an outcome told again, also by a stage that begins anew, is the same call."""
    what = (
        settled.ticket_id,
        settled.revision,
        settled.outcome,
        settled.actor,
        settled.item_id,
        settled.text,
        settled.diff,
    )
    again = settled.settled_at if settled.outcome in LATER_ACTS else ""
    return hashlib.sha256(repr((*map(str, what), str(again))).encode()).hexdigest()[:32]


def told(settled: TicketSettled) -> Mapping[str, object]:
    """What a system outside learns of an outcome, as JSON values."""
    return settled.model_dump(mode="json", exclude=KEPT_BACK)
