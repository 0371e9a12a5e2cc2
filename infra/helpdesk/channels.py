"""One helpdesk in front of several ways out: a reply leaves by its ticket's own channel, people work in one place."""

from collections.abc import Mapping

from processors.ports import HandOver, Helpdesk, Replies, Reply
from schemas.ingress import Channel


class ByChannel:
    """A reply goes to the adapter of its channel, or to the helpdesk where the channel has none."""

    def __init__(self, helpdesk: Helpdesk, replies: Mapping[Channel, Replies]) -> None:
        self._helpdesk, self._replies = helpdesk, replies

    async def reply(self, reply: Reply, deadline: float) -> str:
        """Send by the ticket's channel; the reference of what went out."""
        return await self._way(reply.ticket.channel).reply(reply, deadline)

    async def hand_over(self, hand_over: HandOver, deadline: float) -> str:
        """Tell the helpdesk; its reference."""
        return await self._helpdesk.hand_over(hand_over, deadline)

    async def find(self, key: str, channel: Channel) -> str | None:
        """Ask whoever would have sent it.

        Raises:
            LookupError: it cannot be asked.
        """
        return await self._way(channel).find(key, channel)

    def _way(self, channel: Channel) -> Replies:
        return self._replies.get(channel, self._helpdesk)
