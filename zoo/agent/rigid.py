"""Rigid transforms, the twelve actions, and how far two transforms are apart.

The state is the transform that moves the moving image onto the fixed one: a point ``m`` of the
moving image comes to lie at ``T m``, so that what is seen is ``moved(x) = moving(T^-1 x)``, and an
action acts on what is seen, ``a o T``. Points are in mm from the centre of the fixed image, in the
order of array axes.
"""

import math
from typing import Any

import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.ops.affine_parts import decompose_affine

ACTIONS = 12
_ORIGIN = (1, 1, 1)  # a grid of one voxel: what acts about its centre acts about the origin
_UNITS = np.array([1, 1, 1] + 3 * [math.pi / 180], "float32")


def transform(parameters: Any) -> Any:
    """``T = Trans(t) R0 R1 R2``: the translation is applied last.

    Args:
        parameters: ``(batch, 6)``: three translations in mm, three rotations in degrees.

    Returns:
        ``(batch, 3, 4)``.

    Example:

    >>> from zoo.agent.rigid import transform
    >>> quarter = transform([[5.0, 0, 0, 0, 0, 90.0]])[0]
    >>> [[round(float(v)) for v in row] for row in quarter]
    [[0, -1, 0, 5], [1, 0, 0, 0], [0, 0, 1, 0]]
    """
    values = keras_ops.convert_to_tensor(parameters, "float32") * _UNITS
    return ops.linear_matrix(values, "rigid", _ORIGIN)


def parameters_of(matrix: Any) -> Any:
    """The inverse of :func:`transform`, ``(batch, 6)``."""
    parts = decompose_affine(matrix, _ORIGIN)
    return keras_ops.concatenate([parts.translation, parts.rotation], axis=-1) / _UNITS


def actions(step: float) -> np.ndarray:
    """The twelve actions ``(12, 3, 4)``: of each parameter ``+ step``, then ``- step``.

    Args:
        step: mm and degrees.

    Example:

    >>> from zoo.agent.rigid import actions
    >>> actions(1.0)[1, :, 3].tolist()
    [-1.0, 0.0, 0.0]
    """
    return keras_ops.convert_to_numpy(transform(step * moves()))


def moves() -> np.ndarray:
    """What each action adds to the parameters, in steps, ``(12, 6)``."""
    return np.stack([np.eye(6), -np.eye(6)], axis=1).reshape(ACTIONS, 6).astype("float32")


def distance(offset: Any) -> Any:
    """``D``: the norm of the parameters of ``T o T_g^-1``, mm and degrees alike, ``(batch,)``.

    Args:
        offset: ``T o T_g^-1`` ``(batch, 3, 4)``, which an action multiplies from the left.
    """
    return keras_ops.sqrt(keras_ops.sum(parameters_of(offset) ** 2, axis=-1))


def gains(offset: Any, step: float) -> np.ndarray:
    """By how much each action lowers ``D``, ``(batch, 12)``: the reward of the paper."""
    offset = keras_ops.convert_to_numpy(offset)
    after = np.einsum("aij,njk->naik", homogeneous(actions(step)), homogeneous(offset))
    after = distance(after[:, :, :3].reshape(-1, 3, 4))
    before = keras_ops.convert_to_numpy(distance(offset))
    return before[:, None] - keras_ops.convert_to_numpy(after).reshape(-1, ACTIONS)


def homogeneous(matrix: Any) -> np.ndarray:
    """``(..., 3, 4)`` as ``(..., 4, 4)``."""
    matrix = np.asarray(matrix, "float32")
    last = np.broadcast_to(np.array([0, 0, 0, 1], "float32"), (*matrix.shape[:-2], 1, 4))
    return np.concatenate([matrix, last], axis=-2)


def chained(*matrices: Any) -> np.ndarray:
    """The product of matrices ``(..., 3, 4)``, the last of which is applied first."""
    found = homogeneous(matrices[0])
    for matrix in matrices[1:]:
        found = found @ homogeneous(matrix)
    return found[..., :3, :].astype("float32")


def inverse(matrix: Any) -> np.ndarray:
    """The inverse of rigid or affine matrices ``(..., 3, 4)``."""
    return np.linalg.inv(homogeneous(matrix).astype("float64"))[..., :3, :].astype("float32")
