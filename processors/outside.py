"""Leave an approved reply for a helpdesk outside, and settle what it delivered.

It waits as an item on the people's queue, due when the reply expires: what nobody claims is a person's, not lost.
"""

from processors.outcome import TOO_MUCH_MAIL, Settlement, divert, item_of, may_mail_reply, settled_of
from processors.policy import Email
from processors.ports import Clock, Conversations, ItemKind, OutsideSettled
from schemas.gate import ReplyApproved
from schemas.outcome import Outcome, TicketSettled

LEFT = "approved, and left for the helpdesk to claim and deliver"


async def leave(approved: ReplyApproved, *, conversations: Conversations, clock: Clock, email: Email) -> Settlement:
    """Put the reply where the helpdesk can claim it, unless its address has had too much automatic mail.

    Raises:
        DependencyDown: Postgres does not answer.
    """
    if not await may_mail_reply(approved, conversations, email):
        return divert(approved, *TOO_MUCH_MAIL)
    key = f"{approved.ticket.ticket_id}:{approved.admission.revision}:outside"
    item = await conversations.open_item(item_of(approved, ItemKind.SUGGEST, key, LEFT))
    if item is None:
        return Settlement()
    await conversations.record_decision(approved.ticket.ticket_id, approved.admission.revision, approved.decision)
    return Settlement(settled_of(approved, Outcome.SUGGESTED, clock, reason=LEFT, item_id=item))


def delivered(kept: OutsideSettled, *, actor: str, clock: Clock) -> TicketSettled:
    """The event of a reply that the helpdesk delivered, perhaps in words of its own: always the same."""
    settled = settled_of(kept.approved, Outcome.SENT, clock, delivery=kept.delivery)
    changed = {} if kept.text == kept.approved.draft.text else {"text": kept.text, "sentences": ()}
    return settled.model_copy(update={"actor": actor, "settled_at": kept.at, **changed})
