"""Deformed grids of one pair, and how far each map is from another one."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks import evaluate
from benchmarks.pairs import Pair
from tfreg.viz import draw_grid, new_figure


def grids(
    pairs: Sequence[Pair],
    fields: Mapping[str, Sequence[np.ndarray]],
    reference: str,
    path: Path,
) -> None:
    """A row per method: moved image, what is left of the difference, grid, distance.

    Shown is the pair whose distance from the reference is the median of the first method that has
    one; of volumes the middle slice along the first axis, and its two components within.

    Args:
        pairs: the pairs.
        fields: by method, displacements in voxels, one per pair.
        reference: the method from whose displacements the distances are.
        path: of the picture.
    """
    others = [method for method in fields if method not in (reference, "none")]
    both = zip(fields[others[0]], fields[reference], strict=True)
    apart = [_distances(one, two).mean() for one, two in both]
    index = int(np.argsort(apart)[len(apart) // 2])
    pair = pairs[index]
    middle = () if pair.fixed.ndim == 2 else (pair.fixed.shape[0] // 2,)
    largest = max(_distances(fields[m][index], fields[reference][index]).max() for m in others)
    half = max(float(np.ptp(image)) for image in (pair.fixed, pair.moving)) / 2
    figure, axes = new_figure(len(fields), 4, 2.2)
    for row, (method, found) in zip(axes, fields.items(), strict=True):
        moved = evaluate.warp(pair.moving, found[index])
        row[0].imshow(moved[middle], cmap="gray")
        row[1].imshow((moved - pair.fixed)[middle], cmap="RdBu", vmin=-half, vmax=half)
        draw_grid(row[2], found[index][middle][..., -2:])
        distance = _distances(found[index], fields[reference][index])[middle]
        row[3].imshow(distance, cmap="magma", vmin=0, vmax=max(largest, 1e-6))
        row[0].set_ylabel(method, fontsize=7)
    titles = ("moved", "moved less fixed", "x + u(x)", f"distance to {reference}")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=8)
    figure.suptitle(f"{pair.name}; distances up to {largest:.1f} voxels", fontsize=9)
    figure.savefig(path, dpi=130)


def _distances(field: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.linalg.norm(field - other, axis=-1)
