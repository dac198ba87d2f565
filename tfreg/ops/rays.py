"""Line integrals through voxels: the sums of Joseph and of Siddon.

A ray is ``x(l) = s + l d`` in voxels. It is followed along one axis ``a``, its main axis, from
slice to slice ``x_a = k``, at ``l_k = (k - s_a) / d_a``, where the other two coordinates are
``y_b = s_b + l_k d_b`` and ``y_c``. Joseph's sum is

    I = 1/|d_a| sum_k V_k(y_b, y_c)

with linear interpolation in each slice. With the sums ``G = 1/|d_a| sum_k dV_k/dy`` and
``H = 1/|d_a| sum_k l_k dV_k/dy``, for b and c each, and ``m = d / d_a`` its derivatives are

    dI/ds_b = G_b,    dI/ds_a = -(m_b G_b + m_c G_c),
    dI/dd_b = H_b,    dI/dd_a = -(m_b H_b + m_c H_c) - I/d_a:

five sums per ray. Siddon's sum is exact for voxels of constant value: between two planes
``x_a = k - 1/2`` and ``k + 1/2`` a ray with ``|m| <= 1`` enters at most one further voxel along b
and one along c, so three pieces with a voxel each make up its way.

Volumes have a margin of two voxels of zeros on every side, and indices are clamped: what is outside
then has value and slope 0 without a comparison.

Reference:
    P. M. Joseph, An improved algorithm for reprojecting rays through pixel images, IEEE
    Transactions on Medical Imaging 1(3), 1982. R. L. Siddon, Fast calculation of the exact
    radiological path for a three-dimensional CT array, Medical Physics 12(2), 1985.
"""

import math
from typing import Any, NamedTuple

from keras import ops

from tfreg.ops.backend import gather

MARGIN = 2


class Voxels(NamedTuple):
    """Volumes with their margin, flat.

    Attributes:
        values: ``(batch * voxels,)``.
        sizes: voxels along each axis, margin included.
        shared: whether there is one volume for all rays of a batch.
    """

    values: Any
    sizes: tuple[int, int, int]
    shared: bool

    @property
    def strides(self) -> tuple[int, int, int]:
        """From one voxel to the next along each axis."""
        return self.sizes[1] * self.sizes[2], self.sizes[2], 1

    @property
    def slices(self) -> int:
        """The most slices that a ray passes, whichever its main axis."""
        return max(self.sizes) - 2 * MARGIN


def with_margin(volume: Any) -> Voxels:
    """Volumes ``(1 or batch, z, y, x, 1)`` of known shape, ready for the sums."""
    around = [(0, 0), *[(MARGIN, MARGIN)] * 3]
    sizes = tuple(int(size) + 2 * MARGIN for size in volume.shape[1:4])
    values = ops.reshape(ops.pad(volume[..., 0], around), (-1,))
    return Voxels(values, sizes, volume.shape[0] == 1)


def without_margin(values: Any, sizes: tuple[int, int, int]) -> Any:
    """The inverse of :func:`with_margin`: ``(1 or batch, z, y, x, 1)``."""
    inner = slice(MARGIN, -MARGIN)
    return ops.reshape(values, (-1, *sizes))[:, inner, inner, inner, None]


