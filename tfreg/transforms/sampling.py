"""Values of an image between its voxels."""

import itertools

import numpy as np

from tfreg.errors import InputError

INTERPOLATIONS = ("nearest", "linear", "cubic", "label")


def check_sampling(
    array: np.ndarray, interpolation: str, fill: float
) -> tuple[np.ndarray, np.dtype]:
    """What :func:`sample` takes, and the dtype that the result should have.

    Args:
        array: ``(*spatial,)`` voxels.
        interpolation: "nearest", "linear", "cubic" or "label".
        fill: the value outside.

    Returns:
        The array, for "cubic" its spline coefficients, and the dtype of the result.

    Raises:
        InputError: if the interpolation is unknown, or the result cannot hold ``fill``.
    """
    if interpolation not in INTERPOLATIONS:
        raise InputError(
            f"interpolation must be one of {', '.join(INTERPOLATIONS)}. Received: {interpolation!r}"
        )
    if interpolation in ("nearest", "label"):
        dtype = array.dtype
        limits = (0, 1) if dtype.kind == "b" else None
        if dtype.kind in "iu":
            limits = (np.iinfo(dtype).min, np.iinfo(dtype).max)
        if limits and not (float(fill).is_integer() and limits[0] <= fill <= limits[1]):
            raise InputError(f"fill must be a value of {dtype}. Received: {fill}")
        return array, dtype
    dtype = np.dtype("float64" if array.dtype == np.float64 else "float32")
    array = array.astype(dtype, copy=False)
    if interpolation == "cubic":
        from scipy import ndimage

        array = ndimage.spline_filter(array, 3, np.float64, "mirror")
    return array, dtype


def sample(array: np.ndarray, index: np.ndarray, interpolation: str, fill: float) -> np.ndarray:
    """Values at positions between voxels.

    Args:
        array: of :func:`check_sampling`.
        index: ``(n, ndim)`` in voxels, array-axis order.
        interpolation: "nearest", "linear", "cubic" or "label".
        fill: the value more than half a voxel beyond the outer voxel centres.

    Returns:
        ``(n,)`` values.

    Example:

    >>> labels = np.array([[1, 1, 7], [1, 7, 7]])
    >>> sample(labels, np.array([[0.4, 1.4], [5.0, 5.0]]), "label", 0).tolist()
    [7, 0]
    """
    last = np.array(array.shape) - 1
    outside = ((index < -0.5) | (index >= last + 0.5)).any(axis=1)
    if interpolation == "nearest":
        nearest = np.clip(np.floor(index + 0.5), 0, last).astype(np.intp)
        values = array[tuple(nearest.T)]
    elif interpolation == "label":
        values = _majority(array, index)
    else:
        from scipy import ndimage

        order, mode = (1, "nearest") if interpolation == "linear" else (3, "mirror")
        values = ndimage.map_coordinates(
            array, index.T, order=order, mode=mode, prefilter=False, output=np.float64
        )
    values[outside] = fill
    return values


def _majority(labels: np.ndarray, index: np.ndarray) -> np.ndarray:
    """``argmax_k sum_i w_i [labels_i = k]``, ``w`` multilinear; the lowest label among equals.

    Corner by corner, so that the cost does not grow with the number of labels.
    """
    last = np.array(labels.shape) - 1
    clamped = np.clip(index, 0, last)
    first = np.minimum(np.floor(clamped), np.maximum(last - 1, 0)).astype(np.intp)
    position = clamped - first
    found, weights = [], []
    for corner in itertools.product((0, 1), repeat=labels.ndim):
        weights.append(np.where(corner, position, 1 - position).prod(axis=1))
        found.append(labels[tuple(np.minimum(first + corner, last).T)])
    best, winner = np.full(len(index), -1.0), np.zeros(len(index), labels.dtype)
    for label in found:
        strength = sum(w * (other == label) for w, other in zip(weights, found, strict=True))
        equal = np.abs(strength - best) <= 1e-12
        better = (~equal & (strength > best)) | (equal & (label < winner))
        winner = np.where(better, label, winner)
        best = np.where(better, strength, best)
    return winner
