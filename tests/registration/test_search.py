"""A registration that starts anywhere: all rotations and translations."""

import numpy as np
import pytest
from physical_cases import grids, image, rotation, scene

from tfreg import transforms
from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.registration import job, register
from tfreg.registration.instance.optimisation import Optimisation
from tfreg.registration.search.coarse import Field, cube
from tfreg.registration.search.correlation import translations
from tfreg.registration.search.rotations import angle_of, rotations
from tfreg.registration.search.search import search


def turned(picture, angle, shift, mirrored=False):
    """A picture that stands elsewhere as a whole, and the map from where it was."""
    grid, ndim = picture.geometry, picture.geometry.ndim
    turn = rotation(ndim, np.radians(angle))
    if ndim == 3:
        turn = turn @ np.roll(np.roll(rotation(3, np.radians(70)), 1, 0), 1, 1)
    whole = transforms.Affine(turn, shift, grid.centre)
    direction = tuple(map(tuple, (turn @ np.array(grid.direction)).tolist()))
    origin = tuple(whole.apply_points(np.array(grid.origin)[None])[0].tolist())
    return Image(picture.array, Geometry(grid.size, grid.spacing, origin, direction)), whole


def miss(found, expected, picture):
    points = picture.geometry.to_physical(np.argwhere(picture.array > 20)[::17])
    moved = found.apply_points(points) - expected.apply_points(points)
    return np.linalg.norm(moved, axis=1).mean()


