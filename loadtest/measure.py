"""What an outside reader of the topics can say of a run: settled, lost, sent twice, how long it took."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from schemas.outcome import TERMINAL, Outcome, TicketSettled

END_TO_END = "end to end"


@dataclass(frozen=True)
class Run:
    """The counts of one run. A ticket is *lost* when Kafka acknowledged it and no terminal event came."""

    tickets: int
    settled: int
    auto_sent: int
    suggested: int
    handed_off: int
    superseded: int
    parked: int
    conflict: int
    dead: int
    lost: int
    double_sent: int  # (conversation, revision) pairs the customer got more than one reply to
    p50_ms: float | None  # from received_at to the terminal event
    p95_ms: float | None
    cost_usd: float


def terminal(events: Iterable[TicketSettled]) -> dict[UUID, TicketSettled]:
    """The first terminal event of each ticket."""
    first: dict[UUID, TicketSettled] = {}
    for event in events:
        if event.outcome in TERMINAL:
            first.setdefault(event.ticket_id, event)
    return first


def summarise(accepted: Mapping[UUID, datetime], events: Iterable[TicketSettled], replies: Iterable[str]) -> Run:
    """Judge a run.

    Args:
        accepted: the tickets Kafka acknowledged, with the time they were received.
        events: everything read from `tickets.outcome`.
        replies: the idempotency key of every reply that reached the helpdesk, as often as it reached it.
    """
    settled = {ticket: event for ticket, event in terminal(events).items() if ticket in accepted}
    outcomes = Counter(event.outcome for event in settled.values())
    waits = sorted((event.settled_at - accepted[ticket]).total_seconds() * 1000 for ticket, event in settled.items())
    return Run(
        tickets=len(accepted),
        settled=len(settled),
        auto_sent=outcomes[Outcome.SENT],
        suggested=outcomes[Outcome.SUGGESTED],
        handed_off=outcomes[Outcome.HANDED_OFF],
        superseded=outcomes[Outcome.SUPERSEDED],
        parked=outcomes[Outcome.PARKED],
        conflict=outcomes[Outcome.CONFLICT],
        dead=outcomes[Outcome.DEAD],
        lost=len(accepted) - len(settled),
        double_sent=sum(count > 1 for count in Counter(replies).values()),
        p50_ms=percentile(waits, 50),
        p95_ms=percentile(waits, 95),
        cost_usd=sum(event.cost_usd for event in settled.values()),
    )


@dataclass(frozen=True)
class Spread:
    """How a duration spreads, in milliseconds."""

    count: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None


def spread(values: Iterable[float]) -> Spread:
    """The percentiles of durations in milliseconds; None where there are no values."""
    ordered = sorted(values)
    p50, p95, p99 = (percentile(ordered, percent) for percent in (50, 95, 99))
    return Spread(len(ordered), p50, p95, p99, ordered[-1] if ordered else None)


def by_stage(intended: Mapping[UUID, datetime], events: Iterable[TicketSettled]) -> dict[str, Spread]:
    """From the intended time of a ticket to the end of its work in each stage, and to its terminal event."""
    reached: dict[str, list[float]] = {}
    for ticket, event in terminal(events).items():
        if (start := intended.get(ticket)) is None:
            continue
        for step in event.steps:
            done = (step.started_at - start).total_seconds() * 1000 + step.took_ms
            reached.setdefault(step.stage.value, []).append(done)
        reached.setdefault(END_TO_END, []).append((event.settled_at - start).total_seconds() * 1000)
    return {stage: spread(values) for stage, values in reached.items()}


def over_time(
    intended: Mapping[UUID, datetime], events: Iterable[TicketSettled], start: datetime, bucket: float
) -> list[tuple[float, Spread]]:
    """End-to-end latency by the intended time: (seconds after the start, spread) per bucket of so many seconds."""
    buckets: dict[int, list[float]] = {}
    for ticket, event in terminal(events).items():
        if (due := intended.get(ticket)) is not None:
            place = int((due - start).total_seconds() // bucket)
            buckets.setdefault(place, []).append((event.settled_at - due).total_seconds() * 1000)
    return [(place * bucket, spread(values)) for place, values in sorted(buckets.items())]


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """The nearest-rank percentile of sorted values; None when there are none."""
    if not ordered:
        return None
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]
