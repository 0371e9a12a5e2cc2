"""A day's load as a picture: latency and lag over the day, one SVG file."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loadtest.measure import Spread

HOURS = 24


def draw(
    path: Path, *, latency: Sequence[tuple[float, Spread]], lag: Mapping[str, Sequence[tuple[float, int]]]
) -> None:
    """Draw latency (seconds) and lag (messages) by the hour of the day.

    Args:
        path: where the file goes; a second one, `<name>-lag.svg`, beside it.
        latency: (hour of the day, spread) in order.
        lag: by stage, (hour of the day, messages) in order.
    """
    chart = _chart("Latency from the intended time, seconds")
    for name, field in (("p50", "p50_ms"), ("p95", "p95_ms"), ("p99", "p99_ms")):
        told = ((hour, getattr(found, field)) for hour, found in latency)
        chart.add(name, [(hour, value / 1000) for hour, value in told if value])
    chart.render_to_file(str(path))
    chart = _chart("Messages behind, by stage")
    for stage, values in lag.items():
        chart.add(stage, list(values))
    chart.render_to_file(str(path.with_name(f"{path.stem}-lag.svg")))


def _chart(title: str) -> Any:  # noqa: ANN401 - pygal has no types
    finders = list(sys.meta_path)
    import pygal
    from pygal.style import CleanStyle

    sys.meta_path[:] = finders  # pygal's own finder, for maps, speaks a protocol that Python 3.12 has removed
    return pygal.XY(
        title=title,
        x_title="hour of the day",
        xrange=(0, HOURS),
        x_labels=list(range(0, HOURS + 1, 2)),
        dots_size=1,
        stroke_style={"width": 2},
        js=[],  # its tooltips would come from another host
        style=CleanStyle(font_family="sans-serif"),
    )
