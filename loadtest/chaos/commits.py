"""When each record got its durable outcome, and which records were committed before they had one. Pure."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate
from uuid import UUID, uuid5

from loadtest.chaos.history import ClaimState, History, Place
from schemas.event import Stage
from schemas.ingress import TICKET_NAMESPACE
from schemas.outcome import TERMINAL, Outcome
from schemas.topics import INPUTS, RETRY_DELAYS, STAGES, Topic, dead_topic, retry_topic

OUTPUTS: Mapping[str, tuple[str, ...]] = {  # input: where a stage tells what came of it
    Topic.INBOUND: (Topic.ROUTER,),
    Topic.ROUTER: (Topic.RETRIEVAL,),
    Topic.RETRIEVAL: (Topic.RESOLUTION,),
    Topic.RESOLUTION: (Topic.AUTO_SEND, Topic.ESCALATION),
    Topic.AUTO_SEND: (Topic.OUTCOME, Topic.ESCALATION),
    Topic.ESCALATION: (Topic.OUTCOME,),
}
DEAD = frozenset(dead_topic(stage) for stage in STAGES)
RETRY = frozenset(retry_topic(stage, delay) for stage in STAGES for delay in RETRY_DELAYS)


@dataclass(frozen=True)
class Unfinished:
    """A record below a committed offset that had no durable outcome when that was seen."""

    stage: Stage
    place: Place
    ticket_id: UUID | None


@dataclass
class Traces:
    """What a history holds that makes a record done, with the times."""

    outputs: dict[tuple[str, UUID], datetime] = field(default_factory=dict)  # topic and ticket: the first
    aside: dict[tuple[str, Place], list[datetime]] = field(default_factory=lambda: defaultdict(list))
    buried: dict[tuple[UUID, str], datetime] = field(default_factory=dict)  # ticket and outcome: dead, conflict
    items: dict[str, datetime] = field(default_factory=dict)
    ended: dict[UUID, datetime] = field(default_factory=dict)  # in the tables: sent, or overtaken; see `_ended`
    sources: dict[Place, tuple[Place, UUID | None]] = field(default_factory=dict)  # of what stands on the dead topics


def unfinished(history: History, skew: timedelta) -> Iterator[Unfinished]:
    """Every record that a stage committed past before its outcome was durable.

    Offsets that hold no record are nobody's work: the control records of a transaction, and what was taken back.
    """
    traces, records = _traces(history), _records(history)
    for (stage, topic, partition), samples in _samples(history).items():
        times = [at for at, _ in samples]
        highest = list(accumulate((offset for _, offset in samples), max))
        for place, ticket, origin, at in records.get((topic, partition), ()):
            passed = bisect_right(highest, place.offset)
            if passed == len(highest):
                continue
            done = _done(traces, stage, origin, ticket, after=at if topic in RETRY else None)
            if done is None or done > times[passed] + skew:
                yield Unfinished(stage, place, ticket)


def inputs_of(stage: Stage) -> tuple[str, ...]:
    """Every topic a stage reads."""
    retries = (retry_topic(stage, delay) for delay in RETRY_DELAYS)
    return (*INPUTS[stage], *retries, *(sorted(DEAD) if stage is Stage.OUTCOME else ()))


def _samples(history: History) -> dict[tuple[Stage, str, int], list[tuple[datetime, int]]]:
    read = {(stage.value, topic): stage for stage in STAGES for topic in inputs_of(stage)}
    found: dict[tuple[Stage, str, int], list[tuple[datetime, int]]] = defaultdict(list)
    for commit in sorted(history.commits, key=lambda commit: commit.at):
        if (stage := read.get((commit.stage, commit.topic))) is not None:
            found[stage, commit.topic, commit.partition].append((commit.at, commit.offset))
    return found


def _records(history: History) -> dict[tuple[str, int], list[tuple[Place, UUID | None, Place, datetime]]]:
    """Place, ticket, where it first stood before its stage, and its time, of all records of each partition."""
    found: dict[tuple[str, int], list[tuple[Place, UUID | None, Place, datetime]]] = defaultdict(list)
    for produced in history.produced:
        place = produced.place
        found[place.topic, place.partition].append((place, produced.ticket_id, place, produced.at))
    for seen in history.seen:
        origin = seen.source if seen.place.topic in RETRY and seen.source else seen.place
        found[seen.place.topic, seen.place.partition].append((seen.place, seen.ticket_id, origin, seen.at))
    return found


def _done(traces: Traces, stage: Stage, origin: Place, ticket: UUID | None, after: datetime | None) -> datetime | None:
    """When a stage was done with what first stood at `origin`; a record it put aside counts from `after` on."""
    found: list[datetime | None] = [at for at in traces.aside.get((stage, origin), ()) if after is None or at > after]
    if origin.topic in DEAD:
        found.append(_buried(traces, origin))
    elif ticket is not None:
        found += [traces.outputs.get((topic, ticket)) for topic in OUTPUTS.get(origin.topic, ())]
        found.append(traces.ended.get(ticket) if origin.topic == Topic.ESCALATION else None)
    return min((at for at in found if at is not None), default=None)


def _buried(traces: Traces, letter: Place) -> datetime | None:
    """When a dead letter was both on the people's queue and told on `tickets.outcome`."""
    if letter not in traces.sources:
        return None
    source, ticket = traces.sources[letter]
    name = f"{source.topic}/{source.partition}/{source.offset}"
    for kind in (Outcome.DEAD, Outcome.CONFLICT):
        item = traces.items.get(f"{kind}:{name}")
        event = traces.buried.get((ticket or uuid5(TICKET_NAMESPACE, name), kind))
        if item is not None and event is not None:
            return max(item, event)
    return None


def _traces(history: History) -> Traces:
    found = Traces(items={item.key: item.opened_at for item in history.items})
    for seen in sorted(history.seen, key=lambda record: record.at):
        topic, ticket = seen.place.topic, seen.ticket_id
        if topic in DEAD | RETRY:
            if seen.source is not None:
                found.aside[seen.stage, seen.source].append(seen.at)
                if topic in DEAD:
                    found.sources[seen.place] = (seen.source, ticket)
        elif ticket is not None and topic == Topic.OUTCOME:
            if seen.outcome in (Outcome.DEAD, Outcome.CONFLICT):
                found.buried.setdefault((ticket, seen.outcome), seen.at)
            elif seen.outcome in TERMINAL:
                found.outputs.setdefault((topic, ticket), seen.at)
        elif ticket is not None:
            found.outputs.setdefault((topic, ticket), seen.at)
    _ended(history, found.ended)
    return found


def _ended(history: History, ended: dict[UUID, datetime]) -> None:
    """A revision that was sent or overtaken has ended: a hand-over of it that comes late is dropped untold.

    What it ended as is told by the record under which it did, which is not committed before.
    """
    following = {(row.conversation, row.revision): row.at for row in history.admitted}
    for row in history.admitted:
        if (at := following.get((row.conversation, row.revision + 1))) is not None:
            ended[row.ticket_id] = at
    for claim in history.claims:
        if claim.state is ClaimState.SENT:
            ended[claim.ticket_id] = min(claim.claimed_at, ended.get(claim.ticket_id, claim.claimed_at))
