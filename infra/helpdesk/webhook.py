"""A helpdesk behind a signed webhook. Where the receiver can be asked, `GET <find_url>?key=` answers for a key."""

import httpx

from infra.helpdesk.payload import HAND_OVER, REPLY, hand_over_payload, reply_payload
from infra.signed_webhook import SignedWebhook
from processors.ports import Clock, HandOver, Reply
from schemas.ingress import Channel

NAME = "helpdesk webhook"


class WebhookHelpdesk:
    """Replies and hand-overs as signed webhooks."""

    def __init__(
        self, client: httpx.AsyncClient, *, url: str, secret: str, clock: Clock, find_url: str | None = None
    ) -> None:
        self._webhook = SignedWebhook(client, name=NAME, url=url, secret=secret, clock=clock)
        self._find_url = find_url

    async def reply(self, reply: Reply, deadline: float) -> str:
        """Post a `ticket.reply`; the receiver's reference, or the key where it gives none."""
        return await self._webhook.post(f"ticket.{REPLY}", reply.key, reply_payload(reply), deadline)

    async def hand_over(self, hand_over: HandOver, deadline: float) -> str:
        """Post a `ticket.hand_over`; the receiver's reference, or the key where it gives none."""
        return await self._webhook.post(f"ticket.{HAND_OVER}", hand_over.key, hand_over_payload(hand_over), deadline)

    async def find(self, key: str, channel: Channel) -> str | None:
        """Ask the receiver what was done under a key.

        Raises:
            LookupError: no address to ask is configured.
            DependencyDown: it does not answer.
        """
        if self._find_url is None:
            raise LookupError("this helpdesk cannot be asked: no address for it is configured")
        return await self._webhook.find(self._find_url, key)
