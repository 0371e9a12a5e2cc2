"""Retrieval: find the evidence. A ticket that goes to a person anyway does not wait for it."""

import asyncio
from dataclasses import dataclass

from processors.errors import Rejected, TryLater
from processors.policy import Policy
from processors.ports import Clock, Customers, Knowledge
from processors.retrieval import retrieve
from schemas.event import Stage
from schemas.retrieval import Evidence, EvidenceFound
from schemas.router import Band, TicketRouted
from schemas.topics import Topic
from streams.retry import patient
from streams.step import Incoming, Input, Outgoing, StageDefinition, carrying


@dataclass(frozen=True)
class RetrievalLimits:
    """How much is searched, and how long."""

    threshold: float  # score a passage needs to be a source, 0-1
    passages: int  # at most
    best_effort: float = 2.0  # seconds for a ticket that is handed over anyway


def retrieval(
    *, knowledge: Knowledge, customers: Customers, policy: Policy, clock: Clock, limits: RetrievalLimits
) -> StageDefinition:
    """`tickets.router` to `tickets.retrieval`. An outage is waited for; for an escalated ticket, two seconds."""

    async def search(routed: TicketRouted) -> Evidence:
        return await retrieve(
            routed,
            knowledge=knowledge,
            customers=customers,
            policy=policy,
            threshold=limits.threshold,
            limit=limits.passages,
            at=clock.now(),
        )

    async def found_for(incoming: Incoming[TicketRouted]) -> Evidence:
        handed_over = incoming.event.route.band is Band.ESCALATE
        try:
            async with asyncio.timeout(limits.best_effort if handed_over else None):
                return await search(incoming.event)
        except (Rejected, TryLater, TimeoutError) as error:
            if handed_over or isinstance(error, Rejected) or not patient(incoming.tries):
                return Evidence(failure=str(error) or f"no evidence within {limits.best_effort:.0f} s")
            raise

    async def handle(incoming: Incoming[TicketRouted]) -> tuple[Outgoing, ...]:
        routed = incoming.event
        evidence = await found_for(incoming)
        found = EvidenceFound(ticket=routed.ticket, admission=routed.admission, route=routed.route, evidence=evidence)
        return (Outgoing(Topic.RETRIEVAL, routed.ticket.conversation, found),)

    return StageDefinition(Stage.RETRIEVAL, (Input(Topic.ROUTER, carrying(TicketRouted), handle),))
