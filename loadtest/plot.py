"""A day's load as a picture: latency and lag over the day, one SVG file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from loadtest.measure import Spread

HOURS = 24
WIDE, HIGH = 8.0, 4.5  # inches

Line = Sequence[tuple[float, float]]  # hour of the day, value


def draw(
    path: Path, *, latency: Sequence[tuple[float, Spread]], lag: Mapping[str, Sequence[tuple[float, int]]]
) -> None:
    """Draw latency (seconds) and lag (messages) by the hour of the day.

    Args:
        path: where the file goes; a second one, `<name>-lag.svg`, beside it.
        latency: (hour of the day, spread) in order.
        lag: by stage, (hour of the day, messages) in order.
    """
    told = {
        name: [(hour, value / 1000) for hour, found in latency if (value := getattr(found, field))]
        for name, field in (("p50", "p50_ms"), ("p95", "p95_ms"), ("p99", "p99_ms"))
    }
    _draw(path, "Latency from the intended time", "seconds", told)
    _draw(path.with_name(f"{path.stem}-lag.svg"), "Messages behind, by stage", "messages", lag)


def _draw(path: Path, title: str, up: str, lines: Mapping[str, Line]) -> None:
    """Write one picture. Its library is imported here: a run without pictures does without it."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDE, HIGH), layout="tight")
    axes = figure.subplots()
    for name, values in lines.items():
        axes.plot([hour for hour, _ in values], [value for _, value in values], marker=".", label=name)
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_xlabel("hour of the day")
    axes.set_ylabel(up)
    axes.set_xlim(0, HOURS)
    axes.set_xticks(range(0, HOURS + 1, 2))
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, color="#e4e4e4", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    if lines:
        axes.legend(frameon=False)
    with mpl.rc_context({"svg.hashsalt": "sluice", "svg.fonttype": "none"}):
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
