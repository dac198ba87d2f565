"""Local image residuals: patches about the projections of 3-D points (section II-C of the paper).

A point ``p`` of the volume is seen, at pose ``t``, in a square of width ``w = w0 D / t_z`` on the
detector, turned by ``t_theta``. In the plane at distance 1 from the source, where a camera's frame
needs no pixel, the middle of the square is ``(x, y) / z`` of the point and its width ``w0 / t_z``:
so a patch is a bundle of rays, and is rendered alone.
"""

from typing import Any

import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.ops.pose import pose_rotation

PATCH = 52  # pixels along each side
_EPSILON = 1e-6


def patch_places(pose: Any, points: Any, width: float, size: int = PATCH) -> Any:
    """Where the pixels of patches are, in the plane at distance 1 from the source.

    Args:
        pose: tensor ``(batch, 6)``.
        points: ``(n, 3)`` in mm from the volume's centre, along the axes of the camera at the pose
            of zeros.
        width: ``w0`` in mm, at the volume.
        size: pixels along each side.

    Returns:
        Tensor ``(batch, n, size, size, 2)``, ``(x, y)``; rows of a patch run along y.
    """
    turned = keras_ops.sum(pose_rotation(pose)[:, None] * points[None, :, None, :], axis=-1)
    seen = turned + pose[:, None, :3]
    middle = seen[..., :2] / seen[..., 2:]
    angle = pose[:, 3] * (np.pi / 180)
    cosine, sine = (f(angle)[:, None, None] for f in (keras_ops.cos, keras_ops.sin))
    steps = ((np.arange(size) + 0.5) / size - 0.5).astype("float32") * width
    v, u = steps[:, None], steps[None, :]
    scale = 1 / pose[:, 2, None, None]
    offset = keras_ops.stack([scale * (cosine * u - sine * v), scale * (sine * u + cosine * v)], -1)
    return middle[:, :, None, None, :] + offset[:, None]


def rays_to(places: Any) -> Any:
    """Unit vectors from the source to places in the plane at distance 1, ``(..., 3)``."""
    x, y = places[..., 0], places[..., 1]
    z = 1 / keras_ops.sqrt(1 + x * x + y * y)
    return keras_ops.stack([x * z, y * z, z], axis=-1)


def rendered(volume: Any, frame: Any, pose: Any, places: Any) -> Any:
    """The volume's image in the pixels of patches alone.

    Args:
        volume: attenuation, ``(1, z, y, x, 1)``.
        frame: ``(3, 4)``, of :func:`tfreg.geometry.frame_of`.
        pose: tensor ``(batch, 6)``.
        places: of :func:`patch_places`.

    Returns:
        Tensor ``(batch, n, size, size)``.
    """
    source = np.zeros(3, "float32")
    rays = ops.pose_rays(pose, frame, source, rays_to(places))
    return ops.project(volume, *rays)[..., 0]


def taken(xray: Any, places: Any, focal: Any, principal: Any) -> Any:
    """An X-ray in the pixels of patches, linear between its own; outside it is 0.

    Args:
        xray: tensor ``(batch, rows, columns, 1)``.
        places: of :func:`patch_places`.
        focal, principal: of the camera, in pixels, rows before columns.

    Returns:
        Tensor ``(batch, n, size, size)``.
    """
    pixels = keras_ops.flip(places, axis=-1) * focal + principal
    return ops.sample(xray, pixels, mode="constant", image_gradient=False)[..., 0]


def residual(drr: Any, xray: Any) -> Any:
    """``H(I_t) - H(I_{t + dt})``: what a patch of the DRR has and that of the X-ray has not.

    The paper does not say how intensities are brought together. Here each patch is without its
    mean, and all patches of an image are divided by their common standard deviation.

    Args:
        drr, xray: tensors ``(batch, n, size, size)``.

    Returns:
        Tensor of the same shape.
    """
    return _standardised(drr) - _standardised(xray)


def _standardised(patches: Any) -> Any:
    patches = patches - keras_ops.mean(patches, axis=(2, 3), keepdims=True)
    square = keras_ops.mean(patches * patches, axis=(1, 2, 3), keepdims=True)
    return patches / keras_ops.sqrt(square + _EPSILON**2)
