"""Gaussian and Laplacian pyramids, of which the latter gives its image back."""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfreg.ops.precision import at_least_float32
from tfreg.ops.separable import apply_per_axis

_TAPS = np.array([1, 4, 6, 4, 1]) / 16  # one voxel in two is kept


def highest_level(shape: Sequence[int]) -> int:
    """How many levels a pyramid of an image can have: ``floor(log2(n))`` of its shortest axis.

    Args:
        shape: spatial shape.

    Example:

    >>> from tfreg import ops
    >>> ops.highest_level((256, 300)), ops.highest_level((255, 300))
    (8, 7)
    """
    return max(1, int(min(shape)).bit_length() - 1)


def gaussian_pyramid(image: Any, levels: int | None = None) -> list[Any]:
    """An image, and what is left of it as one voxel in two is kept per axis, again and again.

    ``G_0 = image``, ``G_{l+1}[j] = sum_d w[d] G_l[2 j + d]`` per axis, with the taps
    ``w = (1, 4, 6, 4, 1) / 16`` and the image mirrored at its border, the outermost voxel repeated.

    Args:
        image: tensor ``(batch, *spatial, channels)`` of known spatial shape, 2-D or 3-D.
        levels: how many; None: as many as :func:`highest_level` says.

    Returns:
        As many tensors, float32, or float64 where the image is; each axis of ``n`` voxels has
        ``ceil(n / 2)`` on the next level.

    Raises:
        ValueError: if the shape is not known, or cannot have so many levels.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> [tuple(level.shape) for level in ops.gaussian_pyramid(np.ones((1, 9, 12, 1)))]
    [(1, 9, 12, 1), (1, 5, 6, 1), (1, 3, 3, 1)]
    """
    image = at_least_float32(image)
    found = [image]
    for _ in range(_checked(image, levels) - 1):
        matrices = [_reduction(size) for size in found[-1].shape[1:-1]]
        found.append(apply_per_axis(found[-1], matrices))
    return found


def laplacian_pyramid(image: Any, levels: int | None = None) -> list[Any]:
    """What each level of a Gaussian pyramid shows that the next one does not.

    ``L_l = G_l - expand(G_{l+1})``; the last level is that of the Gaussian pyramid. To expand is to
    put a zero after each voxel, and to take the same taps twice as large; beyond the border the
    outermost voxel goes on.

    Args:
        image, levels: as :func:`gaussian_pyramid`.

    Returns:
        Tensors of the shapes of :func:`gaussian_pyramid`; :func:`collapse_laplacian` gives the
        image back.

    Raises:
        ValueError: as :func:`gaussian_pyramid`.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> image = np.random.default_rng(0).random((1, 21, 34, 1)).astype("float32")
    >>> again = ops.collapse_laplacian(ops.laplacian_pyramid(image))
    >>> bool(np.abs(again - image).max() < 1e-6)
    True

    Reference:
        P. Burt and E. Adelson, The Laplacian pyramid as a compact image code, IEEE Transactions on
        Communications 31(4), 1983.
    """
    blurred = gaussian_pyramid(image, levels)
    finer = [a - _expanded(b, a.shape[1:-1]) for a, b in itertools.pairwise(blurred)]
    return [*finer, blurred[-1]]


def collapse_laplacian(pyramid: Sequence[Any]) -> Any:
    """The image of a Laplacian pyramid: ``G_l = L_l + expand(G_{l+1})``, from the last level on.

    Args:
        pyramid: of :func:`laplacian_pyramid`.

    Returns:
        Tensor of the shape of the first level.

    Raises:
        ValueError: where the levels are not those of one pyramid.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> image = np.eye(8, dtype="float32")[None, ..., None]
    >>> fine, coarse = ops.laplacian_pyramid(image, 2)
    >>> blurred = ops.collapse_laplacian([0 * fine, coarse])  # without the details
    >>> tuple(blurred.shape), bool(blurred[0, 3, 3, 0] < image[0, 3, 3, 0])
    ((1, 8, 8, 1), True)
    """
    shapes = [tuple(level.shape[1:-1]) for level in pyramid]
    halves = [tuple(-(-n // 2) for n in shape) for shape in shapes[:-1]]
    if not shapes or halves != shapes[1:]:
        raise ValueError(
            f"Each level must have half of the voxels of the one before. Received: shapes={shapes}"
        )
    image = at_least_float32(pyramid[-1])
    for level in reversed(pyramid[:-1]):
        image = at_least_float32(level) + _expanded(image, level.shape[1:-1])
    return image


def _checked(image: Any, levels: int | None) -> int:
    """The number of levels."""
    spatial = tuple(image.shape[1:-1])
    if len(spatial) not in (2, 3) or None in spatial:
        raise ValueError(
            "image must be (batch, *spatial, channels) of known spatial shape, 2-D or 3-D. "
            f"Received: image.shape={tuple(image.shape)}"
        )
    most = highest_level(spatial)
    if levels is None:
        return most
    if not isinstance(levels, (int, np.integer)) or not 1 <= levels <= most:
        raise ValueError(
            f"levels must be 1 to {most} for an image of {spatial}. Received: levels={levels}"
        )
    return int(levels)


def _expanded(image: Any, shape: Sequence[int]) -> Any:
    return apply_per_axis(image, [_expansion(size) for size in shape])


@functools.lru_cache(maxsize=128)
def _reduction(size: int) -> np.ndarray:
    """The matrix ``(ceil(size / 2), size)`` that keeps one voxel in two."""
    rows = np.arange(-(-size // 2))
    matrix = np.zeros((len(rows), size))
    for step, tap in zip(range(-2, 3), _TAPS, strict=True):
        place = (2 * rows + step) % (2 * size)
        np.add.at(matrix, (rows, np.where(place < size, place, 2 * size - 1 - place)), tap)
    return matrix


@functools.lru_cache(maxsize=128)
def _expansion(size: int) -> np.ndarray:
    """The matrix ``(size, ceil(size / 2))`` that makes two voxels of one."""
    rows, half = np.arange(size), -(-size // 2)
    matrix = np.zeros((size, half))
    for step, tap in zip(range(-2, 3), _TAPS, strict=True):
        there = (rows + step) % 2 == 0  # between them are the zeros
        places = np.clip((rows[there] + step) // 2, 0, half - 1)
        np.add.at(matrix, (rows[there], places), 2 * tap)
    return matrix
