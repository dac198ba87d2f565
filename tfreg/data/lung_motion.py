"""How the lungs of real patients move: breath held out and in, without their images.

Thin-plate splines of the correspondences that ten pairs of DIR-Lab COPDgene give
(``lung_motion_copd.npz``), brought onto the anatomy of another CT. The lungs go as the patient's
did; the chest wall yields along its normal and stays behind where the lungs slide along it.

The pack holds both breaths in one grid, into which they were cropped and scaled. Here they have one
spacing: with that which its publisher states for the breath held in, lungs would lose volume as
they breathe in. Where the scanner's table stood is lost; the tops of the lungs, which hardly move,
are laid on each other. The patients of a split are listed in ``tfreg/data/patients``.
"""

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfreg.data.respiration import Coarse, Respiration, at, depth_of, grid_of
from tfreg.data.slices import patients, read_pack
from tfreg.data.source import Source
from tfreg.errors import InputError

SOURCE = Source(
    "correspondences of DIR-Lab COPDgene",
    "R. Castillo et al., Phys Med Biol 58:2861, 2013; found by M. P. Heinrich et al., Estimating "
    "large lung motion in COPD patients by symmetric regularised correspondence fields, MICCAI, "
    "2015",
    "MIT",
    "patients",
    {"train": 6, "validation": 2, "test": 2},
)
PACK = "lung_motion_copd.npz"
SPACING = (1.75, 1.25, 1.75)  # mm; z, y, x
BREATHS = ("exp", "insp")
LEAST = 0.15  # determinant of the Jacobian, nowhere less
_SMOOTHING = 20.0  # of the splines: correspondences are found to a millimetre or two
_YIELD = 30.0  # mm from the lungs within which the wall gives way


class Motion(NamedTuple):
    """One patient's motion from one breath to the other.

    Attributes:
        name: ``"case1"`` to ``"case10"``.
        places, displacements: ``(n, 3)`` float64 mm, z, y, x: correspondences on the first breath;
            feet to head, front to back, side to side.
        boxes: of both lungs and of either side, ``(3, 2, 3)`` mm: where 98 % of each axis lie.
    """

    name: str
    places: np.ndarray
    displacements: np.ndarray
    boxes: np.ndarray


def available() -> bool:
    """Whether :func:`motion` would find the correspondences."""
    return _file() is not None


@functools.lru_cache(maxsize=20)
def motion(name: str, inspire: bool) -> Motion:
    """The motion of one patient, from the prepared file in the folder that ``TFREG_DATA`` names.

    Args:
        name: ``"case1"`` to ``"case10"``.
        inspire: whether from the breath held out to that held in, or back.

    Raises:
        InputError: if the file is not there, or not what it should be.
    """
    path = _file()
    if path is None:
        raise InputError(f"The motion was not found: set TFREG_DATA to a folder with {PACK}.")
    first, second = BREATHS if inspire else BREATHS[::-1]
    keys = f"{name}_mask_{first}", *(f"{name}_points_{one}_xyz" for one in (first, second))
    mask, *points = read_pack(path, keys).values()
    if mask.ndim != 3 or not mask.any() or points[0].shape != points[1].shape:
        raise InputError(
            f"{path} must hold a mask and as many points of each breath. Received: {name}, mask "
            f"{mask.shape}, points {points[0].shape} and {points[1].shape}"
        )
    places, there = (one[:, ::-1].astype(float) * SPACING for one in points)
    moved = there - places
    top = places[:, 0] >= np.quantile(places[:, 0], 0.9)
    moved = moved - np.median(moved[top], axis=0)
    middle = mask.shape[2] // 2
    sides = [box_of(part) * SPACING for part in (mask, mask[..., :middle], mask[..., middle:])]
    sides[2][:, 2] += middle * SPACING[2]
    return Motion(name, places, moved, np.stack(sides))


def box_of(mask: np.ndarray) -> np.ndarray:
    """Where 98 % of a mask lie along each axis: ``(2, ndim)``, lowest and highest, in voxels."""
    return np.percentile(np.argwhere(mask), (1, 99), axis=0)


def breathe(
    lungs: np.ndarray,
    spacing: Sequence[float],
    rng: np.random.Generator,
    inspire: bool,
    split: str = "train",
    lone: bool = False,
) -> Respiration:
    """Draws a patient and a share of the motion for given lungs.

    Args:
        lungs: ``(*spatial)`` bool, in the fixed image; feet to head, front to back, side to side.
        spacing: mm per voxel and axis.
        rng: source of what is random: the patient, the share of the motion (0.25 to 1), the side
            of a lone lung.
        inspire: whether the moving image is breathed in further than the fixed one, or less far.
        split: ``"train"``, ``"validation"`` or ``"test"``: whose patients.
        lone: whether ``lungs`` is one lung: it moves as either of the patient's.

    Returns:
        The map, with the number of the patient as ``case``. As that of
        :func:`tfreg.data.respiration.breathe`, it does not fold, and ``lung`` and ``outside`` are
        its inverses.

    Raises:
        ValueError: on an unknown split.
        InputError: as :func:`motion`.
    """
    spacing = np.asarray(spacing, float)
    known = motion(str(rng.choice(sorted(patients("copd", split)))), inspire)
    share, side = rng.uniform(0.25, 1), 1 + int(rng.integers(2))
    depth, coarse = depth_of(lungs, spacing), Coarse(lungs.shape, spacing)
    small = coarse.sample(depth)
    # Splines take their time: they are asked every 10 mm.
    wide = Coarse(lungs.shape, spacing, mm=10)
    found = share * fitted(known, wide, box_of(lungs) * spacing, side * lone)
    found = coarse.sample(wide.enlarge(found * wide.scale)) / coarse.scale
    inner, outer = _whole(found, small, coarse)
    backs = (inverse(field) for field in (inner, outer))
    fields = (coarse.enlarge(field * coarse.scale) for field in (inner, outer, *backs))
    u_lung, u, lung_back, back = fields
    grid = grid_of(lungs.shape)
    lung, outside = grid + lung_back, grid + back
    # The way there is made the inverse of the way back, which images are read along.
    for _ in range(3):
        u = u - 0.5 * (at(back, grid + u) + u)
    places, v = grid[lungs], u_lung[lungs]
    for _ in range(20):
        v = v - 0.5 * (at(lung, places + v) - places)
    u[lungs] = v
    inside = at(depth[..., None], lung)[..., 0] > 0
    gap = ~inside & (at(depth[..., None], outside)[..., 0] > 0)
    return Respiration(u, lung, outside, inside, gap, int(known.name.removeprefix("case")))


