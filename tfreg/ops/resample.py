"""Resampling: the value of an image between its voxels, and its exact gradient.

``resample(image, u)(x) = image(x + u(x))``. The sampler is a few gathers on a flattened tensor. On
TensorFlow it runs as a compiled island, and its gradients are written out: differentiating the
gathers automatically would keep every corner value in memory.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from tfreg.ops.backend import compiled
from tfreg.ops.grid import axis_coordinates

INTERPOLATIONS = ("nearest", "linear")
MODES = ("border", "constant")


def resample(
    image: Any,
    displacement: Any,
    interpolation: str = "linear",
    mode: str = "border",
    fill_value: float = 0.0,
) -> Any:
    """Warps an image: ``moved(x) = image(x + displacement(x))``.

    Args:
        image: tensor ``(batch, *spatial, channels)``, 2-D or 3-D.
        displacement: tensor ``(batch, *output_spatial, ndim)`` in voxels of ``image``, array-axis
            order. Its grid may differ from that of ``image``; voxel 0 of both coincide.
        interpolation: ``"linear"`` or ``"nearest"`` (halves round up; keeps an integer dtype).
        mode: outside the image, ``"border"`` repeats the nearest voxel and ``"constant"`` gives
            ``fill_value``. A position is outside when it lies beyond the centre of a border voxel.
        fill_value: value outside the image when ``mode="constant"``.

    Returns:
        Tensor ``(batch, *output_spatial, channels)`` in the dtype of ``image`` (integers become
        float32 under linear interpolation). Computation is in float32, or float64 where an argument
        is.

    Raises:
        ValueError: on an unknown option, mismatched ranks or a fill value without effect.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> image = np.arange(12, dtype="float32").reshape(1, 3, 4, 1)
    >>> shift = np.zeros((1, 3, 4, 2), "float32")
    >>> shift[..., 1] = 1.0  # one voxel along the second axis
    >>> [float(v) for v in ops.resample(image, shift)[0, 0, :, 0]]
    [1.0, 2.0, 3.0, 3.0]
    """
    image = ops.convert_to_tensor(image)
    displacement = _as_coordinates(displacement)
    ndim = _check(image, displacement, interpolation, mode, fill_value)
    if len(displacement.shape) != ndim + 2:
        raise ValueError(
            f"A displacement for this image has shape (batch, *{ndim} axes, {ndim}). "
            f"Received: displacement.shape={tuple(displacement.shape)}"
        )
    return _run("displacement", image, displacement, interpolation, mode, fill_value)


def sample(
    image: Any,
    points: Any,
    interpolation: str = "linear",
    mode: str = "border",
    fill_value: float = 0.0,
) -> Any:
    """The values of an image at given positions: ``values[p] = image(points[p])``.

    Args:
        image: tensor ``(batch, *spatial, channels)``, 2-D or 3-D.
        points: tensor ``(batch, *any, ndim)``: positions in voxels, array-axis order.
        interpolation, mode, fill_value: as in :func:`resample`.

    Returns:
        Tensor ``(batch, *any, channels)``.

    Raises:
        ValueError: as in :func:`resample`.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> image = np.arange(4, dtype="float32").reshape(1, 2, 2, 1)
    >>> float(ops.sample(image, np.array([[[0.5, 0.5]]], "float32"))[0, 0, 0])
    1.5
    """
    image = ops.convert_to_tensor(image)
    points = _as_coordinates(points)
    _check(image, points, interpolation, mode, fill_value)
    return _run("points", image, points, interpolation, mode, fill_value)


def _as_coordinates(values: Any) -> Any:
    """Coordinates are never less than float32, also under mixed precision."""
    values = ops.convert_to_tensor(values)
    if keras.backend.standardize_dtype(values.dtype) != "float64":
        values = ops.cast(values, "float32")
    return values


def _check(image: Any, where: Any, interpolation: str, mode: str, fill_value: float) -> int:
    ndim = len(image.shape) - 2
    if ndim not in (2, 3):
        raise ValueError(
            "image must be (batch, *spatial, channels) with 2 or 3 spatial axes. "
            f"Received: image.shape={tuple(image.shape)}"
        )
    if where.shape[-1] != ndim:
        raise ValueError(
            f"The last axis must hold {ndim} coordinates for this image. "
            f"Received: shape={tuple(where.shape)}, image.shape={tuple(image.shape)}"
        )
    batches = (image.shape[0], where.shape[0])
    if None not in batches and batches[0] != batches[1]:
        raise ValueError(
            f"Batch sizes must agree. Received: image {batches[0]}, coordinates {batches[1]}"
        )
    if interpolation not in INTERPOLATIONS:
        raise ValueError(
            f"interpolation must be one of {INTERPOLATIONS}. Received: {interpolation}"
        )
    if mode not in MODES:
        raise ValueError(f"mode must be one of {MODES}. Received: {mode}")
    if mode == "border" and fill_value != 0.0:
        raise ValueError(
            f'fill_value has no effect with mode="border". Received: fill_value={fill_value}'
        )
    return ndim


def _run(
    kind: str, image: Any, where: Any, interpolation: str, mode: str, fill_value: float
) -> Any:
    dtype = keras.backend.standardize_dtype(image.dtype)
    if interpolation == "nearest":
        return _nearest(kind, keras.config.backend(), mode, float(fill_value))(image, where)
    work = "float64" if "float64" in (dtype, where.dtype) else "float32"
    values = _linear(kind, keras.config.backend(), mode, float(fill_value))(
        ops.cast(image, work), ops.cast(where, work)
    )
    return ops.cast(values, dtype) if "float" in dtype else values


@functools.cache
def _nearest(kind: str, backend: str, mode: str, fill_value: float) -> Callable:
    def nearest(image: Any, where: Any) -> Any:
        place = _Place(kind, image, where)
        index = place.batch_offset
        for position, size, stride in zip(place.positions, place.sizes, place.strides, strict=True):
            rounded = ops.floor(ops.clip(position, 0, _last(size, position)) + 0.5)
            index = index + ops.cast(rounded, "int32") * stride
        values = _gather(image, index)
        if mode == "constant":
            fill = ops.cast(fill_value, values.dtype)
            values = ops.where(place.inside()[..., None], values, fill)
        return values

    return compiled(nearest)


@functools.cache
def _linear(kind: str, backend: str, mode: str, fill_value: float) -> Callable:
    """Linear interpolation with both gradients, compiled, for one backend and boundary rule."""

    def value(image: Any, where: Any) -> Any:
        place = _Place(kind, image, where)
        values = _interpolate(image, place, derivatives=False)[0]
        if mode == "constant":
            fill = ops.cast(fill_value, values.dtype)
            values = ops.where(place.inside()[..., None], values, fill)
        return values

    def gradient_of_where(image: Any, where: Any, upstream: Any) -> Any:
        place = _Place(kind, image, where)
        slopes = _interpolate(image, place, derivatives=True)[1]
        everywhere = place.inside() if mode == "constant" else None
        components = []
        for axis, slope in enumerate(slopes):
            # The clamp of "border" makes the value constant along an axis outside the image.
            moves = place.inside(axis) if mode == "border" else everywhere
            component = ops.sum(slope * upstream, axis=-1)
            components.append(ops.where(moves, component, ops.zeros_like(component)))
        return ops.stack(components, axis=-1)

    def gradient_of_image(image: Any, where: Any, upstream: Any) -> Any:
        place = _Place(kind, image, where)
        if mode == "constant":
            upstream = ops.where(place.inside()[..., None], upstream, ops.zeros_like(upstream))
        shape = ops.shape(image)
        channels = image.shape[-1]
        voxels = shape[0]
        for size in place.sizes:
            voxels = voxels * size
        total = ops.zeros((voxels, channels), upstream.dtype)
        base, fractions = place.cell()
        for corner in range(2 ** len(fractions)):
            weight, index = 1.0, base
            for axis, (fraction, stride) in enumerate(zip(fractions, place.strides, strict=True)):
                if corner >> axis & 1:
                    weight, index = weight * fraction, index + stride
                else:
                    weight = weight * (1.0 - fraction)
            parts = ops.reshape(upstream * weight[..., None], (-1, channels))
            total = total + ops.segment_sum(parts, ops.reshape(index, (-1,)), voxels)
        return ops.reshape(total, shape)

    value, gradient_of_where, gradient_of_image = (
        compiled(function) for function in (value, gradient_of_where, gradient_of_image)
    )

    @ops.custom_gradient
    def linear(image: Any, where: Any) -> Any:
        def gradient(*args: Any, upstream: Any = None) -> tuple[Any, Any]:
            upstream = args[0] if upstream is None else upstream
            # Two islands, so that a graph drops the one whose result nobody asks for.
            return gradient_of_image(image, where, upstream), gradient_of_where(
                image, where, upstream
            )

        return value(image, where), gradient

    return linear


class _Place:
    """Where a batch of positions lies in an image: positions, sizes and strides per axis."""

    def __init__(self, kind: str, image: Any, where: Any) -> None:
        shape = ops.shape(image)
        self.sizes = shape[1:-1]
        ndim = len(self.sizes)
        self.positions = [where[..., axis] for axis in range(ndim)]
        if kind == "displacement":
            dtype = keras.backend.standardize_dtype(where.dtype)
            self.positions = [
                position + axis_coordinates(size, axis, ndim, dtype)
                for axis, (position, size) in enumerate(
                    zip(self.positions, ops.shape(where)[1:-1], strict=True)
                )
            ]
        self.strides = [1] * ndim
        for axis in reversed(range(ndim - 1)):
            self.strides[axis] = self.strides[axis + 1] * self.sizes[axis + 1]
        per_image = self.strides[0] * self.sizes[0]
        batch = ops.arange(shape[0], dtype="int32") * per_image
        self.batch_offset = ops.reshape(batch, [-1] + [1] * (len(where.shape) - 2))

    def inside(self, axis: int | None = None) -> Any:
        axes = range(len(self.sizes)) if axis is None else (axis,)
        checks = [
            ops.logical_and(p >= 0, p <= _last(size, p))
            for p, size in ((self.positions[a], self.sizes[a]) for a in axes)
        ]
        return functools.reduce(ops.logical_and, checks)

    def cell(self) -> tuple[Any, list[Any]]:
        """Flat index of the lower corner of each position's cell, and the fractions within it."""
        index, fractions = self.batch_offset, []
        for position, size, stride in zip(self.positions, self.sizes, self.strides, strict=True):
            position = ops.clip(position, 0, _last(size, position))
            # The last voxel is the upper corner of the last cell: no index leaves the image. An
            # axis of one voxel has no cell; there both corners are that voxel, with fraction 0.
            lower = ops.minimum(ops.cast(position, "int32"), _last_cell(size))
            fractions.append(position - ops.cast(lower, position.dtype))
            index = index + lower * stride
        return index, fractions


