"""B-splines: from a coarse grid of control points to a dense displacement.

``u(x) = sum_i c_i prod_a beta((x_a - p_i,a) / s_a)`` with the cubic basis function ``beta``
(Rueckert et al., 1999). The sum separates over the axes, so it is one small matrix product per
axis; the matrices depend on sizes only and are made in NumPy when a function is traced.
"""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

BOUNDARIES = ("zero", "edge")


def basis(t: np.ndarray) -> np.ndarray:
    """The cubic B-spline basis function ``beta(t)``, non-zero for ``|t| < 2``.

    Args:
        t: distances in units of the grid spacing.

    Returns:
        float64 array of the shape of ``t``.

    Example:

    >>> from tfreg.ops import bspline
    >>> [round(float(v), 4) for v in bspline.basis([0.0, 1.0, 2.0])]
    [0.6667, 0.1667, 0.0]
    """
    t = np.abs(np.asarray(t, dtype="float64"))
    near = 2 / 3 - t**2 + t**3 / 2
    far = np.clip(2 - t, 0, None) ** 3 / 6
    return np.where(t < 1, near, far)


@functools.lru_cache(maxsize=256)
def basis_matrix(size: int, control_points: int, spacing: int, boundary: str) -> np.ndarray:
    """Weights that take the control points of one axis to its voxels.

    Control point ``i`` sits in the middle of the ``i``-th block of ``spacing`` voxels, at voxel
    ``i * spacing + (spacing - 1) / 2``.

    Args:
        size: number of voxels along the axis.
        control_points: number of control points along the axis.
        spacing: voxels between control points.
        boundary: ``"zero"`` or ``"edge"``, see :func:`bspline_displacement`.

    Returns:
        float64 array ``(size, control_points)``, not to be written to.
    """
    first = (spacing - 1) / 2
    reach = 2  # control points beyond the grid that still act inside it
    index = np.arange(-reach, control_points + reach)
    weights = basis((np.arange(size)[:, None] - first) / spacing - index[None, :])
    if boundary == "zero":
        matrix = weights[:, reach:-reach].copy()
    else:
        matrix = np.zeros((size, control_points))
        for column, i in enumerate(np.clip(index, 0, control_points - 1)):
            matrix[:, i] += weights[:, column]
    matrix.setflags(write=False)
    return matrix


def bspline_displacement(
    control_points: Any, spacing: Sequence[int], boundary: str = "zero"
) -> Any:
    """Dense displacement of a grid of cubic B-spline control points.

    Args:
        control_points: tensor ``(batch, *grid, ndim)`` of displacements in voxels, array-axis
            order; 2-D or 3-D.
        spacing: voxels between control points, a positive integer per axis.
        boundary: ``"zero"``: coefficients outside the grid are zero, so the displacement is pulled
            towards zero at the image border (DIRNet, whose grid is the network's output and nothing
            more). ``"edge"``: the outermost coefficients are repeated, so weights sum to one
            everywhere and a constant grid is a translation.

    Returns:
        Tensor ``(batch, *(grid * spacing), ndim)`` in voxels.

    Raises:
        ValueError: on an unknown boundary, or a spacing that does not fit the grid.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> control_points = np.ones((1, 7, 7, 2), "float32")
    >>> u = ops.bspline_displacement(control_points, (4, 4), boundary="edge")
    >>> tuple(u.shape), round(float(u[0, 0, 0, 0]), 5)
    ((1, 28, 28, 2), 1.0)

    Reference:
        Rueckert et al., Nonrigid registration using free-form deformations, IEEE TMI 18(8), 1999.
    """
    control_points = ops.convert_to_tensor(control_points)
    ndim = len(control_points.shape) - 2
    spacing = tuple(spacing)
    if boundary not in BOUNDARIES:
        raise ValueError(f"boundary must be one of {BOUNDARIES}. Received: boundary={boundary}")
    if ndim not in (2, 3) or len(spacing) != ndim or control_points.shape[-1] != ndim:
        raise ValueError(
            "control_points must be (batch, *grid, ndim) with one spacing per axis, 2-D or 3-D. "
            f"Received: control_points.shape={tuple(control_points.shape)}, spacing={spacing}"
        )
    if any(not isinstance(s, (int, np.integer)) or s < 1 for s in spacing):
        raise ValueError(f"spacing must be positive integers. Received: spacing={spacing}")
    grid = control_points.shape[1:-1]
    if None in grid:
        raise ValueError(
            f"The grid of control points must have a known size. Received: grid={tuple(grid)}"
        )
    dtype = keras.backend.standardize_dtype(control_points.dtype)
    if dtype != "float64":
        dtype = "float32"
    values = ops.cast(control_points, dtype)
    done: list[int] = []
    for axis in range(ndim):
        size = grid[axis] * spacing[axis]
        weights = basis_matrix(size, grid[axis], spacing[axis], boundary)
        rest = int(np.prod(grid[axis + 1 :], dtype=int)) * ndim
        if axis < ndim - 1:  # (batch * done, grid, rest): weights act from the left
            values = ops.reshape(values, (-1, grid[axis], rest))
            values = ops.matmul(ops.convert_to_tensor(weights, dtype), values)
        else:  # the components ride along in one product from the right: no transposition
            wide = np.kron(weights.T, np.eye(ndim))
            values = ops.reshape(values, (-1, grid[axis] * ndim))
            values = ops.matmul(values, ops.convert_to_tensor(wide, dtype))
        done.append(size)
    return ops.reshape(values, (-1, *done, ndim))
