"""The sampler: a few gathers on a flattened tensor, and its gradients written out.

On TensorFlow each function here runs as a compiled island. Differentiating the gathers
automatically would keep every voxel value in memory, so both gradients are given.
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from tfreg.ops.backend import compiled, gather, held
from tfreg.ops.grid import axis_coordinates
from tfreg.ops.interpolation import TAPS, slope, weight

_MANY = 2  # channels


@functools.cache
def nearest_sampler(kind: str, backend: str, mode: str, fill_value: float) -> Callable:
    """``f(image, where)``: the nearest voxel, for one backend and boundary rule."""

    def nearest(image: Any, where: Any) -> Any:
        place = Place(kind, image, where)
        index = place.batch_offset
        for position, size, stride in zip(place.positions, place.sizes, place.strides, strict=True):
            rounded = ops.floor(ops.clip(position, 0, _last(size, position)) + 0.5)
            index = index + ops.cast(rounded, "int32") * stride
        return _filled(_gather(image, index), place, mode, fill_value)

    return compiled(nearest)


@functools.cache
def kernel_sampler(
    kind: str,
    backend: str,
    interpolation: str,
    mode: str,
    fill_value: float,
    image_gradient: bool = True,
) -> Callable:
    """``f(image, where)`` with both gradients, for one kernel, backend and boundary rule.

    Args:
        kind: ``"displacement"`` (of a grid) or ``"points"``.
        backend: the backend of Keras; islands of one are of no use to another.
        interpolation: ``"linear"``, or a kernel of four voxels, for which the image must be as
            :func:`tfreg.ops.interpolation.prepared` gives it.
        mode, fill_value, image_gradient: as in :func:`tfreg.ops.resample`.
    """
    value, gradient_of_where, gradient_of_image = (
        compiled(function) for function in sampler_parts(kind, interpolation, mode, fill_value)
    )

    @ops.custom_gradient
    def sampler(image: Any, where: Any) -> Any:
        def gradient(*args: Any, upstream: Any = None) -> tuple[Any, Any]:
            upstream = args[0] if upstream is None else upstream
            moves = gradient_of_where(image, where, upstream)
            if not image_gradient:
                return ops.zeros_like(image), moves
            # Another island, so that a graph drops the one whose result nobody asks for.
            return gradient_of_image(image, where, upstream), moves

        # Without this an eager tape would ask the island for all that automatic gradients need.
        return value(ops.stop_gradient(image), ops.stop_gradient(where)), gradient

    return sampler


def sampler_parts(
    kind: str, interpolation: str, mode: str, fill_value: float
) -> tuple[Callable, Callable, Callable]:
    """What :func:`kernel_sampler` is made of, for functions that write their own gradient out.

    Returns:
        ``value(image, where)``, and of an upstream gradient of its shape
        ``gradient_of_where(image, where, upstream)`` and ``gradient_of_image(image, where,
        upstream)``; none of them is compiled, or differentiated well by itself.
    """
    taps = TAPS[interpolation]

    def value(image: Any, where: Any) -> Any:
        place = Place(kind, image, where, margin=taps == 4)
        base, fractions = place.cell()
        factors = [
            functools.partial(weight, interpolation, fraction=fraction[..., None])
            for fraction in fractions
        ]
        values = _contract(
            lambda offset: _gather(image, base + offset), factors, place.steps(), taps
        )
        return _filled(values, place, mode, fill_value)

    def gradient_of_where(image: Any, where: Any, upstream: Any) -> Any:
        place = Place(kind, image, where, margin=taps == 4)
        if interpolation == "linear" and image.shape[-1] >= _MANY:
            components = _slopes_of_many(kind, image, where, upstream)
        else:
            slopes = _linear_slopes if interpolation == "linear" else _kernel_slopes
            components = slopes(image, place, interpolation) * upstream[..., None, :]
            components = ops.sum(components, axis=-1)
        # The clamp of "border" makes the value constant along an axis outside the image.
        if mode == "border":
            moves = _along_components([place.inside(axis) for axis in range(place.ndim)])
        else:
            moves = place.inside()[..., None]
        return ops.where(moves, components, ops.zeros_like(components))

    def gradient_of_image(image: Any, where: Any, upstream: Any) -> Any:
        place = Place(kind, image, where, margin=taps == 4)
        if mode == "constant":
            upstream = ops.where(place.inside()[..., None], upstream, ops.zeros_like(upstream))
        shape = ops.shape(image)
        channels = image.shape[-1]
        voxels = _product(shape[:-1])
        base, fractions = place.cell()
        steps = place.steps()

        def spread(k: Any, total: Any) -> Any:
            share, index = upstream, base
            for axis, tap in enumerate(_digits(k, taps, place.ndim - 1)):
                share = share * weight(interpolation, tap, fractions[axis])[..., None]
                index = index + steps[axis] * tap
            for tap in range(taps):
                part = share * weight(interpolation, tap, fractions[-1])[..., None]
                place_of_part = ops.reshape(index + steps[-1] * tap, (-1,))
                total = total + ops.segment_sum(
                    ops.reshape(part, (-1, channels)), place_of_part, voxels
                )
            return total

        total = ops.zeros((voxels, channels), upstream.dtype)
        rows = taps ** (place.ndim - 1)
        if taps == 2:
            total = functools.reduce(lambda total, k: spread(k, total), range(rows), total)
        else:  # 16 or 64 scattered sums in a row would take half a minute to compile
            total = ops.fori_loop(0, rows, spread, total)
        return ops.reshape(total, shape)

    return value, gradient_of_where, gradient_of_image


class Place:
    """Where a batch of positions lies in an image: positions, sizes and strides per axis."""

    def __init__(self, kind: str, image: Any, where: Any, margin: bool = False) -> None:
        shape = ops.shape(image)
        stored = shape[1:-1]
        self.sizes = tuple(size - 3 for size in stored) if margin else stored
        self.ndim = len(stored)
        self.positions = [where[..., axis] for axis in range(self.ndim)]
        if kind == "displacement":
            dtype = keras.backend.standardize_dtype(where.dtype)
            self.positions = [
                position + axis_coordinates(size, axis, self.ndim, dtype)
                for axis, (position, size) in enumerate(
                    zip(self.positions, ops.shape(where)[1:-1], strict=True)
                )
            ]
        self.strides = [1] * self.ndim
        for axis in reversed(range(self.ndim - 1)):
            self.strides[axis] = self.strides[axis + 1] * stored[axis + 1]
        self.per_image = self.strides[0] * stored[0]
        batch = ops.arange(shape[0], dtype="int32") * self.per_image
        self.batch_offset = ops.reshape(batch, [-1] + [1] * (len(where.shape) - 2))
        self._margin = margin

    def inside(self, axis: int | None = None) -> Any:
        axes = range(self.ndim) if axis is None else (axis,)
        checks = [
            ops.logical_and(p >= 0, p <= _last(size, p))
            for p, size in ((self.positions[a], self.sizes[a]) for a in axes)
        ]
        return functools.reduce(ops.logical_and, checks)

    def steps(self) -> list[Any]:
        """From one voxel of a cell to the next in the flat image.

        An axis of one voxel has no cell: both ends are that voxel, with fraction 0.
        """
        if self._margin:
            return self.strides
        return [
            (stride if size > 1 else 0)
            if isinstance(size, int)
            else stride * ops.cast(size > 1, "int32")
            for stride, size in zip(self.strides, self.sizes, strict=True)
        ]

    def cell(self) -> tuple[Any, list[Any]]:
        """Flat index of the first voxel of each position's cell, and the fractions within it.

        With a margin, the first of the four voxels: the margin shifts all indices by one.
        """
        index, fractions = self.batch_offset, []
        for position, size, stride in zip(self.positions, self.sizes, self.strides, strict=True):
            position = ops.clip(position, 0, _last(size, position))
            # The last voxel is the upper end of the last cell: no index leaves the image.
            lower = ops.minimum(ops.cast(position, "int32"), _last_cell(size))
            fractions.append(position - ops.cast(lower, position.dtype))
            index = index + lower * stride
        return index, fractions


def _linear_slopes(image: Any, place: Place, interpolation: str) -> Any:
    """Slope along every axis, ``(batch, *where, ndim, channels)``, of linear interpolation.

    Along its own axis the slope is the difference of two neighbours, so differences are taken once
    per voxel and interpolated along the other axes: half the gathers.
    """
    differences = []
    for axis in range(1, place.ndim + 1):
        upper, lower = [slice(None)] * len(image.shape), [slice(None)] * len(image.shape)
        upper[axis], lower[axis] = slice(1, None), slice(None, -1)
        after = [(0, int(a == axis)) for a in range(len(image.shape))]
        differences.append(ops.pad(image[tuple(upper)] - image[tuple(lower)], after))
    differences = ops.concatenate(differences, axis=0)
    base, fractions = place.cell()
    axes = range(place.ndim)
    batch_size = ops.shape(image)[0] * place.per_image
    base = base[..., None] + ops.arange(place.ndim, dtype="int32") * batch_size
    steps = place.steps()
    others = [[a for a in axes if a != axis] for axis in axes]
    factors, offsets = [], []
    for which in range(place.ndim - 1):
        fraction = _along_components([fractions[others[axis][which]] for axis in axes])
        factors.append(functools.partial(weight, "linear", fraction=fraction[..., None]))
        step = [ops.cast(steps[others[axis][which]], "int32") for axis in axes]
        offsets.append(ops.stack(step))
    return _contract(lambda offset: _gather(differences, base + offset), factors, offsets, 2)


def _slopes_of_many(kind: str, image: Any, where: Any, upstream: Any) -> Any:
    """``sum_c upstream_c slope_c``, ``(batch, *where, ndim)``, of linear interpolation.

    Channels are summed at each corner of a cell first, then the slopes are those of one image. The
    sums are held: XLA would compute each of them, and the upstream gradient, for every component.
    """
    ndim = len(image.shape) - 2
    corners = [*itertools.product(range(2), repeat=ndim)]

    def summed(where: Any, upstream: Any) -> Any:
        place = Place(kind, image, where)
        base, _ = place.cell()
        away = [
            sum((digit * step for digit, step in zip(corner, place.steps(), strict=True)), 0)
            for corner in corners
        ]
        index = base[..., None] + ops.stack([ops.cast(one, "int32") for one in away])
        return ops.sum(_gather(image, index) * upstream[..., None, :], axis=-1)

    shape = (*ops.shape(upstream)[:-1], len(corners))
    sums = held(summed, ops.broadcast_to(upstream[..., :1], shape), where, upstream)
    _, fractions = Place(kind, image, where).cell()
    components = []
    for axis in range(ndim):
        left = [sums[..., k] for k in range(len(corners))]  # halved by every axis, the first first
        for a in range(ndim):
            lower, upper = left[: len(left) // 2], left[len(left) // 2 :]
            left = [
                high - low if a == axis else low + fractions[a] * (high - low)
                for low, high in zip(lower, upper, strict=True)
            ]
        components.append(left[0])
    return _along_components(components)


def _kernel_slopes(image: Any, place: Place, interpolation: str) -> Any:
    """Slope along every axis, ``(batch, *where, ndim, channels)``, of a kernel of four voxels."""
    base, fractions = place.cell()

    def factor(voxel: Any, axis: int) -> Any:
        values = [weight(interpolation, voxel, fractions[axis])] * place.ndim
        values[axis] = slope(interpolation, voxel, fractions[axis])
        return _along_components(values)[..., None]

    factors = [functools.partial(factor, axis=axis) for axis in range(place.ndim)]
    base = base[..., None] + ops.zeros((place.ndim,), "int32")
    return _contract(lambda offset: _gather(image, base + offset), factors, place.steps(), 4)


def _contract(gather: Callable, factors: list[Callable], steps: list[Any], taps: int) -> Any:
    """``sum_k factors[0](k_0) factors[1](k_1) ... gather(sum_a k_a steps[a])``, axis by axis."""
    values = [[factor(k) for k in range(taps)] for factor in factors]

    def along(axis: int, offset: Any) -> Any:
        if axis == len(values):
            return gather(offset)
        parts = (v * along(axis + 1, offset + k * steps[axis]) for k, v in enumerate(values[axis]))
        return functools.reduce(lambda a, b: a + b, parts)

    return along(0, 0)


def _digits(number: Any, base: int, count: int) -> list[Any]:
    """The last ``count`` digits of a number, which may be a tensor, in a base."""
    return [number // base**k % base for k in range(count)]


def _along_components(values: list[Any]) -> Any:
    """``stack(values, axis=-1)`` by selection: XLA's concatenation along the last axis is slow on
    a CPU, eight times slower at 128^3."""
    component = ops.arange(len(values), dtype="int32")
    result = values[-1][..., None]
    for k in reversed(range(len(values) - 1)):
        result = ops.where(component == k, values[k][..., None], result)
    return result


def _filled(values: Any, place: Place, mode: str, fill_value: float) -> Any:
    if mode == "border":
        return values
    return ops.where(place.inside()[..., None], values, ops.cast(fill_value, values.dtype))


def _gather(image: Any, index: Any) -> Any:
    channels = image.shape[-1]
    if channels == 1:  # a flat gather fuses into one loop
        return gather(ops.reshape(image, (-1,)), index)[..., None]
    return gather(ops.reshape(image, (-1, channels)), index)


def _last(size: Any, position: Any) -> Any:
    """Index of the last voxel; a number where the size is known, else a tensor of the positions'
    dtype."""
    return size - 1 if isinstance(size, int) else ops.cast(size - 1, position.dtype)


def _last_cell(size: Any) -> Any:
    """Index of the last cell along an axis of ``size`` voxels."""
    return max(size - 2, 0) if isinstance(size, int) else ops.maximum(size - 2, 0)


def _product(sizes: Any) -> Any:
    if all(isinstance(size, int) for size in sizes):
        return math.prod(sizes)
    return functools.reduce(lambda a, b: a * b, sizes)
