"""What a drill's stops and claims come to; pure.

Times are the database's, under whose locks a claim and a stop exclude each other. When somebody asked for a stop is
told by the asker's clock, brought to the database's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from loadtest.measure import Spread, spread

BAR = 40  # columns of the longest bar
EDGES = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000)  # milliseconds
BUSY = timedelta(milliseconds=50)  # a stop was under load when a claim was granted this shortly before it


@dataclass(frozen=True)
class Stop:
    """One stop of the drill's scope."""

    asked_at: datetime  # when somebody asked for it
    fence: datetime  # from here on no claim may be granted: its row's time, taken under the switch's lock
    lifted_at: datetime | None = None  # the arming's row; None: it was never lifted


@dataclass(frozen=True)
class Claim:
    """A claim that was granted."""

    key: str
    at: datetime


@dataclass(frozen=True)
class Found:
    """What a drill measured."""

    stops: int
    under_load: int  # of these, with a claim in the last 50 ms before: the others measure nothing
    claims: int
    sent_after_stop: int  # claims granted behind a fence: 0, always
    last_claim_ms: Spread  # of each stop: its last claim after the asking, minus the asking; 0: none
    fence_ms: Spread  # of each stop: from the asking to the fence


def measure(stops: Sequence[Stop], claims: Iterable[Claim]) -> Found:
    """Hold the claims against the stops."""
    times = sorted(claim.at for claim in claims)
    return Found(
        stops=len(stops),
        under_load=sum(any(stop.asked_at - BUSY <= at < stop.asked_at for at in times) for stop in stops),
        claims=len(times),
        sent_after_stop=sum(len(behind(stop, times)) for stop in stops),
        last_claim_ms=spread(last_claims(stops, times)),
        fence_ms=spread(_ms(stop.fence, stop.asked_at) for stop in stops),
    )


def behind(stop: Stop, times: Sequence[datetime]) -> list[datetime]:
    """The claims that were granted behind a stop's fence, before it was lifted."""
    return [at for at in times if at > stop.fence and (stop.lifted_at is None or at < stop.lifted_at)]


def last_claims(stops: Sequence[Stop], times: Sequence[datetime]) -> list[float]:
    """For each stop, milliseconds from its asking to the last claim before it was lifted; 0 where none came."""
    found = []
    for stop in stops:
        after = [at for at in times if at >= stop.asked_at and (stop.lifted_at is None or at < stop.lifted_at)]
        found.append(_ms(max(after), stop.asked_at) if after else 0.0)
    return found


def _ms(later: datetime, earlier: datetime) -> float:
    return round((later - earlier).total_seconds() * 1000, 3)


@dataclass(frozen=True)
class Glance:
    """What a worker's metrics said of the switch, when they were asked."""

    epoch: int
    at: datetime  # when the answer came
    seen_at: datetime | None = None  # when the worker read that record, by its own clock; None: it doesn't say


def reached(glances: Sequence[Glance], offset: int, asked_at: datetime) -> float | None:
    """Milliseconds until a worker knew of the record at an offset; None: it never said so.

    What the worker says itself counts where it is possible: its clock may be another host's.
    """
    glance = next((glance for glance in glances if glance.epoch >= offset), None)
    if glance is None:
        return None
    exact = glance.epoch == offset and glance.seen_at is not None and asked_at <= glance.seen_at <= glance.at
    return _ms(glance.seen_at if exact and glance.seen_at else glance.at, asked_at)


@dataclass(frozen=True)
class Fate:
    """What became of replies that were approved before a stop."""

    approved: int
    sent: int
    suggested: int  # a person's drafts now
    lost: int  # neither
    both: int  # sent, and a draft beside it


def fate(approved: Iterable[str], sent: Iterable[str], suggested: Iterable[str]) -> Fate:
    """Count replies by their conversations."""
    all_, out, kept = set(approved), set(sent), set(suggested)
    return Fate(len(all_), len(out & all_), len(kept & all_), len(all_ - out - kept), len(out & kept & all_))


def histogram(values: Sequence[float]) -> list[str]:
    """Milliseconds as bars, a line a bucket that holds any."""
    counts = [0] * len(EDGES)
    for value in values:
        place = max((number for number, edge in enumerate(EDGES) if value >= edge), default=0)
        counts[place] += 1
    most = max(counts, default=0)
    lines = []
    for number, count in enumerate(counts):
        last = number + 1 == len(EDGES)
        above = f"{EDGES[number]:>5} ms and more" if last else f"{EDGES[number]:>5} to {EDGES[number + 1]:>5} ms"
        if count:
            lines.append(f"{above:<18} {'█' * max(1, round(BAR * count / most))} {count}")
    return lines
