"""How much automatic mail one address gets, whatever its conversations (RFC 3834 §2).

A machine may answer ours with a new subject, a new text and no thread each time, so that nothing looks like an answer;
what does not change is where it wants its answers. Somebody whose address is proved has a name to answer for.
"""

from datetime import timedelta

from processors.policy import Email
from processors.ports import Conversations, MailRequest
from schemas.ingress import Channel, TicketReceived

ENOUGH = "this address has had its automatic mail for now"
HOUR = timedelta(hours=1)


async def may_mail(
    ticket: TicketReceived, key: str, *, proved: bool, policy: Email, conversations: Conversations
) -> bool:
    """Whether the message under `key` may go to the ticket's sender without a person. The right is taken for good.

    An address nobody proved gets as many as a conversation; a proved customer's as many an hour as the policy says.
    Other channels are not counted: who answers there is no machine, or says so.

    Raises:
        DependencyDown: Postgres does not answer.
    """
    if ticket.channel is not Channel.EMAIL:
        return True
    most, within = (
        (policy.sender_replies, HOUR) if proved else (policy.replies, timedelta(minutes=policy.window_minutes))
    )
    return await conversations.may_mail(MailRequest(mailbox_of(ticket.sender or ""), key, most, within))


def mailbox_of(address: str) -> str:
    """One spelling of a mailbox's addresses: case and what follows a plus make no other mailbox (RFC 5233)."""
    local, at, domain = address.strip().casefold().rpartition("@")
    return f"{local.partition('+')[0]}{at}{domain}"
