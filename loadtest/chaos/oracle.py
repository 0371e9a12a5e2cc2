"""The oracle: what a run's history says about each promise of docs/guarantees.md. Pure: no broker, no clock.

It trusts nothing the product says of itself beyond what left durable traces: topics, tables, the helpdesk's own list.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID, uuid5

from loadtest.chaos.commits import DEAD, RETRY, unfinished
from loadtest.chaos.history import Applied, ClaimState, Delivered, History, Place, Seen
from schemas.ingress import TICKET_NAMESPACE
from schemas.outcome import TERMINAL, Outcome
from schemas.topics import STAGES, Topic

BOT = "bot"
UNANSWERED = frozenset({"suggest", "handoff"})  # kinds of items: a person is to answer
ITEMS: Mapping[str, frozenset[str]] = {  # what ended with a person: the kinds of items that may stand for it
    Outcome.SUGGESTED: UNANSWERED,
    Outcome.HANDED_OFF: UNANSWERED,
    Outcome.PARKED: frozenset({"parked"}),
    Outcome.CONFLICT: frozenset({"conflict"}),
    Outcome.DEAD: frozenset({"dead"}),
}

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class Bounds:
    """What counts as bounded."""

    rss_mb: float = 1500.0  # of one worker process
    in_flight: int = 64 * len(STAGES)  # tickets of one worker process, all its stages together
    settle: timedelta = timedelta(seconds=60)  # while one key fails, the others go on
    skew: timedelta = timedelta(seconds=0.5)  # between a record's time, its producer's, and a sample's, ours
    one_key: frozenset[str] = frozenset(
        {"hot-key", "poison", "other-body"}
    )  # faults of one key: they stall nobody else


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
    """Every id that Kafka acknowledged has a terminal event; every record nobody can read is a dead person's item.

    A conflict ends the other body of an id, never the id. What people do later ends nothing.
    """
    ends, keys, sources = _ends(history), {item.key for item in history.items}, _sources(history)
    for ticket, records in _grouped(history.produced, lambda record: record.ticket_id).items():
        if ticket is not None and ticket not in ends:
            yield Breach("I1", "acknowledged, and never settled", ticket, records[0].conversation, records[0].place)
    for record in history.produced:
        if record.ticket_id is None and record.place not in sources:
            yield Breach("I1", "unreadable, and on no dead topic", None, record.conversation, record.place)
        elif record.ticket_id is None and _letter_key(record.place) not in keys:
            yield Breach("I1", "unreadable, and on nobody's queue", None, record.conversation, record.place)


def unsent(history: History, _: Bounds) -> Iterator[Breach]:
    """What a claim calls sent, the helpdesk has: its customer waits for nothing else."""
    received = {delivered.key for delivered in history.delivered if delivered.kind == "reply"}
    for claim in history.claims:
        if claim.state is ClaimState.SENT and claim.key not in received:
            yield Breach(
                "I1", f"claim {claim.key} is sent, and the helpdesk has no reply", claim.ticket_id, claim.conversation
            )


def two_ends(history: History, _: Bounds) -> Iterator[Breach]:
    """A revision ends in one way. It may be told twice, and what was dead or parked may have been taken up again.

    What the bot sent does not wait for a person's answer as well.
    """
    settled = (s for s in history.seen if s.place.topic == Topic.OUTCOME and s.actor == BOT and s.revision > 0)
    named: set[tuple[UUID | None, int]] = set()
    for (ticket, revision), events in _grouped(settled, lambda s: (s.ticket_id, s.revision)).items():
        ends = {event.outcome for event in events if event.outcome in TERMINAL} - {Outcome.DEAD, Outcome.CONFLICT}
        if len(ends) > 1:
            named.add((ticket, revision))
            yield Breach("I1", f"revision {revision} ended as {' and '.join(sorted(map(str, ends)))}", ticket)
    waiting = {(item.conversation, item.revision) for item in history.items if item.kind in UNANSWERED}
    for claim in history.claims:
        sent = claim.state is ClaimState.SENT and claim.actor == BOT
        if sent and (claim.conversation, claim.revision) in waiting and (claim.ticket_id, claim.revision) not in named:
            yield Breach(
                "I1", f"revision {claim.revision} was sent, and waits for a person", claim.ticket_id, claim.conversation
            )


def nobody_s(history: History, _: Bounds) -> Iterator[Breach]:
    """What ended with a person has an item of its kind on the people's queue."""
    owned = {(item.ticket_id, item.kind) for item in history.items}
    known = _known(history)
    settled = (s for s in history.seen if s.place.topic == Topic.OUTCOME and s.outcome in ITEMS and s.actor == BOT)
    for (ticket, outcome), _events in _grouped(settled, lambda s: (s.ticket_id, s.outcome)).items():
        if ticket in known and not any((ticket, kind) in owned for kind in ITEMS[str(outcome)]):
            yield Breach("I1", f"{outcome}, and on nobody's queue", ticket)


