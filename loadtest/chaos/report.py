"""What a chaos run comes to, as a document and as lines: pure, from its history and its verdict."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from statistics import median
from typing import Any

from loadtest.chaos.faults import FAULTS, Fault
from loadtest.chaos.history import Applied, History
from loadtest.chaos.oracle import Bounds, Breach, Verdict, alone
from schemas.outcome import TERMINAL
from schemas.topics import Topic


def document(seed: int, history: History, verdict: Verdict, not_run: Mapping[str, str]) -> dict[str, Any]:
    """The run as JSON. A fault that was not applied is in `not_run` with the reason, and in nothing else."""
    counts = {name: value for name, value in asdict(verdict).items() if name != "breaches"}
    return {
        "seed": seed,
        "began": history.began.isoformat(),
        "seconds": round((history.quiet_at - history.began).total_seconds(), 1),
        **counts,
        "ends": ends(history),
        "faults": {
            name: {
                "applied": len(times),
                "at": [[applied.began.isoformat(), applied.ended.isoformat()] for applied in times],
                "recovery_seconds": recoveries(history, times),
                "what": [applied.detail for applied in times],
            }
            for name, times in by_fault(history.applied).items()
        },
        "breaches_by_fault": broken(history, verdict),
        "not_run": dict(not_run),
        "rss_mb_highest": round(max((sample.rss_mb for sample in history.samples), default=0.0), 1),
        "in_flight_highest": max((sample.in_flight or 0 for sample in history.samples), default=0),
        "breaches": [_plain(breach) for breach in verdict.breaches],
    }


def ends(history: History) -> dict[str, int]:
    """How many revisions ended in each way: what the verdict rests on."""
    found = {
        (seen.ticket_id, seen.revision): seen.outcome
        for seen in history.seen
        if seen.place.topic == Topic.OUTCOME and seen.outcome in TERMINAL and seen.ticket_id is not None
    }
    return dict(Counter(str(outcome) for outcome in found.values()))


def _plain(breach: Breach) -> dict[str, Any]:
    found = {name: value for name, value in asdict(breach).items() if value is not None}
    return {**found, **({"place": str(breach.place)} if breach.place else {})}


def by_fault(applied: Iterable[Applied]) -> dict[str, list[Applied]]:
    """The applications of each fault, in the catalogue's order."""
    found: dict[str, list[Applied]] = {fault.name: [] for fault in FAULTS}
    for one in applied:
        found[one.fault].append(one)
    return {name: times for name, times in found.items() if times}


def recoveries(history: History, applied: Sequence[Applied]) -> list[float]:
    """For each application, seconds from its end until a ticket that came after it was settled."""
    ends: dict[object, datetime] = {}
    for seen in history.seen:
        if seen.place.topic == Topic.OUTCOME and seen.outcome in TERMINAL:
            ends[seen.ticket_id] = min(seen.at, ends.get(seen.ticket_id, seen.at))
    first: dict[object, datetime] = {}
    for record in history.produced:
        first[record.ticket_id] = min(record.at, first.get(record.ticket_id, record.at))
    found = []
    for one in applied:
        after = [ends[ticket] for ticket, at in first.items() if at >= one.ended and ticket in ends]
        if after:
            found.append(round((min(after) - one.ended).total_seconds(), 2))
    return found


def rows(history: History, not_run: Mapping[str, str]) -> list[tuple[Fault, int, float | None, float | None]]:
    """For the table: each fault of the catalogue, how often it was applied, its median and longest recovery."""
    times = by_fault(history.applied)
    found = []
    for fault in FAULTS:
        waited = recoveries(history, times.get(fault.name, ()))
        if fault.name in times or fault.name in not_run:
            found.append(
                (fault, len(times.get(fault.name, ())), median(waited) if waited else None, max(waited, default=None))
            )
    return found


INVARIANTS = (*(f"I{number}" for number in range(1, 10)), "stop")


def broken(history: History, verdict: Verdict, bounds: Bounds = Bounds()) -> dict[str, dict[str, int | None]]:
    """Fault x invariant: how many breaches fell on tickets that lived through an application of the fault.

    One breach may fall on several faults, as they overlap. None: not judged, as nothing of the kind can be said: I6 is
    about one failing key and nothing else.
    """
    found: dict[str, dict[str, int | None]] = {}
    lives = [(breach, life(history, breach)) for breach in verdict.breaches]
    for name, times in by_fault(history.applied).items():
        single = name in bounds.one_key and any(alone(one, history, bounds) for one in times)
        row: dict[str, int | None] = {}
        for invariant in INVARIANTS:
            hit = sum(
                breach.invariant == invariant and any(one.began <= last and first <= one.ended for one in times)
                for breach, (first, last) in lives
            )
            row[invariant] = None if invariant == "I6" and not single else hit
        found[name] = row
    return found


def life(history: History, breach: Breach) -> tuple[datetime, datetime]:
    """From the first to the last that is known of a breach's ticket or conversation.

    To the end of the run where the ticket has no end: whatever came later may have lost it. The whole run where no
    ticket is named, as for a process.
    """
    told = _told(history, breach)
    ended = any(seen.ticket_id == breach.ticket_id and seen.outcome in TERMINAL for seen in history.seen)
    first, last = (min(told)[0], max(told)[0]) if told else (history.began, history.quiet_at)
    return first, last if ended or breach.ticket_id is None else history.quiet_at


def story(history: History, breach: Breach) -> list[str]:
    """Everything the history holds about a breach's ticket or conversation, and the faults around it, in order."""
    told, conversation = _told(history, breach), _conversation(history, breach)
    replies = [f"the helpdesk got {d.kind} {d.key}" for d in history.delivered if d.conversation == conversation]
    if told:
        first, last = life(history, breach)
        told += [
            (one.began, f"-- fault {one.fault} until {one.ended:%H:%M:%S.%f}: {one.detail}")
            for one in history.applied
            if one.ended >= first and one.began <= last
        ]
    return [f"{at:%H:%M:%S.%f} {what}" for at, what in sorted(told)] + replies


def _conversation(history: History, breach: Breach) -> str | None:
    sent = (record.conversation for record in history.produced if record.ticket_id == breach.ticket_id)
    return breach.conversation or (next(sent, None) if breach.ticket_id else None)


def _told(history: History, breach: Breach) -> list[tuple[datetime, str]]:
    conversation = _conversation(history, breach)
    told: list[tuple[datetime, str]] = []
    for record in history.produced:
        if record.place == breach.place or (conversation and record.conversation == conversation):
            told.append((record.at, f"{record.place} sent as {record.ticket_id}"))
    for seen in history.seen:
        mine = (conversation and seen.key == conversation) or (breach.ticket_id and seen.ticket_id == breach.ticket_id)
        if mine or (breach.place and breach.place in (seen.place, seen.source)):
            why = f" {seen.reason} from {seen.source}" if seen.reason else ""
            end = f" {seen.outcome} by {seen.actor}" if seen.outcome else ""
            told.append((seen.at, f"{seen.place} {seen.ticket_id} revision {seen.revision}{end}{why}"))
    told += [
        (claim.claimed_at, f"claim {claim.key} by {claim.actor}: {claim.state}")
        for claim in history.claims
        if claim.conversation == conversation
    ]
    admitted = (row for row in history.admitted if row.conversation == conversation)
    told += [(row.at, f"admitted {row.ticket_id} as {row.revision}") for row in admitted]
    told += [
        (item.opened_at, f"item {item.key}: {item.kind}") for item in history.items if item.conversation == conversation
    ]
    return told