def fitted(known: Motion, coarse: Coarse, box: np.ndarray, side: int = 0) -> np.ndarray:
    """A patient's motion on a grid, their lungs scaled into a box.

    Args:
        known: the motion.
        coarse: the grid.
        box: ``(2, 3)`` mm, of the lungs on that grid.
        side: 0: both lungs fill the box; 1 or 2: one of them.

    Returns:
        ``(*coarse, 3)`` float32 displacement in voxels of the coarse grid.
    """
    from scipy.interpolate import RBFInterpolator

    own = known.boxes[side]
    scale = (box[1] - box[0]) / (own[1] - own[0])
    places = (grid_of(coarse.shape).reshape(-1, 3) * coarse.spacing - box[0]) / scale + own[0]
    # What a spline says far from its points is no motion of anyone: there it is the border's.
    whole = known.boxes[0]
    places = np.clip(places, whole[0] - 20, whole[1] + 20)
    spline = RBFInterpolator(
        known.places, known.displacements, kernel="thin_plate_spline", smoothing=_SMOOTHING
    )
    return (spline(places) * scale / coarse.spacing).reshape(*coarse.shape, 3).astype("float32")


def inverse(field: np.ndarray, count: int = 60) -> np.ndarray:
    """The displacement ``v`` with ``v(x) + u(x + v(x)) = 0``, by steps of half the residual."""
    grid, back = grid_of(field.shape[:-1]), -field
    for _ in range(count):
        back = back - 0.5 * (back + at(field, grid + back))
    return back


def _whole(found: np.ndarray, depth: np.ndarray, coarse: Coarse) -> tuple[np.ndarray, np.ndarray]:
    """The displacements of the lungs and of everything else, neither of which folds.

    Smoothed as long as one does, and made smaller should that not help.
    """
    from scipy.ndimage import gaussian_filter

    for _ in range(20):
        inner = _within(found, depth)
        outer = _around(inner, depth, coarse)
        if min(map(_least, (inner, outer))) >= LEAST:
            break
        found = 0.95 * gaussian_filter(found, (1, 1, 1, 0), mode="nearest")
    return inner, outer


def _within(found: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """The lungs' own motion, beyond them that of the place of the lungs next to it, smoothed."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    nearest = distance_transform_edt(depth < 0, return_distances=False, return_indices=True)
    carried = gaussian_filter(found[tuple(nearest)], (2, 2, 2, 0), mode="nearest")
    share = np.clip(1 + depth / 18, 0, 1)[..., None]  # within 18 mm of the lungs it is their own
    return (share * found + (1 - share) * carried).astype("float32")


def _around(inner: np.ndarray, depth: np.ndarray, coarse: Coarse) -> np.ndarray:
    """What is no lung: with it along the normal, left behind along the wall, and still far off."""
    from scipy.ndimage import gaussian_filter

    def smooth(array: np.ndarray, mm: float) -> np.ndarray:
        return gaussian_filter(array.astype("float32"), mm / coarse.spacing, mode="nearest")

    normal = np.stack(np.gradient(smooth(depth, 8), *coarse.spacing), axis=-1)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
    mm = inner * coarse.spacing
    across = (mm * normal).sum(axis=-1, keepdims=True) * normal
    # What lies within the outline of the lungs or further down moves with the diaphragm.
    outline = np.maximum.accumulate((depth > 0)[::-1], axis=0)[::-1]
    free = (0.15 + 0.85 * smooth(outline, 12))[..., None]
    fading = np.exp(np.minimum(depth, 0) / _YIELD)[..., None]
    rest = free + (1 - free) * fading  # the diaphragm carries all that is below it
    return (rest * (across + free * (mm - across)) / coarse.spacing).astype("float32")


def _least(field: np.ndarray) -> float:
    """The least determinant of the Jacobian of ``x + u(x)``."""
    rows = np.stack(np.gradient(field, axis=(0, 1, 2)), axis=-1) + np.eye(3, dtype="float32")
    return float(np.linalg.det(rows).min())


def _file() -> Path | None:
    folder = os.environ.get("TFREG_DATA")
    path = Path(folder) / PACK if folder else None
    return path if path is not None and path.is_file() else None
