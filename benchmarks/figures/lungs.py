"""Lungs before and after, and how far their landmarks, or all of them, are off."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import evaluate
from benchmarks.pairs import Pair
from tfreg.viz import new_figure


def landmarks(pair: Pair, fields: dict[str, np.ndarray], path: Path) -> None:
    """Checkerboards of fixed and moved, and the landmarks in millimetres, largest first."""
    names = list(fields)
    figure, axes = new_figure(2, len(names), 3.0)
    middle = pair.fixed.shape[1] // 2
    aspect = pair.spacing[0] / pair.spacing[2]
    for column, name in enumerate(names):
        moved = evaluate.warp(pair.moving, fields[name])
        board = np.add.outer(np.arange(len(moved)) // 16, np.arange(moved.shape[2]) // 16) % 2
        picture = np.where(board, pair.fixed[:, middle], moved[:, middle])
        axes[0, column].imshow(picture[::-1], cmap="gray", aspect=aspect)
        axes[0, column].set_title(name, fontsize=8)
        _bars(axes[1, column], pair, fields[name])
    axes[1, 0].set_ylabel("landmark error (mm)", fontsize=7)
    figure.savefig(path, dpi=130)


def _bars(axis: Any, pair: Pair, displacement: np.ndarray) -> None:
    """Draws the errors of all landmarks in millimetres, largest first."""
    from tfreg import metrics

    error = metrics.target_registration_error(
        pair.fixed_points, pair.moving_points, displacement, pair.spacing
    )
    axis.set_axis_on()
    axis.bar(np.arange(len(error)), np.sort(error)[::-1], color="tab:blue")
    axis.set_title(f"mean {error.mean():.2f} mm", fontsize=8)
    axis.set_ylim(0, 15)
    axis.set_yticks(range(0, 16, 5))
    axis.tick_params(labelsize=6)


def coronal(pair: Pair, fields: dict[str, np.ndarray], path: Path) -> None:
    """Before and after: a coronal slice of both images and, below, how far each is off."""
    figure, axes = new_figure(2, len(fields), 3.0)
    inside = np.ones(pair.fixed.shape) if pair.fixed_mask is None else pair.fixed_mask
    middle = round(float(np.argwhere(inside)[:, 1].mean()))
    aspect = pair.spacing[0] / pair.spacing[2]
    low, high = pair.fixed.min(), pair.fixed.max()
    for column, (method, displacement) in enumerate(fields.items()):
        moved = evaluate.warp(pair.moving, displacement)
        sides = [(image[:, middle] - low) / (high - low) for image in (moved, pair.fixed)]
        axis = axes[0, column]
        # Moved in orange, fixed in blue: grey where they agree.
        picture = np.stack([sides[0], sum(sides) / 2, sides[1]], axis=-1)
        axis.imshow(np.clip(picture, 0, 1), aspect=aspect, origin="lower")
        axis.set_title(method, fontsize=8)
        axis = axes[1, column]
        if pair.truth is not None:
            off = np.linalg.norm((displacement - pair.truth) * np.array(pair.spacing), axis=-1)
            off = np.where(inside > 0, off, np.nan)
            axis.imshow(off[:, middle], aspect=aspect, origin="lower", vmin=0, vmax=10)
            axis.set_title(f"mean {np.nanmean(off):.2f} mm (yellow: 10)", fontsize=8)
        else:
            _near(axes[0, column], pair, displacement, middle)
            _bars(axis, pair, displacement)
    axes[0, 0].set_ylabel("moved (orange) on fixed (blue)", fontsize=7)
    axes[1, 0].set_ylabel(
        "error (mm)" if pair.truth is not None else "landmark error (mm)", fontsize=7
    )
    figure.savefig(path, dpi=130)


def _near(axis: Any, pair: Pair, displacement: np.ndarray, middle: int) -> None:
    """Draws what is left of the way of landmarks near the slice."""
    near = np.abs(pair.fixed_points[:, 1] - middle) * pair.spacing[1] < 15
    places = pair.fixed_points[near]
    index = tuple(np.rint(places).astype(int).T)
    for place, rest in zip(
        places, pair.moving_points[near] - places - displacement[index], strict=True
    ):
        ends = np.stack([place, place + rest])[:, [2, 0]]
        axis.plot(*ends.T, color="lime", linewidth=1)
        axis.plot(*ends[0], ".", color="lime", markersize=3)
