"""The oracle finds every planted breach, names its invariant and nothing else, and lets a sound history pass."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

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
from loadtest.chaos.oracle import Bounds, judge
from schemas.topics import Topic
from tests.unit.sound_histories import KINDS, at, conflict, dead, id_of, poison, ticket, together, told

SWITCHED = replace(
    together(ticket(0)),
    flips=(Flip("suggest", at(500), at(500.1)), Flip("off", at(550), at(550.1)), Flip("auto", at(600), at(600.1))),
    samples=(Sample(at(1), "worker-0", 300.0, 12),),
)
SOUND = replace(
    together(
        SWITCHED,
        ticket(1, "suggested"),
        poison(2),
        ticket(3, "superseded"),
        ticket(4, conversation="k3", revision=2),
        conflict(5),
        dead(6),
        ticket(7, "parked"),
    ),
    lag={"router": 0},
)


def changed(part: str, find: Callable[..., bool], **more: object) -> History:
    """The sound history with one row that says something else."""
    (row,) = filter(find, getattr(SOUND, part))
    return replace(SOUND, **{part: tuple(replace(one, **more) if one is row else one for one in getattr(SOUND, part))})


def without(part: str, find: Callable[..., bool]) -> History:
    """The sound history with one row less."""
    (row,) = filter(find, getattr(SOUND, part))
    return replace(SOUND, **{part: tuple(one for one in getattr(SOUND, part) if one is not row)})


def and_(part: str, *rows: object) -> History:
    """The sound history with a row more."""
    return replace(SOUND, **{part: (*getattr(SOUND, part), *rows)})


def on(topic: str, number: int) -> Callable[[Seen], bool]:
    """The record of a ticket on a topic."""
    return lambda seen: (seen.place.topic, seen.place.offset) == (topic, number)


def of(number: int) -> Callable[..., bool]:
    """The row of a ticket."""
    return lambda row: row.ticket_id == id_of(number)


def by(stage: str, topic: str, number: int) -> Callable[[Commit], bool]:
    """The commit of a stage behind a ticket."""
    return lambda commit: (commit.stage, commit.topic, commit.offset) == (stage, topic, number + 1)


def test_a_sound_history_is_clean() -> None:
    verdict = judge(SOUND)
    assert verdict.breaches == ()
    assert (verdict.tickets, verdict.settled, verdict.dead) == (7, 7, 3)


@given(st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.integers(0, 2)), min_size=1, max_size=12))
def test_any_history_of_settled_tickets_is_clean_however_often_each_is_told(kinds: list[tuple[str, int]]) -> None:
    parts = [KINDS[kind](2 * number) for number, (kind, _) in enumerate(kinds)]
    repeated = [
        replace(seen, place=replace(seen.place, partition=8 + again), at=seen.at + timedelta(seconds=1))
        for part, (_, times) in zip(parts, kinds, strict=True)
        for seen in part.seen
        for again in range(times)
    ]
    history = together(*parts)
    assert judge(replace(history, seen=(*history.seen, *repeated))).breaches == ()


AGAIN = told(0, Topic.OUTCOME, 6, outcome="suggested")
FOLLOWING = Produced(Place(Topic.INBOUND, 0, 50), at(3), "k0", id_of(50), "b", "")
OVERTAKEN = told(50, Topic.OUTCOME, 9, outcome="superseded", key="k0", tokens=frozenset())
ELSEWHERE = Place(Topic.INBOUND, 7, 7)

PLANTED: dict[str, tuple[Callable[[], History], set[str]]] = {
    "a ticket without an end": (
        lambda: and_("produced", Produced(Place(Topic.INBOUND, 2, 0), at(50), "k9", id_of(99), "b", "word-99")),
        {"I1"},
    ),
    "a ticket that only its double's conflict ended": (
        lambda: without("seen", lambda seen: seen.outcome == "sent" and seen.ticket_id == id_of(5)),
        {"I1", "I4"},
    ),
    "a ticket that only a later act ended": (
        lambda: changed("seen", on(Topic.OUTCOME, 3), outcome="released", actor="anna"),
        {"I1", "I4"},
    ),
    "poison on nobody's queue": (lambda: without("items", lambda item: item.conversation == "k2"), {"I1", "I4", "I8"}),
    "poison on no dead topic": (
        lambda: and_("produced", Produced(ELSEWHERE, at(50), None, None)),
        {"I1"},
    ),
    "two ends": (lambda: and_("seen", replace(AGAIN, place=Place(Topic.OUTCOME, 0, 90))), {"I1"}),
    "sent, and waiting as if unanswered": (
        lambda: and_("items", ItemRow("x:1", "suggest", "k0", id_of(0), 1, at(6))),
        {"I1"},
    ),
    "sent, and the helpdesk has nothing": (
        lambda: without("delivered", lambda delivered: delivered.conversation == "k0"),
        {"I1"},
    ),
    "a suggestion on nobody's queue": (lambda: without("items", of(1)), {"I1"}),
    "a parked reply on nobody's queue": (lambda: without("items", of(7)), {"I1"}),
    "another body without a conflict": (
        lambda: and_("produced", replace(SOUND.produced[0], body="other", place=Place(Topic.INBOUND, 0, 90))),
        {"I1"},
    ),
    "two replies under two keys": (
        lambda: and_("delivered", Delivered(f"{id_of(7)}:1", "reply", "k0", "helpdesk-0")),
        {"I2"},
    ),
    "two effects under one key": (
        lambda: and_("delivered", Delivered(f"{id_of(0)}:1", "reply", "k0", "helpdesk-99")),
        {"I2"},
    ),
    "two sent claims": (
        lambda: and_("claims", replace(SOUND.claims[0], actor="anna")),
        {"I2"},
    ),
    "a reply without a claim": (lambda: without("claims", of(0)), {"I2"}),
    "told as sent, and claimed by nobody": (
        lambda: replace(without("claims", of(0)), delivered=SOUND.delivered[1:]),
        {"I2"},
    ),
    "revisions against the log": (
        lambda: replace(
            and_("produced", FOLLOWING),
            admitted=(*SOUND.admitted, AdmittedRow(id_of(50), "k0", 0, at(0.2))),
            seen=(*SOUND.seen, OVERTAKEN),
        ),
        {"I3"},
    ),
    "two tickets with one revision": (
        lambda: replace(
            and_("produced", FOLLOWING),
            admitted=(*SOUND.admitted, AdmittedRow(id_of(50), "k0", 1, at(0.7))),
            seen=(*SOUND.seen, OVERTAKEN),
        ),
        {"I3"},
    ),
    "an overtaken revision claimed": (
        lambda: replace(
            and_("produced", FOLLOWING),
            admitted=(*SOUND.admitted, AdmittedRow(id_of(50), "k0", 2, at(3.5))),
            seen=(*SOUND.seen, OVERTAKEN),
        ),
        {"I3"},
    ),
    "a commit before the work": (lambda: changed("commits", by("router", Topic.INBOUND, 0), at=at(0.2)), {"I4"}),
    "a commit past nothing done": (lambda: without("seen", on(Topic.ROUTER, 0)), {"I4"}),
    "a commit between claim and event": (
        lambda: changed("commits", by("outcome", Topic.AUTO_SEND, 0), at=at(4.4)),
        {"I4"},
    ),
    "a commit before the hand-over": (
        lambda: changed("commits", by("outcome", Topic.ESCALATION, 1), at=at(14.2)),
        {"I4"},
    ),
    "a commit before the second try": (
        lambda: changed("commits", by("retrieval", "retrieval.retry-5s", 6), at=at(67)),
        {"I4"},
    ),
    "a commit before the letter is on the queue": (
        lambda: changed("commits", by("outcome", "retrieval.dead", 6), at=at(68.1)),
        {"I4"},
    ),
    "memory without end": (lambda: changed("samples", bool, rss_mb=5000.0), {"I5"}),
    "too much in flight": (lambda: changed("samples", bool, in_flight=5000), {"I5"}),
    "others stalled by one key": (
        lambda: replace(
            changed("seen", on(Topic.OUTCOME, 3), at=at(300)),
            applied=(Applied("hot-key", at(25), at(35)),),
            commits=(),
        ),
        {"I6"},
    ),
    "a stage behind after quiet": (lambda: replace(SOUND, lag={"gate": 3}), {"I7"}),
    "put aside without a reason": (lambda: changed("seen", on("retrieval.dead", 6), reason=""), {"I8"}),
    "put aside from nowhere": (
        lambda: replace(changed("seen", on("retrieval.retry-5s", 6), source=ELSEWHERE), commits=()),
        {"I8"},
    ),
    "a ticket nobody sent": (
        lambda: and_("seen", told(77, Topic.ROUTER, 30, tokens=frozenset())),
        {"I8"},
    ),
    "the end of a letter nobody put aside": (
        lambda: and_("seen", told(77, Topic.OUTCOME, 30, tokens=frozenset(), outcome="dead", revision=0)),
        {"I8"},
    ),
    "an item of a ticket nobody sent": (
        lambda: and_("items", ItemRow("x:1", "suggest", "k1", id_of(77), 1, at(16))),
        {"I8"},
    ),
    "an item of a letter nobody put aside": (
        lambda: and_("items", ItemRow("dead:tickets.inbound/7/7", "dead", "k0", None, 0, at(6))),
        {"I8"},
    ),
    "a claim in an unknown conversation": (
        lambda: and_("claims", ClaimRow("x:1", "elsewhere", 1, id_of(0), "bot", ClaimState.RELEASED, at(3))),
        {"I8"},
    ),
    "a hand-over in an unknown conversation": (
        lambda: and_("delivered", Delivered("x:1:hand-over", "hand-over", "elsewhere", "helpdesk-98")),
        {"I8"},
    ),
    "another customer's words": (lambda: changed("seen", on(Topic.ROUTER, 0), tokens=frozenset({"word-1"})), {"I9"}),
    "another customer's words at the helpdesk": (
        lambda: changed("delivered", lambda d: d.conversation == "k0", tokens=frozenset({"word-1"})),
        {"I9"},
    ),
    "a claim after the stop": (lambda: changed("claims", of(0), claimed_at=at(520)), {"stop"}),
    "a claim between two stops and the arming": (lambda: changed("claims", of(0), claimed_at=at(580)), {"stop"}),
}


@pytest.mark.parametrize("breach", PLANTED)
def test_a_planted_breach_is_found_and_named(breach: str) -> None:
    plant, invariants = PLANTED[breach]
    assert {found.invariant for found in judge(plant()).breaches} == invariants


def test_the_counts_are_those_of_the_breaches() -> None:
    lost = judge(PLANTED["a ticket without an end"][0]())
    assert (lost.tickets - lost.settled, lost.lost) == (1, 1)
    assert judge(PLANTED["two effects under one key"][0]()).double_sent == 1
    assert judge(PLANTED["an overtaken revision claimed"][0]()).out_of_order == 1
    assert judge(PLANTED["a commit past nothing done"][0]()).committed_past_unfinished == 1
    assert judge(PLANTED["a claim between two stops and the arming"][0]()).sent_after_stop == 1
    assert judge(PLANTED["a ticket nobody sent"][0]()).unexplained == 1


def test_a_claim_while_armed_again_is_no_breach() -> None:
    assert judge(changed("claims", of(0), claimed_at=at(650))).clean


def test_a_person_s_claim_is_not_stopped() -> None:
    assert judge(changed("claims", of(0), claimed_at=at(520), actor="anna")).clean


def test_a_repeated_call_under_the_same_key_is_counted_and_is_no_second_reply() -> None:
    verdict = judge(and_("delivered", SOUND.delivered[0]))
    assert (verdict.double_sent, verdict.repeated_calls) == (0, 1)


def test_an_acknowledgement_is_no_second_reply() -> None:
    notes = [Delivered(f"{id_of(n)}:{n - 2}:acknowledge", "reply", "k3", f"helpdesk-9{n}") for n in (3, 4)]
    assert judge(and_("delivered", *notes)).clean


def test_an_offset_without_a_record_is_nobody_s_work() -> None:
    assert judge(and_("commits", Commit("router", Topic.INBOUND, 0, 900, at(900)))).clean


def test_a_hand_over_of_what_was_sent_before_needs_no_event() -> None:
    late = replace(told(0, Topic.ESCALATION, 7), place=Place(Topic.ESCALATION, 5, 0))
    committed = Commit("outcome", Topic.ESCALATION, 5, 1, at(8))
    untold = replace(and_("seen", late), commits=(*SOUND.commits, committed))
    assert judge(untold).clean


def test_beside_another_fault_nobody_says_who_stalled_the_others() -> None:
    stalled = PLANTED["others stalled by one key"][0]()
    both = replace(stalled, applied=(*stalled.applied, Applied("broker-kill", at(30), at(40))))
    assert judge(both).clean


def test_a_wider_bound_is_a_milder_oracle() -> None:
    early = PLANTED["a commit before the work"][0]()
    assert judge(early, Bounds(skew=timedelta(seconds=2))).clean
