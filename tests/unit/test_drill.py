"""What a drill counts: no claim behind a fence is overlooked, and none before it is counted."""

from datetime import UTC, datetime, timedelta

from loadtest.drill.measure import Claim, Stop, histogram, last_claims, measure

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def at(ms: float) -> datetime:
    return NOON + timedelta(milliseconds=ms)


STOPS = (Stop(at(100), at(120), at(300)), Stop(at(500), at(510), None))


def claims(*ms: float) -> list[Claim]:
    return [Claim(str(number), at(value)) for number, value in enumerate(ms)]


def test_claims_before_the_fence_and_after_the_arming_are_no_breach() -> None:
    found = measure(STOPS, claims(50, 105, 119, 301, 400, 505))
    assert (found.stops, found.claims, found.sent_after_stop) == (2, 6, 0)
    assert (found.last_claim_ms.max_ms, found.fence_ms.max_ms) == (19.0, 20.0)


def test_a_claim_behind_a_fence_is_counted_also_behind_one_that_was_never_lifted() -> None:
    assert measure(STOPS, claims(50, 121)).sent_after_stop == 1
    assert measure(STOPS, claims(9000)).sent_after_stop == 1


def test_a_stop_after_which_nothing_was_claimed_took_no_time() -> None:
    assert last_claims(STOPS, [at(50), at(505)]) == [0.0, 5.0]


def test_the_histogram_shows_each_bucket_that_holds_any() -> None:
    lines = histogram([1, 2, 7, 6000])
    assert [line.rpartition(" ")[2] for line in lines] == ["2", "1", "1"]
    assert lines[0].startswith("    0 to     5 ms")
    assert lines[-1].startswith(" 5000 ms and more")
    assert histogram([]) == []
