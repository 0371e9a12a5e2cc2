"""The switch's rules: a stop always wins, an arming must name the stop it lifts."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.switch import FRESH, Board, apply, hear, understood, view
from schemas.codec import encode
from schemas.control import Scope, ScopeKind, Stop, SwitchSet, SwitchState
from schemas.ingress import Channel

AT = datetime(2026, 1, 1, tzinfo=UTC)
OFF, SUGGEST, AUTO = SwitchState.OFF, SwitchState.SUGGEST, SwitchState.AUTO
FIRST = Stop()


def switch(scope: str, state: SwitchState, lifts: Stop | None = None, sequence: int = 0) -> SwitchSet:
    return SwitchSet(
        scope=Scope.parse(scope), state=state, why="w", actor="a", set_at=AT, sequence=sequence, lifts=lifts
    )


def board(*records: SwitchSet) -> Board:
    """The board after the records, read from offset 0 on."""
    found = Board()
    for offset, record in enumerate(records):
        found, _ = apply(found, record, offset)
    return found


ARMED = switch("all", AUTO, FIRST)


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([], SUGGEST),
        ([ARMED], AUTO),
        ([switch("all", AUTO)], SUGGEST),
        ([switch("all", AUTO, Stop(offset=3))], SUGGEST),
        ([ARMED, switch("all", SUGGEST)], SUGGEST),
        ([ARMED, switch("all", OFF), switch("all", SUGGEST)], OFF),
        ([ARMED, switch("all", OFF), switch("all", SUGGEST, Stop(offset=1))], SUGGEST),
        ([ARMED, switch("all", OFF), switch("all", AUTO, Stop(offset=1))], AUTO),
        ([ARMED, switch("all", OFF, sequence=7), switch("all", AUTO, Stop(sequence=7))], AUTO),
        ([ARMED, switch("all", OFF), switch("all", AUTO, FIRST)], OFF),
        # Two stops: an arming that knows only of the first lifts nothing.
        ([ARMED, switch("all", OFF), switch("all", OFF), switch("all", AUTO, Stop(offset=1))], OFF),
        ([ARMED, switch("channel:email", SUGGEST)], SUGGEST),
        ([ARMED, switch("channel:chat", OFF)], AUTO),
        ([ARMED, switch("channel:email", SUGGEST), switch("intent:refund", OFF)], OFF),
        ([ARMED, switch("customer:cus_1", OFF)], OFF),
        ([ARMED, switch("channel:email", AUTO)], AUTO),
        ([switch("channel:email", AUTO), switch("intent:refund", AUTO)], SUGGEST),
    ],
)
def test_the_most_restrictive_scope_that_matches_decides(records: list[SwitchSet], expected: SwitchState) -> None:
    assert view(board(*records), Channel.EMAIL, "refund", "cus_1").state is expected


def test_an_ignored_arming_says_which_stop_it_would_have_to_name() -> None:
    _, verdict = apply(board(ARMED, switch("all", OFF, sequence=4)), switch("all", AUTO), 2)
    assert not verdict.applied
    assert "offset 1, sequence 4" in verdict.why


def test_an_ignored_record_still_moves_the_epoch() -> None:
    assert view(board(switch("all", AUTO)), Channel.API, "x", None).epoch == 0


def test_a_record_read_twice_counts_once() -> None:
    stopped = board(ARMED, switch("all", OFF))
    again, verdict = apply(stopped, ARMED, 0)
    assert (again, verdict.applied) == (stopped, False)


def test_a_scope_of_an_unknown_kind_stops_everything() -> None:
    unknown = switch("all", OFF).model_copy(update={"scope": Scope(kind=ScopeKind.ALL, value="x")})
    assert view(board(ARMED, unknown), Channel.API, "x", None).state is OFF


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        (" all ", "all"),
        (" channel: email ", "channel:email"),
        ("customer:CUS_0066 ", "customer:CUS_0066"),
        ("customer:a:b", "customer:a:b"),
    ],
)
def test_a_scope_is_read_without_the_blanks_around_it(text: str, scope: str) -> None:
    assert str(Scope.parse(text)) == scope


@pytest.mark.parametrize(
    "text", ["", "all:", "all:x", "channel", "channel: ", "channel:emial", "channel:EMAIL", "customer:a\x00b", "x:y"]
)
def test_a_scope_that_matches_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="scope"):
        Scope.parse(text)


CHANNEL, INTENT, CUSTOMER = ScopeKind.CHANNEL, ScopeKind.INTENT, ScopeKind.CUSTOMER
UNKNOWN = [
    Scope(kind=ScopeKind.ALL, value="tenant-7"),
    Scope(kind=CHANNEL, value="emial"),
    Scope(kind=CHANNEL, value="Email"),
    Scope(kind=CHANNEL),
    Scope(kind=INTENT, value="  "),
    Scope(kind=CUSTOMER),
]


@pytest.mark.parametrize("scope", UNKNOWN, ids=str)
def test_a_record_for_an_unknown_scope_stops_everything_and_arms_nothing(scope: Scope) -> None:
    stop, arming = switch("all", OFF), switch("all", AUTO, Stop(offset=1))
    stopped = board(ARMED, stop.model_copy(update={"scope": scope}))
    assert view(stopped, Channel.API, "x", None).state is OFF
    again, verdict = apply(stopped, arming.model_copy(update={"scope": scope}), 2)
    assert (verdict.applied, view(again, Channel.API, "x", None).state) == (False, OFF)
    assert view(apply(again, arming, 3)[0], Channel.API, "x", None).state is AUTO


@pytest.mark.parametrize("kind", [CHANNEL, INTENT, CUSTOMER])
def test_blanks_around_a_name_do_not_hide_a_stop(kind: ScopeKind) -> None:
    stop = switch("all", OFF).model_copy(update={"scope": Scope(kind=kind, value=" email\n")})
    assert view(board(ARMED, stop), Channel.EMAIL, "email", "email").state is OFF


@pytest.mark.parametrize("value", [None, b"", b"garbage", encode(ARMED)[:-1]])
def test_what_nobody_can_read_is_a_stop_of_the_time_it_was_published(value: bytes | None) -> None:
    heard = hear(value, 7, AT)
    assert (heard.record.scope, heard.record.state, heard.record.set_at) == (Scope(), SUGGEST, AT)
    assert heard.fault is not None
    assert "offset 7" in heard.record.why
    assert heard == hear(value, 7, AT)


def test_what_is_understood_is_heard_as_it_was_said() -> None:
    heard = hear(encode(ARMED), 7, datetime.max.replace(tzinfo=UTC))
    assert (heard.record, heard.fault) == (ARMED, None)


def test_an_unknown_scope_is_a_fault_and_its_name_is_kept() -> None:
    heard = hear(encode(ARMED.model_copy(update={"scope": UNKNOWN[1]})), 7, AT)
    assert (heard.record, heard.fault) == (understood(heard.record), heard.record.why)
    assert "channel:emial" in heard.record.why


def test_the_view_names_the_scope_that_decided() -> None:
    stopped = board(ARMED, switch("intent:refund", OFF))
    assert view(stopped, Channel.API, "refund", None).scope == Scope.parse("intent:refund")
    assert view(Board(), Channel.API, "refund", None).scope is None


def test_a_stop_of_one_customer_does_not_touch_an_unproved_one() -> None:
    assert view(board(ARMED, switch("customer:cus_1", OFF)), Channel.API, "x", None).state is AUTO


RECORDS = st.lists(
    st.builds(
        switch,
        st.sampled_from(["all", "channel:email", "intent:refund"]),
        st.sampled_from(SwitchState),
        st.one_of(st.none(), st.builds(Stop, offset=st.integers(-1, 6), sequence=st.integers(0, 3))),
        st.integers(0, 3),
    ),
    max_size=8,
)


@given(RECORDS, st.sampled_from(SwitchState))
def test_after_a_stop_of_everything_nothing_is_looser(records: list[SwitchSet], state: SwitchState) -> None:
    before = board(*records)
    after, _ = apply(before, switch("all", state), len(records))
    known = before.entry(Scope()) or FRESH
    strictest = min(state.strictness, known.state.strictness)
    assert view(after, Channel.EMAIL, "refund", None).state.strictness <= strictest


@given(RECORDS)
def test_no_record_without_a_lift_ever_loosens(records: list[SwitchSet]) -> None:
    reached = board(*records)
    bare = switch("all", AUTO)
    loosened, _ = apply(reached, bare, len(records))
    for scope in ("all", "channel:email", "intent:refund"):
        assert loosened.entry(Scope.parse(scope)) in (reached.entry(Scope.parse(scope)), None) or (
            (reached.entry(Scope.parse(scope)) or FRESH).state is AUTO
        )