class Paths:
    """Rays along their main axes, through volumes with a margin.

    Args:
        voxels: of :func:`with_margin`.
        source: three tensors ``(batch,)``, in voxels without the margin.
        direction: three tensors ``(batch, rays)``.
        per_ray: whether each ray has a main axis of its own. Else all rays of an image have one,
            that of their mean: then neighbours run through the same slices.

    Attributes:
        axis: int32 ``(batch, rays or 1)``.
        d_a: direction along the main axis, ``(batch, rays)``.
        step: ``1/|d_a|``, mm per slice where ``direction`` is that of one mm.
        m: slopes along b and c.
    """

    def __init__(
        self, voxels: Voxels, source: list[Any], direction: list[Any], per_ray: bool = False
    ) -> None:
        self.voxels = voxels
        size = [ops.abs(part) for part in direction]
        if not per_ray:
            size = [ops.abs(ops.mean(part, axis=1, keepdims=True)) for part in direction]
        first = ops.logical_and(size[0] >= size[1], size[0] >= size[2])
        self.axis = ops.where(first, 0, ops.where(size[1] >= size[2], 1, 2))
        self._source = self._ordered([part[:, None] + MARGIN for part in source])
        self.d_a, d_b, d_c = self._ordered(direction)
        self.step = 1.0 / ops.abs(self.d_a)
        self.m = [d_b / self.d_a, d_c / self.d_a]
        self._sizes = self._ordered(list(voxels.sizes))
        self.strides = self._ordered(list(voxels.strides))
        per_volume = 0 if voxels.shared else math.prod(voxels.sizes)
        offset = ops.arange(ops.shape(self.d_a)[0], dtype="int32") * per_volume
        # Slices beyond the volume, of rays with a shorter main axis than the longest, are margin.
        slices = ops.arange(voxels.slices, dtype="int32") + MARGIN
        last = ops.cast(self._sizes[0] - 1, "int32")[..., None]
        main = ops.minimum(slices, last) * ops.cast(self.strides[0], "int32")[..., None]
        self._base = offset[:, None, None] + main
        self._number = ops.cast(ops.arange(voxels.slices), self.d_a.dtype)

    def _ordered(self, parts: list[Any]) -> list[Any]:
        """Values of the three array axes as those of a, b = a + 1 and c = a + 2."""

        def at(shift: int) -> Any:
            first, second, third = (parts[(k + shift) % 3] for k in range(3))
            return ops.where(self.axis == 0, first, ops.where(self.axis == 1, second, third))

        return [at(shift) for shift in range(3)]

    def by_array_axis(self, parts: list[Any]) -> list[Any]:
        """The inverse of the order a, b, c."""

        def at(array_axis: int) -> Any:
            first, second, third = (parts[(array_axis - k) % 3] for k in range(3))
            return ops.where(self.axis == 0, first, ops.where(self.axis == 1, second, third))

        return [at(array_axis) for array_axis in range(3)]

    def way(self) -> Any:
        """``l_k``: how far each slice is from the source, ``(batch, rays, slices)``."""
        return (self._number + MARGIN - self._source[0][..., None]) / self.d_a[..., None]

    def crossings(self, plane: float = 0.0) -> list[Any]:
        """Where rays cross ``x_a = k + plane``, along b and c, ``(batch, rays, slices)``."""
        found = []
        for start, slope in zip(self._source[1:], self.m, strict=True):
            # From the first slice on: far from the source float32 would lose a ten-thousandth.
            entry = start + (MARGIN + plane - self._source[0]) * slope
            found.append(entry[..., None] + self._number * slope[..., None])
        return found

    def cells(self) -> tuple[Any, list[Any]]:
        """Flat index of the first of the four voxels about each crossing, and the fractions."""
        index, fractions = self._base, []
        for k, place in enumerate(self.crossings(), 1):
            size = self._sizes[k][..., None]
            place = ops.clip(place, 0, ops.cast(size - 1, place.dtype))
            lower = ops.minimum(ops.cast(place, "int32"), ops.cast(size - 2, "int32"))
            fractions.append(place - ops.cast(lower, place.dtype))
            index = index + lower * ops.cast(self.strides[k], "int32")[..., None]
        return index, fractions

    def steps(self) -> list[Any]:
        """From a voxel to the next along b and c, int32, to add to an index."""
        return [ops.cast(stride, "int32")[..., None] for stride in self.strides[1:]]

    def voxel(self, b: Any, c: Any) -> Any:
        """The values of the voxels ``(k, b, c)`` of every slice; b and c are whole numbers."""
        index = self._base
        for k, place in enumerate((b, c), 1):
            last = ops.cast(self._sizes[k][..., None] - 1, place.dtype)
            stride = ops.cast(self.strides[k], "int32")[..., None]
            index = index + ops.cast(ops.clip(place, 0, last), "int32") * stride
        return gather(self.voxels.values, index)


