"""Notify: tell a system outside of every outcome, in the order of each conversation.

It stands after the path: what it cannot deliver is on its own dead topic (`sluice dead list --stage notify`) and opens
no item, as an item is an outcome too, and would be told in turn.
"""

from processors.ports import Listener
from schemas.event import Stage
from schemas.outcome import TicketSettled
from schemas.topics import Topic
from streams.step import Incoming, Input, Outgoing, StageDefinition, carrying

TRIES = 8  # a minute in all; a retry topic would let later outcomes overtake


def notify(*, listener: Listener, deadline: float) -> StageDefinition:
    """`tickets.outcome` to a listener; `deadline` is the total time of one call, in seconds."""

    async def tell(incoming: Incoming[TicketSettled]) -> tuple[Outgoing, ...]:
        await listener.tell(incoming.event, deadline)
        return ()

    return StageDefinition(Stage.NOTIFY, (Input(Topic.OUTCOME, carrying(TicketSettled), tell),), in_place=TRIES)
