"""How long a channel lets a reply through: WhatsApp takes free text for 24 hours after the customer wrote."""

from datetime import datetime, timedelta

from schemas.ingress import Channel, TicketReceived

# https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages: the customer
# service window. Later, only a template that Meta has approved may be sent.
WINDOW = timedelta(hours=24)
MARGIN = timedelta(minutes=5)  # for clocks that differ and the call itself


def window_closes(ticket: TicketReceived) -> datetime | None:
    """From when on no reply to this ticket may go out, by the bot or by a person; None where nothing limits it."""
    return ticket.received_at + WINDOW - MARGIN if ticket.channel is Channel.WHATSAPP else None


def within_window(moment: datetime, ticket: TicketReceived) -> datetime:
    """The moment, or the end of the ticket's window where that is earlier."""
    return min(moment, window_closes(ticket) or moment)
