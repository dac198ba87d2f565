"""Accuracy against time, a point per method."""

from collections.abc import Container
from pathlib import Path
from typing import Any

from benchmarks.harness import Table
from tfreg.viz import new_figure


def pareto(table: Table, metric: str, ours: Container[str], path: Path) -> None:
    """Accuracy against time: every method a point, ours also in batches.

    Args:
        table: with rows of ``seconds`` over all pairs.
        metric: the accuracy.
        ours: the methods of this library.
        path: of the picture.
    """
    from matplotlib.ticker import AutoLocator, LogLocator

    figure, axes = new_figure(1, 1, 5.0)
    figure.set_size_inches(8, 4.6)
    axis = axes[0, 0]
    cells = {(row.method, row.metric): row for row in table.rows if row.group == "all"}
    unit = next(row.unit for row in table.rows if row.metric == metric)
    kinds = (  # marker and colour
        ("seconds", True, "tfreg, one at a time", "o", "tab:blue"),
        ("seconds_batched", True, "tfreg, in batches", "s", "tab:green"),
        ("seconds", False, "others", "o", "tab:orange"),
    )
    labels = []
    for time, is_ours, kind, marker, colour in kinds:
        methods = dict.fromkeys(row.method for row in table.rows if (row.method, time) in cells)
        chosen = [m for m in methods if (m in ours) == is_ours and (m, metric) in cells]
        points = [(cells[m, time].median, cells[m, metric].mean) for m in chosen]
        if points:
            axis.semilogx(*zip(*points, strict=True), marker, color=colour, label=kind)
        labels += [
            (p, m.removeprefix("tfreg "), colour) for p, m in zip(points, chosen, strict=True)
        ]
    without = cells.get(("none", metric))
    if without is not None:
        axis.plot([], [], " ", label=f"no registration: {without.mean:.3g}")
    axis.set_xlabel("seconds per pair (log)")
    axis.set_ylabel(f"mean {metric} ({unit})".replace(" (1)", ""))
    axis.set_title(table.data, fontsize=9)
    axis.margins(x=0.15, y=0.15)
    axis.xaxis.set_major_locator(LogLocator())
    axis.yaxis.set_major_locator(AutoLocator())
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7, loc="best")
    _annotate(figure, axis, labels)
    figure.savefig(path, dpi=130)


def _annotate(figure: Any, axis: Any, labels: list[tuple]) -> None:
    """Writes each label beside its point where it covers least of what is already there."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    taken = [axis.get_legend().get_window_extent(renderer).padded(2)]
    for point, _, _ in labels:
        x, y = axis.transData.transform(point)
        taken.append(taken[0].from_bounds(x - 4, y - 4, 8, 8))
    sides = [("left", 6), ("right", -6), ("center", 0)]
    places = [(h, dx, dy) for dy in (0, 8, -8, 16, -16) for h, dx in sides if dx or dy]
    for point, text, colour in labels:
        tried = []
        for order, (align, dx, dy) in enumerate(places):
            note = axis.annotate(
                text,
                point,
                xytext=(dx, dy),
                textcoords="offset points",
                ha=align,
                va="center",
                fontsize=7,
                color=colour,
            )
            box = note.get_window_extent(renderer)
            inside = axis.get_window_extent(renderer)
            out = not (inside.x0 < box.x0 and box.x1 < inside.x1)
            covered = sum(box.overlaps(other) for other in taken)
            tried.append(((covered + 3 * out, order), note, box))
            note.remove()
        _, note, box = min(tried, key=lambda one: one[0])
        axis.add_artist(note)
        taken.append(box)
