"""Gauss and Newton's descent on gradient images through the DRR of a deformed volume.

The derivative of the DRR of ``V(x + u)`` by a coefficient is the projection of a volume of its own,
``grad V (x + u) . phi_k``.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.registration.projection.correlation import (
    features,
    inner,
    normal_equations,
    standardised,
)
from tfreg.registration.projection.marquardt import marquardt

_STEPS, _TOLERANCE = 15, 1e-6
_PRIOR = 3e-5  # of the coefficients' squares, whose standard deviation is 1; tried: 1e-6 to 0.1


def descended(
    scene: Sequence[np.ndarray], xray: np.ndarray, coefficients: np.ndarray
) -> np.ndarray:
    """Coefficients that make the gradient images of DRR and X-ray most alike.

    Args:
        scene: attenuation ``(1, z, y, x, 1)``, components ``(k, z, y, x, 3)`` in voxels, and the
            rays' source ``(1, 3)`` and direction ``(1, rows, columns, 3)`` in voxels.
        xray: ``(1, rows, columns, 1)``.
        coefficients: ``(1, k)``, where it starts.

    Returns:
        ``(1, k)`` float32.
    """
    run = _descent(keras.config.backend())
    found, *_ = run(np.int32(_STEPS), np.float32(_TOLERANCE), coefficients, *scene, xray[..., 0])
    return keras_ops.convert_to_numpy(found)


@functools.cache
def _descent(backend: str) -> Callable:
    def prepare(volume: Any, fields: Any, source: Any, direction: Any, xray: Any) -> tuple:
        weights = inner(keras_ops.ones_like(xray), "gc")
        target = [standardised(part, weights)[0] for part in features(xray, "gc")]
        parts = [ops.gradient(volume[..., 0], axis) for axis in (1, 2, 3)]
        slopes = keras_ops.stack(parts, axis=-1)
        return volume, slopes, fields, source, direction, target, weights

    def normal(
        found: Any,
        volume: Any,
        slopes: Any,
        fields: Any,
        source: Any,
        direction: Any,
        target: Any,
        weights: Any,
    ) -> tuple[Any, Any, Any]:
        count, shape = fields.shape[0], tuple(fields.shape[1:])
        flat = keras_ops.reshape(fields, (count, -1))
        displacement = keras_ops.reshape(keras_ops.matmul(found, flat), (1, *shape))
        moved = ops.resample(volume, displacement)
        along = ops.resample(slopes, displacement)
        changes = keras_ops.sum(along * fields, axis=-1)[..., None]
        image = ops.project(moved, source, direction)[..., 0]
        rays = (keras_ops.repeat(part, count, axis=0) for part in (source, direction))
        columns = ops.project(changes, *rays)[None, ..., 0]
        value, matrix, gradient = normal_equations(image, columns, target, weights, "gc")
        identity = keras_ops.eye(count, dtype=found.dtype)
        return (
            value + 0.5 * _PRIOR * keras_ops.sum(found * found, axis=1),
            matrix + _PRIOR * identity,
            gradient + _PRIOR * found,
        )

    return marquardt(normal, prepare)
