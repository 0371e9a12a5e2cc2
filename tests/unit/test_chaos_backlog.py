"""What the looks at a stage before a backlog come to."""

import pytest

from sluice.chaos.apart.backlog import Look, judge


def looks(*done_and_memory: tuple[int, float]) -> list[Look]:
    return [Look(float(second), done, rss) for second, (done, rss) in enumerate(done_and_memory, 1)]


def test_a_drained_backlog_and_flat_memory_are_sound() -> None:
    finding = judge(looks((20_000, 90.0), (60_000, 99.0), (100_000, 101.0), (200_000, 140.0)), 200_000)
    assert finding.breaches == ()
    assert finding.figures["records_per_second"] == 50_000
    assert (finding.figures["rss_mb_at_20000"], finding.figures["rss_mb_at_100000"]) == (90.0, 101.0)


@pytest.mark.parametrize(
    ("seen", "invariant"),
    [
        (looks((20_000, 90.0), (60_000, 150.0), (200_000, 150.0)), "I5"),
        (looks((20_000, 90.0), (100_000, 90.0), (150_000, 90.0)), "I7"),
    ],
)
def test_growing_memory_and_records_left_over_are_breaches(seen: list[Look], invariant: str) -> None:
    assert [breach[:2] for breach in judge(seen, 200_000).breaches] == [invariant]