def joseph(voxels: Voxels, source: list[Any], direction: list[Any]) -> Any:
    """Joseph's sum of every ray, ``(batch, rays)``; arguments as those of :class:`Paths`."""
    paths = Paths(voxels, source, direction)
    index, (f, g) = paths.cells()
    b, c = paths.steps()
    values = voxels.values
    near = (1 - g) * gather(values, index) + g * gather(values, index + c)
    far = (1 - g) * gather(values, index + b) + g * gather(values, index + b + c)
    return paths.step * ops.sum((1 - f) * near + f * far, axis=-1)


def joseph_slopes(
    voxels: Voxels, source: list[Any], direction: list[Any], image: Any
) -> tuple[list[Any], list[Any]]:
    """The derivatives of Joseph's sum, by source and by direction.

    Args:
        voxels, source, direction: as above.
        image: the sum.

    Returns:
        The pair of lists of three tensors ``(batch, rays)``, array-axis order.
    """
    paths = Paths(voxels, source, direction)
    index, (f, g) = paths.cells()
    b, c = paths.steps()
    # A slope along its own axis is the difference of two neighbours: half the gathers. Where a row
    # ends the next begins, both with margin: their difference is 0.
    count = ops.shape(voxels.values)[0]
    differences = ops.concatenate(
        [ops.pad(voxels.values[s:], [(0, s)]) - voxels.values for s in voxels.strides]
    )
    along = [((paths.axis + k) % 3 * count)[..., None] for k in (1, 2)]

    def slope(first: Any, step: Any, fraction: Any) -> Any:
        low, high = gather(differences, first), gather(differences, first + step)
        return (1 - fraction) * low + fraction * high

    slopes = slope(index + along[0], c, g), slope(index + along[1], b, f)
    way = paths.way()
    by_source = [paths.step * ops.sum(part, axis=-1) for part in slopes]
    by_direction = [paths.step * ops.sum(way * part, axis=-1) for part in slopes]

    def along_main(parts: list[Any]) -> Any:
        return -(paths.m[0] * parts[0] + paths.m[1] * parts[1])

    main = along_main(by_direction) - image / paths.d_a
    return (
        paths.by_array_axis([along_main(by_source), *by_source]),
        paths.by_array_axis([main, *by_direction]),
    )


def joseph_transposed(
    voxels: Voxels, source: list[Any], direction: list[Any], upstream: Any
) -> Any:
    """The derivative of the sums of all rays, each times ``upstream``, by every voxel.

    Args:
        voxels, source, direction: as above.
        upstream: ``(batch, rays)``.

    Returns:
        A tensor of the shape of ``voxels.values``.
    """
    paths = Paths(voxels, source, direction)
    index, (f, g) = paths.cells()
    b, c = paths.steps()
    share = (upstream * paths.step)[..., None]
    count = ops.shape(voxels.values)[0]
    total = ops.zeros_like(voxels.values)
    for step, weight in (
        (0, (1 - f) * (1 - g)),
        (c, (1 - f) * g),
        (b, f * (1 - g)),
        (b + c, f * g),
    ):
        place = ops.reshape(index + step, (-1,))
        total = total + ops.segment_sum(ops.reshape(share * weight, (-1,)), place, count)
    return total


def siddon(voxels: Voxels, source: list[Any], direction: list[Any]) -> Any:
    """Siddon's sum of every ray, ``(batch, rays)``; arguments as those of :class:`Paths`."""
    paths = Paths(voxels, source, direction, per_ray=True)
    entry = [place + 0.5 for place in paths.crossings(-0.5)]
    first = [ops.floor(place) for place in entry]
    last = [ops.floor(e + m[..., None]) for e, m in zip(entry, paths.m, strict=True)]
    turns = []
    for e, low, high, m in zip(entry, first, last, paths.m, strict=True):
        same = ops.equal(low, high)
        slope = ops.where(same, ops.ones_like(e), m[..., None])
        part = ops.where(same, ops.ones_like(e), (ops.maximum(low, high) - e) / slope)
        turns.append(ops.clip(part, 0, 1))
    one, two = ops.minimum(*turns), ops.maximum(*turns)
    between = [
        ops.where(turns[k] <= one, last[k], first[k]) for k in range(2)
    ]  # after the first of the two turns
    way = one * paths.voxel(*first) + (two - one) * paths.voxel(*between)
    return paths.step * ops.sum(way + (1 - two) * paths.voxel(*last), axis=-1)
