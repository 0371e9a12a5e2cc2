"""Sound histories to plant breaches in: all that one ticket leaves, for each way it can end."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from loadtest.chaos.history import (
    AdmittedRow,
    ClaimRow,
    ClaimState,
    Commit,
    Delivered,
    History,
    ItemRow,
    Place,
    Produced,
    Seen,
)
from schemas.ingress import TICKET_NAMESPACE
from schemas.topics import Topic

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = START + timedelta(hours=1)
STEPS = (  # stage, what it reads, what it writes, in seconds after the ticket came
    ("router", Topic.INBOUND, Topic.ROUTER),
    ("retrieval", Topic.ROUTER, Topic.RETRIEVAL),
    ("resolution", Topic.RETRIEVAL, Topic.RESOLUTION),
)
ITEM = {"suggested": "suggest", "handed_off": "handoff", "parked": "parked"}


def at(seconds: float) -> datetime:
    """A moment of the run."""
    return START + timedelta(seconds=seconds)


def id_of(number: int) -> UUID:
    """The id of the number-th ticket."""
    return UUID(int=number + 1)


def told(number: int, topic: str, second: float, **more: object) -> Seen:
    """A record about the number-th ticket, and the number-th of its topic."""
    found = Seen(Place(topic, 0, number), at(second), f"k{number}", id_of(number), 1)
    return replace(found, **{"tokens": frozenset({f"word-{number}"}), **more})  # type: ignore[arg-type]


def ticket(number: int, outcome: str = "sent", conversation: str = "", revision: int = 1) -> History:
    """A ticket that goes all the way. It comes in second 10 x number, and is settled five seconds later."""
    begin, name, conversation = number * 10.0, id_of(number), conversation or f"k{number}"
    same = {"key": conversation, "revision": revision}
    way_out = Topic.ESCALATION if outcome in ("suggested", "handed_off") else Topic.AUTO_SEND
    steps = (*STEPS, ("gate", Topic.RESOLUTION, way_out))
    path = [told(number, output, begin + step, **same) for step, (_, _, output) in enumerate(steps, 1)]
    key, token = f"{name}:{revision}", frozenset({f"word-{number}"})
    claim = ClaimRow(key, conversation, revision, name, "bot", ClaimState.SENT, at(begin + 4.2))
    if outcome == "parked":
        claim = replace(claim, state=ClaimState.PARKED)
    return History(
        START,
        HOUR,
        produced=(Produced(Place(Topic.INBOUND, 0, number), at(begin), conversation, name, "body", f"word-{number}"),),
        seen=(*path, told(number, Topic.OUTCOME, begin + 5, outcome=outcome, **same)),
        claims=(claim,) if outcome in ("sent", "parked") else (),
        delivered=(Delivered(key, "reply", conversation, f"helpdesk-{number}", token),) if outcome == "sent" else (),
        items=(ItemRow(key, ITEM[outcome], conversation, name, revision, at(begin + 4.3)),) if outcome in ITEM else (),
        admitted=(AdmittedRow(name, conversation, revision, at(begin + 0.5)),),
        commits=(
            *(Commit(stage, topic, 0, number + 1, at(begin + 9)) for stage, topic, _ in steps),
            Commit("outcome", way_out, 0, number + 1, at(begin + 9)),
        ),
    )


def follow_up(number: int) -> History:
    """A ticket that the next one overtakes before it is answered."""
    conversation = f"k{number}"
    return together(ticket(number, "superseded"), ticket(number + 1, "sent", conversation, 2))


def dead(number: int) -> History:
    """A ticket that retrieval tries twice and gives up: its conversation has a dead letter."""
    begin, name, source = number * 10.0, id_of(number), Place(Topic.ROUTER, 0, number)
    whole = ticket(number)
    aside = {"stage": "retrieval", "source": source}
    return replace(
        whole,
        seen=(
            whole.seen[0],
            told(number, "retrieval.retry-5s", begin + 2, reason="TryLater", **aside),
            told(number, "retrieval.dead", begin + 8, reason="Rejected", **aside),
            told(number, Topic.OUTCOME, begin + 9, outcome="dead"),
        ),
        claims=(),
        delivered=(),
        items=(ItemRow(f"dead:{Topic.ROUTER}/0/{number}", "dead", f"k{number}", name, 1, at(begin + 8.7)),),
        commits=(
            Commit("router", Topic.INBOUND, 0, number + 1, at(begin + 9)),
            Commit("retrieval", Topic.ROUTER, 0, number + 1, at(begin + 3)),
            Commit("retrieval", "retrieval.retry-5s", 0, number + 1, at(begin + 9)),
            Commit("outcome", "retrieval.dead", 0, number + 1, at(begin + 9.5)),
        ),
    )


def letter(number: int, source: Place, kind: str, ticket_id: UUID | None) -> History:
    """What a dead letter of the router leaves."""
    begin, name = number * 10.0, f"{source.topic}/{source.partition}/{source.offset}"
    ended = ticket_id or uuid5(TICKET_NAMESPACE, name)
    plain = {"revision": 0, "tokens": frozenset()}
    reason = "Conflict" if kind == "conflict" else "Undecodable"
    put = told(number, "router.dead", begin + 7, reason=reason, stage="router", source=source, **plain)
    event = told(number, Topic.OUTCOME, begin + 9, outcome=kind, **plain)
    return History(
        START,
        HOUR,
        seen=(
            replace(put, ticket_id=ticket_id),
            replace(event, ticket_id=ended, place=replace(event.place, partition=1)),
        ),
        items=(ItemRow(f"{kind}:{name}", kind, f"k{number}", ticket_id, 0, at(begin + 8)),),
        commits=(
            Commit("router", source.topic, source.partition, source.offset + 1, at(begin + 8)),
            Commit("outcome", "router.dead", 0, number + 1, at(begin + 9.5)),
        ),
    )


def poison(number: int) -> History:
    """A record that nobody can read."""
    source = Place(Topic.INBOUND, 1, number)
    bytes_ = History(START, HOUR, produced=(Produced(source, at(number * 10.0), None, None),))
    return together(bytes_, letter(number, source, "dead", None))


def conflict(number: int) -> History:
    """A ticket that is answered, and whose id comes again with another body."""
    whole, source = ticket(number), Place(Topic.INBOUND, 3, number)
    other = replace(whole.produced[0], place=source, at=at(number * 10.0 + 6), body="other")
    return together(whole, History(START, HOUR, produced=(other,)), letter(number, source, "conflict", id_of(number)))


PARTS = ("produced", "seen", "claims", "delivered", "items", "admitted", "commits", "applied", "flips", "samples")


def together(*histories: History) -> History:
    """One history of them all."""
    joined = {part: tuple(row for history in histories for row in getattr(history, part)) for part in PARTS}
    return replace(histories[0], **joined)


KINDS: dict[str, Callable[[int], History]] = {
    "sent": ticket,
    "suggested": lambda number: ticket(number, "suggested"),
    "handed off": lambda number: ticket(number, "handed_off"),
    "parked": lambda number: ticket(number, "parked"),
    "followed up": follow_up,
    "dead": dead,
    "poison": poison,
    "conflict": conflict,
}
