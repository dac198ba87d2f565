"""The rays of a camera in the voxels of a volume that stands at a pose, and their derivatives.

A pose and its frame are those of ``tfreg.geometry.pose``: ``q = R V (p - c) + t``. Backwards, with
``frame = [A c]`` of :func:`tfreg.geometry.frame_of`, the source ``q`` and the unit ray ``r`` are in
voxels

    s = c + A R^T (q - t),    d = A R^T r.

``d`` is one mm of the ray, so that an integral along it is in mm. A rotation about ``w`` changes
``R`` by ``[w]x R``; the axes are ``w_theta = e_z``, ``w_alpha = Rz e_x``, ``w_beta = R e_y``.
"""

import math
from typing import Any

from keras import ops

from tfreg.geometry.pose import rotation_entries
from tfreg.ops.precision import at_least_float32, same_dtype


def pose_rotation(pose: Any) -> Any:
    """``R = Rz(t_theta) Rx(t_alpha) Ry(t_beta)``.

    Args:
        pose: tensor ``(batch, 6)`` of three translations in mm and three angles in degrees.

    Returns:
        Tensor ``(batch, 3, 3)``.

    Raises:
        ValueError: on another shape.

    Example:

    >>> from tfreg.ops.pose import pose_rotation
    >>> [[round(float(v), 3) + 0.0 for v in row] for row in pose_rotation([[0, 0, 0, 0, 0, 90]])[0]]
    [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]
    """
    cosine, sine = _angles(_checked(pose))
    rows = rotation_entries(cosine, sine)
    return ops.stack([ops.stack(row, axis=-1) for row in rows], axis=-2)


def rotation_axes(pose: Any) -> Any:
    """The axes about which the three angles of a pose turn the volume.

    Args:
        pose: tensor ``(batch, 6)``.

    Returns:
        Tensor ``(batch, 3, 3)``: unit vectors of the camera's frame, one per row, of ``t_theta``,
        ``t_alpha``, ``t_beta``.
    """
    pose = _checked(pose)
    cosine, sine = _angles(pose)
    zero = ops.zeros_like(cosine[0])
    rows = [
        [zero, zero, zero + 1],
        [cosine[0], sine[0], zero],
        [-sine[0] * cosine[1], cosine[0] * cosine[1], sine[1]],
    ]
    return ops.stack([ops.stack(row, axis=-1) for row in rows], axis=-2)


def pose_rays(pose: Any, frame: Any, source: Any, rays: Any) -> tuple[Any, Any]:
    """A camera's source and rays in the voxels of a volume at each pose.

    Args:
        pose: tensor ``(batch, 6)``, mm and degrees.
        frame: ``(3, 4)`` of the volume, see :func:`tfreg.geometry.frame_of`.
        source: ``(3,)`` in mm, as :meth:`tfreg.geometry.ConeBeam.rays` gives it with the rays.
        rays: ``(1, *rays, 3)`` unit vectors for all poses, or ``(batch, *rays, 3)`` where each has
            its own.

    Returns:
        The pair: source ``(batch, 3)`` in voxels, array-axis order, and direction
        ``(batch, *rays, 3)`` in voxels per mm, for :func:`tfreg.ops.project`.

    Raises:
        ValueError: on other shapes.

    Example:

    >>> import numpy as np
    >>> from tfreg import geometry, ops
    >>> frame = geometry.frame_of(geometry.Geometry.of_shape((9, 9, 9), 2.0))
    >>> source, rays = geometry.ConeBeam(1000.0, (1, 1), 1.0).rays()
    >>> source, direction = ops.pose_rays([[0, 0, 800, 0, 0, 0]], frame, source, rays[None])
    >>> [float(v) for v in source[0]], [float(v) for v in direction[0, 0, 0]]
    ([4.0, -396.0, 4.0], [0.0, 0.5, 0.0])
    """
    pose, frame, source, rays = checked_rays(pose, frame, source, rays)
    start, direction = ray_components(pose, frame, source, rays)
    direction = ops.stack(direction, axis=-1)
    return ops.stack(start, axis=-1), ops.reshape(direction, (-1, *rays.shape[1:-1], 3))


