"""The 3-D points of local image residuals (section II-C of the paper), in NumPy.

The derivative of a pixel along its image's gradient is an integral along its ray,
``g = integral eta dr``, with ``eta`` the slope of attenuation across the ray in that direction,
times the distance from the source, over that to the detector. Where most of it comes from one
depth, an edge of the object is seen there.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import map_coordinates

from tfreg.geometry import frame_of, matrix_of
from tfreg.image import Image

DEPTH = 2.0  # mm to both sides of the strongest slope
SHARE = 0.9  # of the integral that must lie there
_STEP = 0.5  # mm along a ray
_OVERLAP = 0.25  # of two regions, from which the weaker one goes
_RAYS = 160  # along each side of the image in which edges are looked for
_STRONG = 0.15  # of the largest gradient, from which a pixel is an edge


class Candidates(NamedTuple):
    """Edges of an object as seen at one pose.

    Attributes:
        points: ``(n, 3)`` in mm from the volume's centre, along the axes of the camera at the pose
            of zeros.
        share: ``(n,)`` how much of the gradient comes from within 2 mm.
    """

    points: np.ndarray
    share: np.ndarray


def candidates(volume: Image, pose: np.ndarray, rng: np.random.Generator, most: int) -> Candidates:
    """Edges that a camera sees, with their depth.

    Args:
        volume: attenuation.
        pose: ``(6,)`` in the middle of a zone.
        rng: chooses among the pixels on edges.
        most: how many pixels are looked at.
    """
    array = np.asarray(volume.array, "float64")
    reach = np.linalg.norm(volume.geometry.extent) / 2
    way = np.arange(-reach, reach, _STEP)
    # A bundle of rays about the volume, one pixel at its middle reach / _RAYS mm wide.
    side = (np.arange(_RAYS) + 0.5) / _RAYS * 2 * reach - reach
    y, x = np.meshgrid(side / pose[2], side / pose[2], indexing="ij")
    rays = np.stack([x, y, np.ones_like(x)], axis=-1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    # The image first, at twice the step, then slopes of the chosen pixels alone.
    coarse = way[::2]
    image = np.zeros(x.shape)
    for k in range(_RAYS):
        points = rays[k, :, None] * (pose[2] + coarse)[:, None]
        image[k] = _at(volume, array, points, pose).sum(axis=1)
    down, across = np.gradient(image)
    size = np.hypot(down, across)
    rows, columns = np.nonzero(size > _STRONG * size.max())
    chosen = rng.permutation(len(rows))[:most]
    rows, columns = rows[chosen], columns[chosen]
    chosen_rays = rays[rows, columns]
    towards = np.stack([across[rows, columns], down[rows, columns]], axis=1)
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    distance = pose[2] + way
    points = chosen_rays[:, None] * distance[:, None]
    half = 0.25 * min(volume.geometry.spacing)
    offset = np.concatenate([towards, np.zeros((len(towards), 1))], axis=1)[:, None] * half
    difference = _at(volume, array, points + offset, pose) - _at(
        volume, array, points - offset, pose
    )
    eta = difference / (2 * half) * distance * _STEP
    peak = eta.argmax(axis=1)
    near = np.abs(way - way[peak][:, None]) <= DEPTH
    whole = eta.sum(axis=1)
    share = np.where(whole > 0, (eta * near).sum(axis=1) / np.where(whole > 0, whole, 1), 0)
    found = points[np.arange(len(peak)), peak]
    return Candidates(_own(found, volume, pose), share)


def filtered(found: Candidates, least: int) -> tuple[np.ndarray, float]:
    """The points of one depth, and the share that was asked for.

    The paper asks for 90 %. Of volumes whose voxels are as large as the 2 mm, edges are as wide as
    that, and few points pass; then as much less is asked for, in steps of 10 %, as leaves enough.

    Args:
        found: of :func:`candidates`.
        least: points that must be left.
    """
    share = SHARE
    while share > 0.15 and (found.share >= share).sum() < least:
        share = round(share - 0.1, 1)
    return found.points[found.share >= share], share


def ranked(sensitive: np.ndarray, stable: np.ndarray) -> np.ndarray:
    """Candidates by ``F / E``, the best first.

    Args:
        sensitive: ``F_i``, the variance of residuals over offsets.
        stable: ``E_i``, that over poses.
    """
    return np.argsort(-sensitive / np.maximum(stable, 1e-12), kind="stable")


def spread_out(points: np.ndarray, order: np.ndarray, width: float, pose: np.ndarray) -> np.ndarray:
    """Greedily the best points whose regions overlap no better one's by more than 25 %.

    Args:
        points: as those of :class:`Candidates`.
        order: the best first.
        width: of a region in mm.
        pose: in the middle of the zone.

    Returns:
        Indices of the points that are kept, the best first.
    """
    turned = points @ _turn(pose).T
    place = turned[:, :2] * (pose[2] / (pose[2] + turned[:, 2:]))
    kept: list[int] = []
    for index in order:
        gap = np.abs(place[kept] - place[index]) if kept else np.empty((0, 2))
        overlap = np.clip(1 - gap / width, 0, None).prod(axis=1)
        if not (overlap > _OVERLAP).any():
            kept.append(int(index))
    return np.array(kept, int)


def variances(residuals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``F`` and ``E`` of residuals ``(poses, offsets, candidates, pixels)``, by candidate.

    ``E_i = <(h - <h>_j)^2>_{n,j,k}`` over poses j; ``F_i = <(h - <h>_k)^2>_{n,j,k}`` over offsets.
    """
    stable = residuals.var(axis=0).mean(axis=(0, 2))
    sensitive = residuals.var(axis=1).mean(axis=(0, 2))
    return sensitive, stable


def _turn(pose: np.ndarray) -> np.ndarray:
    """``R`` of the pose."""
    base = matrix_of(np.zeros(6), np.zeros(3))[:3, :3]
    return matrix_of(pose, np.zeros(3))[:3, :3] @ base.T


def _own(points: np.ndarray, volume: Image, pose: np.ndarray) -> np.ndarray:
    """Points of the camera's frame along its axes at the pose of zeros, from the centre."""
    return (points - pose[:3]) @ _turn(pose)


def _at(volume: Image, array: np.ndarray, points: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """The volume at points of the camera's frame, linear between voxels."""
    frame = frame_of(volume.geometry)
    index = _own(points.reshape(-1, 3), volume, pose) @ frame[:, :3].T + frame[:, 3]
    return map_coordinates(array, index.T, order=1, cval=0.0).reshape(points.shape[:-1])
