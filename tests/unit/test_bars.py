"""The bars of an evaluation: reached, missed, lost against the last release; and the file that states them."""

from pathlib import Path

import pytest

from evals.bars import Bar, BarsError, Verdict, judge, read_bars

LEAST, MOST = Bar(least=0.5, aim=0.6), Bar(most=0.02)


def measured(value: float | None) -> list[dict[str, object]]:
    return [{"name": "f", "value": value, "low": 0.0, "high": 1.0, "n": 10}]


def released(low: float, high: float) -> list[dict[str, object]]:
    return [{"name": "f", "value": (low + high) / 2, "low": low, "high": high, "n": 10}]


@pytest.mark.parametrize(
    ("bar", "value", "before", "verdict"),
    [
        (LEAST, 0.5, [], "ok"),
        (LEAST, 0.49, [], "falls short"),
        (MOST, 0.02, [], "ok"),
        (MOST, 0.03, [], "falls short"),
        (LEAST, 0.55, released(0.5, 0.7), "ok"),
        (LEAST, 0.55, released(0.6, 0.8), "regresses"),
        (MOST, 0.015, released(0.0, 0.01), "regresses"),
        (LEAST, None, [], "not measured"),
    ],
)
def test_a_figure_is_judged(bar: Bar, value: float | None, before: list[dict[str, object]], verdict: Verdict) -> None:
    (found,) = judge(measured(value), {"f": bar}, before)
    assert (found.verdict, found.failed) == (verdict, verdict != "ok")


def test_a_figure_that_is_not_there_is_not_measured() -> None:
    (found,) = judge([], {"f": LEAST})
    assert found.verdict == "not measured"


def test_short_of_the_aim_is_seen_beside_the_verdict() -> None:
    assert (LEAST.reached(0.55), LEAST.aimed(0.55), LEAST.aimed(0.6)) == (True, False, True)


def test_the_bars_of_the_project_can_be_read() -> None:
    bars = read_bars()
    assert {"shop", "thunderbird", "mtrag", "tau_retail", "tau_bank"} <= set(bars)
    assert all(bar.why for suite in bars.values() for bar in suite.values() if bar.aim is not None)


@pytest.mark.parametrize(
    ("text", "says"),
    [("[s.f]\nleast = 1\nmost = 2", "s.f"), ("[s.f]\nleest = 1", "leest"), ("[s", "bars.toml")],
)
def test_a_malformed_bar_is_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "bars.toml").write_text(text)
    with pytest.raises(BarsError, match=says):
        read_bars(tmp_path / "bars.toml")
