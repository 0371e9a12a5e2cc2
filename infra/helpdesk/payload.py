"""What a helpdesk is told, as JSON values; the contract of the webhook and of the recorded payloads."""

import json
from typing import Any

from processors.ports import HandOver, Reply
from schemas.ingress import TicketReceived

REPLY, HAND_OVER = "reply", "hand_over"

Payload = dict[str, Any]


def reply_payload(reply: Reply) -> Payload:
    """A reply to the customer: its author (`bot`, or a person's name), its text, and the source of each sentence."""
    return {
        "key": reply.key,
        "ticket": _ticket(reply.ticket),
        "actor": reply.actor,
        "text": reply.text,
        "sentences": [sentence.model_dump(mode="json") for sentence in reply.sentences],
    }


def hand_over_payload(hand_over: HandOver) -> Payload:
    """A ticket for a person, with the whole event: transcript, sources, facts and decision."""
    return {
        "key": hand_over.key,
        "disposition": hand_over.disposition.value,
        "ticket": _ticket(hand_over.ticket),
        "summary": hand_over.summary,
        "draft": hand_over.draft,
        "event": json.loads(hand_over.event),
    }


def _ticket(ticket: TicketReceived) -> Payload:
    return {
        "id": str(ticket.ticket_id),
        "conversation": ticket.conversation,
        "channel": ticket.channel.value,
        "account": ticket.account,
        "message_id": ticket.provider_message_id,
        "to": ticket.sender,
        "subject": ticket.subject,
    }
