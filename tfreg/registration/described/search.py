"""Which voxels drive a matching, where each is found again, and a dense field of what was found."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.ops.backend import gather

_APART = 2  # voxels between the places of a sub-volume, and to the neighbours of a voxel
_TINY = 1e-12


def unit(channels: Any) -> Any:
    """Feature vectors of length 1, so that their product is their correlation."""
    square = keras_ops.sum(channels * channels, axis=-1, keepdims=True)
    return channels * keras_ops.rsqrt(square + _TINY)


def distinctiveness(channels: Any) -> Any:
    """The least squared difference of each voxel's features to those of its neighbours, relative
    to what is usual about it.

    What looks like a neighbour could be confused with it: flat places, and the course of an edge.

    Args:
        channels: tensor ``(1, *spatial, channels)``, standardised.

    Returns:
        Tensor ``(1, *spatial, 1)``, 0 or more.
    """
    spatial = channels.shape[1:-1]
    least = None
    for shift in _cross(len(spatial))[1:]:
        other = _shifted(channels, shift)
        square = keras_ops.sum(keras_ops.square(channels - other), axis=-1, keepdims=True)
        least = square if least is None else keras_ops.minimum(least, square)
    around = ops.smooth(least, (6.0,) * len(spatial))
    axes = tuple(range(1, len(least.shape)))
    usual = keras_ops.mean(least, axis=axes, keepdims=True)
    return least / (around + 0.3 * usual + _TINY)


def found_again(
    here: Any, there: Any, keys: Any, radius: int, stride: int, nearer: float
) -> tuple[Any, Any]:
    """Of each key voxel the offset at which its sub-volume is most alike: batched gathers.

    ``max_o mean_s <here(k + s), there(k + o + s)> - nearer |o|^2 / radius^2``, then a parabola
    along each axis, at most half a stride.

    Args:
        here, there: tensors ``(*spatial, channels)`` of :func:`unit`.
        keys: int32 ``(count,)``, flat indices of voxels.
        radius: of the window that is searched, in voxels.
        stride: voxels between the offsets that are tried.
        nearer: how much less alike an offset may be than one at the edge of the window.

    Returns:
        Offsets ``(count, ndim)`` in voxels, and how alike they are, ``(count,)``, at most 1.
    """
    shape, channels = tuple(here.shape[:-1]), here.shape[-1]
    ndim = len(shape)
    sizes = keras_ops.convert_to_tensor(shape, "int32")
    strides = keras_ops.convert_to_tensor(
        [int(np.prod(shape[a + 1 :])) for a in range(ndim)], "int32"
    )
    axes = [-(-radius // stride) * stride] * ndim
    steps = [range(-most, most + 1, stride) for most in axes]
    offsets = np.array(list(itertools.product(*steps)), "int32")
    table = keras_ops.convert_to_tensor(offsets)
    cross = keras_ops.convert_to_tensor(np.array(_cross(ndim), "int32"))
    flat = [keras_ops.reshape(values, (-1, channels)) for values in (here, there)]
    places = keras_ops.stack(
        [(keys // strides[a]) % sizes[a] for a in range(ndim)], axis=-1
    )  # (count, ndim)

    def taken(values: Any, offset: Any) -> Any:
        """Features of the sub-volumes at places moved by an offset, ``(count, places, c)``."""
        where = places[:, None] + offset[:, None] + cross[None]
        where = keras_ops.clip(where, 0, sizes - 1)
        index = keras_ops.sum(where * strides, axis=-1)
        chosen = gather(values, keras_ops.reshape(index, (-1,)))
        return keras_ops.reshape(chosen, (-1, len(_cross(ndim)), channels))

    own = taken(flat[0], keras_ops.zeros_like(places)) / len(_cross(ndim))

    def alike(offset: Any) -> Any:
        far = keras_ops.sum(keras_ops.cast(offset * offset, "float32"), axis=-1)
        same = keras_ops.sum(own * taken(flat[1], offset), axis=(1, 2))
        return same - nearer * far / radius**2

    def better(count: Any, best: Any, chosen: Any) -> tuple:
        offset = keras_ops.broadcast_to(table[count][None], chosen.shape)
        value = alike(offset)
        improved = value > best
        chosen = keras_ops.where(improved[:, None], offset, chosen)
        return count + 1, keras_ops.where(improved, value, best), chosen

    still = keras_ops.zeros_like(places)
    begin = (keras_ops.zeros((), "int32"), alike(still), still)  # of equal ones the nearest stays
    _, best, chosen = keras_ops.while_loop(lambda count, *_: count < len(offsets), better, begin)
    parts = []
    for axis in range(ndim):
        along = np.zeros((1, ndim), "int32")
        along[0, axis] = stride
        below, above = alike(chosen - along), alike(chosen + along)
        bend = below - 2 * best + above
        peak = keras_ops.where(bend < 0, 0.5 * (below - above) / keras_ops.minimum(bend, -_TINY), 0)
        parts.append(stride * keras_ops.clip(peak, -0.5, 0.5))
    found = keras_ops.cast(chosen, "float32") + keras_ops.stack(parts, axis=-1)
    far = keras_ops.sum(keras_ops.cast(chosen * chosen, "float32"), axis=-1)
    return found, best + nearer * far / radius**2


def interpolated(
    places: Any, offsets: Any, weights: Any, shape: Sequence[int], sigma: float, rounds: int = 2
) -> Any:
    """A dense field of sparse offsets: their mean under a Gaussian, robust against a few.

    ``v = G (w d) / (G w + a)``: where nothing was found it fades to zero. Then what differs from
    it counts less, by ``1 / (1 + |d - v|^2 / m^2)``, ``m`` the weighted mean of ``|d - v|``.

    Args:
        places: int32 ``(count,)``, flat indices of voxels.
        offsets: ``(count, ndim)``.
        weights: ``(count,)``, 0 or more.
        shape: of the grid.
        sigma: of the Gaussian, in voxels.
        rounds: how often it is taken again.

    Returns:
        Tensor ``(*shape, ndim)``.
    """
    shape, ndim = tuple(shape), len(shape)
    voxels, widths = int(np.prod(shape)), (float(sigma),) * ndim

    def field(factors: Any) -> Any:
        rows = keras_ops.concatenate([factors[:, None] * offsets, factors[:, None]], axis=-1)
        grid = keras_ops.segment_sum(rows, places, num_segments=voxels)
        spread = ops.smooth(keras_ops.reshape(grid, (1, *shape, ndim + 1)), widths)[0]
        usual = keras_ops.mean(spread[..., ndim:])
        return spread[..., :ndim] / (spread[..., ndim:] + 0.1 * usual + _TINY)

    factors = weights
    for _ in range(rounds):
        dense = keras_ops.reshape(field(factors), (voxels, ndim))
        left = keras_ops.sum(keras_ops.square(offsets - gather(dense, places)), axis=-1)
        usual = keras_ops.sum(weights * keras_ops.sqrt(left)) / (keras_ops.sum(weights) + _TINY)
        factors = weights / (1 + left / (keras_ops.square(usual) + _TINY))
    return field(factors)


def _cross(ndim: int) -> list[tuple[int, ...]]:
    """The middle of a sub-volume, and its neighbours along the axes."""
    found = [(0,) * ndim]
    for axis in range(ndim):
        for sign in (-_APART, _APART):
            found.append(tuple(sign * (a == axis) for a in range(ndim)))
    return found


def _shifted(values: Any, shift: Sequence[int]) -> Any:
    """``values(x + shift)``, the border repeated."""
    for axis, by in enumerate(shift, start=1):
        if by:
            size = values.shape[axis]
            index = np.clip(np.arange(size) + by, 0, size - 1)
            values = keras_ops.take(values, index, axis=axis)
    return values
