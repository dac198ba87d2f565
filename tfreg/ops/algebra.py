"""Algebra of maps given as displacements: composition, inversion, exponential, change of grid.

Every field is ``(batch, *spatial, ndim)`` in voxels of its own grid, array-axis order, and stands
for the map ``x + u(x)``. Between voxels it is linear; outside its grid it is that of the nearest
voxel.
"""

from collections.abc import Sequence
from typing import Any

from keras import ops

from tfreg.ops.grid import axis_coordinates
from tfreg.ops.resample import resample, sample


def compose(outer: Any, inner: Any) -> Any:
    """The displacement of ``outer`` after ``inner``: ``u(x) = inner(x) + outer(x + inner(x))``.

    Warping an image with the result is warping it with ``outer`` first and what comes out with
    ``inner``.

    Args:
        outer: tensor ``(batch, *spatial, ndim)`` in voxels.
        inner: tensor ``(batch, *output_spatial, ndim)`` in voxels.

    Returns:
        Tensor of the shape of ``inner``.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> step = np.ones((1, 4, 5, 2), "float32")
    >>> float(ops.compose(step, step)[0, 0, 0, 0])
    2.0
    """
    return inner + resample(outer, inner)


def invert(displacement: Any, iterations: int = 30) -> tuple[Any, Any]:
    """The displacement ``v`` with ``v(y) + u(y + v(y)) = 0``, by fixed-point iteration.

    It converges where ``u`` changes by less than a voxel per voxel. What the iteration has not
    reached is returned, so that a caller can tell.

    Args:
        displacement: tensor ``(batch, *spatial, ndim)`` in voxels.
        iterations: number of iterations.

    Returns:
        The inverse, of the same shape, and the residual ``(batch,)``: the largest
        ``|v(y) + u(y + v(y))|`` in voxels. Where the inverse points outside the grid, it inverts
        the field as continued by its nearest voxel.

    Raises:
        ValueError: on less than one iteration.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> inverse, residual = ops.invert(np.full((1, 4, 5, 2), 1.5, "float32"))
    >>> float(inverse[0, 0, 0, 0]), float(residual[0])
    (-1.5, 0.0)

    Reference:
        Chen et al., A simple fixed-point approach to invert a deformation field, Medical Physics
        35(1), 2008.
    """
    if iterations < 1:
        raise ValueError(f"iterations must be positive. Received: iterations={iterations}")
    displacement = ops.convert_to_tensor(displacement)
    inverse = -displacement
    for _ in range(iterations):
        inverse = -resample(displacement, inverse)
    error = inverse + resample(displacement, inverse)
    distance = ops.sqrt(ops.sum(error * error, axis=-1))
    return inverse, ops.max(distance, axis=tuple(range(1, len(distance.shape))))


def exponential(velocity: Any, squarings: int = 7) -> Any:
    """The flow of a stationary velocity over unit time, by scaling and squaring.

    ``exp(v) = exp(v / 2^n)`` composed with itself ``n`` times. ``exp(-v)`` is its inverse.

    Args:
        velocity: tensor ``(batch, *spatial, ndim)`` in voxels per unit time.
        squarings: the number ``n``.

    Returns:
        The displacement, of the same shape.

    Raises:
        ValueError: if ``squarings`` is negative.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> float(ops.exponential(np.ones((1, 4, 5, 2), "float32"))[0, 0, 0, 0])
    1.0

    Reference:
        Arsigny et al., A log-Euclidean framework for statistics on diffeomorphisms, MICCAI 2006.
    """
    if squarings < 0:
        raise ValueError(f"squarings must not be negative. Received: squarings={squarings}")
    displacement = ops.convert_to_tensor(velocity) / 2**squarings
    for _ in range(squarings):
        displacement = compose(displacement, displacement)
    return displacement


def warp_points(points: Any, displacement: Any) -> Any:
    """Takes points through the map: ``x + u(x)``.

    Args:
        points: tensor ``(batch, n, ndim)`` in voxels of the field's grid.
        displacement: tensor ``(batch, *spatial, ndim)`` in voxels.

    Returns:
        Tensor of the shape of ``points``.
    """
    return points + sample(displacement, points)


def resize_displacement(displacement: Any, shape: Sequence[int]) -> Any:
    """The same map on a grid of another size over the same field of view.

    Both grids cover the image from edge to edge, so voxel ``i`` of the new grid lies at
    ``(i + 1/2) old / new - 1/2`` of the old one; displacements are scaled to the new voxels.

    Args:
        displacement: tensor ``(batch, *spatial, ndim)`` in voxels of its grid.
        shape: the new spatial shape.

    Returns:
        Tensor ``(batch, *shape, ndim)`` in voxels of the new grid.

    Raises:
        ValueError: if the shape has another number of axes.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> finer = ops.resize_displacement(np.ones((1, 4, 5, 2), "float32"), (8, 10))
    >>> tuple(finer.shape), float(finer[0, 0, 0, 0])
    ((1, 8, 10, 2), 2.0)
    """
    displacement = ops.convert_to_tensor(displacement)
    old, new = displacement.shape[1:-1], tuple(shape)
    if len(old) != len(new):
        raise ValueError(f"shape must have {len(old)} axes. Received: shape={new}")
    ndim = len(new)
    positions = [
        ops.broadcast_to((axis_coordinates(n, axis, ndim) + 0.5) * (o / n) - 0.5, new)
        for axis, (o, n) in enumerate(zip(old, new, strict=True))
    ]
    points = ops.stack(positions, axis=-1)[None]
    points = ops.broadcast_to(points, (ops.shape(displacement)[0], *new, ndim))
    scale = ops.convert_to_tensor([n / o for o, n in zip(old, new, strict=True)], "float32")
    return sample(displacement, points) * ops.cast(scale, displacement.dtype)
