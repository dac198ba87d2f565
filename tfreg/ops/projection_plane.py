"""Projection onto a grid of points in a plane along the slices: two matrix products per slice.

Seen from a source, a plane ``x_a = p`` and a slice ``x_a = k`` differ by a shift and a scale:

    y(k) = s + rho_k (g - s),    rho_k = (k - s_a) / (p - s_a),

for b and c alone. So a regular grid of points ``g`` is a regular grid in every slice, linear
interpolation is one small matrix per axis, and the image is ``sum_k B_k V_k C_k^T`` (shear-warp).

Reference:
    P. Lacroute and M. Levoy, Fast volume rendering using a shear-warp factorization of the viewing
    transformation, SIGGRAPH 1994.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from tfreg.ops.backend import compiled
from tfreg.ops.precision import same_dtype
from tfreg.ops.projection import check_volume


def project_plane(volume: Any, source: Any, plane: Any, first: Any, second: Any) -> Any:
    """Sums over the slices of axis 0 along the rays to a grid in a plane.

    The sum is the integral by Joseph of voxels one apart: for one in mm it is times the way in mm
    from slice to slice, which differs from ray to ray. It is for a camera that stands fixed along
    an axis of the volume; a view that is turned, or a patch of one, has no such grid:
    :func:`tfreg.ops.project` is for those.

    Args:
        volume: tensor ``(batch, z, y, x, 1)`` of known shape, or ``(1, z, y, x, 1)`` for all
            sources; another main axis comes first by transposing it.
        source: tensor ``(batch, 3)`` in voxels, array-axis order.
        plane: tensor ``(batch,)``: where the plane crosses axis 0, in voxels, not at the source.
        first, second: tensors ``(batch, rows)`` and ``(batch, columns)``: the places of the grid
            along axes 1 and 2, in voxels.

    Returns:
        Tensor ``(batch, rows, columns, 1)``.

    Raises:
        ValueError: on other shapes.

    Example:

    >>> import numpy as np
    >>> from tfreg.ops.projection_plane import project_plane
    >>> box = np.ones((1, 4, 6, 8, 1), "float32")
    >>> image = project_plane(box, [[-50.0, 2.0, 3.0]], [9.0], [[2.0, 99.0]], [[3.0]])
    >>> [float(v) for v in image[0, :, 0, 0]]
    [4.0, 0.0]
    """
    volume, source, plane, first, second = same_dtype(volume, source, plane, first, second)
    check_volume(volume)
    shapes = [tuple(part.shape) for part in (source, plane, first, second)]
    batch = shapes[0][0]
    fits = [len(shape) for shape in shapes] == [2, 1, 2, 2] and shapes[0][1] == 3
    if not fits or {shape[0] for shape in shapes} != {batch} or volume.shape[0] not in (1, batch):
        raise ValueError(
            "source must be (batch, 3), plane (batch,), first (batch, rows) and second "
            f"(batch, columns), of one batch. Received: volume {tuple(volume.shape)}, {shapes}"
        )
    return _plane(keras.config.backend())(volume, source, plane, first, second)


@functools.cache
def _plane(backend: str) -> Callable:
    def run(volume: Any, source: Any, plane: Any, first: Any, second: Any) -> Any:
        shape = volume.shape[1:4]
        number = ops.cast(ops.arange(shape[0]), source.dtype)
        scale = (number - source[:, :1]) / (plane[:, None] - source[:, :1])
        rows, columns = (
            _weights(source[:, axis], scale, places, shape[axis])
            for axis, places in ((1, first), (2, second))
        )
        # The second product sums over the slices as well: none has an image of its own.
        partial = ops.transpose(ops.matmul(rows, volume[..., 0]), (0, 2, 1, 3))
        partial = ops.reshape(partial, (-1, first.shape[1], shape[0] * shape[2]))
        columns = ops.reshape(
            ops.transpose(columns, (0, 1, 3, 2)), (-1, shape[0] * shape[2], second.shape[1])
        )
        return ops.matmul(partial, columns)[..., None]

    return compiled(run)


def _weights(source: Any, scale: Any, places: Any, size: int) -> Any:
    """Matrices of linear interpolation in each slice, ``(batch, slices, places, size)``."""
    at = source[:, None, None] + scale[..., None] * (places - source[:, None])[:, None, :]
    distance = ops.abs(at[..., None] - ops.cast(ops.arange(size), at.dtype))
    return ops.maximum(1 - distance, 0)
