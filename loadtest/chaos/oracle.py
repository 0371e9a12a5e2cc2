"""The oracle: what a run's history says about each promise of docs/guarantees.md. Pure: no broker, no clock.

It trusts nothing the product says of itself beyond what left durable traces: topics, tables, the helpdesk's own list.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from loadtest.chaos.history import ClaimState, History, Place, Seen
from schemas.event import Stage
from schemas.outcome import TERMINAL, Outcome
from schemas.topics import INPUTS, RETRY_DELAYS, STAGES, Topic, dead_topic, retry_topic

BOT = "bot"
PERSONS = frozenset({Outcome.SUGGESTED, Outcome.HANDED_OFF, Outcome.PARKED, Outcome.CONFLICT, Outcome.DEAD})

OUTPUTS: Mapping[Stage, tuple[str, ...]] = {
    Stage.ROUTER: (Topic.ROUTER,),
    Stage.RETRIEVAL: (Topic.RETRIEVAL,),
    Stage.RESOLUTION: (Topic.RESOLUTION,),
    Stage.GATE: (Topic.AUTO_SEND, Topic.ESCALATION),
    Stage.OUTCOME: (Topic.OUTCOME, Topic.ESCALATION),
}
DEAD = frozenset(dead_topic(stage) for stage in STAGES)
RETRY = frozenset(retry_topic(stage, delay) for stage in STAGES for delay in RETRY_DELAYS)

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class Bounds:
    """What counts as bounded."""

    rss_mb: float = 1500.0  # of one worker process
    in_flight: int = 64 * len(STAGES)  # tickets of one worker process, all its stages together
    settle: timedelta = timedelta(seconds=60)  # while one key fails, the others go on
    skew: timedelta = timedelta(seconds=0.5)  # between a record's time, its producer's, and a sample's, ours


@dataclass(frozen=True)
class Breach:
    """One thing that must not be."""

    invariant: str  # I1 to I9, or "stop"
    what: str
    ticket_id: UUID | None = None
    conversation: str | None = None
    place: Place | None = None


@dataclass(frozen=True)
class Verdict:
    """The end of a run."""

    tickets: int  # distinct readable ids that Kafka acknowledged
    settled: int
    lost: int
    double_sent: int  # (conversation, revision) pairs with more than one reply
    repeated_calls: int  # of the helpdesk, beyond the first of each reply; it tells them by their key
    out_of_order: int
    committed_past_unfinished: int
    sent_after_stop: int
    dead: int  # dead letters
    unexplained: int
    breaches: tuple[Breach, ...] = field(default=())

    @property
    def clean(self) -> bool:
        """Whether every promise was kept."""
        return not self.breaches


def judge(history: History, bounds: Bounds = Bounds()) -> Verdict:
    """Hold a history against every invariant."""
    found = {name: tuple(rule(history, bounds)) for name, rule in RULES.items()}
    ids = {record.ticket_id for record in history.produced if record.ticket_id is not None}
    ends = _ends(history)
    return Verdict(
        tickets=len(ids),
        settled=sum(ticket in ends for ticket in ids),
        lost=len(found["lost"]),
        double_sent=len(found["double"]),
        repeated_calls=_repeated(history),
        out_of_order=len(found["order"]),
        committed_past_unfinished=len(found["commits"]),
        sent_after_stop=len(found["stop"]),
        dead=sum(seen.place.topic in DEAD for seen in history.seen),
        unexplained=len(found["unexplained"]),
        breaches=tuple(breach for breaches in found.values() for breach in breaches),
    )


# -- I1: exactly one end


def lost(history: History, _: Bounds) -> Iterator[Breach]:
    """Every id that Kafka acknowledged has a terminal event; every record nobody can read is a dead person's item."""
    ends, keys = _ends(history), {item.key for item in history.items}
    for ticket, records in _grouped(history.produced, lambda record: record.ticket_id).items():
        if ticket is not None and ticket not in ends:
            yield Breach("I1", "acknowledged, and never settled", ticket, records[0].conversation, records[0].place)
    for record in history.produced:
        if record.ticket_id is None and _letter_key(record.place) not in keys:
            yield Breach("I1", "unreadable, and on nobody's queue", None, record.conversation, record.place)


