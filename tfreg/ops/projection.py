"""X-ray images of volumes: digitally reconstructed radiographs.

A pixel is the integral of attenuation along its ray, ``I = integral V(s + l d) dl``: what a
detector measures after the logarithm, ``-log(intensity / intensity without an object)``.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from tfreg.ops.backend import compiled
from tfreg.ops.pose import checked_rays, pose_columns, ray_components
from tfreg.ops.precision import at_least_float32, same_dtype
from tfreg.ops.rays import (
    Voxels,
    joseph,
    joseph_slopes,
    joseph_transposed,
    siddon,
    with_margin,
    without_margin,
)

METHODS = ("joseph", "siddon")
WATER = 0.02  # attenuation in 1/mm, of photons of about 60 keV


def attenuation(hounsfield: Any) -> Any:
    """Attenuation of CT numbers: ``0.02 (1 + HU / 1000)`` per mm, and never below 0.

    Water attenuates by 2 % per mm, as of photons of about 60 keV; bone, whose attenuation falls
    faster with the energy, by what its CT number says.

    Args:
        hounsfield: tensor of any shape, in HU.

    Returns:
        Tensor of the same shape, per mm.

    Example:

    >>> from tfreg.ops.projection import attenuation
    >>> [round(float(v), 3) for v in attenuation([-3000.0, -1000.0, 0.0, 1000.0])]
    [0.0, 0.0, 0.02, 0.04]
    """
    return ops.maximum(WATER * (1 + at_least_float32(hounsfield) / 1000), 0)


def project(volume: Any, source: Any, direction: Any, method: str = "joseph") -> Any:
    """Integrals of volumes along rays: ``I = integral V(s + l d) dl``.

    Outside the grid a volume is 0. The whole line counts, also behind the source. Of ``"joseph"``
    the gradients by all three tensors are written out; rays of one image are followed along one
    axis, to which none may be perpendicular.

    Args:
        volume: tensor ``(batch, z, y, x, 1)`` of known shape, or ``(1, z, y, x, 1)`` for all rays.
        source: tensor ``(batch, 3)`` in voxels, array-axis order.
        direction: tensor ``(batch, *rays, 3)`` in voxels; of one mm, the integral is per mm.
        method: ``"joseph"``: linear between voxels, of slices across the main axis of the rays.
            ``"siddon"``: exact for voxels of constant value.

    Returns:
        Tensor ``(batch, *rays, 1)``, float32, or float64 where an argument is.

    Raises:
        ValueError: on other shapes or an unknown method.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> box = np.ones((1, 4, 6, 8, 1), "float32")
    >>> across = ops.project(box, [[-10.0, 2.0, 3.0]], [[[1.0, 0.0, 0.0]]])
    >>> float(across[0, 0, 0])
    4.0

    Reference:
        Joseph, IEEE Transactions on Medical Imaging 1(3), 1982; Siddon, Medical Physics 12(2),
        1985.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}. Received: method={method}")
    volume, source, direction = same_dtype(volume, source, direction)
    check_volume(volume)
    shapes = f"source.shape={tuple(source.shape)}, direction.shape={tuple(direction.shape)}"
    if len(source.shape) != 2 or source.shape[-1] != 3:
        raise ValueError(f"source must be (batch, 3). Received: {shapes}")
    if len(direction.shape) < 3 or direction.shape[-1] != 3 or None in direction.shape[1:]:
        raise ValueError(f"direction must be (batch, *rays, 3). Received: {shapes}")
    if direction.shape[0] != source.shape[0] or volume.shape[0] not in (1, source.shape[0]):
        raise ValueError(
            "There must be as many sources as bundles of rays, and one volume or as many. "
            f"Received: volume.shape={tuple(volume.shape)}, {shapes}"
        )
    rays = direction.shape[1:-1]
    flat = ops.reshape(direction, (-1, math.prod(rays), 3))
    image = _projector(method, keras.config.backend())(volume, source, flat)
    return ops.reshape(image, (-1, *rays, 1))