def conflicts(history: History, _: Bounds) -> Iterator[Breach]:
    """Of several bodies under one id one is answered, and each other is a conflict that a person sees."""
    for ticket, records in _grouped(history.produced, lambda record: record.ticket_id).items():
        others = len({record.body for record in records}) - 1
        seen = sum(item.ticket_id == ticket and item.kind == Outcome.CONFLICT for item in history.items)
        if ticket is not None and seen < others:
            yield Breach("I1", f"{others + 1} bodies under one id, and {seen} conflict items", ticket)


# -- I2: at most one reply


def double(history: History, _: Bounds) -> Iterator[Breach]:
    """At most one reply a revision reached the helpdesk, and at most one claim on it is sent.

    Two replies differ in their key, or in the reference the helpdesk gave: it takes a key it knows for the same reply,
    and so does its customer. An acknowledgement is no reply to a revision; it is one of its own kind.
    """
    replies = [delivered for delivered in history.delivered if delivered.kind == "reply"]
    for (conversation, revision), calls in _grouped(replies, _replied).items():
        if len({call.reference for call in calls}) > 1 or len({call.key for call in calls}) > 1:
            yield Breach("I2", f"revision {revision} got {len(calls)} replies", None, conversation)
    sent = [claim for claim in history.claims if claim.state is ClaimState.SENT]
    for (conversation, number), claims in _grouped(sent, lambda claim: (claim.conversation, claim.revision)).items():
        if len(claims) > 1:
            yield Breach("I2", f"revision {number} has {len(claims)} sent claims", None, conversation)


def _replied(delivered: Delivered) -> tuple[str, str]:
    """The conversation, and the revision as the key has it: ticket:revision, ticket:revision:acknowledge."""
    return delivered.conversation, delivered.key.partition(":")[2]


def _repeated(history: History) -> int:
    calls = Counter(delivered.key for delivered in history.delivered if delivered.kind == "reply")
    return sum(count - 1 for count in calls.values())


def unclaimed(history: History, _: Bounds) -> Iterator[Breach]:
    """Every reply has a claim that knows of it: sent, or parked as one that may have been; so has every told one."""
    known = {claim.key for claim in history.claims if claim.state in (ClaimState.SENT, ClaimState.PARKED)}
    for delivered in history.delivered:
        if delivered.kind == "reply" and not delivered.key.endswith(":acknowledge") and delivered.key not in known:
            yield Breach(
                "I2", f"the helpdesk has reply {delivered.key}, and no claim says so", None, delivered.conversation
            )
    claimed = {(claim.ticket_id, claim.revision) for claim in history.claims if claim.state is ClaimState.SENT}
    told = {(s.ticket_id, s.revision) for s in history.seen if s.outcome == Outcome.SENT and s.actor == BOT}
    for ticket, revision in told - claimed:
        yield Breach("I2", f"revision {revision} was told as sent, and no claim says so", ticket)


# -- I3: the log's order


def order(history: History, _: Bounds) -> Iterator[Breach]:
    """Revisions follow the log, each its own, and none is claimed by the bot once the next one is admitted.

    A ticket's place is its first one: a repetition is no new question.
    """
    revisions = {row.ticket_id: row for row in history.admitted}
    for conversation, records in _grouped(history.produced, lambda record: record.conversation).items():
        first = list(dict.fromkeys(r.ticket_id for r in sorted(records, key=lambda record: record.place)))
        numbers = [revisions[ticket].revision for ticket in first if ticket in revisions]
        if conversation is not None and numbers != sorted(set(numbers)):
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
    """By the time an offset is committed, all below it has left a durable trace; see `loadtest.chaos.commits`."""
    for found in unfinished(history, bounds.skew):
        yield Breach("I4", f"{found.stage} committed past it unfinished", found.ticket_id, place=found.place)


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