def ray_components(pose: Any, frame: Any, source: Any, rays: Any) -> tuple[list[Any], list[Any]]:
    """:func:`pose_rays` of checked tensors, per array axis: ``(batch,)`` and ``(batch, rays)``."""
    backward = _backward(pose, frame)
    own = ops.reshape(source, (1, 3)) - pose[:, :3]
    r = _components(rays)
    axes = range(3)
    start = [frame[k, 3] + sum(backward[:, k, j] * own[:, j] for j in axes) for k in axes]
    return start, [sum(backward[:, k, j, None] * r[j] for j in axes) for k in axes]


def pose_columns(
    pose: Any, frame: Any, source: Any, rays: Any, by_source: list[Any], by_direction: list[Any]
) -> Any:
    """The derivative by the six parameters of what has known derivatives by source and direction.

    With these turned to the camera's frame, ``a`` by the source and ``b`` by the direction, it is
    ``-a`` by ``t`` and ``w . (a x (q - t) + b x r)`` by the angle about ``w``.

    Args:
        pose, frame, source, rays: checked tensors, as :func:`pose_rays` takes them.
        by_source, by_direction: three tensors ``(batch, rays)`` each, array-axis order.

    Returns:
        Tensor ``(batch, 6, rays)``, per mm and per degree.
    """
    backward = _backward(pose, frame)
    axes = range(3)
    a, b = (
        [sum(part[k] * backward[:, k, j, None] for k in axes) for j in axes]
        for part in (by_source, by_direction)
    )
    own = ops.reshape(source, (1, 3)) - pose[:, :3]
    lever = _cross(a, [own[:, j, None] for j in axes])
    turn = [
        first + second for first, second in zip(lever, _cross(b, _components(rays)), strict=True)
    ]
    about = rotation_axes(pose) * (math.pi / 180)
    angles = [sum(turn[j] * about[:, row, j, None] for j in axes) for row in axes]
    return ops.stack([*(-part for part in a), *angles], axis=1)


def checked_rays(pose: Any, frame: Any, source: Any, rays: Any) -> list[Any]:
    """All four as tensors of one dtype.

    Raises:
        ValueError: unless they are poses, a volume's frame, and a camera's rays.
    """
    pose, frame, source, rays = same_dtype(_checked(pose), frame, source, rays)
    shapes = tuple(frame.shape), tuple(source.shape), tuple(rays.shape)
    if shapes[:2] != ((3, 4), (3,)) or len(shapes[2]) < 3 or shapes[2][-1] != 3:
        raise ValueError(
            "frame must be (3, 4), source (3,) and rays (1 or batch, *rays, 3). "
            f"Received: frame.shape={shapes[0]}, source.shape={shapes[1]}, rays.shape={shapes[2]}"
        )
    if shapes[2][0] not in (1, pose.shape[0]):
        raise ValueError(
            "There must be rays for all poses, or as many as poses. "
            f"Received: pose.shape={tuple(pose.shape)}, rays.shape={shapes[2]}"
        )
    return [pose, frame, source, rays]


def _components(rays: Any) -> list[Any]:
    """``(1 or batch, *rays, 3)`` as three tensors ``(1 or batch, rays)``."""
    flat = ops.reshape(rays, (rays.shape[0] or -1, math.prod(rays.shape[1:-1]), 3))
    return [flat[..., axis] for axis in range(3)]


def _backward(pose: Any, frame: Any) -> Any:
    """``A R^T``, ``(batch, 3, 3)``: vectors of the camera's frame in mm to voxels."""
    turn = pose_rotation(pose)
    return ops.sum(frame[None, :, None, :3] * turn[:, None, :, :], axis=-1)


def _cross(u: list[Any], v: list[Any]) -> list[Any]:
    return [u[(k + 1) % 3] * v[(k + 2) % 3] - u[(k + 2) % 3] * v[(k + 1) % 3] for k in range(3)]


def _angles(pose: Any) -> tuple[list[Any], list[Any]]:
    angles = [pose[:, k] * (math.pi / 180) for k in (3, 4, 5)]
    return [ops.cos(angle) for angle in angles], [ops.sin(angle) for angle in angles]


def _checked(pose: Any) -> Any:
    pose = at_least_float32(pose)
    if len(pose.shape) != 2 or pose.shape[1] != 6:
        raise ValueError(f"pose must be (batch, 6). Received: pose.shape={tuple(pose.shape)}")
    return pose
