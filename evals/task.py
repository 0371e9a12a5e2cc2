"""A suite run through the whole path in this process: the same processors as the workers, the same adapters."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import NAMESPACE_URL, uuid5

from pydantic import ValidationError

from evals.dataset import CUSTOMERS_OWN, LabelledTicket, Suite, Turn, as_chat, as_request, as_webhook
from evals.prediction import Prediction, Walked, refused, row_of
from processors.errors import Conflict, Rejected
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
from processors.selective import Certified
from schemas.control import Scope, SwitchState
from schemas.gate import ReplyApproved, TicketEscalated
from schemas.ingress import Channel, TicketReceived
from schemas.resolution import ReplyDrafted
from schemas.retrieval import EvidenceFound
from schemas.router import Admission, Author, Message, TicketRouted, Tier

Until = Literal["router", "retrieval", "resolution", "gate"]
AT_ONCE = 4  # conversations; the models keep two cores busy with fewer
ACCOUNT = "eval"


class Armed:
    """A switch that is `auto`: an evaluation asks what would be sent if it were allowed (ports.Switch)."""

    def view(self, *, channel: Channel, intent: str, customer_id: str | None) -> SwitchView:
        """Always open."""
        return SwitchView(SwitchState.AUTO, 0, Scope(), "evaluation")


@dataclass(frozen=True)
class Answering:
    """The ports and values of the stages after the router."""

    knowledge: Knowledge
    customers: Customers
    models: Mapping[Tier, Sequence[Model]]
    prompt: PromptFile
    verifier: Verifier
    helpdesk: Helpdesk
    retrieval_threshold: float  # 0-1
    retrieval_limit: int  # passages
    gate_floor: float  # 0-1
    model_deadline: float  # seconds
    config_hash: str
    certified: Certified | None = None


@dataclass(frozen=True)
class Pipeline:
    """The ports of the path."""

    conversations: Conversations
    policy: Policy
    classifier: Classifier
    ledger: Ledger
    clock: Clock
    answering: Answering | None  # None ends the path at the router: a suite without a help centre


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
    if ticket.channel == "whatsapp" and ticket.payload is not None:
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


async def solve(
    ticket: TicketReceived, pipeline: Pipeline, *, thread: Sequence[Turn] = (), until: Until = "gate"
) -> Walked:
    """Take one ticket down the path as far as `until`, and past the gate deliver its reply where it may go out.

    `thread` are turns before it that were held elsewhere: they stand before the conversation's own transcript.

    Raises:
        Conflict: the same id came with another body.
        DependencyDown, TryLater: a part does not answer; an evaluation stops rather than count it.
    """
    view = Armed().view(channel=ticket.channel, intent="", customer_id=None)
    admission = _with_thread(await pipeline.conversations.admit(ticket), thread, ticket.received_at)
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
    answering = pipeline.answering
    if until == "router" or answering is None:
        return Walked(routed.route)
    evidence = await retrieve(
        routed,
        knowledge=answering.knowledge,
        customers=answering.customers,
        policy=pipeline.policy,
        threshold=answering.retrieval_threshold,
        limit=answering.retrieval_limit,
        at=pipeline.clock.now(),
    )
    if until == "retrieval":
        return Walked(routed.route, evidence)
    found = EvidenceFound(ticket=ticket, admission=admission, route=routed.route, evidence=evidence)
    result = await draft(
        found,
        models=answering.models,
        ledger=pipeline.ledger,
        switch_view=view,
        prompt=answering.prompt,
        deadline=answering.model_deadline,
        kinds=pipeline.policy.records,
    )
    if until == "resolution":
        return Walked(routed.route, evidence, result.draft)
    drafted = ReplyDrafted(
        ticket=ticket,
        admission=admission,
        route=routed.route,
        evidence=evidence,
        draft=result.draft,
        failure=result.failure,
    )
    event = await _past_the_gate(drafted, pipeline, answering, view)
    return Walked(event.route, event.evidence, event.draft, event)


def _with_thread(admission: Admission, thread: Sequence[Turn], now: datetime) -> Admission:
    """The admission with turns held elsewhere before its transcript, a minute apart."""
    earlier = tuple(
        Message(
            author=Author.CUSTOMER if turn.speaker.lower() in CUSTOMERS_OWN else Author.BOT,
            text=turn.text,
            at=now - timedelta(minutes=len(thread) - at),
        )
        for at, turn in enumerate(thread)
    )
    return admission.model_copy(update={"transcript": (*earlier, *admission.transcript)}) if earlier else admission


async def _past_the_gate(
    drafted: ReplyDrafted, pipeline: Pipeline, answering: Answering, view: SwitchView
) -> ReplyApproved | TicketEscalated:
    """Decide, and deliver what may be sent."""
    checks = await judge(drafted, verifier=answering.verifier)
    decision = decide(
        drafted,
        checks,
        switch=view,
        policy=pipeline.policy,
        threshold=answering.retrieval_threshold,
        floor=answering.gate_floor,
        verifier_name=answering.verifier.name,
        config_hash=answering.config_hash,
        now=pipeline.clock.now(),
        certified=answering.certified,
    )
    event = leave(drafted, decision, pipeline.policy)
    if not isinstance(event, ReplyApproved):
        return event
    settlement = await deliver(
        event,
        conversations=pipeline.conversations,
        helpdesk=answering.helpdesk,
        switch=Armed(),
        clock=pipeline.clock,
        lease=60.0,
        deadline=10.0,
        email=pipeline.policy.email,
    )
    return settlement.divert or event


async def run(
    tickets: Sequence[LabelledTicket],
    suite: Suite,
    pipeline: Pipeline,
    entrance: Entrance,
    on_done: Callable[[Prediction], None] = lambda row: None,
    *,
    until: Until = "gate",
) -> list[Prediction]:
    """Predict every ticket, a few customers at a time, each one's tickets in their order; rows in the given order.

    A ticket that its channel's door refuses is a row too: a person's.

    Raises:
        DependencyDown, TryLater: a part does not answer; the rows until then were told to `on_done`.
    """
    slots = asyncio.Semaphore(AT_ONCE)
    rows: dict[str, Prediction] = {}

    async def one(ticket: LabelledTicket) -> Prediction:
        began = pipeline.clock.monotonic()
        try:
            received = receive(ticket, suite, entrance)
        except (Rejected, ValidationError) as error:
            return refused(ticket.id, f"no door takes it in: {error}".splitlines()[0])
        try:
            walked = await solve(received, pipeline, thread=ticket.thread, until=until)
        except Conflict as error:
            raise ValueError(f"{ticket.id}: two tickets of the suite have one id: {error}") from error
        return row_of(ticket.id, walked, (pipeline.clock.monotonic() - began) * 1000, stopped=f"stopped-at-{until}")

    async def in_turn(turns: Sequence[LabelledTicket]) -> None:
        async with slots:
            for ticket in turns:
                rows[ticket.id] = await one(ticket)
                on_done(rows[ticket.id])

    try:
        async with asyncio.TaskGroup() as group:
            for turns in in_order(tickets):
                group.create_task(in_turn(turns))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed  # one is enough to stop, and is what a command can explain
    return [rows[ticket.id] for ticket in tickets]


def in_order(tickets: Sequence[LabelledTicket]) -> list[list[LabelledTicket]]:
    """The tickets by who wrote them and in which conversation: what one knows of the one before it never differs."""
    places: dict[str, list[LabelledTicket]] = {}
    for ticket in tickets:
        names = [f"{kind}:{name}" for kind, name in _names(ticket) if name] or [f"id:{ticket.id}"]
        known = next((places[name] for name in names if name in places), [])
        known.append(ticket)
        for name in names:
            places.setdefault(name, known)
    return list({id(turns): turns for turns in places.values()}.values())


def _names(ticket: LabelledTicket) -> tuple[tuple[str, str | None], ...]:
    return ("conversation", ticket.conversation), ("customer", ticket.customer_id)
