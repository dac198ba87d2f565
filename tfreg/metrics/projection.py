"""How far a pose found in an X-ray is from the true one, as the image shows it."""

import itertools

import numpy as np
from numpy.typing import ArrayLike

from tfreg.geometry import Geometry, matrix_of


def corners_of(geometry: Geometry, inside: ArrayLike | None = None) -> np.ndarray:
    """The eight corners of a volume, or of the box about what is in it: of outer voxels' centres.

    Args:
        geometry: of the volume.
        inside: of its shape, not 0 where an object is. None: the whole volume.

    Returns:
        ``(8, 3)`` in LPS mm.

    Raises:
        ValueError: on another shape, or where there is nothing.

    Example:

    >>> from tfreg.geometry import Geometry
    >>> from tfreg.metrics import corners_of
    >>> corners_of(Geometry.of_shape((3, 4, 5)))[-1].tolist()
    [4.0, 3.0, 2.0]
    """
    low, high = np.zeros(3, int), np.array(geometry.shape) - 1
    if inside is not None:
        places = np.argwhere(inside)
        if np.shape(inside) != geometry.shape or not len(places):
            raise ValueError(
                f"inside must be of shape {geometry.shape}, and not 0 somewhere. "
                f"Received: inside.shape={np.shape(inside)}"
            )
        low, high = places.min(axis=0), places.max(axis=0)
    ends = itertools.product(*zip(low, high, strict=True))
    return geometry.to_physical(np.array(list(ends), float))


def projected_tre(
    found: ArrayLike, true: ArrayLike, targets: ArrayLike, centre: ArrayLike
) -> float:
    """mTREproj: the mean distance of targets under two poses, but for their depth.

    The error of each target is taken parallel to the detector: what is along the view, the image
    hardly shows.

    Args:
        found, true: poses ``(6,)``, mm and degrees.
        targets: ``(n, 3)`` in LPS mm, such as :func:`corners_of` the volume.
        centre: ``(3,)`` about which the poses turn, ``Geometry.centre``.

    Returns:
        The mean in mm, at the object.

    Raises:
        ValueError: on other shapes.

    Example:

    >>> from tfreg.metrics import projected_tre
    >>> projected_tre((3, 4, 800, 0, 0, 0), (0, 0, 700, 0, 0, 0), [[1, 2, 3]], (0, 0, 0))
    5.0

    Reference:
        S. Miao, Z. J. Wang and R. Liao, A CNN regression approach for real-time 2D/3D registration,
        IEEE Transactions on Medical Imaging 35(5), 2016.
    """
    points = np.asarray(targets, "float64")
    if points.ndim != 2 or points.shape[1] != 3 or not len(points):
        raise ValueError(f"targets must be (n, 3). Received: targets.shape={points.shape}")
    change = matrix_of(found, centre) - matrix_of(true, centre)
    error = points @ change[:2, :3].T + change[:2, 3]
    return float(np.linalg.norm(error, axis=1).mean())


def projected_spread(poses: ArrayLike, targets: ArrayLike, centre: ArrayLike) -> float:
    """RMSDproj: how far repeated answers scatter, but for their depth.

    The root of the mean square distance of each target to its mean over the poses.

    Args:
        poses: ``(m, 6)`` answers to one question.
        targets, centre: as :func:`projected_tre`.

    Returns:
        In mm, at the object.

    Example:

    >>> from tfreg.metrics import projected_spread
    >>> projected_spread([(1, 0, 800, 0, 0, 0), (-1, 0, 9, 0, 0, 0)], [[1, 2, 3]], (0, 0, 0))
    1.0
    """
    points = np.asarray(targets, "float64")
    seen = []
    for pose in np.asarray(poses, "float64"):
        matrix = matrix_of(pose, centre)
        seen.append(points @ matrix[:2, :3].T + matrix[:2, 3])
    places = np.array(seen)
    return float(np.sqrt(((places - places.mean(axis=0)) ** 2).sum(axis=-1).mean()))
