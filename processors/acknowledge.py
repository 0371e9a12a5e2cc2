"""Tell a customer once that a person will answer, where the policy has words for it.

An acknowledgement is an automatic message: it obeys the switch like a reply, is never sent to a machine, and goes out
at most once per conversation and period, so that two answering machines have nothing to talk about.
"""

from dataclasses import dataclass

from processors.automatic_mail import may_mail
from processors.errors import DependencyDown, TryLater, Undeliverable
from processors.loops import loops
from processors.policy import Email
from processors.ports import AcknowledgeRequest, Clock, Conversations, Helpdesk, Reply, Switch, Told
from schemas.control import SwitchState
from schemas.gate import Disposition, TicketEscalated
from schemas.outcome import Outcome, TicketSettled


@dataclass(frozen=True)
class Acknowledged:
    """What came of it: the event for tickets.outcome, or why there is none."""

    settled: TicketSettled | None
    result: str  # sent, or a short reason; a label of a metric


async def acknowledge(  # noqa: PLR0913  each is a port or a limit of its own
    escalated: TicketEscalated,
    text: str | None,
    *,
    conversations: Conversations,
    helpdesk: Helpdesk,
    switch: Switch,
    clock: Clock,
    deadline: float,
    email: Email,
) -> Acknowledged:
    """Send the policy's words for this channel, if this ticket was handed over and nothing speaks against it.

    The right to send is taken before the call and never given back: a failed call is a note that was not sent, not one
    that is sent twice. What went out before under this key is told again, as its event may never have been. Nothing is
    raised for it, as the hand-over stands in any case; `deadline` is in seconds.

    Raises:
        DependencyDown: Postgres does not answer.
    """
    ticket, intent, customer = escalated.ticket, escalated.route.intent, escalated.admission.customer_id
    view = switch.view(channel=ticket.channel, intent=intent, customer_id=customer)
    obstacle = _obstacle(escalated, text, view.state, email)
    if text is None or obstacle is not None:
        return Acknowledged(None, obstacle or "no words")
    key = f"{ticket.ticket_id}:{escalated.admission.revision}:acknowledge"
    request = AcknowledgeRequest(ticket.conversation, key, ticket.channel, intent, customer)
    answer = await conversations.may_acknowledge(request)
    if answer.told is Told.SENT:
        return Acknowledged(_settled(escalated, answer.text or text, answer.delivery, clock), "told again")
    if answer.told is Told.REFUSED:
        return Acknowledged(None, "not again")
    if not await may_mail(ticket, key, proved=customer is not None, policy=email, conversations=conversations):
        return Acknowledged(None, "too much mail")
    try:
        found = await helpdesk.find(key, ticket.channel) if answer.told is Told.UNKNOWN else None
        delivery = found or await helpdesk.reply(Reply(key, ticket, text, ()), deadline)
    except LookupError:
        return Acknowledged(None, "maybe sent")
    except Exception as failure:  # noqa: BLE001  whatever is wrong with the note, the hand-over stands
        return Acknowledged(None, _why(failure))
    await conversations.acknowledged(request, delivery=delivery, text=text)
    return Acknowledged(_settled(escalated, text, delivery, clock), "sent")


def _why(failure: Exception) -> str:
    """A failure of the way out by its kind: the label of a metric has few values."""
    kinds = (TryLater, Undeliverable, DependencyDown)
    return next((kind.__name__ for kind in kinds if isinstance(failure, kind)), "a fault")


def _obstacle(escalated: TicketEscalated, text: str | None, state: SwitchState, email: Email) -> str | None:
    """Why there is nothing to send, before anybody is asked."""
    reasons = {
        "no words": text is None,
        "a draft waits": escalated.decision.disposition is not Disposition.HANDOFF,
        "from a machine": escalated.ticket.marks.automatic,
        "maybe to a machine": bool(loops(escalated.ticket, escalated.admission, email)),
        "stopped": state is not SwitchState.AUTO,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _settled(escalated: TicketEscalated, text: str, delivery: str | None, clock: Clock) -> TicketSettled:
    return TicketSettled(
        ticket_id=escalated.ticket.ticket_id,
        conversation=escalated.ticket.conversation,
        revision=escalated.admission.revision,
        channel=escalated.ticket.channel,
        account=escalated.ticket.account,
        intent=escalated.route.intent,
        outcome=Outcome.ACKNOWLEDGED,
        text=text,
        delivery=delivery,
        received_at=escalated.ticket.received_at,
        settled_at=clock.now(),
    )
