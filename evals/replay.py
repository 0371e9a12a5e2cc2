"""Kept decisions made again: where a ticket would end under another policy.

What is compared is the policy's own say: the switch counts as armed and the certificate as given. A decision is
made again from the event the ticket left the gate with: by `decide`, and the router's part as far as the event tells.
What the old policy never let a model draft cannot be known: it then ends, at the most, where the new policy allows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from processors.gate import decide
from processors.policy import RULE_NAMES, Policy, amount_rule, hard_rule, strictness
from processors.ports import SwitchView
from schemas.control import Scope, SwitchState
from schemas.gate import Disposition, ReplyApproved, TicketEscalated
from schemas.ingress import Channel
from schemas.resolution import ReplyDrafted
from schemas.router import Band, Route

Left = ReplyApproved | TicketEscalated  # a ticket as it left the gate

ARMED = SwitchView(SwitchState.AUTO, 0, Scope(), "a replay")
MOST = {Band.AUTO: Disposition.AUTO, Band.SUGGEST: Disposition.SUGGEST, Band.ESCALATE: Disposition.HANDOFF}
LOOSENED = {  # a rule of the router to the figure of the policy that decides it
    "low_confidence": "min_confidence",
    "out_of_scope": "min_in_scope",
    "disagreement": "sure_confidence",
}
DIVERTED = "outcome-"  # how the rule of a reply begins that was approved before, and diverted at its delivery


@dataclass(frozen=True)
class End:
    """Where a ticket ends under a policy."""

    disposition: Disposition
    rule: str  # the row of the gate's table, or the line of the policy
    reason: str
    known: bool = True  # else the most that may become of it: no draft was made under the old policy


@dataclass(frozen=True)
class Change:
    """A ticket that ends elsewhere under another policy."""

    ticket_id: UUID
    revision: int
    intent: str
    channel: str
    old: End
    new: End

    @property
    def sends_more(self) -> bool:
        """Whether it may go out without a person, as it does not now."""
        return self.new.disposition is Disposition.AUTO


def ordered(changes: Iterable[Change]) -> list[Change]:
    """Those that may go out by themselves first, and of them those that nobody drafts now."""
    return sorted(changes, key=lambda each: (_risk(each), each.intent, str(each.ticket_id), each.revision))


def change_of(event: Left, old: Policy, new: Policy) -> Change | None:
    """How a ticket's end differs; None where it does not."""
    before, after = end_of(event, old, old), end_of(event, old, new)
    if before.disposition is after.disposition:
        return None
    return Change(
        ticket_id=event.ticket.ticket_id,
        revision=event.admission.revision,
        intent=event.route.intent,
        channel=event.ticket.channel.value,
        old=before,
        new=after,
    )


def _risk(change: Change) -> tuple[int, int]:
    order = list(Disposition)
    return -order.index(change.new.disposition), order.index(change.old.disposition)


def is_decision(event: object) -> bool:
    """Whether an event is what the gate decided, and not a reply that was diverted after it."""
    return isinstance(event, ReplyApproved | TicketEscalated) and not event.decision.rule.startswith(DIVERTED)


def end_of(event: Left, old: Policy, policy: Policy) -> End:
    """Where the ticket ends under a policy; `old` is the one it was routed by."""
    if (stopped := _stopped(event, old, policy)) is not None:
        return stopped
    freed = _freed(event, old, policy)
    route = _let_go(event.route) if freed else event.route
    end = _decided(event, route, policy)
    if freed and end.rule == "no-draft":
        band, line = (Band.AUTO, freed) if not route.model else policy.ceiling(route.intent, event.ticket.channel)
        return End(MOST[band], line, f"{freed}: it would be drafted, and what comes of it is not known", known=False)
    if freed and end.disposition is Disposition.AUTO:
        return End(end.disposition, end.rule, f"{freed}; its parts were not read one by one", known=False)
    return end


def _decided(event: Left, route: Route, policy: Policy) -> End:
    kinds = policy.facts_for(route.intent)
    evidence = event.evidence.model_copy(
        update={"facts": tuple(fact for fact in event.evidence.facts if fact.kind in kinds)}
    )
    drafted = ReplyDrafted(
        ticket=event.ticket, admission=event.admission, route=route, evidence=evidence, draft=event.draft
    )
    found = decide(
        drafted,
        event.decision.checks,
        switch=ARMED,
        policy=policy.waived,
        threshold=event.decision.retrieval_threshold,
        floor=event.decision.floor,
        verifier_name=event.decision.verifier,
        config_hash=event.decision.config_hash,
        now=event.decision.decided_at,
    )
    return End(found.disposition, found.rule, "; ".join(found.reasons))


# -- the router's part


def _stopped(event: Left, old: Policy, policy: Policy) -> End | None:
    """Where the router would send it straight to a person, though it did not."""
    language = event.ticket.language
    if language is not None and language not in policy.languages:
        return End(Disposition.HANDOFF, "languages", f"{language!r} is none of the policy's languages")
    least = policy.thresholds.min_confidence
    if event.route.model and event.route.confidence < least and least > old.thresholds.min_confidence:
        why = f"sure of the topic with {event.route.confidence:.0%} only"
        return End(Disposition.HANDOFF, "thresholds.min_confidence", why, known=False)
    return None


def _freed(event: Left, old: Policy, policy: Policy) -> str:
    """Why what held the ticket back does not hold it back under this policy; empty where it does, or nothing did."""
    rule = event.route.rule
    if rule is None or event.route.band is Band.AUTO:
        return ""
    if rule in RULE_NAMES:
        return "" if _hit(event, policy) else f"{rule} does not fire"
    if rule == "language":
        return f"languages has {event.ticket.language!r}"
    if rule in LOOSENED:
        name = LOOSENED[rule]
        looser = getattr(policy.thresholds, name) < getattr(old.thresholds, name)
        return f"thresholds.{name} is lower" if looser else ""
    band = _band_of(rule, policy)
    return f"{rule} is {band.value}" if band and strictness(band) > strictness(event.route.band) else ""


def _hit(event: Left, policy: Policy) -> bool:
    text = f"{event.ticket.subject}\n{event.ticket.body}"
    hit = hard_rule(event.ticket, event.admission.transcript, policy) or amount_rule(event.route.intent, text, policy)
    return hit is not None


def _band_of(line: str, policy: Policy) -> Band | None:
    """What the policy says in the line that a route names; None where that is no line of a policy."""
    table, _, key = line.removesuffix(" is not listed").partition(".")
    if table == "intents":
        return policy.intents.get(key, Band.SUGGEST)
    if table == "channels" and key in set(Channel):
        return policy.channels.get(Channel(key), Band.SUGGEST)
    return None


def _let_go(route: Route) -> Route:
    """The route without its strictest limit. The others, if any, leave it a suggestion."""
    band = Band.SUGGEST if len(route.reasons) > 1 else Band.AUTO
    return route.model_copy(update={"band": band, "rule": None, "reasons": route.reasons[1:]})
