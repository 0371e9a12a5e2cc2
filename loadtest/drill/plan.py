"""What a drill does, and to what: the scopes that are its own, its tickets, and its cases by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from schemas.control import Scope, ScopeKind
from schemas.gate import Decision, Disposition, ReplyApproved
from schemas.ingress import Channel, TicketReceived
from schemas.resolution import Draft, Sentence
from schemas.retrieval import Evidence
from schemas.router import Admission, Band, Route, Tier

NAME = "sluice-drill"  # no intent of a policy or a classifier is called so
SCOPE = Scope(kind=ScopeKind.INTENT, value=NAME)
ACTOR = "sluice drill"
MARK = "a drill's, and nobody's words"  # where a real message has the SHA-256 of its body
ACCOUNT = NAME


def is_own(scope: Scope) -> bool:
    """Whether a scope can be the drill's: an intent called `sluice-drill`, or `sluice-drill-` and a name."""
    return scope.kind is ScopeKind.INTENT and (scope.value == NAME or scope.value.startswith(f"{NAME}-"))


@dataclass(frozen=True)
class Ticket:
    """A ticket of the drill's: it has a place in a conversation, and nobody wrote it."""

    conversation: str
    ticket_id: UUID

    @property
    def key(self) -> str:
        """The idempotency key of its reply."""
        return f"{self.ticket_id}:1"


def tickets(count: int) -> tuple[Ticket, ...]:
    """So many tickets, each in a conversation that no other ticket can guess."""
    run = uuid4().hex
    return tuple(Ticket(f"{NAME}:{run}:{number}", uuid4()) for number in range(count))


def approved(
    ticket: Ticket,
    at: datetime,
    *,
    intent: str = NAME,
    channel: Channel = Channel.API,
    customer_id: str | None = None,
    epoch: int = -1,
) -> ReplyApproved:
    """The gate's request to send a reply to a drill's ticket."""
    received = TicketReceived(
        ticket_id=ticket.ticket_id,
        conversation=ticket.conversation,
        channel=channel,
        provider=NAME,
        account=ACCOUNT,
        provider_message_id=ticket.conversation,
        body="Is this a drill?",
        body_full="Is this a drill?",
        received_at=at,
    )
    decision = Decision(
        disposition=Disposition.AUTO,
        rule="a drill",
        floor=0.0,
        retrieval_threshold=0.0,
        verifier=NAME,
        policy_hash=NAME,
        config_hash=NAME,
        switch_state="auto",
        switch_epoch=epoch,
        decided_at=at,
    )
    return ReplyApproved(
        ticket=received,
        admission=Admission(revision=1, customer_id=customer_id),
        route=Route(intent=intent, band=Band.AUTO, tier=Tier.COMMODITY, confidence=1.0),
        evidence=Evidence(),
        draft=Draft(sentences=(Sentence(text="This is a drill."),), model=f"local/{NAME}", prompt_hash="0"),
        decision=decision,
        idempotency_key=ticket.key,
        switch_epoch=epoch,
        expires_at=at + timedelta(hours=1),
    )


# A thing that may go wrong with a stop, by its name; each has a world of its own.
CASES: Mapping[str, str] = {
    "both-paths": "A stop by both paths, everything reachable, against workers that send.",
    "topic-only": "The stop is on control.switch alone: workers read it, and mirror it into the table.",
    "table-only": "The stop is in Postgres alone: no worker has read of it, and no claim is granted.",
    "cut-from-kafka": "A worker can't reach Kafka, nobody mirrors, and the stop is on the topic alone.",
    "cut-from-postgres": "A worker can't reach Postgres when the stop comes, and can again later.",
    "rebalance": "A worker joins the group as the stop comes.",
    "restart": "Every worker ends after the stop, with replies unsent, and starts again.",
    "flip-back": "Only an arming that names the stop in force lifts it, on both paths.",
    "overlap": "Scopes that overlap: the most restrictive wins, lifting one leaves the others.",
    "busy-claimers": "Many stops against claimers that never rest.",
    "paused-claimer": "A claimer stands still in its transaction, with the switch's lock in its hands.",
}
