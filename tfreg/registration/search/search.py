"""Global search for the rigid map with which a registration starts.

All translations of rotations that lie evenly among all are scored by normalised cross-correlation
on cubes of a few voxels; the best of each of the best rotations, and what the headers and the
centres of mass tell, are refined together on finer cubes, and those that then differ once more.
"""

import itertools
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from keras import ops as keras_ops

from tfreg.errors import InputError
from tfreg.image import Image
from tfreg.registration.instance.engine import Clock
from tfreg.registration.search.coarse import Cube, Field, cube
from tfreg.registration.search.correlation import moved, poses, translations
from tfreg.registration.search.rotations import angle_of, rotations
from tfreg.registration.search_report import SearchReport
from tfreg.transforms import Affine


@dataclass(frozen=True)
class _Plan:
    """How images of a number of axes are searched.

    Attributes:
        rotations: how many.
        scored: voxels per axis of the fixed cube, of that of the rotated moving image, and the
            period of the correlation, so long that no two translations meet.
        refined: voxels per axis of both cubes; in the end there are twice as many.
        poses: how many are refined, of all.
        at_once: rotations that are scored together.
    """

    rotations: int
    scored: tuple[int, int, int]
    refined: tuple[int, int]
    poses: int
    at_once: int


_PLANS = {
    2: _Plan(72, (24, 42, 72), (32, 56), 32, 72),
    3: _Plan(512, (10, 18, 27), (16, 28), 96, 128),
}
_FINALISTS = 6
_APART = 1.5  # voxels between the corners of two poses that differ
_STEPS = 40  # of either refinement
_RATE = 0.5  # voxels
CONTOURS = ("mi", "ngf")  # similarities of two modalities, of which contours are compared


def compares_contours(names: Collection[str]) -> bool:
    """Whether similarities are of images in which one intensity need not mean one thing."""
    return bool({*names} & {*CONTOURS}) or {*names} == {"mind"}


@dataclass(frozen=True)
class Found:
    """The answer of a search.

    Attributes:
        transform: from fixed to moving points, rigid.
        report: what was tried.
        compile_seconds: time of compiling.
    """

    transform: Affine
    report: SearchReport
    compile_seconds: float


def search(
    fixed: Image,
    moving: Image,
    fixed_mask: Image | None = None,
    moving_mask: Image | None = None,
    contours: bool = False,
) -> Found:
    """The rigid map under which two images agree best, wherever they are.

    Args:
        fixed, moving: images in physical space, 2-D or 3-D.
        fixed_mask, moving_mask: where to look; on the grids of their images.
        contours: whether edges are compared in the place of intensities, for two modalities.

    Example:

    >>> import numpy as np
    >>> from tfreg import Geometry, Image
    >>> from tfreg.registration.search.search import search
    >>> y, x = np.mgrid[:40, :40]
    >>> array = np.exp(-((x - 12) ** 2 + (y - 20) ** 2) / 60) + (abs(x - 28) + abs(y - 26) < 6)
    >>> fixed = Image(array, Geometry.of_shape((40, 40)))
    >>> moving = Image(array[::-1, ::-1], Geometry.of_shape((40, 40)))
    >>> round(search(fixed, moving).report.angle)
    180
    """
    clock = Clock()
    ndim = fixed.geometry.ndim
    plan = _PLANS[ndim]
    fields = Field.of(fixed, fixed_mask, contours), Field.of(moving, moving_mask, contours)
    cubes, spacing = _cubes(fields, plan.scored[:2])
    turns = rotations(ndim, plan.rotations)
    scores, shifts = _scored(cubes, turns, plan, clock)
    known = _starts(fixed, moving, cubes)
    best = np.argsort(-scores, kind="stable")[: plan.poses - len(known)]
    matrices = np.concatenate([turns[best], np.tile(np.eye(ndim), (len(known), 1, 1))])
    offsets = np.concatenate([np.einsum("rij,rj->ri", turns[best], shifts[best]), known])
    cubes, edge = _cubes(fields, plan.refined)
    matrices, offsets, _ = _refined(cubes, matrices, offsets, clock)
    kept = _different(matrices, offsets, cubes[0], _APART * edge)
    cubes, _ = _cubes(fields, tuple(2 * count for count in plan.refined))
    matrices, offsets, scores = _refined(cubes, matrices[kept], offsets[kept], clock)
    if scores[0] <= -1:
        raise InputError(
            "The search finds nothing that both images could agree on: within coarse voxels of "
            f"{edge:.3g} mm one of them is flat. Received: images of {fixed.geometry.shape} and "
            f"{moving.geometry.shape} voxels"
        )
    centre, other = fields[0].centre, fields[1].centre
    transform = Affine(_orthogonal(matrices[0]), offsets[0] + other - centre, centre)
    middle = fixed.geometry.centre[None]
    report = SearchReport(
        rotations=len(turns),
        translations=plan.scored[2] ** ndim,
        voxels=plan.scored[:1] * ndim,
        spacing=spacing,
        refined=len(best) + len(known),
        scores=tuple(float(score) for score in scores),
        angle=angle_of(transform.matrix),
        shift=float(np.linalg.norm(transform.apply_points(middle) - middle)),
        contours=contours,
        seconds=clock.seconds,
    )
    return Found(transform, report, clock.compile_seconds)