def two_ends(history: History, _: Bounds) -> Iterator[Breach]:
    """A revision ends in one way. It may be told twice, and what was dead or parked may have been taken up again."""
    settled = (s for s in history.seen if s.place.topic == Topic.OUTCOME and s.actor == BOT and s.revision > 0)
    for (ticket, revision), events in _grouped(settled, lambda s: (s.ticket_id, s.revision)).items():
        ends = {event.outcome for event in events if event.outcome in TERMINAL} - {Outcome.DEAD, Outcome.CONFLICT}
        if len(ends) > 1:
            yield Breach("I1", f"revision {revision} ended as {' and '.join(sorted(map(str, ends)))}", ticket)


def nobody_s(history: History, _: Bounds) -> Iterator[Breach]:
    """What ended with a person has an item on the people's queue."""
    owned = {item.ticket_id for item in history.items}
    for ticket, events in _ends(history).items():
        if any(event.outcome in PERSONS for event in events) and ticket in _known(history) and ticket not in owned:
            yield Breach("I1", "with a person, and on nobody's queue", ticket)


def conflicts(history: History, _: Bounds) -> Iterator[Breach]:
    """Of several bodies under one id one is answered, and each other is a conflict that a person sees."""
    for ticket, records in _grouped(history.produced, lambda record: record.ticket_id).items():
        others = len({record.body for record in records}) - 1
        seen = sum(item.ticket_id == ticket and item.kind == Outcome.CONFLICT for item in history.items)
        if ticket is not None and seen < others:
            yield Breach("I1", f"{others + 1} bodies under one id, and {seen} conflict items", ticket)


# -- I2: at most one reply


def double(history: History, _: Bounds) -> Iterator[Breach]:
    """At most one reply a revision reached the helpdesk, and at most one claim on it is sent."""
    replies = [delivered for delivered in history.delivered if delivered.kind == "reply"]
    for (conversation, revision), calls in _grouped(
        replies, lambda d: (d.conversation, d.key.rpartition(":")[2])
    ).items():
        if len({call.reference for call in calls}) > 1:
            yield Breach("I2", f"revision {revision} got {len(calls)} replies", None, conversation)
    sent = [claim for claim in history.claims if claim.state is ClaimState.SENT]
    for (conversation, number), claims in _grouped(sent, lambda claim: (claim.conversation, claim.revision)).items():
        if len(claims) > 1:
            yield Breach("I2", f"revision {number} has {len(claims)} sent claims", None, conversation)


def _repeated(history: History) -> int:
    calls = Counter(delivered.key for delivered in history.delivered if delivered.kind == "reply")
    return sum(count - 1 for count in calls.values())


def unclaimed(history: History, _: Bounds) -> Iterator[Breach]:
    """Every reply at the helpdesk has a claim that knows of it: sent, or parked as one that may have been."""
    known = {claim.key for claim in history.claims if claim.state in (ClaimState.SENT, ClaimState.PARKED)}
    for delivered in history.delivered:
        if delivered.kind == "reply" and not delivered.key.endswith(":acknowledge") and delivered.key not in known:
            yield Breach(
                "I2", f"the helpdesk has reply {delivered.key}, and no claim says so", None, delivered.conversation
            )


# -- I3: the log's order


def order(history: History, _: Bounds) -> Iterator[Breach]:
    """Revisions follow the log, and no revision is claimed once the next one is admitted."""
    revisions = {row.ticket_id: row for row in history.admitted}
    for conversation, records in _grouped(history.produced, lambda record: record.conversation).items():
        first = list(dict.fromkeys(r.ticket_id for r in sorted(records, key=lambda record: record.place)))
        numbers = [revisions[ticket].revision for ticket in first if ticket in revisions]
        if conversation is not None and numbers != sorted(numbers):
            yield Breach("I3", f"admitted in the order {numbers}", None, conversation)
    admitted = {(row.conversation, row.revision): row.at for row in history.admitted}
    for claim in history.claims:
        following = admitted.get((claim.conversation, claim.revision + 1))
        if claim.actor == BOT and following is not None and claim.claimed_at > following:
            yield Breach(
                "I3", f"revision {claim.revision} was claimed after the next one was admitted", claim.ticket_id
            )


