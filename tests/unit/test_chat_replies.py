"""The way out of web chat: nothing is called for a session of ours, and the helpdesk for chats held elsewhere."""

from datetime import UTC, datetime

import pytest

from infra.helpdesk.channels import ByChannel
from infra.helpdesk.chat import ChatReplies
from infra.helpdesk.scripted import ScriptedHelpdesk
from processors.ports import Reply
from schemas.ingress import Channel, TicketReceived, ticket_id


def reply(provider: str) -> Reply:
    ticket = TicketReceived(
        ticket_id=ticket_id(provider, "shop", "1"),
        conversation=f"{provider}:shop::1",
        channel=Channel.CHAT,
        provider=provider,
        account="shop",
        provider_message_id="1",
        body="Hello?",
        body_full="Hello?",
        received_at=datetime(2026, 11, 20, tzinfo=UTC),
    )
    return Reply("k:1", ticket, "On its way.", ())


@pytest.fixture
def desk() -> ScriptedHelpdesk:
    return ScriptedHelpdesk()


async def test_a_reply_to_a_session_calls_nobody(desk: ScriptedHelpdesk) -> None:
    chat = ByChannel(desk, {Channel.CHAT: ChatReplies(desk)})
    assert [await chat.reply(reply("chat"), 1.0) for _ in range(2)] == ["chat:k:1", "chat:k:1"]
    assert await desk.find("k:1", Channel.CHAT) is None


async def test_a_reply_to_a_chat_held_elsewhere_goes_to_the_helpdesk(desk: ScriptedHelpdesk) -> None:
    chat = ChatReplies(desk)
    reference = await chat.reply(reply("api"), 1.0)
    assert await chat.find("k:1", Channel.CHAT) == reference
