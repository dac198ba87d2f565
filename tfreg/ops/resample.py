"""Resampling: the value of an image between its voxels, and its exact gradient.

``resample(image, u)(x) = image(x + u(x))``.
"""

from typing import Any

import keras
from keras import ops

from tfreg.ops.interpolation import INTERPOLATIONS, prepared
from tfreg.ops.precision import at_least_float32
from tfreg.ops.sampler import kernel_sampler, nearest_sampler

MODES = ("border", "constant")


def resample(
    image: Any,
    displacement: Any,
    interpolation: str = "linear",
    mode: str = "border",
    fill_value: float = 0.0,
    image_gradient: bool = True,
) -> Any:
    """Warps an image: ``moved(x) = image(x + displacement(x))``.

    Args:
        image: tensor ``(batch, *spatial, channels)``, 2-D or 3-D.
        displacement: tensor ``(batch, *output_spatial, ndim)`` in voxels of ``image``, array-axis
            order. Its grid may differ from that of ``image``; voxel 0 of both coincide.
        interpolation: ``"nearest"`` (halves round up; keeps an integer dtype), ``"linear"``,
            ``"cubic"`` (the cubic B-spline through the voxels, mirrored about the border voxels:
            SciPy's order 3) or ``"catmull-rom"`` (the cubic convolution of parameter -1/2; local,
            less smooth). The cubic ones may overshoot, and need a known spatial shape.
        mode: outside the image, ``"border"`` repeats the nearest voxel and ``"constant"`` gives
            ``fill_value``. A position is outside when it lies beyond the centre of a border voxel.
        fill_value: value outside the image when ``mode="constant"``.
        image_gradient: whether a gradient flows back to ``image``. ``False``, where the image is
            data, saves compiling it.

    Returns:
        Tensor ``(batch, *output_spatial, channels)`` in the dtype of ``image`` (integers become
        float32 under any but nearest interpolation). Computation is in float32, or float64 where
        an argument is.

    Raises:
        ValueError: on an unknown option, mismatched ranks or a fill value without effect.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> image = np.arange(12, dtype="float32").reshape(1, 3, 4, 1)
    >>> shift = np.zeros((1, 3, 4, 2), "float32")
    >>> shift[..., 1] = 1.0  # one voxel along the second axis
    >>> [float(v) for v in ops.resample(image, shift)[0, 0, :, 0]]
    [1.0, 2.0, 3.0, 3.0]

    Reference:
        Unser et al., B-spline signal processing, IEEE Transactions on Signal Processing 41(2),
        1993; Keys, Cubic convolution interpolation for digital image processing, IEEE Transactions
        on Acoustics, Speech and Signal Processing 29(6), 1981.
    """
    image = ops.convert_to_tensor(image)
    displacement = at_least_float32(displacement)
    ndim = _check(image, displacement, interpolation, mode, fill_value)
    if len(displacement.shape) != ndim + 2:
        raise ValueError(
            f"A displacement for this image has shape (batch, *{ndim} axes, {ndim}). "
            f"Received: displacement.shape={tuple(displacement.shape)}"
        )
    options = interpolation, mode, fill_value, image_gradient
    return _run("displacement", image, displacement, *options)


def sample(
    image: Any,
    points: Any,
    interpolation: str = "linear",
    mode: str = "border",
    fill_value: float = 0.0,
    image_gradient: bool = True,
) -> Any:
    """The values of an image at given positions: ``values[p] = image(points[p])``.

    Args:
        image: tensor ``(batch, *spatial, channels)``, 2-D or 3-D.
        points: tensor ``(batch, *any, ndim)``: positions in voxels, array-axis order.
        interpolation, mode, fill_value, image_gradient: as in :func:`resample`.

    Returns:
        Tensor ``(batch, *any, channels)``.

    Raises:
        ValueError: as in :func:`resample`.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> image = np.arange(4, dtype="float32").reshape(1, 2, 2, 1)
    >>> float(ops.sample(image, np.array([[[0.5, 0.5]]], "float32"))[0, 0, 0])
    1.5
    """
    image = ops.convert_to_tensor(image)
    points = at_least_float32(points)
    _check(image, points, interpolation, mode, fill_value)
    return _run("points", image, points, interpolation, mode, fill_value, image_gradient)


def _check(image: Any, where: Any, interpolation: str, mode: str, fill_value: float) -> int:
    ndim = len(image.shape) - 2
    if ndim not in (2, 3):
        raise ValueError(
            "image must be (batch, *spatial, channels) with 2 or 3 spatial axes. "
            f"Received: image.shape={tuple(image.shape)}"
        )
    if where.shape[-1] != ndim:
        raise ValueError(
            f"The last axis must hold {ndim} coordinates for this image. "
            f"Received: shape={tuple(where.shape)}, image.shape={tuple(image.shape)}"
        )
    batches = (image.shape[0], where.shape[0])
    if None not in batches and batches[0] != batches[1]:
        raise ValueError(
            f"Batch sizes must agree. Received: image {batches[0]}, coordinates {batches[1]}"
        )
    if interpolation not in INTERPOLATIONS:
        raise ValueError(
            f"interpolation must be one of {INTERPOLATIONS}. Received: {interpolation}"
        )
    if mode not in MODES:
        raise ValueError(f"mode must be one of {MODES}. Received: {mode}")
    if mode == "border" and fill_value != 0.0:
        raise ValueError(
            f'fill_value has no effect with mode="border". Received: fill_value={fill_value}'
        )
    return ndim


def _run(
    kind: str,
    image: Any,
    where: Any,
    interpolation: str,
    mode: str,
    fill_value: float,
    image_gradient: bool,
) -> Any:
    dtype = keras.backend.standardize_dtype(image.dtype)
    backend, fill_value = keras.config.backend(), float(fill_value)
    if not image_gradient:
        image = ops.stop_gradient(image)
    if interpolation == "nearest":
        return nearest_sampler(kind, backend, mode, fill_value)(image, where)
    work = "float64" if "float64" in (dtype, where.dtype) else "float32"
    image, where = ops.cast(image, work), ops.cast(where, work)
    if interpolation != "linear":
        image = prepared(image, interpolation)
    options = interpolation, mode, fill_value, bool(image_gradient)
    values = kernel_sampler(kind, backend, *options)(image, where)
    return ops.cast(values, dtype) if "float" in dtype else values
