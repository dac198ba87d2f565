"""The grid generator of a spatial transformer: from a localisation network's numbers to a map.

Zeros are the identity, and no number, however large, leads off the image or to infinity: numbers
are taken as they are up to three quarters of a limit, and beyond approach it. In half extents of
the image the limit is 1 for a translation, which keeps the middle of the output on the image, and 3
for the displacement of a control point; it is 2 for what is added to a matrix and for the logarithm
of a scale, and 4 for an angle. The last row of a projective matrix is ``0.45 tanh(p / 0.45)``: its
denominator stays above 0.1.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from tfreg.ops.linear import check_shape, compose_linear, linear_displacement
from tfreg.ops.linear_parameters import linear_matrix, parameter_sizes
from tfreg.ops.normalised import STN_KINDS, matrix_from_normalised, stn_identity, stn_theta
from tfreg.ops.precision import at_least_float32
from tfreg.ops.tps_layout import control_point_grid, tps_layout_displacement

TRANSFORMS = ("translation", "rigid", "similarity", *STN_KINDS, "tps")
_LIMITS = {"translation": 1.0, "rotation": 4.0, "log_scale": 2.0, "matrix": 2.0, "point": 3.0}
_PERSPECTIVE = 0.45
_KNEE = 0.75


def spatial_parameters(transform: str, ndim: int = 2, points: int = 4) -> int:
    """How many numbers a localisation network has to find.

    Args:
        transform: one of :data:`TRANSFORMS`.
        ndim: 2 or 3; a projective transform is 2-D.
        points: control points of a thin-plate spline per axis, at least 2.

    Raises:
        ValueError: on an unknown transform, or numbers that it does not have.

    Example:

    >>> from tfreg.ops.spatial import spatial_parameters
    >>> spatial_parameters("affine"), spatial_parameters("tps"), spatial_parameters("affine", 3)
    (6, 32, 12)
    """
    if transform not in TRANSFORMS:
        raise ValueError(f"transform must be one of {TRANSFORMS}. Received: transform={transform}")
    if transform in STN_KINDS:
        return len(stn_identity(transform, ndim))
    if transform != "tps":
        return sum(parameter_sizes(transform, ndim).values())
    if ndim not in (2, 3) or points < 2:
        raise ValueError(
            "A thin-plate spline is 2-D or 3-D and has at least 2 control points per axis. "
            f"Received: ndim={ndim}, points={points}"
        )
    return ndim * points**ndim


def spatial_displacement(
    parameters: Any,
    transform: str,
    shape: Sequence[int],
    moving_shape: Sequence[int] | None = None,
    points: int = 4,
) -> Any:
    """Dense displacement of a localisation network's numbers, whose zeros are the identity.

    The identity stretches the output over the whole image; for one shape of both it is a
    displacement of exact zeros.

    Args:
        parameters: tensor ``(batch, n)``, n of :func:`spatial_parameters`. Attention, affine,
            projective: the paper's theta (:func:`tfreg.ops.stn_theta`) less that of the identity.
            Translation, rigid, similarity: as :func:`tfreg.ops.linear_matrix` has them, but the
            translation in half extents of the image. Thin-plate: displacements of the control
            points in half extents, last array axis first, points in the order of the array.
        transform: one of :data:`TRANSFORMS`.
        shape: spatial shape of the output.
        moving_shape: spatial shape of the image. None: ``shape``.
        points: control points of a thin-plate spline per axis, the outermost in the corners.

    Returns:
        Tensor ``(batch, *shape, ndim)`` in voxels of the image, array-axis order, for
        :func:`tfreg.ops.resample`; float32, or float64 where ``parameters`` is.

    Raises:
        ValueError: on an unknown transform, or shapes that do not fit.

    Example:

    >>> from tfreg.ops.spatial import spatial_displacement
    >>> u = spatial_displacement([[0.0, 0.0, 0.5, 0.0, 0.0, 0.0]], "affine", (5, 9))
    >>> [float(v) for v in u[0, 2, 3]]  # a quarter of the width to the right
    [0.0, 2.0]

    Reference:
        Jaderberg et al., Spatial transformer networks, NIPS 2015, section 3.2.
    """
    shape = check_shape(shape)
    ndim = len(shape)
    moving_shape = shape if moving_shape is None else check_shape(moving_shape, ndim)
    parameters = at_least_float32(parameters)
    count = spatial_parameters(transform, ndim, points)
    if len(parameters.shape) != 2 or parameters.shape[1] != count:
        raise ValueError(
            f"A {ndim}-D {transform} transform has parameters (batch, {count}). "
            f"Received: parameters.shape={tuple(parameters.shape)}"
        )
    parameters = _limited(parameters, transform, ndim)
    if transform in STN_KINDS:
        identity = ops.cast(stn_identity(transform, ndim), parameters.dtype)
        theta = stn_theta(parameters + identity, transform, ndim)
        return linear_displacement(matrix_from_normalised(theta, shape, moving_shape), shape)
    half = ops.cast((np.asarray(moving_shape) - 1) / 2, parameters.dtype)
    whole = ops.cast(np.eye(ndim, ndim + 1)[None], parameters.dtype)
    stretch = matrix_from_normalised(whole, shape, moving_shape)
    if transform == "tps":
        values = ops.reshape(parameters, (-1, *(points,) * ndim, ndim))
        values = ops.flip(values, axis=-1) * half
        layout = control_point_grid(shape, (points,) * ndim, "corners")
        return tps_layout_displacement(values, layout, shape) + linear_displacement(stretch, shape)
    parameters = ops.concatenate([parameters[:, :ndim] * half, parameters[:, ndim:]], axis=1)
    matrix = linear_matrix(parameters, transform, moving_shape)
    return linear_displacement(compose_linear(matrix, stretch), shape)


def _limited(parameters: Any, transform: str, ndim: int) -> Any:
    """Numbers within the limits of their parts."""
    limits = np.asarray(_limits(transform, ndim))
    knees = np.where(limits == _PERSPECTIVE, 0.0, _KNEE * limits)
    knees, room = (ops.cast(v, parameters.dtype) for v in (knees, limits - knees))
    excess = ops.maximum(ops.abs(parameters) - knees, 0)
    beyond = ops.sign(parameters) * (knees + room * ops.tanh(excess / room))
    return ops.where(excess > 0, beyond, parameters)


def _limits(transform: str, ndim: int) -> list[float]:
    """The limit of each number, or of all."""
    translation, matrix = _LIMITS["translation"], _LIMITS["matrix"]
    if transform == "tps":
        return [_LIMITS["point"]]
    if transform == "attention":
        return [matrix, *[translation] * ndim]
    if transform in STN_KINDS:
        rows = [*[matrix] * ndim, translation] * ndim
        return rows + [_PERSPECTIVE] * 2 if transform == "projective" else rows
    sizes = parameter_sizes(transform, ndim)
    return [_LIMITS[part] for part, size in sizes.items() for _ in range(size)]
