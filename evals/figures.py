"""The pictures of an evaluation's report: each a self-contained SVG."""

import io
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evals.curves import Bin, Point
from evals.measures import Measure

WIDE, HIGH = 5.4, 4.0  # inches
INK, BAND, EVEN, WORSE = "#1f5fa8", "#9dc0e8", "#8a8a8a", "#b3261e"


def draw_reliability(bins: Sequence[Bin], title: str) -> str:
    """A reliability diagram: on the diagonal, a probability means what it says."""
    figure, axes = _canvas(title, "predicted", "found")
    axes.plot([0, 1], [0, 1], color=EVEN, linestyle="--", linewidth=1)
    most = max((found.n for found in bins), default=1)
    for found in bins:
        axes.plot([found.predicted] * 2, [found.low, found.high], color=BAND, linewidth=3, solid_capstyle="round")
        axes.scatter(found.predicted, found.found, s=18 + 110 * found.n / most, color=INK, zorder=3)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    axes.text(1.0, 0.0, "size: tickets; bar: 95 % interval", fontsize=8, color=EVEN, ha="right")
    return _svg(figure)


def draw_risk(points: Sequence[Point], promised: float) -> str:
    """The risk-coverage curve with its band, and the rate that is promised."""
    figure, axes = _canvas("Risk and coverage", "share of tickets sent, the surest drafts first", "bad, of those")
    told = [point for point in points if point.n >= 5] or list(points)  # the first few have no meaning yet
    if told:
        across = [point.coverage for point in told]
        axes.fill_between(across, [p.low for p in told], [p.high for p in told], color=BAND, alpha=0.6, linewidth=0)
        axes.plot(across, [point.risk for point in told], color=INK, linewidth=1.8)
    axes.axhline(promised, color=WORSE, linestyle="--", linewidth=1)
    axes.text(
        1.0, promised, f"{promised:.1%} ", color=WORSE, fontsize=8, va="bottom", ha="right", transform=_across(axes)
    )
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    return _svg(figure)


def draw_recall(measured: Sequence[Measure]) -> str:
    """Recall by k: of articles, and of sections, each with its interval."""
    figure, axes = _canvas("An expected source among the first k", "k", "share of tickets")
    for kind, colour, aside in (("article", INK, -0.06), ("section", WORSE, 0.06)):
        rows = [(int(row.name[len(kind) + 4 :]), row) for row in measured if _of(kind, row)]
        places = [k + aside for k, _ in rows]
        values = [row.value or 0.0 for _, row in rows]
        low = [max(0.0, value - (row.low or 0.0)) for value, (_, row) in zip(values, rows, strict=True)]
        high = [max(0.0, (row.high or 0.0) - value) for value, (_, row) in zip(values, rows, strict=True)]
        axes.errorbar(places, values, yerr=[low, high], color=colour, marker="o", capsize=3, label=kind)
        axes.set_xticks([k for k, _ in rows])
    axes.set_ylim(0, 1)
    axes.legend(frameon=False, loc="lower right")
    return _svg(figure)


def _of(kind: str, row: Measure) -> bool:
    return row.name.startswith(f"{kind}_at_") and row.name.rpartition("_")[2].isdecimal()


def _canvas(title: str, across: str, up: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDE, HIGH), layout="tight")
    axes = figure.subplots()
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(visible=True, color="#e4e4e4", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _across(axes: Axes) -> mpl.transforms.Transform:
    """x as a share of the axes, y as data."""
    return axes.get_yaxis_transform()


def _svg(figure: Figure) -> str:
    """The picture; the same points give the same bytes."""
    told = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "sluice"}):
        figure.savefig(told, format="svg", metadata={"Date": None, "Creator": None})
    return told.getvalue()
