"""How far rigid registrations may start, and the ways of agents."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.viz import new_figure

_SUCCESS = 8.0  # mm
_BINS = 6


def capture(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """Success against the size of the start.

    Args:
        curves: by method, the error in mm of each start and what was left of it.
        path: of the picture.
    """
    figure, axes = new_figure(1, 1, 4.5)
    axis = np.ravel(axes)[0]
    _ticks(axis)
    everything = np.concatenate([starts for starts, _ in curves.values()])
    edges = np.unique(np.quantile(everything, np.linspace(0, 1, _BINS + 1)))
    for name, (starts, errors) in curves.items():
        which = np.clip(np.searchsorted(edges, starts, "right") - 1, 0, len(edges) - 2)
        bins = [k for k in range(len(edges) - 1) if (which == k).any()]
        middle = [starts[which == k].mean() for k in bins]
        share = [100 * (errors[which == k] < _SUCCESS).mean() for k in bins]
        axis.plot(middle, share, "o-", markersize=3, label=name)
    axis.set_xlabel("error of the start (mm)", fontsize=8)
    axis.set_ylabel(f"below {_SUCCESS:g} mm (%)", fontsize=8)
    axis.set_ylim(-3, 103)
    axis.legend(fontsize=6)
    figure.savefig(path, dpi=120)


def walks(paths: Mapping[str, Sequence[tuple[Any, Any]]], path: Path) -> None:
    """The error of every pose on the way, a panel per group.

    Args:
        paths: by group, cases with what an agent found, see ``benchmarks.methods.walkers``.
        path: of the picture.
    """
    figure, axes = new_figure(1, len(paths), 3.0)
    for axis, (group, found) in zip(np.ravel(axes), paths.items(), strict=True):
        for case, answer in found:
            axis.plot([case.error(points) for points in on_the_way(case, answer)], linewidth=1)
        axis.axhline(_SUCCESS, color="black", linewidth=0.6, linestyle=":")
        axis.set_title(group, fontsize=9)
        axis.set_xlabel("step", fontsize=8)
        _ticks(axis)
    np.ravel(axes)[0].set_ylabel("mean error of points (mm)", fontsize=8)
    figure.savefig(path, dpi=120)


def pictures(cases: Mapping[str, Any], path: Path) -> None:
    """What is registered, a column per case: the moving image, the fixed one, and across it.

    Args:
        cases: by group.
        path: of the picture.
    """
    figure, axes = new_figure(3, len(cases), 1.8)
    for column, (group, case) in zip(axes.T, cases.items(), strict=True):
        moving, fixed = case.moving.array, case.fixed.array
        planes = (
            moving[::-1, :, moving.shape[2] // 2],
            fixed[::-1, :, fixed.shape[2] // 2],
            fixed[fixed.shape[0] // 2],
        )
        for axis, plane in zip(column, planes, strict=True):
            axis.imshow(plane, cmap="gray")
        column[0].set_title(group, fontsize=8)
    for axis, name in zip(axes[:, 0], ("moving", "fixed", "fixed, across"), strict=True):
        axis.set_ylabel(name, fontsize=8)
    figure.savefig(path, dpi=120)


def on_the_way(case: Any, answer: Any) -> list[np.ndarray]:
    """Where each pose takes the points of a case, LPS mm; the fixed image is the reference."""
    middle = case.fixed.geometry.centre
    places = (case.points - middle)[:, ::-1]
    steps = int(answer.steps)
    found = []
    for pose in answer.poses[: steps + 1].astype("float64"):
        # The pose takes moving points onto fixed ones.
        back = (places - pose[:, 3]) @ np.linalg.inv(pose[:, :3]).T
        found.append(back[:, ::-1] + middle)
    return found


def _ticks(axis: Any) -> None:
    """As a new figure has none."""
    from matplotlib.ticker import MaxNLocator

    for one in (axis.xaxis, axis.yaxis):
        one.set_major_locator(MaxNLocator(6))
    axis.tick_params(labelsize=7)