def others_go_on(history: History, bounds: Bounds) -> Iterator[Breach]:
    """While one key fails and nothing else does, what is sent is settled in time, the failing key's readable ones too.

    Beside another fault, whatever stalls may be the other's doing: nothing is judged.
    """
    ends = {ticket: min(event.at for event in events) for ticket, events in _ends(history).items()}
    for applied in history.applied:
        if applied.fault not in bounds.one_key or not alone(applied, history, bounds):
            continue
        for record in history.produced:
            if record.ticket_id is None or not applied.began <= record.at <= applied.ended:
                continue
            end = ends.get(record.ticket_id)
            if end is None or end > record.at + bounds.settle:
                yield Breach("I6", f"stalled by {applied.fault}", record.ticket_id, record.conversation, record.place)


def alone(applied: Applied, history: History, bounds: Bounds) -> bool:
    """Whether no other fault was on while this one was, or the tickets sent meanwhile had to be settled."""
    others = (other for other in history.applied if other is not applied)
    return all(other.ended < applied.began or other.began > applied.ended + bounds.settle for other in others)


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
    """Everything there is belongs to something that was sent: records, rows, items, deliveries and dead letters."""
    conversations = {record.conversation for record in history.produced}
    sources = _sources(history)
    known = _known(history) | {uuid5(TICKET_NAMESPACE, _written(source)) for source in sources}
    places = {record.place for record in history.produced} | {seen.place for seen in history.seen}
    for seen in history.seen:
        if seen.ticket_id is not None and seen.ticket_id not in known:
            yield Breach("I8", "a record of a ticket nobody sent", seen.ticket_id, seen.key, seen.place)
        elif seen.source is not None and seen.place.topic in DEAD | RETRY and seen.source not in places:
            yield Breach("I8", f"put aside from {seen.source}, where nothing stands", None, seen.key, seen.place)
    rows = {(row.ticket_id, row.conversation) for row in history.claims}
    rows |= {(row.ticket_id, row.conversation) for row in history.admitted}
    for ticket, conversation in rows:
        if conversation not in conversations:
            yield Breach("I8", "a row of a conversation nobody began", ticket, conversation)
    letters = {f"{kind}:{_written(source)}" for kind in (Outcome.DEAD, Outcome.CONFLICT) for source in sources}
    for item in history.items:
        letter = item.kind in (Outcome.DEAD, Outcome.CONFLICT)
        if item.key not in letters if letter else item.ticket_id not in known:
            yield Breach("I8", f"item {item.key} of nothing", item.ticket_id, item.conversation)
    for delivered in history.delivered:
        if delivered.conversation not in conversations:
            yield Breach("I8", "a delivery in a conversation nobody began", None, delivered.conversation)


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
    """Between the end of a stop and the arming that lifts it, the bot claims nothing, not even to give it back."""
    flips = sorted(history.flips, key=lambda flip: flip.asked_at)
    stopped: list[tuple[datetime, datetime]] = []  # from the first stop to the arming
    for number, flip in enumerate(flips):
        if flip.state != "auto" and not (stopped and flip.asked_at < stopped[-1][1]):
            lifted = (later.asked_at for later in flips[number + 1 :] if later.state == "auto")
            stopped.append((flip.done_at, next(lifted, datetime.max.replace(tzinfo=UTC))))
    for claim in history.claims:
        for done, lifted_at in stopped:
            if claim.actor == BOT and done < claim.claimed_at < lifted_at:
                late = (claim.claimed_at - done).total_seconds()
                yield Breach("stop", f"claimed {late:.3f} s after the stop", claim.ticket_id, claim.conversation)


RULES: Mapping[str, Callable[[History, Bounds], Iterator[Breach]]] = {
    "lost": lost,
    "unsent": unsent,
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
    """The terminal events of each ticket; a conflict is the end of another body."""
    ending = TERMINAL - {Outcome.CONFLICT}
    events = (s for s in history.seen if s.place.topic == Topic.OUTCOME and s.outcome in ending)
    return {ticket: found for ticket, found in _grouped(events, lambda s: s.ticket_id).items() if ticket is not None}


def _known(history: History) -> frozenset[UUID]:
    return frozenset(record.ticket_id for record in history.produced if record.ticket_id is not None)


def _sources(history: History) -> frozenset[Place]:
    """Where the dead letters first stood."""
    return frozenset(s.source for s in history.seen if s.place.topic in DEAD and s.source is not None)


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
