"""The figures of spatial transformer networks: what they are given, and where they look."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.viz import new_figure
from zoo.stn.model import Straightened

COLUMNS, ROWS = 10, 2
_LINES = 6  # of a grid, each way


def examples(images: Mapping[str, np.ndarray], path: Path) -> None:
    """Scenes of each kind, a row each; channels side by side.

    Args:
        images: ``(n, height, width, channels)`` by kind of scene.
        path: where the figure goes.
    """
    figure, axes = new_figure(len(images), COLUMNS, 1.0)
    for row, (kind, some) in zip(axes, images.items(), strict=True):
        row[0].set_ylabel(kind, fontsize=7)
        for axis, image in zip(row, some, strict=False):
            _show(axis, image)
    figure.savefig(path, dpi=200)


def grids(
    images: Mapping[str, np.ndarray], answers: Mapping[tuple[str, str], Straightened], path: Path
) -> None:
    """As in the paper: the input with the grid that was found, and what the classifier saw.

    Args:
        images: as in :func:`examples`.
        answers: to the first of them, by kind of scene and network.
        path: where the figure goes.
    """
    names = list(dict.fromkeys(name for _, name in answers))
    figure, axes = new_figure(ROWS * len(images), 2 * len(names), 1.1)
    for block, (kind, some) in enumerate(images.items()):
        for number, name in enumerate(names):
            answer = answers[kind, name]
            for k in range(min(ROWS, len(some))):
                left, right = axes[ROWS * block + k, 2 * number : 2 * number + 2]
                _show(left, some[k].max(axis=-1, keepdims=True))
                _show(right, answer.seen[k])
                for grid in answer.grid[k]:
                    _draw(left, grid)
            axes[ROWS * block, 2 * number].set_title(name, fontsize=6, pad=1)
        axes[ROWS * block, 0].set_ylabel(kind, fontsize=7)
    figure.savefig(path, dpi=200)


def _draw(axis: Any, grid: np.ndarray) -> None:
    """A few lines of a grid ``(height, width, 2)``."""
    for along in (0, 1):
        for k in np.linspace(0, grid.shape[along] - 1, _LINES).astype(int):
            rows, columns = np.moveaxis(grid.take(k, along), -1, 0)
            axis.plot(columns, rows, color="tab:red", linewidth=0.4)


def _show(axis: Any, image: np.ndarray) -> None:
    """The channels of an image side by side."""
    flat = np.concatenate(np.moveaxis(image, -1, 0), axis=1)
    axis.imshow(flat, cmap="gray", vmin=0)
    axis.set_xlim(-0.5, flat.shape[1] - 0.5)
    axis.set_ylim(flat.shape[0] - 0.5, -0.5)
