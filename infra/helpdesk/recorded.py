"""The default helpdesk: every reply and hand-over becomes a row of `helpdesk_delivery`, and goes nowhere else."""

import asyncio
import json

from infra.helpdesk.payload import HAND_OVER, REPLY, Payload, hand_over_payload, reply_payload
from infra.postgres.pool import Pool, fetch_value, storable, storable_json
from processors.errors import DependencyDown
from processors.ports import HandOver, Reply
from schemas.ingress import Channel, TicketReceived


class RecordedHelpdesk:
    """Records every call, also the second one under a key: a double send shows as two rows."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def reply(self, reply: Reply, deadline: float) -> str:
        """Record a reply; its reference."""
        return await self._record(REPLY, reply.ticket, reply.text, reply_payload(reply), deadline)

    async def hand_over(self, hand_over: HandOver, deadline: float) -> str:
        """Record a hand-over; its reference."""
        text = hand_over.draft or hand_over.summary
        return await self._record(HAND_OVER, hand_over.ticket, text, hand_over_payload(hand_over), deadline)

    async def find(self, key: str, channel: Channel) -> str | None:
        """The reference of the first call under a key."""
        found: str | None = await fetch_value(self._pool, "helpdesk_find", {"key": key})
        return found

    async def _record(self, act: str, ticket: TicketReceived, text: str, payload: Payload, deadline: float) -> str:
        parameters = {
            "act": act,
            "key": payload["key"],
            "ticket": ticket.ticket_id,
            "conversation": storable(ticket.conversation),
            "channel": ticket.channel.value,
            "text": storable(text),
            "payload": storable_json(json.dumps(payload)),
        }
        try:
            async with asyncio.timeout(deadline):
                reference: str = await fetch_value(self._pool, "helpdesk_receive", parameters)
        except TimeoutError:
            raise DependencyDown("recorded helpdesk", "no answer in time") from None
        return reference
