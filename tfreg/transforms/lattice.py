"""Values between the nodes of a grid: splines of order 1 to 3 and their derivatives, in float64."""

import functools
import itertools

import numpy as np

ORDERS = (1, 2, 3)
_CHUNK = 1 << 15  # points at a time, so that the stencil's temporaries stay in the cache

# Weight of each node of the stencil as a polynomial of the position between the nodes, the
# constant first.
_POLYNOMIALS = {
    1: np.array([[1.0, -1.0], [0.0, 1.0]]),
    2: np.array([[0.5, -1.0, 0.5], [0.5, 1.0, -1.0], [0.0, 0.0, 0.5]]),
    3: np.array([[1.0, -3, 3, -1], [4.0, 0, -6, 3], [1.0, 3, 3, -3], [0.0, 0, 0, 1]]) / 6,
}


def interpolate(values: np.ndarray, index: np.ndarray, order: int) -> np.ndarray:
    """``sum_i values_i prod_a beta(index_a - i_a)``: a spline from its coefficients.

    Args:
        values: ``(*spatial, channels)``; of order 1 the coefficients are the values at the nodes.
        index: ``(n, ndim)`` in voxels, array-axis order; beyond the border the values of the border
            are continued.
        order: 1 (multilinear) to 3 (cubic).

    Returns:
        ``(n, channels)`` float64.

    Example:

    >>> interpolate(np.array([[0.0], [4.0]])[:, None], np.array([[0.25, 0.0]]), 1).tolist()
    [[1.0]]
    """
    from scipy import ndimage

    result = np.empty((len(index), values.shape[-1]))
    for channel in range(values.shape[-1]):
        ndimage.map_coordinates(
            values[..., channel],
            index.T,
            output=result[:, channel],
            order=order,
            mode="nearest",
            prefilter=False,
        )
    return result


def gradient(values: np.ndarray, index: np.ndarray, order: int) -> np.ndarray:
    """Derivatives of :func:`interpolate` along the axes of the array.

    Args:
        values: ``(*spatial, channels)``.
        index: ``(n, ndim)`` in voxels, array-axis order.
        order: 1 to 3. Of order 1, whose derivative jumps at a node, it is that of the right.

    Returns:
        ``(n, channels, ndim)`` float64, per voxel; 0 along an axis beyond whose border a point is.

    Example:

    >>> gradient(np.array([[0.0], [4.0]])[:, None], np.array([[0.25, 0.0]]), 1).tolist()
    [[[4.0, 0.0]]]
    """
    result = np.empty((len(index), values.shape[-1], index.shape[1]))
    for start in range(0, len(index), _CHUNK):
        rows = slice(start, start + _CHUNK)
        result[rows] = _gradient(values, index[rows], order)
    return result


def _gradient(values: np.ndarray, index: np.ndarray, order: int) -> np.ndarray:
    count, ndim = index.shape
    sizes = np.array(values.shape[:-1])
    inside = np.clip(index, 0, sizes - 1)
    shifted = inside - (order - 1) / 2
    first = np.floor(shifted)
    if order == 1:  # the last node belongs to the last cell
        first = np.minimum(first, np.maximum(sizes - 2, 0))
    position = shifted - first
    polynomials = _POLYNOMIALS[order]
    slopes = polynomials[:, 1:] * np.arange(1, order + 1)
    weights = np.moveaxis(_powers(position, order) @ polynomials.T, -1, 0)
    derivatives = np.moveaxis(_powers(position, order - 1) @ slopes.T, -1, 0)
    derivatives = np.where((index < 0) | (index > sizes - 1), 0.0, derivatives)
    flat = values.reshape(-1, values.shape[-1])
    strides = np.append(np.cumprod(sizes[:0:-1])[::-1], 1).astype(np.intp)
    nodes = [np.clip(first + k, 0, sizes - 1).astype(np.intp) * strides for k in range(order + 1)]
    result = np.zeros((count, values.shape[-1], ndim))
    for offsets in itertools.product(range(order + 1), repeat=ndim):
        found = flat[sum(nodes[k][:, axis] for axis, k in enumerate(offsets))]
        for axis in range(ndim):
            factors = (
                (derivatives if a == axis else weights)[k][:, a] for a, k in enumerate(offsets)
            )
            result[:, :, axis] += functools.reduce(np.multiply, factors)[:, None] * found
    return result


def _powers(values: np.ndarray, order: int) -> np.ndarray:
    return values[..., None] ** np.arange(order + 1)
