"""Paired differences: how much one method gains on another, on the same registrations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 10_000


@dataclass(frozen=True)
class Difference:
    """A method less a reference, with its 95 % interval.

    Attributes:
        method, reference, metric, unit: what is compared.
        mean: of the differences over all registrations that have both values.
        low, high: the interval.
        n: number of those registrations.
        clusters: number of what is drawn for the interval.
        resampled: what that is, as ``"patient"``.
    """

    method: str
    reference: str
    metric: str
    unit: str
    mean: float
    low: float
    high: float
    n: int
    clusters: int
    resampled: str


def paired(
    values: Mapping[str, Sequence[float]],
    reference: str,
    clusters: Sequence[str],
    metric: str,
    unit: str = "1",
    resampled: str = "patient",
    seed: int = 0,
) -> list[Difference]:
    """Differences of every method to a reference, with intervals from a bootstrap by cluster.

    The registrations of one patient resemble each other, so that patients are drawn, with all that
    is theirs: the interval is from the 2.5th to the 97.5th percentile of the mean difference over
    10,000 draws. A registration that has no value for one of both (NaN) does not count.

    Args:
        values: by method, one value per registration, in one order.
        reference: a key of ``values``.
        clusters: whose each registration is.
        metric, unit, resampled: for :class:`Difference`.
        seed: of the draws, which are the same for all methods.

    Returns:
        One difference per other method, in their order; none of a method where fewer than two
        clusters have both values, which say nothing of the spread.

    Example:

    >>> from benchmarks.paired import paired
    >>> values = {"ours": [0.8, 0.9, 0.7], "theirs": [0.7, 0.8, 0.6]}
    >>> (found,) = paired(values, "theirs", ["a", "a", "b"], "dice")
    >>> found.method, round(found.mean, 3), round(found.low, 3), round(found.high, 3)
    ('ours', 0.1, 0.1, 0.1)
    """
    names, members = np.unique(np.asarray(clusters), return_inverse=True)
    base = np.asarray(values[reference], float)
    found = []
    for method, own in values.items():
        if method == reference:
            continue
        off = np.asarray(own, float) - base
        there = ~np.isnan(off)
        counts = np.bincount(members[there], minlength=len(names))
        sums = np.bincount(members[there], off[there], len(names))
        known = counts > 0
        size = int(known.sum())
        if size < 2:
            continue
        drawn = np.random.default_rng(seed).integers(size, size=(DRAWS, size))
        means = sums[known][drawn].sum(axis=1) / counts[known][drawn].sum(axis=1)
        low, high = np.percentile(means, (2.5, 97.5))
        numbers = (float(f"{value:.6g}") for value in (off[there].mean(), low, high))
        found.append(
            Difference(method, reference, metric, unit, *numbers, int(there.sum()), size, resampled)
        )
    return found