@pytest.mark.parametrize(("ndim", "count", "most"), [(2, 72, 2.6), (3, 512, 27.0)])
def test_rotations_leave_no_gap(rng, ndim, count, most):
    found = rotations(ndim, count)
    np.testing.assert_allclose(
        found @ np.swapaxes(found, 1, 2), np.tile(np.eye(ndim), (count, 1, 1)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(found), 1)
    np.testing.assert_allclose(found[0], np.eye(ndim), atol=1e-12)
    others = np.linalg.qr(rng.normal(size=(200, ndim, ndim)))[0]
    others[:, 0] *= np.linalg.det(others)[:, None]
    gaps = [min(angle_of(one.T @ other) for one in found) for other in others]
    assert max(gaps) < most and (ndim == 2 or max(gaps) > 10)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.on_jax
def test_all_translations_are_scored_as_one_by_one(rng, numpy, ndim):
    """Against sums over the overlap, voxel by voxel, of a turn by 90 degrees that needs no
    interpolation."""
    fixed, moving, period = 8, 12, 20
    values, others = rng.random((fixed,) * ndim), rng.random((moving,) * ndim)
    weights = (rng.random(values.shape) > 0.2).astype(float)
    turn = np.eye(ndim)
    turn[:2, :2] = [[0, -1], [1, 0]]
    images = (values, weights, others, np.ones_like(others))
    arguments = [array.astype("float32") for array in (*images, turn[None])]
    scores, shifts = (
        numpy(part)[0] for part in translations(fixed, moving, period, ndim)(*arguments)
    )
    grid = np.moveaxis(np.indices((moving,) * ndim), 0, -1) - (moving - 1) / 2
    index = np.rint(grid @ turn.T + (moving - 1) / 2).astype(int)
    seen = others[tuple(np.moveaxis(index, -1, 0))]
    best, where = -1.0, None
    for shift in np.ndindex(*(fixed + moving - 1,) * ndim):
        shift = np.array(shift) - fixed + 1
        inside = [slice(max(0, -s), min(fixed, moving - s)) for s in shift]
        there = tuple(slice(i.start + s, i.stop + s) for i, s in zip(inside, shift, strict=True))
        w, f, m = weights[tuple(inside)], values[tuple(inside)], seen[there]
        share = w.sum() / weights.sum()
        if share < 0.2:
            continue
        centred = [(part - (w * part).sum() / w.sum()) for part in (f, m)]
        ncc = (w * centred[0] * centred[1]).sum() / np.sqrt(
            (w * centred[0] ** 2).sum() * (w * centred[1] ** 2).sum()
        )
        if ncc * np.sqrt(share) > best:
            best, where = ncc * np.sqrt(share), shift
    assert scores == pytest.approx(best, abs=1e-4)
    np.testing.assert_allclose(shifts, where + (fixed - 1) / 2 - (moving - 1) / 2)


def test_a_cube_shows_where_things_are(rng):
    """An oblique, anisotropic grid: the cube's voxels have the values of their places."""
    grid = grids(3)[1]
    found = cube(Field.of(image(grid), None), 20, 3.5)
    index = np.moveaxis(np.indices(found.values.shape), 0, -1) - 9.5
    inside = found.weights > 0.99
    agreement = [
        np.corrcoef(found.values[inside], scene(found.centre + place @ found.steps.T)[inside])[0, 1]
        for place in (index, index + 0.5)
    ]
    assert inside.mean() > 0.2 and agreement[0] > 0.998 > agreement[1]
    assert np.linalg.det(found.steps) == pytest.approx(-np.linalg.det(grid.direction) * 3.5**3)


@pytest.mark.parametrize("angle", [0, 90, 180, -135])
def test_any_turn_and_shift_of_a_picture(angle):
    fixed = image(grids(2)[0])
    moving, whole = turned(image(grids(2)[1], np.array([3.0, -2.0])), angle, [140.0, -95.0])
    expected = transforms.compose(transforms.Affine(np.eye(2), [3.0, -2.0]), whole)
    found = search(fixed, moving)
    assert miss(found.transform, expected, fixed) < 1.0
    report = found.report
    assert report.rotations == 72 and report.voxels == (24, 24) and report.refined == 32
    assert len(report.scores) == 6 and list(report.scores) == sorted(report.scores)[::-1]
    np.testing.assert_allclose(np.linalg.det(found.transform.matrix), 1)
    again = search(fixed, moving)
    np.testing.assert_array_equal(again.transform.matrix, found.transform.matrix)


@pytest.mark.long
@pytest.mark.parametrize("angle", [120, 180])
def test_any_turn_and_shift_of_a_volume(angle):
    fixed = image(grids(3)[0])
    moving, expected = turned(image(grids(3)[1]), angle, [150.0, -120.0, 90.0])
    found = search(fixed, moving)
    assert miss(found.transform, expected, fixed) < 2.0
    answer = register(fixed, moving, ["rigid", "affine"], initial="search")
    assert miss(answer.transform, expected, fixed) < 0.5
    assert answer.inner.search.rotations == 512


def test_masks_say_what_is_looked_for(rng):
    """A second, larger thing beside the one that is meant."""
    grid = Geometry.of_shape((64, 64))
    points = grid.to_physical(np.moveaxis(np.indices(grid.shape), 0, -1))
    thing = scene(points - [20.0, 22.0])
    other = 3 * np.exp(-((points - [50.0, 48.0]) ** 2).sum(axis=-1) / 60)
    fixed, plain = (Image(100 * array.astype("float32"), grid) for array in (thing + other, thing))
    moving, expected = turned(plain, 90, [30.0, 10.0])
    mask = Image((thing > 0.1).astype("uint8"), grid)
    found = search(fixed, moving, fixed_mask=mask)
    assert miss(found.transform, expected, plain) < 1.5


@pytest.mark.parametrize("similarity", ["mi", "mind"])
def test_contours_of_two_modalities(similarity):
    fixed = image(grids(2)[0])
    moving, expected = turned(image(grids(2)[1]), 120, [60.0, 20.0])
    inverted = Image(moving.array.max() - moving.array, moving.geometry)
    job_ = job.prepare(Optimisation("rigid", similarity), fixed, inverted, initial="search")
    assert job_.search.report.contours
    assert miss(job_.search.transform, expected, fixed) < 3


@pytest.mark.parametrize("transform", ["rigid", ["similarity", "bspline"]])
def test_a_registration_goes_on_from_there(transform):
    fixed = image(grids(2)[0])
    moving, expected = turned(image(grids(2)[1]), 150, [-80.0, 33.0])
    answer = register(fixed, moving, transform, initial="search", pyramid="fast")
    assert miss(answer.transform, expected, fixed) < 0.5
    report = answer.search
    assert report.angle == pytest.approx(150, abs=3)
    assert answer.summary()["search"]["rotations"] == 72
    plain = register(fixed, fixed, "rigid", pyramid="fast")
    assert plain.search is None and "search" not in plain.summary()


def test_what_shows_nothing_in_coarse_voxels_is_not_found_somewhere():
    fixed = image(grids(2)[0])
    flat = Image(np.full_like(fixed.array, 7), fixed.geometry)
    for pair in ((fixed, flat), (flat, fixed)):
        with pytest.raises(InputError, match="finds nothing that both images could agree on"):
            search(*pair)


def test_what_cannot_be_searched():
    fixed = image(grids(2)[0])
    with pytest.raises(InputError, match="arrays have start"):
        register(fixed.array, fixed.array, "rigid", initial="search")
    with pytest.raises(InputError, match="both be 2-D or both 3-D"):
        register(fixed, image(grids(3)[0]), "rigid", initial="search")
    with pytest.raises(InputError, match="must not be constant"):
        flat = Image(np.zeros((9, 9), "float32"), Geometry.of_shape((9, 9)))
        register(fixed, flat, "rigid", initial="search")
    with pytest.raises(InputError, match="'search'"):
        register(fixed, fixed, "rigid", initial="guess")
