"""WhatsApp's day: until when an answer may go out, for the bot and for people."""

from datetime import UTC, datetime, timedelta

import pytest

from processors.reply_window import window_closes, within_window
from schemas.ingress import Channel, TicketReceived, ticket_id

AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
END = AT + timedelta(hours=23, minutes=55)


def ticket(channel: Channel) -> TicketReceived:
    return TicketReceived(
        ticket_id=ticket_id("p", "a", "1"),
        conversation="c",
        channel=channel,
        provider="p",
        account="a",
        provider_message_id="1",
        body="Hi",
        body_full="Hi",
        received_at=AT,
    )


@pytest.mark.parametrize("channel", sorted(Channel))
def test_only_whatsapp_closes_its_window_a_little_before_the_day_is_over(channel: Channel) -> None:
    assert window_closes(ticket(channel)) == (END if channel is Channel.WHATSAPP else None)


@pytest.mark.parametrize(
    ("channel", "hours", "bounded"),
    [(Channel.WHATSAPP, 1, 1), (Channel.WHATSAPP, 30, None), (Channel.EMAIL, 30, 30)],
)
def test_a_moment_is_bounded_by_the_window(channel: Channel, hours: int, bounded: int | None) -> None:
    moment = within_window(AT + timedelta(hours=hours), ticket(channel))
    assert moment == (END if bounded is None else AT + timedelta(hours=bounded))