def _last(size: Any, position: Any) -> Any:
    """Index of the last voxel; a number where the size is known, else a tensor of the positions'
    dtype."""
    return size - 1 if isinstance(size, int) else ops.cast(size - 1, position.dtype)


def _last_cell(size: Any) -> Any:
    """Index of the last cell along an axis of ``size`` voxels."""
    return max(size - 2, 0) if isinstance(size, int) else ops.maximum(size - 2, 0)


def _gather(image: Any, index: Any) -> Any:
    channels = image.shape[-1]
    if channels == 1:  # a flat gather fuses into one loop
        return ops.take(ops.reshape(image, (-1,)), index)[..., None]
    return ops.take(ops.reshape(image, (-1, channels)), index, axis=0)


def _interpolate(image: Any, place: _Place, derivatives: bool) -> tuple[Any, list[Any]]:
    """Value and, if asked, slope along each axis, by nested linear interpolation of the corners."""
    base, fractions = place.cell()
    ndim = len(fractions)
    # An axis of one voxel has stride-0 upper corners: its slope is zero.
    steps = [
        stride if not isinstance(size, int) or size > 1 else 0
        for stride, size in zip(place.strides, place.sizes, strict=True)
    ]

    def along(axis: int, offset: Any) -> tuple[Any, list[Any]]:
        if axis == ndim:
            return _gather(image, base + offset), []
        low, low_slopes = along(axis + 1, offset)
        high, high_slopes = along(axis + 1, offset + steps[axis])
        fraction = fractions[axis][..., None]
        # Not low + fraction * (high - low): that is inexact where the fraction is 1.
        value = low * (1 - fraction) + high * fraction
        if not derivatives:
            return value, []
        slopes = [a + fraction * (b - a) for a, b in zip(low_slopes, high_slopes, strict=True)]
        return value, [high - low, *slopes]

    return along(0, 0)