def _cubes(fields: tuple[Field, Field], counts: tuple[int, ...]) -> tuple[tuple[Cube, Cube], float]:
    """Both fields in voxels of one size, in which the moving one fits whichever way it lies."""
    spacing = max(fields[0].largest / counts[0], fields[1].diagonal / counts[1])
    return tuple(cube(f, n, spacing) for f, n in zip(fields, counts, strict=True)), spacing


def _different(matrices: np.ndarray, offsets: np.ndarray, fixed: Cube, apart: float) -> np.ndarray:
    """The first poses that differ, by how far they take the corners of a cube; always as many."""
    ndim, half = len(fixed.centre), len(fixed.values) / 2
    signs = np.array(list(itertools.product((-half, half), repeat=ndim)))
    places = np.einsum("rij,cj->rci", matrices, signs @ fixed.steps.T) + offsets[:, None]
    kept: list[int] = []
    for index, place in enumerate(places):
        gaps = [np.linalg.norm(place - places[other], axis=1).mean() for other in kept]
        if len(kept) < _FINALISTS and min(gaps, default=np.inf) > apart:
            kept.append(index)
    return np.resize(kept, _FINALISTS)


def _starts(fixed: Image, moving: Image, cubes: tuple[Cube, Cube]) -> list[np.ndarray]:
    """Offsets of the moving centre in mm, without a turn: the headers', and that of the masses."""
    centre, other = cubes[0].centre, cubes[1].centre
    masses = moving.centre_of_mass() - other - (fixed.centre_of_mass() - centre)
    return [centre - other, masses]


def _scored(
    cubes: tuple[Cube, Cube], turns: np.ndarray, plan: _Plan, clock: Clock
) -> tuple[np.ndarray, np.ndarray]:
    """The score of each rotation's best translation, and that in mm."""
    fixed, moving = cubes
    ndim = len(fixed.centre)
    run, count = translations(*plan.scored, ndim), plan.at_once
    back = np.linalg.inv(moving.steps)
    matrices = (back @ turns @ fixed.steps).astype("float32")
    images = fixed.values, fixed.weights, moving.values, moving.weights
    clock.prepare([(run, (*images, matrices[:count]))])
    scores, shifts = [], []
    for first in range(0, len(turns), count):
        found = run(*images, matrices[first : first + count])
        scores.append(keras_ops.convert_to_numpy(found[0]))
        shifts.append(keras_ops.convert_to_numpy(found[1]))
    return np.concatenate(scores), np.concatenate(shifts) @ fixed.steps.T


def _refined(
    cubes: tuple[Cube, Cube], matrices: np.ndarray, offsets: np.ndarray, clock: Clock
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Poses after a descent, and their scores, the best first."""
    fixed, moving = cubes
    ndim = len(fixed.centre)
    run = poses(ndim)
    back = np.linalg.inv(moving.steps)
    data = (
        *(fixed.values, fixed.weights, moving.values, moving.weights),
        *(array.astype("float32") for array in (fixed.steps, back, matrices, offsets)),
    )
    start = np.zeros((len(matrices), 3 if ndim == 2 else 6), "float32")
    settings = np.float32(_RATE), np.float32(0.1), np.float32(0)
    clock.prepare([(run, (np.int32(-1), *settings, start, *data))])
    parameters, losses, *_ = run(np.int32(_STEPS), *settings, start, *data)
    whole = moved(
        keras_ops.convert_to_tensor(parameters),
        *(keras_ops.convert_to_tensor(a.astype("float32")) for a in (fixed.steps, matrices)),
        keras_ops.convert_to_tensor(offsets.astype("float32")),
        len(fixed.values),
    )
    whole, scores = keras_ops.convert_to_numpy(whole), -keras_ops.convert_to_numpy(losses)
    order = np.argsort(-scores, kind="stable")
    whole = whole[order].astype("float64")
    return whole[:, :, :ndim], whole[:, :, ndim], scores[order]


def _orthogonal(matrix: np.ndarray) -> np.ndarray:
    """The rotation nearest to a matrix, which rounding took away from it."""
    left, _, right = np.linalg.svd(matrix)
    return left @ right
