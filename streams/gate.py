"""Gate: one decision on each revision, to `tickets.auto-send` or to `tickets.escalation`."""

from dataclasses import dataclass
from datetime import timedelta

from processors.gate import decide, due_at, judge, summary_of
from processors.policy import Policy
from processors.ports import Clock, Switch, Verifier
from schemas.event import Stage
from schemas.gate import Decision, Disposition, ReplyApproved, TicketEscalated
from schemas.resolution import Draft, ReplyDrafted
from schemas.topics import Topic
from streams.step import Incoming, Input, Outgoing, StageDefinition, carrying


@dataclass(frozen=True)
class GateLimits:
    """What the configuration asks of a reply that is sent by itself."""

    threshold: float  # score a passage needs to be a source, 0-1
    floor: float  # support the worst sentence needs, 0-1
    config_hash: str  # of the configuration in force, kept in each decision


def gate(*, verifier: Verifier, switch: Switch, policy: Policy, clock: Clock, limits: GateLimits) -> StageDefinition:
    """`tickets.resolution` to `tickets.auto-send` or `tickets.escalation`."""

    async def handle(incoming: Incoming[ReplyDrafted]) -> tuple[Outgoing, ...]:
        drafted = incoming.event
        checks = await judge(drafted, verifier=verifier)
        view = switch.view(  # after the verifier, as late as can be
            channel=drafted.ticket.channel, intent=drafted.route.intent, customer_id=drafted.admission.customer_id
        )
        decision = decide(
            drafted,
            checks,
            switch=view,
            policy=policy,
            threshold=limits.threshold,
            floor=limits.floor,
            verifier_name=verifier.name,
            config_hash=limits.config_hash,
            now=clock.now(),
        )
        if decision.disposition is Disposition.AUTO and drafted.draft is not None:
            return (approved(drafted, drafted.draft, decision, policy),)
        return (escalated(drafted, decision, policy),)

    return StageDefinition(Stage.GATE, (Input(Topic.RESOLUTION, carrying(ReplyDrafted), handle),))


def approved(drafted: ReplyDrafted, draft: Draft, decision: Decision, policy: Policy) -> Outgoing:
    """The request to send."""
    expiry = timedelta(minutes=policy.reply_expiry_minutes(drafted.ticket.channel))
    event = ReplyApproved(
        ticket=drafted.ticket,
        admission=drafted.admission,
        route=drafted.route,
        evidence=drafted.evidence,
        draft=draft,
        decision=decision,
        idempotency_key=f"{drafted.ticket.ticket_id}:{drafted.admission.revision}",
        switch_epoch=decision.switch_epoch,
        expires_at=decision.decided_at + expiry,
    )
    return Outgoing(Topic.AUTO_SEND, drafted.ticket.conversation, event)


def escalated(drafted: ReplyDrafted, decision: Decision, policy: Policy) -> Outgoing:
    """The draft to approve, or the hand-over."""
    event = TicketEscalated(
        ticket=drafted.ticket,
        admission=drafted.admission,
        route=drafted.route,
        evidence=drafted.evidence,
        draft=drafted.draft,
        decision=decision,
        summary=summary_of(drafted, decision),
        due_at=due_at(decision, policy, decision.decided_at),
    )
    return Outgoing(Topic.ESCALATION, drafted.ticket.conversation, event)
