"""The choice of points for a zone: candidates, how they change, and which are kept (II-C)."""

import keras
import numpy as np

from tfreg.data.xrays import rendered
from tfreg.errors import InputError
from tfreg.geometry import frame_of
from zoo.pehl.objects import Thing, middle_of, poses
from zoo.pehl.paper import OFFSETS
from zoo.pehl.points import candidates, filtered, ranked, spread_out, variances
from zoo.pehl.residuals import patch_places, residual, taken
from zoo.pehl.residuals import rendered as rendered_patches

COUNT = 18  # local image residuals, to which the paper tuned the width of their regions
_MOST, _LEAST, _RANKED = 500, 80, 150  # pixels looked at, points left by depth, points ranked
_POSES, _OFFSETS = 16, 16  # the paper has 1000 of each
_PIXELS = 13  # along each side of the patches that are compared


def points_of(thing: Thing, zone: tuple[int, int], seed: int) -> tuple[np.ndarray, float, float]:
    """The points of a zone, the width of their regions, and the share of depth asked for.

    The regions are made as wide as leaves 18 points.

    Args:
        thing: the object.
        zone: of :func:`tfreg.geometry.zone_of`.
        seed: of the poses and offsets.

    Returns:
        ``(18, 3)`` in mm along the axes of the camera at the pose of zeros, the width in mm, and
        the share, see :func:`zoo.pehl.points.filtered`.

    Raises:
        InputError: on an object with too few edges.
    """
    rng = np.random.default_rng([seed, *(index % 18 for index in zone), 1])
    middle = middle_of(zone)
    found, share = filtered(candidates(thing.attenuation, middle, rng, _MOST), _LEAST)
    found = found[rng.permutation(len(found))[:_RANKED]]
    width = 0.3 * thing.size
    order = ranked(*variances(_residuals(thing, zone, found, width, rng)))
    kept = spread_out(found, order, width, middle)
    while len(kept) < COUNT and width > 0.05 * thing.size:
        width *= 0.93
        kept = spread_out(found, order, width, middle)
    if len(kept) < COUNT:
        raise InputError(
            f"An object of {thing.size:.0f} mm must have edges for {COUNT} regions. Received: "
            f"{len(found)} edges of one depth, {len(kept)} regions of {width:.1f} mm"
        )
    return found[kept[:COUNT]], float(round(width, 2)), share


def _residuals(
    thing: Thing, zone: tuple[int, int], points: np.ndarray, width: float, rng: np.random.Generator
) -> np.ndarray:
    """``(poses, offsets, points, pixels)`` of random poses in the zone, each with each offset."""
    camera, frame = thing.camera, frame_of(thing.volume.geometry).astype("float32")
    voxels = np.asarray(thing.attenuation.array, "float32")[None, ..., None]
    offsets = rng.uniform(-1, 1, (_OFFSETS, 6)) * OFFSETS[0]
    points = points.astype("float32")
    found = []
    for pose in poses(zone, _POSES, rng):
        xrays = rendered(thing.fine, camera, pose + offsets)[..., None]
        one = pose[None].astype("float32")
        places = patch_places(one, points, width, _PIXELS)
        drr = rendered_patches(voxels, frame, one, places)
        shared = keras.ops.repeat(places, _OFFSETS, axis=0)
        focal, principal = (
            np.asarray(part, "float32") for part in (camera.focal, camera.principal)
        )
        seen = taken(xrays, shared, focal, principal)
        each = residual(keras.ops.repeat(drr, _OFFSETS, axis=0), seen)
        found.append(keras.ops.convert_to_numpy(each).reshape(_OFFSETS, len(points), -1))
    return np.stack(found)
