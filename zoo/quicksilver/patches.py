"""Patches of images, and a whole momentum from those of patches.

Patches of 15 voxels an edge begin every 14 voxels; where the last one would leave the image, it
ends with the image instead. Where patches overlap, their momenta are averaged; a patch that shows
nothing in either image is left out, and what no patch covers is zero. So far the paper. Ours may
also lie denser: then their middles, which see most about them, count more than their borders.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from tfreg.errors import InputError
from tfreg.ops.separable import apply_per_axis
from zoo.quicksilver.network import PATCH

STRIDE = 14
_NO_WEIGHT = 1e-6


class Patches:
    """The patches of images of one size.

    Args:
        shape: spatial shape of the images.
        stride: voxels from one patch to the next; with less than 14 a patch counts in the average
            by a tent, from 1/8 at its border to 1 in its middle along each axis.

    Attributes:
        starts: first voxels of the patches, per axis.

    Raises:
        InputError: on images smaller than a patch.

    Example:

    >>> from zoo.quicksilver.patches import Patches
    >>> patches = Patches((229, 193, 193))
    >>> len(patches)
    3332
    """

    def __init__(self, shape: Sequence[int], stride: int = STRIDE) -> None:
        self.shape = tuple(shape)
        check_size(self.shape)
        self.starts = tuple(_starts(size, stride) for size in self.shape)
        self._tent = stride < STRIDE
        self._counts = tuple(map(len, self.starts))

    def __len__(self) -> int:
        return int(np.prod(self._counts))

    def __iter__(self) -> Any:
        """The box of each patch, in the order of :meth:`cut`."""
        for corner in itertools.product(*self.starts):
            yield tuple(slice(start, start + PATCH) for start in corner)

    def cut(self, images: Any) -> Any:
        """``(batch, *shape, channels)`` to ``(batch * patches, 15, 15[, 15], channels)``."""
        for axis, starts in enumerate(self.starts):
            rows = (starts[:, None] + np.arange(PATCH)).ravel()
            images = ops.take(images, rows, axis=1 + axis)
        ndim, channels = len(self.shape), images.shape[-1]
        split = [size for count in self._counts for size in (count, PATCH)]
        images = ops.reshape(images, (-1, *split, channels))
        order = (0, *range(1, 2 * ndim, 2), *range(2, 2 * ndim + 1, 2), 2 * ndim + 1)
        return ops.reshape(ops.transpose(images, order), (-1, *(PATCH,) * ndim, channels))

    def kept(self, fixed: Any, moving: Any) -> Any:
        """Which patches of :meth:`cut` show something in either image, ``(batch * patches,)``.

        Args:
            fixed, moving: patches of intensities of 0 and more.
        """
        axes = tuple(range(1, len(fixed.shape)))
        return ops.any(ops.logical_or(fixed > 0, moving > 0), axis=axes)

    def join(self, momenta: Any, kept: Any) -> Any:
        """The average of the momenta of patches that were kept, ``(batch, *shape, channels)``.

        Args:
            momenta: ``(batch * patches, 15, 15[, 15], channels)``.
            kept: of :meth:`kept`.
        """
        ndim, channels = len(self.shape), momenta.shape[-1]
        kept = ops.reshape(ops.cast(kept, momenta.dtype), (-1,) + (1,) * (ndim + 1))
        many = (*(PATCH,) * ndim, 1)
        # The weight of all patches at a voxel comes about as one more channel.
        weighted = ops.concatenate([kept * momenta, kept * ops.ones(many, momenta.dtype)], axis=-1)
        split = ops.reshape(weighted, (-1, *self._counts, *many[:-1], channels + 1))
        order = [0]
        for axis in range(ndim):
            order += [1 + axis, 1 + ndim + axis]
        rows = ops.transpose(split, (*order, 2 * ndim + 1))
        rows = ops.reshape(rows, (-1, *(n * PATCH for n in self._counts), channels + 1))
        matrices = [
            _gathered(size, tuple(starts.tolist()), self._tent)
            for size, starts in zip(self.shape, self.starts, strict=True)
        ]
        total = apply_per_axis(rows, matrices)
        return total[..., :-1] / ops.maximum(total[..., -1:], _NO_WEIGHT)


def check_size(shape: Sequence[int]) -> None:
    """Raises ``InputError`` on images smaller than a patch."""
    if min(shape) < PATCH:
        raise InputError(
            f"Images must have {PATCH} voxels or more along each axis. "
            f"Received: {'x'.join(map(str, shape))}"
        )


def _starts(size: int, stride: int) -> np.ndarray:
    last = size - PATCH
    starts = np.arange(0, last + 1, stride)
    return starts if starts[-1] == last else np.append(starts, last)


@functools.lru_cache(maxsize=16)
def _gathered(size: int, starts: tuple[int, ...], tent: bool) -> np.ndarray:
    """Adds the rows of patches up where they lie along an axis, ``(size, 15 len(starts))``."""
    rows = np.arange(PATCH)
    weights = np.minimum(rows + 1, PATCH - rows) / (PATCH // 2 + 1) if tent else np.ones(PATCH)
    matrix = np.zeros((size, PATCH * len(starts)))
    for index, start in enumerate(starts):
        for row in range(PATCH):
            matrix[start + row, index * PATCH + row] = weights[row]
    return matrix
