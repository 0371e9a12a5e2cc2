"""Replies leave by their channel, people work in one place."""

from datetime import UTC, datetime

import pytest

from infra.helpdesk.channels import ByChannel
from infra.helpdesk.scripted import ScriptedHelpdesk
from processors.ports import HandOver, Reply
from schemas.gate import Disposition
from schemas.ingress import Channel, TicketReceived, ticket_id


def ticket(channel: Channel) -> TicketReceived:
    return TicketReceived(
        ticket_id=ticket_id("api", "shop", "m1"),
        conversation="c1",
        channel=channel,
        provider="api",
        account="shop",
        provider_message_id="m1",
        body="Hello",
        body_full="Hello",
        received_at=datetime(2026, 11, 20, tzinfo=UTC),
    )


@pytest.fixture
def desk() -> ScriptedHelpdesk:
    return ScriptedHelpdesk()


@pytest.fixture
def mail() -> ScriptedHelpdesk:
    return ScriptedHelpdesk()


@pytest.mark.parametrize("channel", Channel)
async def test_a_reply_leaves_by_its_own_channel_and_is_asked_for_there(
    channel: Channel, desk: ScriptedHelpdesk, mail: ScriptedHelpdesk
) -> None:
    ways = ByChannel(desk, {Channel.EMAIL: mail})
    reference = await ways.reply(Reply("k:1", ticket(channel), "Hello", ()), 1)
    used, unused = (mail, desk) if channel is Channel.EMAIL else (desk, mail)
    assert [sent.reference for sent in used.deliveries] == [reference]
    assert unused.deliveries == []
    assert await ways.find("k:1", channel) == reference


async def test_every_hand_over_goes_to_the_helpdesk(desk: ScriptedHelpdesk, mail: ScriptedHelpdesk) -> None:
    over = HandOver("k:1", Disposition.HANDOFF, ticket(Channel.EMAIL), "Help", None, "{}")
    await ByChannel(desk, {Channel.EMAIL: mail}).hand_over(over, 1)
    assert [sent.act for sent in desk.deliveries] == ["hand_over"]
    assert mail.deliveries == []
