"""Registrations from the best to the worst, with the outlines of their labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import evaluate
from benchmarks.pairs import Pair
from tfreg.viz import draw_grid, new_figure


def cases(
    pairs: list[Pair],
    label: int,
    fields: list[np.ndarray],
    dice: Sequence[float],
    method: str,
    path: Path,
) -> None:
    """Best, median and the three worst registrations: contours and deformation grids.

    Args:
        pairs: of images with labels, in a plane.
        label: the one to outline.
        fields: displacements, one per pair.
        dice: overlap, one per pair.
        method: whose they are.
        path: of the picture.
    """
    order = np.argsort(dice)
    chosen = {
        "best": order[-1],
        "median": order[len(order) // 2],
        **{f"worst {k + 1}": order[k] for k in range(min(3, len(order) - 2))},
    }
    figure, axes = new_figure(len(chosen), 4, 2.4)
    for row, (name, index) in enumerate(chosen.items()):
        pair, displacement = pairs[index], fields[index]
        moved = evaluate.warp(pair.moving, displacement)
        mask = (pair.moving_labels == label).astype("float32")
        panels = (
            (pair.moving, mask, "moving"),
            (pair.fixed, (pair.fixed_labels == label).astype("float32"), "fixed"),
            (moved, evaluate.warp(mask, displacement), f"moved, Dice {dice[index]:.3f}"),
        )
        for axis, (image, contour, title) in zip(axes[row], panels, strict=False):
            axis.imshow(image, cmap="gray")
            axis.contour(contour, [0.5], colors="tab:orange", linewidths=0.9)
            axis.set_title(title, fontsize=7)
        axes[row, 2].contour(panels[1][1], [0.5], colors="tab:cyan", linewidths=0.9)
        draw_grid(axes[row, 3], displacement)
        axes[row, 3].set_title(
            f"x + u(x), folded {evaluate.folding(displacement):.2f} %", fontsize=7
        )
        axes[row, 0].set_ylabel(f"{name}\n{pair.name}", fontsize=6)
    figure.suptitle(
        f"{method}: label of the moved (orange) and of the fixed image (blue)", fontsize=9
    )
    figure.savefig(path, dpi=130)


def outlines(
    pairs: Sequence[Pair],
    labels: Sequence[int],
    fields: Mapping[str, Sequence[np.ndarray]],
    dice: Mapping[str, Sequence[float]],
    path: Path,
) -> None:
    """Best, median and worst registration: labels of the fixed and of the moved image by method.

    Args:
        pairs: of volumes with labels.
        labels: those to outline.
        fields: displacements by method, one per pair; the last method decides which are shown.
        dice: overlap by method, one per pair.
        path: of the picture.
    """
    shown = list(fields)
    order = np.argsort(np.nan_to_num(dice[shown[-1]]))
    # One or two registrations have no median apart from the best and the worst.
    places = {"worst": order[0], "median": order[len(order) // 2], "best": order[-1]}
    names = {int(index): name for name, index in places.items()}
    chosen = dict(reversed(names.items()))
    figure, axes = new_figure(len(chosen), len(shown), 2.4)
    for row, (index, name) in enumerate(chosen.items()):
        pair = pairs[index]
        where = np.argwhere(np.isin(pair.fixed_labels, labels))
        box = (
            int(where[:, 0].mean()),
            *(slice(max(a - 10, 0), b + 11) for a, b in zip(*_range(where[:, 1:]), strict=True)),
        )
        for axis, method in zip(axes[row], shown, strict=True):
            axis.imshow(pair.fixed[box], cmap="gray")
            for label in labels:
                mask = (pair.moving_labels == label).astype("float32")
                _outline(axis, (pair.fixed_labels == label)[box], "tab:cyan")
                _outline(axis, evaluate.warp(mask, fields[method][index])[box], "tab:orange")
            axis.set_title(f"{method}, Dice {dice[method][index]:.3f}", fontsize=7)
        axes[row, 0].set_ylabel(f"{name}\n{pair.name}", fontsize=6)
    figure.suptitle("labels of the fixed (blue) and of the moved image (orange)", fontsize=9)
    figure.savefig(path, dpi=130)


def _range(where: np.ndarray) -> tuple[list[int], list[int]]:
    return where.min(axis=0).tolist(), where.max(axis=0).tolist()


def _outline(axis: Any, mask: np.ndarray, colour: str) -> None:
    if mask.min() < 0.5 < mask.max():
        axis.contour(mask, [0.5], colors=colour, linewidths=0.9)
