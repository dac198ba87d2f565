"""The update of diffeomorphic demons: forces of every channel, and what smooths them."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.ops.separable import apply_per_axis

GRADIENTS = ("symmetric", "fixed", "moved")
_LEAST = 1e-9  # a denominator below which there is no force
_CUT = 0.1  # share of a kernel that is cut off, as ITK does
_WIDEST = 30  # voxels of a kernel


def force(
    fixed: Any,
    moved: Any,
    spacing: Sequence[float],
    step_length: float,
    gradient: str = "symmetric",
) -> Any:
    """Mean over channels of ``2 (f - m) g / (|g|^2 + (f - m)^2 / K)``.

    ``g`` is ``grad f + grad m`` (the efficient second-order minimisation of demons), or twice one
    of both; ``K`` is the mean square of the voxel's edges times ``step_length^2``, so that no
    channel moves a voxel by more than that.

    Args:
        fixed, moved: tensors ``(batch, *spatial, channels)``.
        spacing: size of a voxel per axis.
        step_length: largest step, in voxels.
        gradient: ``"symmetric"``, ``"fixed"`` or ``"moved"``.

    Returns:
        Tensor ``(batch, *spatial, ndim)`` in voxels, array-axis order.

    Example:

    >>> import numpy as np
    >>> from tfreg.registration.described.force import force
    >>> slope = np.tile(np.arange(8, dtype="float32"), (6, 1))[None, ..., None]
    >>> step = force(slope + 0.3, slope, (1.0, 1.0), step_length=2.0)
    >>> round(float(step[0, 3, 4, 1]), 3)  # of two slopes of 1, a shift of 0.3
    0.298

    Reference:
        T. Vercauteren, X. Pennec, A. Perchant and N. Ayache, Diffeomorphic demons: efficient
        non-parametric image registration, NeuroImage 45(1), 2009.
    """
    ndim = len(fixed.shape) - 2
    difference = fixed - moved
    slopes = []
    for axis, size in enumerate(spacing):
        sides = {
            "symmetric": lambda a: ops.field.gradient(fixed + moved, a),
            "fixed": lambda a: 2 * ops.field.gradient(fixed, a),
            "moved": lambda a: 2 * ops.field.gradient(moved, a),
        }
        slopes.append(sides[gradient](axis + 1) / size)
    square = difference * difference / (step_length**2 * float(np.mean(np.square(spacing))))
    for slope in slopes:
        square = square + slope * slope
    some = square > _LEAST
    factor = keras_ops.where(some, 2 * difference / keras_ops.where(some, square, 1.0), 0.0)
    parts = [keras_ops.mean(factor * slopes[axis], axis=-1) / spacing[axis] for axis in range(ndim)]
    return keras_ops.stack(parts, axis=-1)


def squarings(step_length: float) -> int:
    """How often a step is halved before it is exponentiated: to a quarter of a voxel, as in ITK."""
    return max(0, math.ceil(2 + math.log2(step_length)))


def smoothed(displacement: Any, sigma: float) -> Any:
    """A displacement after the discrete Gaussian of ITK's demons along every axis.

    Its weights are those of a diffusion on the grid of voxels, ``exp(-s^2) I_n(s^2)``, of which a
    tenth is cut off at both ends; at the border the last voxel is repeated.

    Args:
        displacement: tensor ``(batch, *spatial, ndim)``.
        sigma: standard deviation in voxels; 0 leaves it as it is.
    """
    if not sigma:
        return displacement
    return apply_per_axis(displacement, [_matrix(n, sigma) for n in displacement.shape[1:-1]])


@functools.lru_cache(maxsize=16)
def weights_of(sigma: float) -> np.ndarray:
    """The kernel of :func:`smoothed`, of odd length, with a sum of 1."""
    from scipy import special

    variance = sigma**2
    half = [float(special.ive(0, variance))]
    total = half[0]
    while total < 1 - _CUT and len(half) <= _WIDEST:
        half.append(float(special.ive(len(half), variance)))
        total += 2 * half[-1]
    return np.array([*half[:0:-1], *half]) / total


@functools.lru_cache(maxsize=64)
def _matrix(size: int, sigma: float) -> np.ndarray:
    weights = weights_of(sigma)
    reach = len(weights) // 2
    matrix = np.zeros((size, size))
    rows = np.arange(size)
    for offset, weight in zip(range(-reach, reach + 1), weights, strict=True):
        np.add.at(matrix, (rows, np.clip(rows + offset, 0, size - 1)), weight)
    return matrix
