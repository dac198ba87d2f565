"""What the agent sees at a pose: both images on one grid about the centre of the fixed image."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops as keras_ops

from tfreg import ops

INPUTS = ("difference", "channels")
CHANNELS = {"difference": 1, "channels": 3}


def seen(how: str, fixed: Any, moved: Any, mask: Any) -> Any:
    """The input of the network ``(batch, *size, channels)``.

    Args:
        how: ``"difference"`` of the fixed and the moved image (the paper), or ``"channels"``: the
            fixed image, the moved image and what both show (ours).
        fixed, moved: ``(batch, *size, 1)`` in [0, 1].
        mask: of the same shape, 1 where both images show something.
    """
    if how == "difference":
        return (fixed - moved) * mask
    return keras_ops.concatenate([fixed, moved, mask], axis=-1)


def at(images: Any, matrix: Any, size: Sequence[int]) -> tuple[Any, Any]:
    """Images on the grid of what is seen, and where they show something.

    Args:
        images: ``(batch, *spatial, channels)``; outside there is nothing, 0.
        matrix: ``(batch, 3, 4)`` from voxels of that grid to those of the images.
        size: voxels per axis of the grid.

    Returns:
        ``(batch, *size, channels)`` and ``(batch, *size, 1)``.
    """
    displacement = ops.linear_displacement(matrix, size)
    values = ops.resample(images, displacement, mode="constant", image_gradient=False)
    inside = keras_ops.ones_like(values[..., :1])
    for axis, (n, m) in enumerate(zip(images.shape[1:-1], size, strict=True)):
        form = [1] * (len(size) + 2)
        form[axis + 1] = m
        index = keras_ops.reshape(keras_ops.arange(m, dtype="float32"), form)
        place = index + displacement[..., axis : axis + 1]
        within = keras_ops.logical_and(place >= -1e-3, place <= n - 1 + 1e-3)
        inside = inside * keras_ops.cast(within, inside.dtype)
    return values, inside


@functools.cache
def sampler(size: tuple[int, ...]) -> Callable:
    """:func:`at` for one size, compiled."""
    return ops.compiled(functools.partial(_at, size))


def _at(size: tuple[int, ...], images: Any, matrix: Any) -> tuple[Any, Any]:
    return at(images, matrix, size)


def grid(size: Sequence[int], spacing: float) -> np.ndarray:
    """``(3, 4)``: voxels of the grid to mm from its centre.

    Example:

    >>> from zoo.agent.observation import grid
    >>> grid((3, 5, 3), 2.0)[1].tolist()
    [0.0, 2.0, 0.0, -4.0]
    """
    middle = spacing * (np.array(size) - 1) / 2
    return np.concatenate([spacing * np.eye(3), -middle[:, None]], axis=1).astype("float32")


def voxels(shape: Sequence[int], spacing: Sequence[float]) -> np.ndarray:
    """``(3, 4)``: mm from the centre of a volume to its voxels."""
    middle = (np.array(shape) - 1) / 2
    scale = np.diag(1 / np.array(spacing))
    return np.concatenate([scale, middle[:, None]], axis=1).astype("float32")


def smoothed(images: np.ndarray, spacing: Sequence[float], to: float) -> np.ndarray:
    """Images ``(batch, *spatial, channels)`` without what a grid of wider voxels would alias.

    Args:
        images: in [0, 1].
        spacing: of their voxels in mm.
        to: mm between the voxels of the grid.
    """
    ratio = to / np.array(spacing)
    sigma = tuple(map(float, 0.5 * np.sqrt(np.maximum(ratio**2 - 1, 0))))
    if max(sigma) < 0.1:
        return images
    return keras_ops.convert_to_numpy(_smoother(sigma)(images))


@functools.cache
def _smoother(sigma: tuple[float, ...]) -> Callable:
    return ops.compiled(functools.partial(_smooth, sigma))


def _smooth(sigma: tuple[float, ...], images: Any) -> Any:
    return ops.smooth(images, sigma)