# -- I4: nothing unfinished is committed


def commits(history: History, bounds: Bounds) -> Iterator[Breach]:
    """By the time an offset is committed, everything below it has left a durable trace on the stage's topics."""
    records: dict[tuple[str, int], list[tuple[int, UUID | None]]] = defaultdict(list)
    for produced in history.produced:
        records[Topic.INBOUND, produced.place.partition].append((produced.place.offset, produced.ticket_id))
    for seen in history.seen:
        records[seen.place.topic, seen.place.partition].append((seen.place.offset, seen.ticket_id))
    for stage in STAGES:
        by_ticket, by_source = _traces(history, stage)
        for topic in INPUTS[stage]:
            samples = [commit for commit in history.commits if (commit.stage, commit.topic) == (stage.value, topic)]
            for partition, taken in _grouped(samples, lambda commit: commit.partition).items():
                ordered = sorted(taken, key=lambda commit: commit.at)
                for offset, ticket in sorted(records[topic, partition]):
                    passed = next((commit.at for commit in ordered if commit.offset > offset), None)
                    place = Place(topic, partition, offset)
                    done = min((at for at in (by_ticket.get(ticket), by_source.get(place)) if at), default=None)
                    if passed is not None and (done is None or done > passed + bounds.skew):
                        yield Breach("I4", f"{stage.value} committed past it unfinished", ticket, place=place)


def _traces(history: History, stage: Stage) -> tuple[dict[UUID | None, datetime], dict[Place | None, datetime]]:
    """When a stage first left a trace of each ticket, and of each record it put aside."""
    by_ticket: dict[UUID | None, datetime] = {}
    by_source: dict[Place | None, datetime] = {}
    for seen in sorted(history.seen, key=lambda record: record.at):
        if seen.place.topic in OUTPUTS[stage] and seen.ticket_id is not None:
            by_ticket.setdefault(seen.ticket_id, seen.at)
        elif seen.place.topic in DEAD | RETRY and seen.stage == stage:
            by_source.setdefault(seen.source, seen.at)
    return by_ticket, by_source


# -- I5 to I7


def bounded(history: History, bounds: Bounds) -> Iterator[Breach]:
    """Memory and work in flight stay within bounds."""
    for worker, samples in _grouped(history.samples, lambda sample: sample.worker).items():
        memory = max(sample.rss_mb for sample in samples)
        flying = max((sample.in_flight or 0 for sample in samples), default=0)
        if memory > bounds.rss_mb:
            yield Breach("I5", f"{worker} took {memory:.0f} MB")
        if flying > bounds.in_flight:
            yield Breach("I5", f"{worker} had {flying} tickets in flight")


SINGLE = frozenset({"hot-key", "poison", "other-body"})  # faults of one key: they stall nobody else


def others_go_on(history: History, bounds: Bounds) -> Iterator[Breach]:
    """While one key fails and nothing else does, what others send is settled in time."""
    ends = {ticket: min(event.at for event in events) for ticket, events in _ends(history).items()}
    for applied in history.applied:
        alone = all(
            other is applied or other.ended < applied.began or other.began > applied.ended + bounds.settle
            for other in history.applied
        )
        if applied.fault not in SINGLE or not alone:
            continue
        for record in history.produced:
            if record.ticket_id is None or not applied.began <= record.at <= applied.ended:
                continue
            end = ends.get(record.ticket_id)
            if end is None or end > record.at + bounds.settle:
                yield Breach("I6", f"stalled by {applied.fault}", record.ticket_id, record.conversation, record.place)


def lag(history: History, _: Bounds) -> Iterator[Breach]:
    """After quiet nothing waits any more."""
    for stage, messages in history.lag.items():
        if messages:
            yield Breach("I7", f"{stage} is {messages} messages behind after quiet")


# -- I8, I9, the stop


