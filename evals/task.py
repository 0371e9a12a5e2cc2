"""A suite run through the whole path in this process: the same processors as the workers, the same adapters."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

from evals.dataset import LabelledTicket, Suite, as_chat, as_request, as_webhook
from evals.prediction import Prediction, predicted
from processors.errors import Conflict
from processors.gate import decide, judge, leave
from processors.ingress import LanguageOf
from processors.ingress.api import ApiKey, receive_api
from processors.ingress.chat import open_session, receive_chat
from processors.ingress.email import Mailbox, receive_email
from processors.ingress.whatsapp import receive_whatsapp
from processors.outcome import deliver
from processors.policy import Policy
from processors.ports import (
    Classifier,
    Clock,
    Conversations,
    Customers,
    Helpdesk,
    Knowledge,
    Ledger,
    Model,
    SwitchView,
    Verifier,
)
from processors.resolution import PromptFile, draft
from processors.retrieval import retrieve
from processors.router import route
from schemas.control import Scope, SwitchState
from schemas.gate import ReplyApproved, TicketEscalated
from schemas.ingress import Channel, TicketReceived
from schemas.resolution import ReplyDrafted
from schemas.retrieval import EvidenceFound
from schemas.router import TicketRouted, Tier

AT_ONCE = 4  # conversations; the models keep two cores busy with fewer
ACCOUNT = "eval"


class Armed:
    """A switch that is `auto`: an evaluation asks what would be sent if it were allowed (ports.Switch)."""

    def view(self, *, channel: Channel, intent: str, customer_id: str | None) -> SwitchView:
        """Always open."""
        return SwitchView(SwitchState.AUTO, 0, Scope(), "evaluation")


@dataclass(frozen=True)
class Pipeline:
    """The ports of the whole path."""

    conversations: Conversations
    policy: Policy
    classifier: Classifier
    knowledge: Knowledge
    customers: Customers
    models: Mapping[Tier, Sequence[Model]]
    ledger: Ledger
    prompt: PromptFile
    verifier: Verifier
    helpdesk: Helpdesk
    clock: Clock
    retrieval_threshold: float  # 0-1
    retrieval_limit: int  # passages
    gate_floor: float  # 0-1
    model_deadline: float  # seconds
    config_hash: str


@dataclass(frozen=True)
class Entrance:
    """How a suite's tickets come in."""

    mailbox: Mailbox
    clock: Clock
    language: LanguageOf


def receive(ticket: LabelledTicket, suite: Suite, entrance: Entrance) -> TicketReceived:
    """The labelled ticket as the door of its channel would make it."""
    now = entrance.clock.now()
    if ticket.eml is not None:
        raw = (suite.path / ticket.eml).read_bytes()
        return receive_email(raw, mailbox=entrance.mailbox, received_at=now, language=entrance.language)
    if ticket.channel == "chat":
        return _from_chat(ticket, now, entrance.language)
    if ticket.channel == "whatsapp":
        raw = as_webhook(ticket, suite, at=now).raw
        return receive_whatsapp(raw, received_at=now, language=entrance.language).tickets[0]
    entry = as_request(ticket)
    return receive_api(
        entry.request,
        key=ApiKey(ACCOUNT, entry.scope),
        idempotency_key=ticket.id,
        random_id=uuid5(NAMESPACE_URL, ticket.id),
        received_at=now,
        language=entrance.language,
    )


def _from_chat(ticket: LabelledTicket, now: datetime, language: LanguageOf) -> TicketReceived:
    entry = as_chat(ticket)
    session = open_session(
        entry.session,
        key=ApiKey(ACCOUNT, "service"),
        random_id=uuid5(NAMESPACE_URL, ticket.id),
        expires_at=now + timedelta(hours=1),
    )
    return receive_chat(entry.message, session=session, received_at=now, language=language)


async def solve(ticket: TicketReceived, pipeline: Pipeline) -> ReplyApproved | TicketEscalated:
    """Take one ticket down the whole path, and deliver its reply where it may go out.

    Raises:
        Conflict: the same id came with another body.
        DependencyDown, TryLater: a part does not answer; an evaluation stops rather than count it.
    """
    switch, view = Armed(), Armed().view(channel=ticket.channel, intent="", customer_id=None)
    admission = await pipeline.conversations.admit(ticket)
    routed = TicketRouted(
        ticket=ticket,
        admission=admission,
        route=await route(
            ticket,
            admission,
            policy=pipeline.policy,
            classifier=pipeline.classifier,
            ledger=pipeline.ledger,
            switch=view,
        ),
    )
    evidence = await retrieve(
        routed,
        knowledge=pipeline.knowledge,
        customers=pipeline.customers,
        policy=pipeline.policy,
        threshold=pipeline.retrieval_threshold,
        limit=pipeline.retrieval_limit,
        at=pipeline.clock.now(),
    )
    found = EvidenceFound(ticket=ticket, admission=admission, route=routed.route, evidence=evidence)
    result = await draft(
        found,
        models=pipeline.models,
        ledger=pipeline.ledger,
        switch_view=view,
        prompt=pipeline.prompt,
        deadline=pipeline.model_deadline,
    )
    drafted = ReplyDrafted(
        ticket=ticket,
        admission=admission,
        route=routed.route,
        evidence=evidence,
        draft=result.draft,
        failure=result.failure,
    )
    checks = await judge(drafted, verifier=pipeline.verifier)
    decision = decide(
        drafted,
        checks,
        switch=view,
        policy=pipeline.policy,
        threshold=pipeline.retrieval_threshold,
        floor=pipeline.gate_floor,
        verifier_name=pipeline.verifier.name,
        config_hash=pipeline.config_hash,
        now=pipeline.clock.now(),
    )
    event = leave(drafted, decision, pipeline.policy)
    if isinstance(event, ReplyApproved):
        settlement = await deliver(
            event,
            conversations=pipeline.conversations,
            helpdesk=pipeline.helpdesk,
            switch=switch,
            clock=pipeline.clock,
            lease=60.0,
            deadline=10.0,
            email=pipeline.policy.email,
        )
        return settlement.divert or event
    return event


async def run(
    tickets: Sequence[LabelledTicket],
    suite: Suite,
    pipeline: Pipeline,
    entrance: Entrance,
    on_done: Callable[[Prediction], None] = lambda row: None,
) -> list[Prediction]:
    """Predict every ticket, a few conversations at a time, each conversation in its order; rows in the given order."""
    slots = asyncio.Semaphore(AT_ONCE)
    rows: dict[str, Prediction] = {}

    async def one(ticket: LabelledTicket) -> None:
        began = pipeline.clock.monotonic()
        try:
            event = await solve(receive(ticket, suite, entrance), pipeline)
        except Conflict as error:
            raise ValueError(f"{ticket.id}: two tickets of the suite have one id: {error}") from error
        rows[ticket.id] = predicted(ticket.id, event, (pipeline.clock.monotonic() - began) * 1000)
        on_done(rows[ticket.id])

    async def conversation(turns: Sequence[LabelledTicket]) -> None:
        async with slots:
            for ticket in turns:
                await one(ticket)

    async with asyncio.TaskGroup() as group:
        for turns in conversations(tickets).values():
            group.create_task(conversation(turns))
    return [rows[ticket.id] for ticket in tickets]


def conversations(tickets: Sequence[LabelledTicket]) -> dict[str, list[LabelledTicket]]:
    """The tickets by conversation, in their order; one that continues nothing stands alone."""
    grouped: dict[str, list[LabelledTicket]] = {}
    for ticket in tickets:
        grouped.setdefault(ticket.conversation or ticket.id, []).append(ticket)
    return grouped
