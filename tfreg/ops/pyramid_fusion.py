"""Two images as one, level by level of their Laplacian pyramids."""

from typing import Any

from keras import ops

from tfreg.ops.laplacian import collapse_laplacian, gaussian_pyramid, laplacian_pyramid
from tfreg.ops.precision import same_dtype

_EPSILON = 2.0**-52


def fuse_pyramids(
    first: Any, second: Any, weight: Any, threshold: float = 0.6, levels: int | None = None
) -> Any:
    """Fuses two images by their Laplacian pyramids and the Gaussian pyramid of a weight.

    On every level, the coarsest too, with ``A`` and ``B`` the pyramids of the images, ``W`` that of
    the weight, and sums over 3x3 pixels::

        E_A = sum A^2,  E_B = sum B^2,  M = 2 sum A B / (E_A + E_B)

        F = W A + (1 - W) B          where M > threshold: both show the same
        F = A if E_A > E_B else B    elsewhere: the one that shows more

    Beyond its border a level is mirrored about its outermost pixels; diagonally beyond its corners
    there is nothing.

    Args:
        first, second: tensors ``(batch, height, width, channels)`` of one known shape; channels are
            fused apart.
        weight: tensor ``(batch, height, width, 1)`` in [0, 1]: how much of the first image.
        threshold: of the match measure ``M``, which is in [-1, 1].
        levels: of the pyramids; None: as many as there can be.

    Returns:
        Tensor of the shape of the images; where these are in [0, 1] it may be a little beyond.

    Raises:
        ValueError: on shapes that do not fit.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> image = np.random.default_rng(0).random((1, 20, 31, 1)).astype("float32")
    >>> fused = ops.fuse_pyramids(image, image, np.full_like(image, 0.3))
    >>> bool(np.abs(fused - image).max() < 1e-6)
    True

    Reference:
        P. Burt and R. Kolczynski, Enhanced image capture through fusion, ICCV 1993; with the weight
        of Y. Liu, X. Chen, J. Cheng and H. Peng, A medical image fusion method based on
        convolutional neural networks, FUSION 2017.
    """
    first, second, weight = same_dtype(first, second, weight)
    shape = tuple(first.shape)
    if len(shape) != 4 or tuple(second.shape)[1:] != shape[1:]:
        raise ValueError(
            "first and second must be (batch, height, width, channels) of one shape. "
            f"Received: first.shape={shape}, second.shape={tuple(second.shape)}"
        )
    if tuple(weight.shape)[1:] != (*shape[1:3], 1):
        raise ValueError(
            f"weight must be (batch, {shape[1]}, {shape[2]}, 1). "
            f"Received: weight.shape={tuple(weight.shape)}"
        )
    pyramids = (
        laplacian_pyramid(first, levels),
        laplacian_pyramid(second, levels),
        gaussian_pyramid(weight, levels),
    )
    fused = [_fused(a, b, w, threshold) for a, b, w in zip(*pyramids, strict=True)]
    return collapse_laplacian(fused)


def _fused(first: Any, second: Any, weight: Any, threshold: float) -> Any:
    """One level."""
    energies = [_summed(level * level) for level in (first, second)]
    match = 2 * _summed(first * second) / (energies[0] + energies[1] + _EPSILON)
    stronger = ops.where(energies[0] > energies[1], first, second)
    mixed = weight * first + (1 - weight) * second
    return ops.where(match > threshold, mixed, stronger)


def _summed(level: Any) -> Any:
    """Sums over 3x3 pixels."""
    rows, columns = level.shape[1:3]
    if min(rows, columns) == 1:
        raise ValueError(
            "A level must have two pixels per axis, to be mirrored. "
            f"Received: {rows} x {columns} pixels"
        )
    sides = [(0, 0), (0, 0), (1, 1), (0, 0)]
    middle = ops.concatenate([level[:, :, 1:2], level, level[:, :, -2:-1]], axis=2)
    above, below = (ops.pad(level[:, row : row + 1], sides) for row in (1, rows - 2))
    wide = ops.concatenate([above, middle, below], axis=1)
    sums = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
    return sums[:, :, :-2] + sums[:, :, 1:-1] + sums[:, :, 2:]