def project_jacobian(volume: Any, pose: Any, frame: Any, source: Any, rays: Any) -> tuple[Any, Any]:
    """The image of a volume at each pose, and its derivative by the six parameters, in one pass.

    Args:
        volume: tensor ``(batch, z, y, x, 1)`` of known shape, or ``(1, z, y, x, 1)`` for all poses.
        pose: tensor ``(batch, 6)``, mm and degrees, see ``tfreg.geometry.pose``.
        frame: ``(3, 4)`` of the volume, see :func:`tfreg.geometry.frame_of`.
        source: ``(3,)`` in mm, as :meth:`tfreg.geometry.ConeBeam.rays` gives it with the rays.
        rays: ``(1, *rays, 3)`` unit vectors, or ``(batch, *rays, 3)``.

    Returns:
        The pair: image ``(batch, *rays, 1)`` by Joseph's sum, and its derivative
        ``(batch, 6, *rays)``, per mm and per degree.

    Raises:
        ValueError: on other shapes.

    Example:

    >>> import numpy as np
    >>> from tfreg import geometry, ops
    >>> volume = np.ones((1, 9, 9, 9, 1), "float32")
    >>> frame = geometry.frame_of(geometry.Geometry.of_shape((9, 9, 9), 2.0))
    >>> source, rays = geometry.ConeBeam(1000.0, (5, 5), 1.0).rays()
    >>> pose = [[0, 0, 800, 0, 0, 0]]
    >>> image, jacobian = ops.project_jacobian(volume, pose, frame, source, rays[None])
    >>> round(float(image[0, 2, 2, 0]), 4), tuple(jacobian.shape)  # 9 voxels of 2 mm
    (18.0, (1, 6, 5, 5))
    """
    volume = at_least_float32(volume)
    check_volume(volume)
    pose, frame, source, rays = checked_rays(pose, frame, source, rays)
    volume, pose, frame, source, rays = same_dtype(volume, pose, frame, source, rays)
    if volume.shape[0] not in (1, pose.shape[0]):
        raise ValueError(
            "There must be one volume, or as many as poses. "
            f"Received: volume.shape={tuple(volume.shape)}, pose.shape={tuple(pose.shape)}"
        )
    image, columns = _jacobian(keras.config.backend())(volume, pose, frame, source, rays)
    grid = rays.shape[1:-1]
    return ops.reshape(image, (-1, *grid, 1)), ops.reshape(columns, (-1, 6, *grid))


def image_and_columns(
    voxels: Voxels, pose: Any, frame: Any, source: Any, rays: Any
) -> tuple[Any, Any]:
    """:func:`project_jacobian` of checked tensors: ``(batch, rays)`` and ``(batch, 6, rays)``."""
    start, direction = ray_components(pose, frame, source, rays)
    image = joseph(voxels, start, direction)
    slopes = joseph_slopes(voxels, start, direction, image)
    return image, pose_columns(pose, frame, source, rays, *slopes)


def check_volume(volume: Any) -> None:
    """Raises ``ValueError`` unless ``volume`` is a batch of volumes of one channel."""
    shape = tuple(volume.shape)
    if len(shape) != 5 or shape[-1] != 1 or None in shape[1:4]:
        raise ValueError(
            f"volume must be (batch, z, y, x, 1) of known shape. Received: volume.shape={shape}"
        )


@functools.cache
def _jacobian(backend: str) -> Callable:
    def both(volume: Any, *rest: Any) -> tuple[Any, Any]:
        return image_and_columns(with_margin(volume), *rest)

    return compiled(both)


@functools.cache
def _projector(method: str, backend: str) -> Callable:
    """``f(volume, source, direction)`` with its gradients, ``direction`` ``(batch, rays, 3)``."""

    def prepared(volume: Any, source: Any, direction: Any) -> tuple[Voxels, list, list]:
        parts = [[tensor[..., k] for k in range(3)] for tensor in (source, direction)]
        return with_margin(volume), *parts

    if method == "siddon":  # differentiated automatically: its pieces change with the ray
        return compiled(lambda *args: siddon(*prepared(*args)))

    def value(*args: Any) -> Any:
        return joseph(*prepared(*args))

    def gradient_of_rays(volume: Any, source: Any, direction: Any, image: Any, up: Any) -> Any:
        slopes = joseph_slopes(*prepared(volume, source, direction), image)
        by_source, by_direction = ([up * part for part in parts] for parts in slopes)
        by_source = ops.stack([ops.sum(part, axis=1) for part in by_source], axis=-1)
        return by_source, ops.stack(by_direction, axis=-1)

    def gradient_of_volume(volume: Any, source: Any, direction: Any, up: Any) -> Any:
        voxels, *rays = prepared(volume, source, direction)
        return without_margin(joseph_transposed(voxels, *rays, up), voxels.sizes)

    value, gradient_of_rays, gradient_of_volume = (
        compiled(function) for function in (value, gradient_of_rays, gradient_of_volume)
    )

    @ops.custom_gradient
    def projector(volume: Any, source: Any, direction: Any) -> Any:
        # Without this an eager tape would ask the islands for all that automatic gradients need.
        tensors = [ops.stop_gradient(tensor) for tensor in (volume, source, direction)]
        image = value(*tensors)

        def gradient(*args: Any, upstream: Any = None) -> tuple[Any, Any, Any]:
            up = args[0] if upstream is None else upstream
            # Two islands, so that a graph drops the one whose result nobody asks for.
            return gradient_of_volume(*tensors, up), *gradient_of_rays(*tensors, image, up)

        return image, gradient

    return projector
