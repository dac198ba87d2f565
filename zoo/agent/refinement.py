"""What refining minimises: -NCC of what both images show under a rigid transform."""

from typing import Any

import numpy as np
from keras import ops as keras_ops

from tfreg import losses, ops
from zoo.agent.rigid import transform

_RADIUS = 80.0  # mm from the centre at which a step of rotation moves as far as one of translation
MM = np.array([1, 1, 1] + 3 * [180 / np.pi / _RADIUS], "float32")
_SHARE = 0.4  # of what both images show at the start: with less, a few voxels agree too easily


def misfit(
    steps: Any,
    fixed: Any,
    moving: Any,
    fixed_mask: Any,
    moving_mask: Any,
    begin: Any,
    to_mm: Any,
    to_moving: Any,
) -> Any:
    """-NCC, ``(batch,)``.

    Args:
        steps: ``(batch, 6)`` of a further transform, in mm at the border of the images.
        fixed, moving: ``(batch, *spatial, 1)``.
        fixed_mask, moving_mask: where each shows something.
        begin: ``(batch, 3, 4)``, the map in mm that is refined.
        to_mm, to_moving: from fixed voxels to mm, and from mm to moving voxels.
    """
    shape, axes = fixed.shape[1:-1], tuple(range(1, len(fixed.shape)))

    def both(maps: Any) -> tuple[Any, Any]:
        matrix = ops.compose_linear(to_moving, ops.compose_linear(maps, to_mm))
        displacement = ops.linear_displacement(matrix, shape)
        moved = ops.resample(moving, displacement, image_gradient=False)
        place = keras_ops.stop_gradient(displacement)
        inside = ops.resample(moving_mask, place, mode="constant", image_gradient=False)
        return moved, fixed_mask * inside

    moved, mask = both(ops.compose_linear(transform(steps * MM), begin))
    least = _SHARE * keras_ops.sum(both(begin)[1], axis=axes)
    enough = keras_ops.sum(mask, axis=axes) >= least
    return keras_ops.where(enough, -losses.ncc(fixed, moved, mask), 1.0)
