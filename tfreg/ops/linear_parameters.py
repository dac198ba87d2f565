"""Parameters of linear transforms: a vector, whose zero is the identity, to a matrix.

The kinds differ in which parts of :class:`tfreg.ops.affine_parts.AffineParts` they have.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from tfreg.ops.affine_parts import affine_matrix, centre_of
from tfreg.ops.linear import check_shape
from tfreg.ops.precision import at_least_float32

_PARTS = {
    "translation": ("translation",),
    "rigid": ("translation", "rotation"),
    "similarity": ("translation", "rotation", "log_scale"),
    "affine": ("translation", "rotation", "log_scaling", "shearing"),
    "projective": ("translation", "rotation", "log_scaling", "shearing", "perspective"),
    "attention": ("translation", "log_scale"),
}
KINDS = tuple(_PARTS)


def parameter_sizes(kind: str, ndim: int) -> dict[str, int]:
    """Names and lengths of the parts of a parameter vector, in order.

    Args:
        kind: one of ``KINDS``.
        ndim: 2 or 3; a projective transform is 2-D.

    Returns:
        Dict from the name of a part to its number of parameters.

    Raises:
        ValueError: on an unknown kind or dimension.

    Example:

    >>> from tfreg.ops.linear_parameters import parameter_sizes
    >>> parameter_sizes("affine", 2)
    {'translation': 2, 'rotation': 1, 'log_scaling': 2, 'shearing': 1}
    >>> sum(parameter_sizes("affine", 3).values())
    12
    """
    if kind not in _PARTS:
        raise ValueError(f"kind must be one of {KINDS}. Received: kind={kind}")
    if ndim not in ((2,) if kind == "projective" else (2, 3)):
        raise ValueError(
            f"A transform is 2-D or 3-D, a projective one 2-D. Received: ndim={ndim}, kind={kind}"
        )
    plane = ndim * (ndim - 1) // 2
    sizes = {"rotation": plane, "shearing": plane, "log_scale": 1}
    return {part: sizes.get(part, ndim) for part in _PARTS[kind]}


def linear_matrix(parameters: Any, kind: str, shape: Sequence[int]) -> Any:
    """Matrix of a parameter vector: ``y = S K R (x - c) + c + t``; zeros are exactly the identity.

    A projective transform divides this, seen from ``c``, by ``1 + sum_a p_a (x_a - c_a) / h_a``,
    ``h = (shape - 1) / 2``: its perspective ``p`` has no unit, and the denominator stays positive
    on the grid if ``|p_0| + |p_1| < 1``.

    Args:
        parameters: tensor ``(batch, n)``, the parts of :func:`parameter_sizes` one after another:
            translation in voxels, rotation in radians, the natural logarithm of the scaling (one
            for a similarity or attention, else one per axis), shearing, perspective.
        kind: ``"translation"``, ``"rigid"``, ``"similarity"``, ``"affine"``, ``"projective"`` (2-D)
            or ``"attention"`` (translation and one scale).
        shape: spatial shape of the fixed grid.

    Returns:
        Tensor ``(batch, ndim, ndim + 1)``, projective ``(batch, 3, 3)``.

    Raises:
        ValueError: on an unknown kind or a number of parameters that does not fit.

    Example:

    >>> import math
    >>> from tfreg.ops.linear_parameters import linear_matrix
    >>> half_turn = linear_matrix([[0.0, 0.0, math.pi]], "rigid", (5, 9))
    >>> [[round(float(v), 3) + 0.0 for v in row] for row in half_turn[0]]
    [[-1.0, 0.0, 4.0], [0.0, -1.0, 8.0]]

    Reference:
        de Vos et al., A deep learning framework for unsupervised affine and deformable image
        registration, Medical Image Analysis 52, 2019.
    """
    shape = check_shape(shape)
    ndim = len(shape)
    values = split_parameters(parameters, kind, ndim)
    translation = values["translation"]
    plane = ops.zeros_like(translation[:, : ndim * (ndim - 1) // 2])
    log_scaling = values.get("log_scaling", ops.zeros_like(translation))
    log_scaling = log_scaling + values.get("log_scale", 0.0)
    matrix = affine_matrix(
        translation,
        values.get("rotation", plane),
        ops.exp(log_scaling),
        values.get("shearing", plane),
        shape,
    )
    if kind != "projective":
        return matrix
    # Seen from the centre, the matrix is [A t; g 1] with g = p / h; then back to voxel 0.
    if 1 in shape:
        raise ValueError(
            f"A projective transform needs at least 2 voxels per axis. Received: shape={shape}"
        )
    centre = centre_of(shape, matrix)
    g = values["perspective"] / centre  # the half extent h equals the centre
    last = ops.concatenate([g, 1.0 - ops.sum(g * centre, axis=-1, keepdims=True)], axis=-1)
    above = matrix[..., :ndim] + centre[:, :, None] * g[:, None, :]
    shift = matrix[..., ndim] - ops.sum(g * centre, axis=-1, keepdims=True) * centre
    above = ops.concatenate([above, shift[..., None]], axis=-1)
    return ops.concatenate([above, last[:, None, :]], axis=-2)


def bounded_parameters(outputs: Any, kind: str, ndim: int) -> Any:
    """Keeps the outputs of a network within the bounds of TorchIR; zeros stay zeros.

    Rotation ``pi/2 tanh``, scaling ``2^tanh`` (0.5 to 2), shearing ``tan(pi/4 tanh)`` (-1 to 1),
    translation unbounded. The perspective, which TorchIR does not have, is ``tanh / 3``: the
    denominator stays above 1/3.

    Args:
        outputs: tensor ``(batch, n)`` in the order of :func:`parameter_sizes`.
        kind: as in :func:`linear_matrix`, but not ``"translation"``, which has no bound.
        ndim: 2 or 3.

    Returns:
        Tensor ``(batch, n)``: parameters for :func:`linear_matrix`.

    Raises:
        ValueError: on a kind without bounds or a number of outputs that does not fit.

    Example:

    >>> from tfreg.ops.linear_parameters import bounded_parameters
    >>> [round(float(v), 4) for v in bounded_parameters([[9.0, 9.0, 99.0]], "rigid", 2)[0]]
    [9.0, 9.0, 1.5708]

    Reference:
        TorchIR, https://github.com/BDdeVos/TorchIR, by the first author of DLIR.
    """
    if kind == "translation":
        raise ValueError(f"A translation has no bounds. Received: kind={kind}")
    bounds = {
        "translation": lambda x: x,
        "rotation": lambda x: math.pi / 2 * ops.tanh(x),
        "log_scale": lambda x: math.log(2) * ops.tanh(x),
        "log_scaling": lambda x: math.log(2) * ops.tanh(x),
        "shearing": lambda x: ops.tan(math.pi / 4 * ops.tanh(x)),
        "perspective": lambda x: ops.tanh(x) / 3,
    }
    parts = split_parameters(outputs, kind, ndim)
    return ops.concatenate([bounds[name](part) for name, part in parts.items()], axis=-1)


def split_parameters(parameters: Any, kind: str, ndim: int) -> dict[str, Any]:
    """The named parts of a parameter vector, each ``(batch, length)``."""
    parameters = at_least_float32(parameters)
    sizes = parameter_sizes(kind, ndim)
    count = sum(sizes.values())
    if len(parameters.shape) != 2 or parameters.shape[1] != count:
        raise ValueError(
            f"A {ndim}-D {kind} transform has parameters (batch, {count}). "
            f"Received: parameters.shape={tuple(parameters.shape)}"
        )
    ends = np.cumsum(list(sizes.values()))
    return {
        name: parameters[:, end - size : end]
        for (name, size), end in zip(sizes.items(), ends.tolist(), strict=True)
    }
