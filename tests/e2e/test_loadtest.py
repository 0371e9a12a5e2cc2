"""A day of tickets against the running stack: nothing is lost, and the figures and pictures are there."""

import json
from pathlib import Path

from tests.e2e.conftest import Stack


def test_a_short_day_is_measured_and_drawn(stack: Stack, tmp_path: Path) -> None:
    day = ("--tickets", "40", "--speed", "17280", "--bursts", "1", "--seed", "5", "--out", str(tmp_path))
    report = json.loads(stack.command("loadtest", "day", *day, "--json"))
    assert (report["tickets"], report["settled"], report["lost"]) == (40, 40, 0)
    assert report["double_sent"] is None  # this stack's mail leaves by SMTP: not every reply can be counted
    assert report["latency"]["end to end"]["count"] == 40
    assert set(report["highest_lag"]) == {"router", "retrieval", "resolution", "gate", "outcome"}
    assert report == json.loads((tmp_path / "day-5.json").read_text())
    for picture in ("day-5.svg", "day-5-lag.svg"):
        drawn = (tmp_path / picture).read_text()
        assert "hour of the day" in drawn
        assert 'href="http' not in drawn  # a picture that asks another host for nothing
