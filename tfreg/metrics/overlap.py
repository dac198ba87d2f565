"""Overlap of label maps."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from tfreg.metrics._checks import as_label_list, as_labels


def dice(
    fixed_labels: ArrayLike, moved_labels: ArrayLike, labels: Sequence[int] | None = None
) -> dict[int, float]:
    """``2 |F ∩ M| / (|F| + |M|)`` per label, of the fixed and the moved label map.

    Args:
        fixed_labels: integer array ``(*spatial)``.
        moved_labels: integer array of the same shape, on the fixed grid.
        labels: labels to measure. Default: every label other than 0 that either array has.

    Returns:
        Dice per label, in ``[0, 1]``, in the order of ``labels`` or ascending. A label that one of
        the arrays lacks has 0; one that both lack (possible only if asked for) has NaN.

    Raises:
        ValueError: if the shapes differ, or values or ``labels`` are no integers.

    Example:

    >>> from tfreg import metrics
    >>> metrics.dice([[1, 1, 0], [2, 0, 0]], [[1, 0, 0], [0, 0, 3]])
    {1: 0.6666666666666666, 2: 0.0, 3: 0.0}

    Reference:
        Dice, Measures of the amount of ecologic association between species, Ecology 26(3), 1945.
    """
    return _scores(fixed_labels, moved_labels, labels, lambda fixed, moved: (fixed + moved) / 2)


def target_overlap(
    fixed_labels: ArrayLike, moved_labels: ArrayLike, labels: Sequence[int] | None = None
) -> dict[int, float]:
    """``|F ∩ M| / |F|`` per label, of the fixed (target) and the moved label map.

    Args:
        fixed_labels, moved_labels, labels: as in :func:`dice`.

    Returns:
        Overlap per label, in ``[0, 1]``, in the order of ``labels`` or ascending; NaN for a label
        that the fixed array lacks.

    Raises:
        ValueError: as :func:`dice`.

    Example:

    >>> from tfreg import metrics
    >>> metrics.target_overlap([[1, 1, 0], [2, 0, 0]], [[1, 0, 0], [0, 0, 3]])
    {1: 0.5, 2: 0.0, 3: nan}

    Reference:
        Klein et al., Evaluation of 14 nonlinear deformation algorithms applied to human brain MRI
        registration, NeuroImage 46(3), 2009.
    """
    return _scores(fixed_labels, moved_labels, labels, lambda fixed, moved: fixed)


def _scores(
    fixed_labels: ArrayLike,
    moved_labels: ArrayLike,
    labels: Sequence[int] | None,
    whole: Callable[[int, int], float],
) -> dict[int, float]:
    """What both share of each label, over a number made of how many voxels either has."""
    fixed = as_labels(fixed_labels, "fixed_labels")
    moved = as_labels(moved_labels, "moved_labels", fixed.shape)
    in_fixed, in_moved, in_both = (
        dict(zip(*(part.tolist() for part in np.unique(values, return_counts=True)), strict=True))
        for values in (fixed, moved, fixed[fixed == moved])
    )
    chosen = sorted({*in_fixed, *in_moved} - {0}) if labels is None else as_label_list(labels)
    scores = {}
    for label in chosen:
        total = whole(in_fixed.get(label, 0), in_moved.get(label, 0))
        scores[label] = in_both.get(label, 0) / total if total else float("nan")
    return scores
