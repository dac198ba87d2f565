"""The transpose of linear interpolation: every value goes to the corners of the cell it lies in.

Sums that are scattered one by one are what takes the time on a processor, so the corners of a cell
along the last two axes are the parts of one row: a quarter of the rows. Cells that begin at an odd
voxel have rows of their own, else they would not all be cells of one grid.
"""

import itertools
from typing import Any

from keras import ops

from tfreg.ops.sampler import Place

_PAIRED = 2  # axes


def splat(values: Any, displacement: Any) -> Any:
    """``sum_x hat(x + u(x) - y) g(x)``: what :func:`tfreg.ops.resample` has for a transpose.

    Linear interpolation on the grid of the displacement, continued as at its border.

    Args:
        values: tensor ``(batch, *spatial, channels)``, ``g``; the spatial shape must be known.
        displacement: tensor ``(batch, *spatial, ndim)`` in voxels, ``u``.

    Returns:
        Tensor of the shape of ``values``.

    Example:

    >>> import numpy as np
    >>> from tfreg.ops.splat import splat
    >>> value, field = np.zeros((1, 4, 4, 1), "float32"), np.full((1, 4, 4, 2), 0.5, "float32")
    >>> value[0, 1, 1] = 1
    >>> np.asarray(splat(value, field))[0, 1:3, 1:3, 0].tolist()
    [[0.25, 0.25], [0.25, 0.25]]
    """
    values, displacement = ops.convert_to_tensor(values), ops.convert_to_tensor(displacement)
    shape, channels = displacement.shape[1:-1], values.shape[-1]
    ndim = len(shape)
    places, fractions = [], []
    for position, size in zip(
        Place("displacement", displacement, displacement).positions, shape, strict=True
    ):
        position = ops.clip(position, 0, size - 1)
        lower = ops.minimum(ops.cast(position, "int32"), max(size - 2, 0))
        places.append(lower)
        fractions.append((position - ops.cast(lower, position.dtype))[..., None])
    single, paired = range(ndim - _PAIRED), range(ndim - _PAIRED, ndim)
    blocks = [-(-shape[axis] // 2) for axis in paired]
    # The rows: image, kind of cell (even or odd along each axis), place.
    kind, row = ops.zeros_like(places[0]), ops.zeros_like(places[0])
    for axis, count in zip(paired, blocks, strict=True):
        kind, row = 2 * kind + places[axis] % 2, row * count + places[axis] // 2
    batch = ops.shape(displacement)[0]
    kind = kind + 2**_PAIRED * ops.reshape(ops.arange(batch, dtype="int32"), (-1,) + (1,) * ndim)
    # The parts of a row: corner, channel.
    part = ops.arange(2**_PAIRED * channels, dtype="int32")
    corner, channel = part // channels, part % channels
    spread = _chosen(values, channel)
    for number, axis in enumerate(reversed(paired)):
        upper = ops.equal(corner // 2**number % 2, 1)
        spread = spread * ops.where(upper, fractions[axis], 1 - fractions[axis])
    total: Any = 0.0
    sizes = [shape[axis] for axis in single]
    count = batch * 2**_PAIRED
    for size in (*sizes, *blocks):
        count = count * size
    for taps in itertools.product((0, 1), repeat=len(single)):
        index, share = kind, spread
        for axis, tap in zip(single, taps, strict=True):
            # The upper end of a cell of an axis of one voxel is that voxel, with weight 0.
            index = index * shape[axis] + ops.minimum(places[axis] + tap, shape[axis] - 1)
            share = share * (fractions[axis] if tap else 1 - fractions[axis])
        index = index * (blocks[0] * blocks[1]) + row
        share = ops.reshape(share, (-1, 2**_PAIRED * channels))
        total = total + ops.segment_sum(share, ops.reshape(index, (-1,)), count)
    total = ops.reshape(total, (batch, 4, *sizes, *blocks, 2, 2, channels))
    return sum(_placed(total[:, kind], kind, shape) for kind in range(4))


def _chosen(values: Any, channel: Any) -> Any:
    """``values[..., channel]`` by selection, sooner than a gather along the last axis."""
    found = values[..., :1]
    for k in range(1, values.shape[-1]):
        found = ops.where(ops.equal(channel, k), values[..., k : k + 1], found)
    return found


def _placed(rows: Any, kind: int, shape: tuple[int, ...]) -> Any:
    """Cells ``(batch, ..., rows, columns, 2, 2, channels)`` of one kind as ``(batch, *shape,
    channels)``."""
    first = len(rows.shape) - 5
    axes = (*range(first), first, first + 2, first + 1, first + 3, first + 4)
    sizes = rows.shape
    whole = ops.reshape(
        ops.transpose(rows, axes),
        (-1, *sizes[1:first], 2 * sizes[first], 2 * sizes[first + 1], sizes[-1]),
    )
    shifts = (kind // 2, kind % 2)
    pads = [(0, 0)] * first + [(shift, 0) for shift in shifts] + [(0, 0)]
    whole = ops.pad(whole, pads)
    return whole[(Ellipsis, slice(shape[-2]), slice(shape[-1]), slice(None))]
