"""Gate: one decision on each revision, to `tickets.auto-send` or to `tickets.escalation`."""

from dataclasses import dataclass

from processors.gate import decide, judge, leave
from processors.policy import Policy
from processors.ports import Clock, Switch, Verifier
from processors.selective import Certified
from schemas.event import Stage
from schemas.gate import ReplyApproved
from schemas.resolution import ReplyDrafted
from schemas.topics import Topic
from streams.step import Incoming, Input, Outgoing, StageDefinition, carrying


@dataclass(frozen=True)
class GateLimits:
    """What the configuration asks of a reply that is sent by itself."""

    threshold: float  # score a passage needs to be a source, 0-1
    floor: float  # support the worst sentence needs, 0-1
    config_hash: str  # of the configuration in force, kept in each decision
    certified: Certified | None = None  # the certificate in force; without one nothing is sent by itself


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
            certified=limits.certified,
        )
        event = leave(drafted, decision, policy)
        topic = Topic.AUTO_SEND if isinstance(event, ReplyApproved) else Topic.ESCALATION
        return (Outgoing(topic, drafted.ticket.conversation, event),)

    return StageDefinition(Stage.GATE, (Input(Topic.RESOLUTION, carrying(ReplyDrafted), handle),))
