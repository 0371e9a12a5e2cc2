"""Router: admit the ticket into its conversation, then say how far it may go without a person."""

from processors.policy import Policy
from processors.ports import Classifier, Conversations, Ledger, Switch
from processors.router import UNKNOWN, route
from schemas.event import Stage
from schemas.ingress import TicketReceived
from schemas.router import TicketRouted
from schemas.topics import Topic
from streams.heads import Noted, publishing
from streams.step import Incoming, Input, Outgoing, StageDefinition, carrying

TRIES = 8  # a minute in all: a follow-up that is admitted before its ticket would be answered as if it came first


def router(
    *, conversations: Conversations, policy: Policy, classifier: Classifier, ledger: Ledger, switch: Switch
) -> StageDefinition:
    """`tickets.inbound` to `tickets.router`. A conflict (the id with another body) becomes a dead letter.

    Where a prompted model is the classifier, chain heads go to `audit.heads`.
    """

    async def handle(incoming: Incoming[TicketReceived]) -> tuple[Outgoing, ...]:
        ticket = incoming.event
        admission = await conversations.admit(ticket)
        view = switch.view(channel=ticket.channel, intent=UNKNOWN, customer_id=admission.customer_id)
        noted = Noted(ledger)
        found = await route(ticket, admission, policy=policy, classifier=classifier, ledger=noted, switch=view)
        routed = TicketRouted(ticket=ticket, admission=admission, route=found)
        return (
            *publishing(noted.heads),
            Outgoing(Topic.ROUTER, ticket.conversation, routed),
        )

    inputs = (Input(Topic.INBOUND, carrying(TicketReceived), handle),)
    return StageDefinition(Stage.ROUTER, inputs, in_place=TRIES)
