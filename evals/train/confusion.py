"""The picture of what a router takes for what: labelled intents against named ones, as an SVG file."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

SHOWN = 40  # intents, those with the most mistakes; more cannot be read
INCHES = 0.26  # a row
MARGIN = 3.2  # inches, for the names


def draw_confusion(confusion: Mapping[str, Mapping[str, int]], path: Path, title: str) -> None:
    """Write the picture: a row adds up to 1, the mistakes of `SHOWN` intents at most.

    Its library is imported here: training does without it.
    """
    import numpy as np
    from matplotlib.figure import Figure

    names = _shown(confusion)
    shares = np.array([_row(confusion.get(name, {}), names) for name in names]).reshape(len(names), len(names))
    side = MARGIN + INCHES * len(names)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    picture = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_xlabel("named")
    axes.set_ylabel("labelled")
    axes.set_title(title, fontsize=9)
    figure.colorbar(picture, ax=axes, shrink=0.5, label="share of the labelled")
    figure.savefig(path, format="svg", metadata={"Date": None})


def _shown(confusion: Mapping[str, Mapping[str, int]]) -> list[str]:
    wrong: Counter[str] = Counter()
    for label, row in confusion.items():
        for named, count in row.items():
            wrong.update({label: 0, named: 0} if label == named else {label: count, named: count})
    chosen = sorted(wrong, key=lambda name: (-wrong[name], name))[:SHOWN]
    return sorted(chosen)


def _row(row: Mapping[str, int], names: list[str]) -> list[float]:
    total = max(sum(row.values()), 1)
    return [row.get(name, 0) / total for name in names]
