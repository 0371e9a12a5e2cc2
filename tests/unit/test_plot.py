"""A day's pictures: what was measured is in them, and they ask nobody for anything."""

from pathlib import Path

from loadtest.measure import spread
from loadtest.plot import draw


def test_latency_and_lag_are_drawn_by_the_hour(tmp_path: Path) -> None:
    draw(
        tmp_path / "day.svg",
        latency=[(1.0, spread([100.0, 900.0])), (2.0, spread([]))],
        lag={"router": [(1.0, 3)], "outcome": []},
    )
    latency, lag = ((tmp_path / name).read_text() for name in ("day.svg", "day-lag.svg"))
    for word, picture in (("p99", latency), ("seconds", latency), ("router", lag), ("hour of the day", lag)):
        assert word in picture
    assert all('href="http' not in picture and "src=" not in picture for picture in (latency, lag))
