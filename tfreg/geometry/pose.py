"""The pose of a volume before a camera: six numbers, and what they mean.

The frame of a camera is that of OpenCV, in mm: the source at 0, x along the columns of the image
(to the right), y along its rows (down), z from the source to the detector. An image is as
it looks from the source; one that hangs as seen from behind the detector is to be mirrored first::

                 source 0 ------- z ------->      t_z         detector, at z = D
                          |                     ( volume )    |  0,0 --- columns, x
                          y                      centre c     |   |
                          (down)                              |  rows, y

    q = R V (p - c) + (t_x, t_y, t_z),        R = Rz(t_theta) Rx(t_alpha) Ry(t_beta)

``p`` is a point of the volume in LPS mm and ``c`` the centre of its grid. ``V`` turns the patient
to a frontal view: the source in front of him, x to his left, y to his feet, z to his back. So
``t_x``, ``t_y`` shift the image, ``t_theta`` turns it, ``t_z`` is how far the centre is from the
source, which scales it, and ``t_alpha``, ``t_beta`` turn the volume out of the plane: a lateral
view is ``t_beta`` = 90 or -90.

The paper of the parameters (Miao et al., 2016) does not say in which order its rotations follow
each other; this order, out-of-plane before in-plane, is ours.
"""

from typing import Any

import numpy as np

from tfreg.errors import InputError
from tfreg.geometry.grid import Geometry

PARAMETERS = ("t_x", "t_y", "t_z", "t_theta", "t_alpha", "t_beta")
VIEW = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
VIEW.flags.writeable = False
ZONE = 20.0  # degrees


def rotation_entries(cosine: Any, sine: Any) -> list[list[Any]]:
    """The rows of ``Rz Rx Ry``.

    Args:
        cosine, sine: of ``t_theta``, ``t_alpha`` and ``t_beta``: three numbers each, or arrays or
            tensors of one shape.

    Example:
        >>> rotation_entries((0, 1, 1), (1, 0, 0))  # a quarter turn in the plane: x becomes y
        [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    """
    (cz, cx, cy), (sz, sx, sy) = cosine, sine
    return [
        [cz * cy - sz * sx * sy, -sz * cx, cz * sy + sz * sx * cy],
        [sz * cy + cz * sx * sy, cz * cx, sz * sy - cz * sx * cy],
        [-cx * sy, sx, cx * cy],
    ]


def matrix_of(pose: Any, centre: Any) -> np.ndarray:
    """The matrix of a pose: points of the volume, in LPS mm, to the frame of the camera.

    Args:
        pose: ``(6,)``: three translations in mm, then three angles in degrees.
        centre: ``(3,)`` of the volume, in LPS mm; ``Geometry.centre``.

    Returns:
        ``(4, 4)`` float64.

    Raises:
        InputError: on anything but as many finite numbers.

    Example:
        >>> matrix = matrix_of((0, 0, 800, 0, 0, 0), (5, 5, 5))
        >>> (matrix @ [6, 5, 5, 1]).tolist()  # 1 mm to the left of the centre
        [1.0, 0.0, 800.0, 1.0]
    """
    pose, centre = _numbers(pose, 6, "pose"), _numbers(centre, 3, "centre")
    angles = np.deg2rad(pose[3:])
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(rotation_entries(np.cos(angles), np.sin(angles))) @ VIEW
    matrix[:3, 3] = pose[:3] - matrix[:3, :3] @ centre
    return matrix


def pose_of(matrix: Any, centre: Any) -> np.ndarray:
    """The pose of a matrix: the inverse of :func:`matrix_of`.

    Args:
        matrix: ``(4, 4)``, rigid: points of the volume, in LPS mm, to the frame of the camera.
        centre: ``(3,)`` of the volume, in LPS mm.

    Returns:
        ``(6,)`` float64, ``t_alpha`` from -90 to 90 degrees; at its ends, where only the sum of the
        other two angles is known, ``t_beta`` is 0.

    Raises:
        InputError: on a matrix that is not rigid.

    Example:
        >>> pose_of(matrix_of((1, 2, 800, 3, 4, 5), (5, 5, 5)), (5, 5, 5)).round(6).tolist()
        [1.0, 2.0, 800.0, 3.0, 4.0, 5.0]
    """
    matrix, centre = np.asarray(matrix, "float64"), _numbers(centre, 3, "centre")
    rigid = matrix.shape == (4, 4) and np.isfinite(matrix).all()
    rigid = rigid and np.allclose(matrix[3], (0, 0, 0, 1))
    linear = matrix[:3, :3] if rigid else np.zeros((3, 3))
    if not np.allclose(linear @ linear.T, np.eye(3), atol=1e-4) or np.linalg.det(linear) < 0:
        raise InputError(f"A pose is a rigid 4 x 4 matrix. Received: {matrix.tolist()}")
    rotation = linear @ VIEW.T
    alpha = np.arcsin(np.clip(rotation[2, 1], -1, 1))
    if np.hypot(rotation[2, 0], rotation[2, 2]) > 1e-6:
        beta = np.arctan2(-rotation[2, 0], rotation[2, 2])
        theta = np.arctan2(-rotation[0, 1], rotation[1, 1])
    else:
        beta, theta = 0.0, np.arctan2(rotation[1, 0], rotation[0, 0])
    translation = linear @ centre + matrix[:3, 3]
    return np.concatenate([translation, np.rad2deg([theta, alpha, beta])])


def zone_of(pose: Any, width: float = ZONE) -> tuple[int, int]:
    """The zone of the out-of-plane rotations in which a pose lies.

    Zone ``(i, j)`` is centred at ``t_alpha = i width``, ``t_beta = j width``; zone (0, 0) is the
    frontal one.

    Args:
        pose: ``(6,)``.
        width: of a zone in degrees, which divides 360.

    Returns:
        Two integers from ``-180 / width`` to ``180 / width - 1``.

    Example:
        >>> zone_of((0, 0, 800, 0, 11, -95))
        (1, -5)
    """
    angles = _numbers(pose, 6, "pose")[4:]
    count = round(360 / width)
    index = np.floor(angles / width + 0.5).astype(int)
    i, j = (index + count // 2) % count - count // 2
    return int(i), int(j)


def frame_of(geometry: Geometry) -> np.ndarray:
    """Where the axes of a camera run in the voxels of a volume at the pose of zeros.

    A vector ``w`` of the camera's frame, in mm, is ``A w`` in voxels, and ``c`` is the centre of
    the volume in voxels.

    Args:
        geometry: of the volume.

    Returns:
        ``(3, 4)`` float64, ``[A c]``, rows in array-axis order.

    Example:
        >>> frame_of(Geometry.of_shape((9, 5, 7), (2.0, 1.0, 0.5))).tolist()
        [[0.0, -0.5, 0.0, 4.0], [0.0, 0.0, 1.0, 2.0], [2.0, 0.0, 0.0, 3.0]]
    """
    linear = np.linalg.inv(geometry.matrix[:, :3]) @ VIEW.T
    centre = (np.array(geometry.shape) - 1) / 2
    return np.concatenate([linear, centre[:, None]], axis=1) + 0.0


def _numbers(values: Any, count: int, name: str) -> np.ndarray:
    found = np.asarray(values)
    said = values.tolist() if isinstance(values, np.ndarray) else values
    if found.shape != (count,) or found.dtype.kind not in "iuf" or not np.isfinite(found).all():
        raise InputError(f"{name} must be {count} finite numbers. Received: {name}={said}")
    return found.astype("float64")
