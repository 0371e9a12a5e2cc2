"""Signs that an e-mail comes from a machine that answers ours (RFC 3834 §2), where it does not say so itself.

Two machines that meet exchange one message: whatever answers an automatic mail too soon, once more, or with what was
said before, is a person's to look at. The rules read the conversation as it was when the ticket was admitted.
"""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta

from processors.mail_token import is_own_id
from processors.policy import Email
from schemas.ingress import Channel, TicketReceived
from schemas.router import Admission, Author

ANSWERED = re.compile(r"\s*(?:re|aw|sv|antw|rif|ref)\s*(?:\[\d+\])?\s*:", re.IGNORECASE)  # a subject of an answer
MAIL_DOOR = "email"  # the provider of tickets that came through `POST /v1/email`
SENT = "sent"  # the outcome of an earlier ticket that was answered automatically
COMPARED = 8000  # characters: the transcript holds no more of a message
SAYING = 20  # characters of ours that nobody writes by chance


def loops(ticket: TicketReceived, admission: Admission, policy: Email) -> Mapping[str, str]:
    """The rules that speak against an automatic answer to this mail, with their reasons; other channels have none."""
    if ticket.channel is not Channel.EMAIL:
        return {}
    found = {name: rule(ticket, admission, policy) for name, rule in RULES.items()}
    return {name: reason for name, reason in found.items() if reason}


def own_words(ticket: TicketReceived, admission: Admission, answer: str | None) -> bool:
    """Whether a message says word for word what we said in its conversation, or are about to answer.

    On any channel: a helpdesk whose webhook tells of every comment tells of our own replies too, and may be faster than
    our note that the reply went out.
    """
    body = _plain(ticket.body)
    ours = [message.text for message in admission.transcript if message.author is not Author.CUSTOMER]
    said = map(_plain, filter(None, (*ours, answer)))
    return any(len(text) >= SAYING and text in body for text in said)


def _at_once(ticket: TicketReceived, admission: Admission, policy: Email) -> str | None:
    waits = [ticket.received_at - m.at for m in admission.transcript if m.author is Author.BOT]
    if waits and min(waits) < timedelta(seconds=policy.quick_seconds):
        return f"it answers an automatic mail within {policy.quick_seconds} s, as machines do"
    return None


def _same_again(ticket: TicketReceived, admission: Admission, policy: Email) -> str | None:
    body = _plain(ticket.body)
    for message in admission.transcript:
        said = _plain(message.text)
        ours = message.author is not Author.CUSTOMER and len(said) >= SAYING and said in body
        if ours or (message.author is Author.CUSTOMER and said == body):
            return "it says what was said in this conversation before, word for word"
    return None


def _answered_enough(ticket: TicketReceived, admission: Admission, policy: Email) -> str | None:
    since = ticket.received_at - timedelta(minutes=policy.window_minutes)
    answers = sum(m.author is Author.BOT and m.at > since for m in admission.transcript)
    if answers >= policy.replies:
        return f"this conversation has had {answers} automatic answers within {policy.window_minutes} minutes"
    lately = ticket.received_at - timedelta(hours=1)
    elsewhere = sum(t.outcome == SENT and t.received_at > lately for t in admission.earlier_tickets)
    if answers + elsewhere >= policy.sender_replies:
        return f"this sender has had {answers + elsewhere} automatic answers within an hour"
    return None


def _answers_unknown(ticket: TicketReceived, admission: Admission, policy: Email) -> str | None:
    """An answer to a mail of ours that is not on record (yet: a machine may be faster), or to none that it names."""
    if any(message.author is not Author.CUSTOMER for message in admission.transcript):
        return None
    # Without In-Reply-To, only a reply token leads a mail into a conversation that goes on.
    follows = bool(admission.transcript) and ticket.provider == MAIL_DOOR
    unnamed = not ticket.in_reply_to and (follows or ANSWERED.match(ticket.subject))
    if unnamed or any(is_own_id(found) for found in ticket.in_reply_to):
        return "it answers a message that is not on record"
    return None


def _plain(text: str) -> str:
    return " ".join(text[:COMPARED].split()).casefold()


RULES: Mapping[str, Callable[[TicketReceived, Admission, Email], str | None]] = {
    "answered-at-once": _at_once,
    "same-again": _same_again,
    "answered-enough": _answered_enough,
    "answers-unknown": _answers_unknown,
}
