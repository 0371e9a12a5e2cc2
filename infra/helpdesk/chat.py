"""The way out of web chat: none of its own. The reply is its record on `tickets.outcome`, which the edge tells."""

from processors.ingress.chat import PROVIDER
from processors.ports import Replies, Reply
from schemas.ingress import Channel


class ChatReplies:
    """Nothing to call for a session of ours, so nothing that could be done twice; others' chats go to the helpdesk."""

    def __init__(self, helpdesk: Replies) -> None:
        self._helpdesk = helpdesk

    async def reply(self, reply: Reply, deadline: float) -> str:
        """The reference of a reply, which the key alone makes; or the helpdesk's, for a chat held elsewhere."""
        if reply.ticket.provider == PROVIDER:
            return f"{PROVIDER}:{reply.key}"
        return await self._helpdesk.reply(reply, deadline)

    async def find(self, key: str, channel: Channel) -> str | None:
        """What the helpdesk did. It knows no reply to a session, and for those that is the truth: none went out.

        Raises:
            LookupError: the helpdesk cannot be asked, and the key does not say whose chat it was.
        """
        return await self._helpdesk.find(key, channel)
