"""What a drill counts, and which scopes it may touch."""

from datetime import UTC, datetime, timedelta

import pytest

from loadtest.drill.measure import Claim, Fate, Glance, Stop, fate, histogram, last_claims, measure, reached
from loadtest.drill.plan import ACTOR, CASES, NAME, SCOPE, approved, is_own, tickets
from processors.ports import SwitchRow
from processors.switch import Entry
from schemas.codec import decode, encode
from schemas.control import Scope, SwitchState
from schemas.control import Stop as Place
from schemas.gate import ReplyApproved
from sluice.drill.cases import CASE
from sluice.drill.hand import NotOurs
from sluice.drill.run import left_by

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def at(ms: float) -> datetime:
    return NOON + timedelta(milliseconds=ms)


STOPS = (Stop(at(100), at(120), at(300)), Stop(at(500), at(510), None))


def claims(*ms: float) -> list[Claim]:
    return [Claim(str(number), at(value)) for number, value in enumerate(ms)]


# -- stops and claims


def test_claims_before_the_fence_and_after_the_arming_are_no_breach() -> None:
    found = measure(STOPS, claims(50, 105, 119, 301, 400, 505))
    assert (found.stops, found.claims, found.sent_after_stop) == (2, 6, 0)
    assert (found.last_claim_ms.max_ms, found.fence_ms.max_ms) == (19.0, 20.0)


def test_a_claim_behind_a_fence_is_counted_also_behind_one_that_was_never_lifted() -> None:
    assert measure(STOPS, claims(50, 121)).sent_after_stop == 1
    assert measure(STOPS, claims(9000)).sent_after_stop == 1


def test_a_stop_after_which_nothing_was_claimed_took_no_time() -> None:
    assert last_claims(STOPS, [at(50), at(505)]) == [0.0, 5.0]


@pytest.mark.parametrize(("last", "under_load"), [(49, 0), (50, 1), (99, 1), (100, 0)])
def test_a_stop_is_under_load_when_something_was_claimed_just_before_it(last: float, under_load: int) -> None:
    assert measure(STOPS, claims(last)).under_load == under_load


def test_the_histogram_shows_each_bucket_that_holds_any() -> None:
    lines = histogram([1.5, 2, 7, 6000])
    assert [line.rpartition(" ")[2] for line in lines] == ["1", "1", "1", "1"]
    assert lines[0].startswith("    1 to     2 ms")
    assert lines[-1].startswith(" 5000 ms and more")
    assert histogram([]) == []


# -- propagation


@pytest.mark.parametrize(
    ("glance", "known"),
    [
        (Glance(7, at(60), at(40)), 40.0),  # its own word
        (Glance(7, at(60)), 60.0),  # it has none, as an older worker
        (Glance(8, at(60), at(50)), 60.0),  # that is a later record's time
        (Glance(7, at(60), at(-5)), 60.0),  # impossible: its clock is another's
        (Glance(7, at(60), at(61)), 60.0),
        (Glance(6, at(60), at(40)), None),
    ],
)
def test_a_worker_knew_of_a_record_when_it_says_so(glance: Glance, known: float | None) -> None:
    assert reached([Glance(6, at(10)), glance], 7, NOON) == known


# -- replies


def test_every_reply_that_was_approved_is_sent_or_a_draft_or_told_as_lost() -> None:
    assert fate("abcd", sent="ab", suggested="bcx") == Fate(approved=4, sent=2, suggested=2, lost=1, both=1)


def test_a_reply_of_the_drill_is_one_the_workers_can_read() -> None:
    (ticket,) = tickets(1)
    reply = approved(ticket, NOON)
    assert decode(ReplyApproved, encode(reply)) == reply
    assert (reply.route.intent, reply.idempotency_key) == (NAME, ticket.key)


# -- the scope


@pytest.mark.parametrize(
    ("scope", "own"),
    [
        ("intent:sluice-drill", True),
        ("intent:sluice-drill-berlin", True),
        ("intent:sluice-drills", False),
        ("intent:refund_status", False),
        ("customer:sluice-drill", False),
        ("channel:api", False),
        ("all", False),
    ],
)
def test_only_an_intent_by_its_own_name_is_the_drills(scope: str, own: bool) -> None:
    assert is_own(Scope.parse(scope)) is own


def entry(state: SwitchState, actor: str, offset: int = 5) -> Entry:
    return Entry(state, Place(offset=offset, sequence=3), "why", actor, NOON)


def row(state: SwitchState, actor: str) -> SwitchRow:
    return SwitchRow(SCOPE, state, "why", actor, NOON, Place(offset=5, sequence=3))


OPEN = [None, entry(SwitchState.AUTO, "ops")]


@pytest.mark.parametrize("topic", OPEN)
@pytest.mark.parametrize("table", [None, row(SwitchState.AUTO, "ops")])
def test_where_nothing_is_stopped_nothing_is_lifted(topic: Entry | None, table: SwitchRow | None) -> None:
    assert left_by(SCOPE, topic, table) is None


@pytest.mark.parametrize("state", [SwitchState.SUGGEST, SwitchState.OFF])
def test_a_stop_of_somebody_else_on_either_path_is_never_lifted(state: SwitchState) -> None:
    for topic, table in [
        (entry(state, "mia"), None),
        (None, row(state, "mia")),
        (entry(state, ACTOR), row(state, "mia")),
        (entry(state, "mia"), row(state, ACTOR)),
    ]:
        with pytest.raises(NotOurs, match="by mia"):
            left_by(SCOPE, topic, table)


def test_a_stop_that_a_killed_drill_left_is_named_by_the_paths_that_hold_it() -> None:
    stop = SwitchState.SUGGEST
    places = [
        left_by(SCOPE, topic, table)
        for topic, table in [
            (entry(stop, ACTOR), row(stop, ACTOR)),
            (entry(stop, ACTOR), row(SwitchState.AUTO, "ops")),
            (None, row(stop, ACTOR)),
        ]
    ]
    assert [(one.offset, one.sequence) for one in places if one] == [(5, 3), (5, 0), (-1, 3)]


def test_every_case_that_is_listed_can_be_run() -> None:
    assert list(CASES) == list(CASE)
