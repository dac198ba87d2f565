"""Whether a correlation of intensities can tell where two images agree.

Where one image is a function of the other but not a rising line, as between modalities or in a
negative, a correlation leads astray and still rises; where they have nothing in common, it has
nothing to go by.
"""

from typing import Any

import numpy as np

CORRELATIONS = ("ncc", "lncc", "lncc5")  # similarities that expect a linear relation
_PLACES = 2**12  # that many voxels tell how intensities are related
_BINS = 24
_CLEAR = 0.8  # similarity from which images agree without a closer look
_INVERTED = -0.3  # a correlation from which down dark is bright
_GAP = 0.45  # by so much less than a function of the other image does a line explain
_ALIKE = 0.75  # a correlation below which much of two images is not explained
_UNLIKE = 0.15  # a correlation, and its rise, of images without anything in common


def remarks(
    images: dict[str, np.ndarray],
    start: np.ndarray | None,
    displacement: np.ndarray,
    similarity: tuple[Any, Any] | None,
    padded: np.ndarray | None = None,
) -> tuple[str, ...]:
    """What the intensities say against a correlation as similarity.

    Args:
        images: ``"fixed"`` and ``"moving"``, ``(batch, *spatial)``, and their masks if there.
        start, displacement: ``(batch, *spatial, ndim)`` in voxels, at the start (``None``: none)
            and at the end.
        similarity: NCC before and after, ``(batch,)`` each, which spare a closer look at images
            that agree; ``None``: not known.
        padded: ``(batch, 2, 2, ndim)``: the first and the last voxel of both images that are no
            padding, which agrees with itself; ``None``: there is none.

    Returns:
        A line for each pair, empty where nothing is to be said.
    """
    found = []
    before, after = similarity or (np.full(len(displacement), -np.inf),) * 2
    for index in range(len(displacement)):
        if padded is None and after[index] >= _CLEAR and before[index] > _INVERTED:
            found.append("")
            continue
        own = {name: array[index] for name, array in images.items()}
        bounds = None if padded is None else padded[index]
        ends = [
            _related(*_values(own, None if field is None else field[index], bounds))
            for field in (start, displacement)
        ]
        line = _finding(*ends)
        if not line and padded is not None and ends[1][0] < _ALIKE:
            line = (
                "what both images show beside their padding remains unlike, their correlation is "
                f"{ends[1][0]:.2f} at the end: labels may agree less than before"
            )
        found.append(line)
    return tuple(found)


def _finding(start: tuple[float, float], end: tuple[float, float]) -> str:
    """What correlation and correlation ratio, at the start and the end, come to."""
    if start[0] < _INVERTED:
        return inverted(start[0])
    gap = start[1] - max(start[0], 0.0)
    if gap > _GAP:
        return (
            f"the contrast seems to be remapped: their correlation is {start[0]:.2f} at the start, "
            f"where a function of one explains the other by {start[1]:.2f}; similarity 'mi' or "
            "'ngf' compares such images"
        )
    if max(*start, *end) < _UNLIKE:
        return (
            "the images have no structure in common: their correlation is "
            f"{start[0]:.2f} at the start and {end[0]:.2f} at the end"
        )
    return ""


def inverted(correlation: float) -> str:
    """What there is to say of a correlation at the start, if it is negative."""
    if correlation >= _INVERTED:
        return ""
    return (
        "the contrast seems to be inverted, dark in one image where the other is bright: their "
        f"correlation is {correlation:.2f} at the start; similarity 'mi' or 'ngf' compares such "
        "images"
    )


def _values(
    images: dict[str, np.ndarray],
    displacement: np.ndarray | None,
    padded: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Intensities of both images at places that both show, within their masks or bounds."""
    from scipy import ndimage

    fixed, moving = images["fixed"], images["moving"]
    step = max(1, round((fixed.size / _PLACES) ** (1 / fixed.ndim)))
    chosen = tuple(slice((n - 1) % step // 2, None, step) for n in fixed.shape)
    axes = (np.arange(n)[part] for n, part in zip(fixed.shape, chosen, strict=True))
    place = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    where = place.astype("float64") if displacement is None else place + displacement[chosen]
    kept = ((where >= 0) & (where <= np.array(moving.shape) - 1)).all(axis=-1)
    if padded is not None:
        for at, (low, high) in zip((place, where), padded, strict=True):
            kept &= ((at >= low) & (at <= high)).all(axis=-1)
    if "fixed_mask" in images:
        kept &= images["fixed_mask"][chosen] > 0
    if "moving_mask" in images:
        nearest = np.clip(np.rint(where), 0, np.array(moving.shape) - 1).astype(int)
        kept &= images["moving_mask"][tuple(np.moveaxis(nearest, -1, 0))] > 0
    moved = ndimage.map_coordinates(moving, where[kept].T, order=1, prefilter=False)
    return fixed[chosen][kept], moved


def _related(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Correlation, and the larger root of both correlation ratios, less what chance makes of it."""
    if len(first) < 4 * _BINS or np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0, 0.0
    ratio = max(_explained(first, second), _explained(second, first))
    return float(np.corrcoef(first, second)[0, 1]), ratio


def _explained(values: np.ndarray, by: np.ndarray) -> float:
    """Root of the share of variance that a function of another image explains."""
    edges = np.unique(np.quantile(by, np.linspace(0, 1, _BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, by, side="right")
    count = np.bincount(bins, minlength=len(edges) + 1)
    used = count > 0
    total = np.bincount(bins, values - values.mean(), minlength=len(edges) + 1)
    between = (total[used] ** 2 / count[used]).sum() / ((values - values.mean()) ** 2).sum()
    chance = (len(values) - 1) / (len(values) - used.sum())
    return float(np.sqrt(max(0.0, 1 - (1 - between) * chance)))
