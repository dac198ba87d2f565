"""What one registration is worth: overlap, surfaces, landmarks, the true map, folding."""

import numpy as np

from benchmarks import evaluate
from benchmarks.pairs import Pair

Labels = dict[str, int | tuple[int, ...]]

_UNITS = {
    "hd95": "mm",
    "msd": "mm",
    "tre": "mm",
    "tre_median": "mm",
    "tre_trimmed": "mm",
    "tre p95": "mm",
    "error": "mm",
    "error p95": "mm",
    "error voxels": "voxels",
    "error p95 voxels": "voxels",
    "error_to_lo": "mm",
    "gap_closed": "%",
    "inverse": "mm",
    "diffeomorphic": "%",
    "folding": "%",
    "seconds": "s",
    "seconds_batched": "s",
    "seconds_cold": "s",
    "compile": "s",
    "peak_mib": "MiB",
}


def unit_of(metric: str, length: str = "mm") -> str:
    """The unit of what is measured; ``"1"`` of what has none, such as an overlap.

    Args:
        metric: its name.
        length: the unit of the pairs, for distances.

    Example:

    >>> from benchmarks.judge import unit_of
    >>> unit_of("hd95", "px"), unit_of("dice anterior")
    ('px', '1')
    """
    unit = _UNITS.get(metric, "1")
    return length if unit == "mm" else unit


def judge(
    pair: Pair, displacement: np.ndarray, labels: Labels, surfaces: bool = False
) -> dict[str, list[float]]:
    """The figures of one registration; the displacement is all that is looked at.

    Where a pair has a mask, nothing outside it counts. Where a label is in neither image there is
    nothing to measure: NaN. Of several labels those count that both images have.

    Args:
        pair: the images and what is known of them.
        displacement: ``(*spatial, ndim)`` in voxels.
        labels: the label whose Dice is taken, by metric; the mean of several is that of their Dice.
        surfaces: whether the distances of surfaces are taken, of the first metric of ``labels``.
    """
    from tfreg import metrics

    mask = None if pair.fixed_mask is None else pair.fixed_mask > 0
    found: dict[str, list[float]] = {}
    moved = None
    if labels and pair.fixed_labels is not None:
        moved = evaluate.warp_labels(pair.moving_labels, displacement)
    for metric, label in labels.items() if moved is not None else ():
        chosen = [label]
        if isinstance(label, tuple):
            there = {*np.unique(pair.fixed_labels)} & {*np.unique(pair.moving_labels)}
            chosen = [one for one in label if one in there]
        masks = [_both(pair, moved, one, mask) for one in chosen]
        found[metric] = _mean(
            metrics.dice(fixed.astype(int), other.astype(int), [1])[1] for fixed, other in masks
        )
        if surfaces and "hd95" not in found:
            found["hd95"] = _mean(metrics.hausdorff95(*both, pair.spacing) for both in masks)
            found["msd"] = _mean(
                metrics.mean_surface_distance(*both, pair.spacing) for both in masks
            )
            found["sd log J"] = [metrics.sd_log_jacobian(displacement, mask)]
    if pair.fixed_points is not None:
        error = metrics.target_registration_error(
            pair.fixed_points, pair.moving_points, displacement, pair.spacing
        )
        found["tre"] = list(map(float, error))
        # A landmark that is off with every method decides a mean, but not these two.
        found["tre_median"] = [float(np.median(error))]
        found["tre_trimmed"] = [float(np.sort(error)[:-1].mean())]
        found["tre p95"] = [float(np.percentile(error, 95))]
    if pair.truth is not None:
        miss = displacement - pair.truth
        miss = miss.reshape(-1, miss.shape[-1]) if mask is None else miss[mask]
        for size, unit in ((np.array(pair.spacing), ""), (1.0, " voxels")):
            error = np.linalg.norm(miss * size, axis=-1)
            found[f"error{unit}"] = [float(error.mean())]
            found[f"error p95{unit}"] = [float(np.percentile(error, 95))]
    if mask is None:
        found["ncc"] = [evaluate.ncc(pair.fixed, evaluate.warp(pair.moving, displacement))]
    found["folding"] = [evaluate.folding(displacement, mask)]
    return found


def _both(
    pair: Pair, moved_labels: np.ndarray, label: int, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """A label in the fixed image and as it is moved."""
    fixed, moved = pair.fixed_labels == label, moved_labels == label
    return (fixed, moved) if mask is None else (fixed & mask, moved & mask)


def _mean(values) -> list[float]:
    values = list(values)
    return [float(np.mean(values)) if values else float("nan")]