def silent(history: History, _: Bounds) -> Iterator[Breach]:
    """What was put aside says who, why and whence; every dead letter has its item."""
    keys = {item.key for item in history.items}
    for seen in history.seen:
        if seen.place.topic not in DEAD | RETRY:
            continue
        if not (seen.stage and seen.reason and seen.source):
            yield Breach("I8", "put aside without stage, reason or source", seen.ticket_id, seen.key, seen.place)
        elif seen.place.topic in DEAD and not {_letter_key(seen.source), f"conflict:{_written(seen.source)}"} & keys:
            yield Breach("I8", "a dead letter without an item", seen.ticket_id, seen.key, seen.place)


def unexplained(history: History, _: Bounds) -> Iterator[Breach]:
    """Everything there is belongs to something that was sent."""
    known, conversations = _known(history), {record.conversation for record in history.produced}
    for seen in history.seen:
        if seen.ticket_id is not None and seen.ticket_id not in known and seen.outcome != Outcome.DEAD:
            yield Breach("I8", "a record of a ticket nobody sent", seen.ticket_id, seen.key, seen.place)
    rows = {(row.ticket_id, row.conversation) for row in history.claims}
    rows |= {(row.ticket_id, row.conversation) for row in history.admitted}
    for ticket, conversation in rows:
        if conversation not in conversations:
            yield Breach("I8", "a row of a conversation nobody began", ticket, conversation)


def others_words(history: History, _: Bounds) -> Iterator[Breach]:
    """Nothing of one conversation holds another one's words."""
    whose = {record.token: record.conversation for record in history.produced if record.token}
    for seen in history.seen:
        for token in seen.tokens:
            if whose.get(token, seen.key) != seen.key:
                yield Breach("I9", f"it holds what belongs to {whose[token]}", seen.ticket_id, seen.key, seen.place)
    for delivered in history.delivered:
        for token in delivered.tokens:
            if whose.get(token, delivered.conversation) != delivered.conversation:
                yield Breach(
                    "I9", f"the helpdesk was told what belongs to {whose[token]}", None, delivered.conversation
                )


def stop(history: History, _: Bounds) -> Iterator[Breach]:
    """Between the end of a stop and the arming that lifts it, the bot claims nothing."""
    flips = sorted(history.flips, key=lambda flip: flip.asked_at)
    for number, flip in enumerate(flips):
        if flip.state == "auto":
            continue
        lifted = next((later.asked_at for later in flips[number + 1 :] if later.state == "auto"), history.quiet_at)
        for claim in history.claims:
            if claim.actor == BOT and flip.done_at < claim.claimed_at < lifted:
                late = (claim.claimed_at - flip.done_at).total_seconds()
                yield Breach("stop", f"claimed {late:.3f} s after the stop", claim.ticket_id, claim.conversation)


RULES: Mapping[str, Callable[[History, Bounds], Iterator[Breach]]] = {
    "lost": lost,
    "two ends": two_ends,
    "nobody's": nobody_s,
    "conflicts": conflicts,
    "double": double,
    "unclaimed": unclaimed,
    "order": order,
    "commits": commits,
    "bounded": bounded,
    "others go on": others_go_on,
    "lag": lag,
    "silent": silent,
    "unexplained": unexplained,
    "others' words": others_words,
    "stop": stop,
}


def _ends(history: History) -> dict[UUID, list[Seen]]:
    """The terminal events of each ticket."""
    events = (s for s in history.seen if s.place.topic == Topic.OUTCOME and s.outcome in TERMINAL)
    return {ticket: found for ticket, found in _grouped(events, lambda s: s.ticket_id).items() if ticket is not None}


def _known(history: History) -> frozenset[UUID]:
    return frozenset(record.ticket_id for record in history.produced if record.ticket_id is not None)


def _written(place: Place) -> str:
    return f"{place.topic}/{place.partition}/{place.offset}"


def _letter_key(place: Place) -> str:
    """The key of the item that a dead letter becomes."""
    return f"dead:{_written(place)}"


def _grouped(found: Iterable[V], by: Callable[[V], K]) -> dict[K, list[V]]:
    groups: dict[K, list[V]] = defaultdict(list)
    for one in found:
        groups[by(one)].append(one)
    return groups
