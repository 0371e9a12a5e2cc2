"""The oracle finds every planted breach, names its invariant and nothing else, and lets a sound history pass."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.chaos.history import (
    AdmittedRow,
    Applied,
    ClaimRow,
    ClaimState,
    Commit,
    Delivered,
    Flip,
    History,
    ItemRow,
    Place,
    Produced,
    Sample,
    Seen,
)
from loadtest.chaos.oracle import judge
from schemas.topics import Topic

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
PATH = (Topic.ROUTER, Topic.RETRIEVAL, Topic.RESOLUTION)
INPUT_OF = {
    "retrieval": Topic.ROUTER,
    "resolution": Topic.RETRIEVAL,
    "gate": Topic.RESOLUTION,
}
HOUR = START + timedelta(hours=1)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def told(number: int, topic: str, second: float, **more: object) -> Seen:
    found = Seen(Place(topic, 0, number), at(second), f"k{number}", UUID(int=number + 1), 1)
    return replace(found, tokens=frozenset({f"word-{number}"}), **more)  # type: ignore[arg-type]


def ticket(number: int, outcome: str = "sent") -> History:
    """All that one settled ticket leaves, as the number-th record of each topic it passes."""
    begin, name = number * 10.0, UUID(int=number + 1)
    conversation = f"k{number}"
    exit_topic = Topic.AUTO_SEND if outcome == "sent" else Topic.ESCALATION
    path = [told(number, topic, begin + step) for step, topic in enumerate((*PATH, exit_topic), 1)]
    end = told(number, Topic.OUTCOME, begin + 5, outcome=outcome)
    sent = ClaimRow(f"{name}:1", conversation, 1, name, "bot", ClaimState.SENT, at(begin + 4.5))
    reply = Delivered(f"{name}:1", "reply", conversation, f"helpdesk-{number}", frozenset({f"word-{number}"}))
    item = ItemRow(f"{name}:1", outcome, conversation, name, 1, at(begin + 4.5))
    return History(
        START,
        HOUR,
        produced=(Produced(Place(Topic.INBOUND, 0, number), at(begin), conversation, name, "body", f"word-{number}"),),
        seen=(*path, end),
        claims=(sent,) if outcome == "sent" else (),
        delivered=(reply,) if outcome == "sent" else (),
        items=() if outcome == "sent" else (item,),
        admitted=(AdmittedRow(name, conversation, 1, at(begin + 0.5)),),
        commits=(
            Commit("router", Topic.INBOUND, 0, number + 1, at(begin + 2)),
            *(Commit(stage, topic, 0, number + 1, at(begin + 9)) for stage, topic in INPUT_OF.items()),
            Commit("outcome", exit_topic, 0, number + 1, at(begin + 9)),
        ),
    )


def together(*histories: History) -> History:
    first = histories[0]
    parts = ("produced", "seen", "claims", "delivered", "items", "admitted", "commits", "applied", "flips", "samples")
    joined = {part: tuple(row for history in histories for row in getattr(history, part)) for part in parts}
    return replace(first, **joined)


SENT, WAITING = ticket(0), ticket(1, "suggested")
POISON = Place(Topic.INBOUND, 1, 7)
LETTER = replace(
    told(2, "router.dead", 21),
    ticket_id=None,
    revision=0,
    key="k2",
    stage="router",
    reason="Undecodable",
    source=POISON,
    tokens=frozenset(),
)
DEAD = History(
    START,
    HOUR,
    produced=(Produced(POISON, at(20), "k2", None),),
    seen=(LETTER, replace(told(2, Topic.OUTCOME, 22, outcome="dead"), revision=0, tokens=frozenset())),
    items=(ItemRow(f"dead:{POISON.topic}/1/7", "dead", "k2", None, 0, at(22)),),
)
STOPPED = History(
    START, HOUR, flips=(Flip("suggest", at(100), at(100.1)), Flip("auto", at(200), at(200.1))),
    samples=(Sample(at(1), "worker-0", 300.0, 12),), lag={"router": 0},
)  # fmt: skip
SOUND = replace(together(SENT, WAITING, DEAD, STOPPED), lag={"router": 0})


def changed(part: str, number: int, **more: object) -> History:
    rows = list(getattr(SOUND, part))
    rows[number] = replace(rows[number], **more)
    return replace(SOUND, **{part: tuple(rows)})


def without(part: str, number: int) -> History:
    rows = list(getattr(SOUND, part))
    del rows[number]
    return replace(SOUND, **{part: tuple(rows)})


def and_(part: str, row: object) -> History:
    return replace(SOUND, **{part: (*getattr(SOUND, part), row)})


def outcome_of(number: int) -> int:
    return next(
        place
        for place, seen in enumerate(SOUND.seen)
        if seen.place.topic == Topic.OUTCOME and seen.ticket_id == UUID(int=number + 1)
    )


def test_a_sound_history_is_clean() -> None:
    verdict = judge(SOUND)
    assert verdict.breaches == ()
    assert (verdict.tickets, verdict.settled, verdict.dead) == (2, 2, 1)


@given(st.lists(st.sampled_from(["sent", "suggested", "handed_off"]), min_size=1, max_size=12))
def test_any_history_of_settled_tickets_is_clean(outcomes: list[str]) -> None:
    assert judge(together(*(ticket(number, outcome) for number, outcome in enumerate(outcomes)))).clean


FOLLOWING = Produced(Place(Topic.INBOUND, 0, 5), at(3), "k0", UUID(int=6), "b", "")
AGAIN = told(0, Topic.OUTCOME, 6, outcome="suggested")

PLANTED: dict[str, tuple[Callable[[], History], set[str]]] = {
    "a ticket without an end": (
        lambda: and_("produced", Produced(Place(Topic.INBOUND, 2, 0), at(50), "k9", UUID(int=99), "b", "word-9")),
        {"I1"},
    ),
    "poison on nobody's queue": (lambda: without("items", 1), {"I1", "I8"}),
    "two ends": (lambda: and_("seen", replace(AGAIN, place=Place(Topic.OUTCOME, 0, 50))), {"I1"}),
    "a suggestion on nobody's queue": (lambda: without("items", 0), {"I1"}),
    "another body without a conflict": (
        lambda: and_("produced", replace(SOUND.produced[0], body="other", place=Place(Topic.INBOUND, 0, 90))),
        {"I1"},
    ),
    "two replies": (
        lambda: and_("delivered", Delivered(f"{UUID(int=1)}:1", "reply", "k0", "helpdesk-99")),
        {"I2"},
    ),
    "a reply without a claim": (lambda: without("claims", 0), {"I2"}),
    "revisions against the log": (
        lambda: replace(
            changed("admitted", 0, revision=2),
            produced=(*SOUND.produced, FOLLOWING),
            admitted=(replace(SOUND.admitted[0], revision=2), AdmittedRow(UUID(int=6), "k0", 1, at(1))),
            seen=(*SOUND.seen, replace(told(5, Topic.OUTCOME, 9, outcome="superseded"), key="k0", tokens=frozenset())),
        ),
        {"I3"},
    ),
    "an overtaken revision claimed": (
        lambda: and_("admitted", AdmittedRow(UUID(int=1), "k0", 2, at(1))),
        {"I3"},
    ),
    "a commit before the work": (lambda: changed("commits", 0, at=at(0.2)), {"I4"}),
    "a commit past nothing done": (lambda: without("seen", 0), {"I4"}),
    "memory without end": (lambda: changed("samples", 0, rss_mb=5000.0), {"I5"}),
    "too much in flight": (lambda: changed("samples", 0, in_flight=5000), {"I5"}),
    "others stalled by one key": (
        lambda: replace(
            changed("seen", outcome_of(1), place=Place(Topic.OUTCOME, 0, 1), at=at(300)),
            applied=(Applied("hot-key", at(5), at(15)),),
        ),
        {"I6"},
    ),
    "a stage behind after quiet": (lambda: replace(SOUND, lag={"gate": 3}), {"I7"}),
    "put aside without a reason": (lambda: changed("seen", SOUND.seen.index(LETTER), reason=""), {"I8"}),
    "a ticket nobody sent": (
        lambda: and_("seen", replace(told(77, Topic.ROUTER, 30), tokens=frozenset())),
        {"I8"},
    ),
    "a claim in an unknown conversation": (
        lambda: and_("claims", ClaimRow("x:1", "elsewhere", 1, UUID(int=1), "bot", ClaimState.SENT, at(3))),
        {"I8"},
    ),
    "another customer's words": (lambda: changed("seen", 0, tokens=frozenset({"word-1"})), {"I9"}),
    "another customer's words at the helpdesk": (
        lambda: changed("delivered", 0, tokens=frozenset({"word-1"})),
        {"I9"},
    ),
    "a claim after the stop": (lambda: changed("claims", 0, claimed_at=at(150)), {"stop"}),
}


@pytest.mark.parametrize("breach", PLANTED)
def test_a_planted_breach_is_found_and_named(breach: str) -> None:
    plant, invariants = PLANTED[breach]
    assert {found.invariant for found in judge(plant()).breaches} == invariants


def test_a_claim_while_armed_again_is_no_breach() -> None:
    assert judge(changed("claims", 0, claimed_at=at(250))).clean


def test_a_repeated_call_under_the_same_key_is_counted_and_is_no_second_reply() -> None:
    verdict = judge(and_("delivered", SOUND.delivered[0]))
    assert (verdict.double_sent, verdict.repeated_calls) == (0, 1)
