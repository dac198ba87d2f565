"""What networks learned beside what a paper shows, a panel per network."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfreg.viz import new_figure


@dataclass(frozen=True)
class Panel:
    """One network.

    Attributes:
        title: of the panel.
        preset: whose curve is ours; of one that is not there the paper's stands alone.
        iterations: the paper's.
        ncc: the paper's; ``None`` where its figure shows none.
    """

    title: str
    preset: str
    iterations: Sequence[int]
    ncc: Sequence[float | None]


def learning_curves(
    panels: Sequence[Panel],
    shape: tuple[int, int],
    iterations: Sequence[int],
    levels: Sequence[float],
    labels: tuple[str, str],
    path: Path,
) -> None:
    """NCC on validation pairs while training, the paper's as points.

    Args:
        panels: as many as the shape has places.
        shape: rows and columns of panels.
        iterations, levels: the ticks of both axes; the latter are shown with half a step around.
        labels: what ours and the paper's are called.
        path: of the picture.
    """
    from zoo import describe, list_presets

    figure, axes = new_figure(*shape, 2.3)
    there = list_presets()
    for panel, axis in zip(panels, axes.flat, strict=True):
        if panel.preset in there:
            curve = describe(panel.preset).training["curve"]
            axis.plot(curve["iteration"], curve["ncc"], label=labels[0])
        ncc = [np.nan if value is None else value for value in panel.ncc]
        axis.plot(panel.iterations, ncc, "o", color="black", markersize=3, label=labels[1])
        axis.set_title(panel.title, fontsize=9)
        axis.set_xticks(iterations)
        axis.set_yticks(levels)
        axis.set_ylim(1.5 * levels[0] - 0.5 * levels[1], levels[-1])
        axis.tick_params(labelsize=6)
        axis.grid(alpha=0.3)
    axes[0, 0].legend(fontsize=5, loc="lower right")
    axes[0, 0].set_ylabel("NCC on validation pairs", fontsize=7)
    axes[-1, shape[1] // 2].set_xlabel("iteration", fontsize=7)
    figure.savefig(path, dpi=130)
