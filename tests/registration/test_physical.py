import json

import numpy as np
import pytest
import SimpleITK as sitk
from physical_cases import QUICK, SHIFT, grids, image, rotation, still

from tfreg import transforms
from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.registration import (
    PhysicalRegistration,
    register,
)
from tfreg.registration.space.physical import prepare


@pytest.fixture(params=[2, 3])
def pair(request):
    fixed, moving = grids(request.param)
    return image(fixed), image(moving, SHIFT[request.param], scale=30)


@pytest.fixture
def flat():
    """Two 2-D images on one grid."""
    grid = grids(2)[0]
    return image(grid), image(grid, SHIFT[2])


POINTS = np.array([[0.0, 0, 0], [5, 5, 5], [-6, 8, 2]])


def test_two_grids_that_have_nothing_in_common(pair):
    fixed, moving = pair
    ndim = fixed.geometry.ndim
    answer = register(fixed, moving, "translation", pyramid=QUICK)
    assert isinstance(answer, PhysicalRegistration)
    points = POINTS[:, :ndim]
    np.testing.assert_allclose(answer.warp_points(points), points + SHIFT[ndim], atol=0.25)
    np.testing.assert_allclose(answer.transform.apply_points(points), answer.warp_points(points))
    assert answer.moved.geometry == fixed.geometry
    expected = image(fixed.geometry, scale=30).array
    inner = tuple(slice(3, -3) for _ in range(ndim))
    assert np.abs(answer.moved.array - expected)[inner].max() < 0.1 * np.ptp(expected)
    assert answer.similarity_after > 0.99 > answer.similarity_before
    assert answer.check().similarity_after == answer.similarity_after
    assert answer.warnings == ()
    once = answer.transform.apply(moving, fixed.geometry, fill=float(moving.array.min()))
    np.testing.assert_allclose(answer.moved.array, once.array, atol=1e-4 * np.ptp(expected))
    there = answer.displacement.apply_points(fixed.geometry.centre[None])
    np.testing.assert_allclose(there, answer.warp_points(fixed.geometry.centre[None]), atol=1e-3)


def test_voxels_of_one_size_are_taken_as_they_are(rng):
    grid = grids(3)[0]
    origin = tuple(np.add(grid.origin, (7.3, -4.1, 35.0)))
    fixed = Image(rng.random(grid.shape), grid)
    moving = Image(
        rng.random((13, 28, 31)), Geometry((31, 28, 13), grid.spacing, origin, grid.direction)
    )
    shift = transforms.Affine(np.eye(3), [7.0, -4.0, 34.0])
    answer = still(fixed, moving, initial=shift)
    np.testing.assert_array_equal(answer.inner.moving, moving.array.astype("float32"))
    np.testing.assert_allclose(answer.warp_points(POINTS), shift.apply_points(POINTS), atol=1e-5)


def test_a_large_moving_image_is_cropped_about_the_fixed_one():
    grid = Geometry.of_shape((40, 32))
    large = Geometry((400, 300), (1.0, 1.1), (-200.0, -150.0), ((1, 0), (0, 1)))
    answer = still(image(grid), image(large))
    assert answer.inner.moving.shape == (60, 48)  # a quarter more on each side
    np.testing.assert_allclose(answer.warp_points(POINTS[:, :2]), POINTS[:, :2], atol=1e-5)


def test_initial_alignments(flat):
    fixed, _ = flat
    away = Geometry(fixed.geometry.size, (2.0, 1.5), (500.0, 300.0), ((0, 1), (1, 0)))
    moving = Image(fixed.array[:, ::-1].copy(), away)
    with pytest.raises(InputError, match=r"do not overlap .* initial='mass' \(--init mass\)"):
        still(fixed, moving)
    found = still(fixed, moving, initial="centre")
    there = found.warp_points(fixed.geometry.centre[None])[0]
    np.testing.assert_allclose(there, away.centre, atol=1e-4)
    found = still(fixed, moving, initial="mass")
    there = found.warp_points(fixed.centre_of_mass()[None])[0]
    np.testing.assert_allclose(there, moving.centre_of_mass(), atol=1e-4)
    turn = transforms.Affine(rotation(2, 0.2), away.centre - fixed.geometry.centre)
    found = still(fixed, moving, initial=turn)
    points = fixed.geometry.to_physical([[4.0, 5.0], [20.0, 30.0]])
    np.testing.assert_allclose(found.warp_points(points), turn.apply_points(points), atol=1e-4)
    assert found.initial is turn


def test_the_masks_decide_the_centres_of_mass(flat):
    fixed, moving = flat
    masks = []
    for one, rows in ((fixed, slice(4, 20)), (moving, slice(10, 26))):
        mask = np.zeros(one.array.shape, "uint8")
        mask[rows, 8:30] = 1
        masks.append(Image(mask, one.geometry))
    names = dict(zip(("fixed_mask", "moving_mask"), masks, strict=True))
    found = still(fixed, moving, initial="mass", **names)
    shift = found.warp_points(POINTS[:, :2]) - POINTS[:, :2]
    expected = masks[1].centre_of_mass() - masks[0].centre_of_mass()
    np.testing.assert_allclose(shift, np.tile(expected, (3, 1)), atol=1e-5)
    assert np.linalg.norm(expected) > 5
    alone = still(fixed, moving, initial="mass", fixed_mask=masks[0])
    shift = alone.warp_points(POINTS[:, :2]) - POINTS[:, :2]
    expected = moving.centre_of_mass() - fixed.centre_of_mass()
    np.testing.assert_allclose(shift, np.tile(expected, (3, 1)), atol=1e-5)


def test_a_nonlinear_initial_transform(flat):
    fixed, _ = flat
    grid = fixed.geometry.resampled(spacing=3.0)
    rng = np.random.default_rng(3)
    bend = transforms.Displacement(rng.normal(0, 1.0, (*grid.shape, 2)), grid)
    found = still(fixed, fixed, initial=bend)
    points = fixed.geometry.to_physical([[10.0, 12.0], [20.0, 25.0]])
    np.testing.assert_allclose(found.warp_points(points), bend.apply_points(points), atol=1e-5)
    seen = bend.apply(fixed, fixed.geometry).array[5:-5, 5:-5]
    offset = np.rint((np.array(found.inner.moving.shape) - found.inner.fixed.shape) / 2).astype(int)
    rows = tuple(slice(o + 5, o + n - 5) for o, n in zip(offset, fixed.array.shape, strict=True))
    np.testing.assert_allclose(found.inner.moving[rows], seen, atol=1e-2)


def test_fine_voxels_are_smoothed_before_a_coarse_grid_takes_them(rng):
    fine = Geometry.of_shape((160, 160), 0.25)
    noisy = image(fine, shift=np.array([20.0, 20.0]))
    noise = 40 * (np.indices(fine.shape).sum(axis=0) % 2 - 0.5)
    noisy = Image(noisy.array + noise.astype("float32"), fine)
    coarse = image(Geometry.of_shape((40, 40)), shift=np.array([20.0, 20.0]))
    answer = still(coarse, noisy)
    rows, columns = (int(n - 40) // 2 for n in answer.inner.moving.shape)
    seen = answer.inner.moving[rows : rows + 40, columns : columns + 40]
    assert np.abs(seen - coarse.array)[3:-3, 3:-3].max() < 3  # of noise of 20


def test_masks_on_another_grid(flat):
    fixed, moving = flat
    other = fixed.geometry.resampled(spacing=2.0)
    mask = Image((image(other).array > 20).astype("uint8") * 3, other)
    found = prepare(fixed, moving, "geometry", mask)
    assert "more than 0 and 1" in found.warnings[0] and "another grid" in found.warnings[1]
    expected = mask.resample(fixed.geometry, "nearest", fill=0).array > 0
    np.testing.assert_array_equal(found.inner.fixed_mask, expected)
    assert 0 < expected.sum() < expected.size


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: np.zeros_like(m), "holds no voxel"),
        (lambda m: m.astype("float32") - 2, "0 or more"),
        (lambda m: np.where(m, np.nan, 1.0), "0 or more"),
    ],
)
@pytest.mark.parametrize("name", ["fixed_mask", "moving_mask"])
def test_masks_that_cannot_be_used(flat, change, message, name):
    mask = Image(change(np.ones(flat[0].array.shape, "uint8")), flat[0].geometry)
    with pytest.raises(InputError, match=f"{name}.*{message}"):
        register(*flat, **{name: mask})


def test_a_mask_beside_its_image(flat):
    away = Geometry((5, 5), (1.0, 1.0), (900.0, 900.0), ((1, 0), (0, 1)))
    with pytest.raises(InputError, match="no voxel within its image"):
        register(*flat, fixed_mask=Image(np.ones((5, 5)), away))
    with pytest.raises(InputError, match="must be an image in physical space"):
        register(*flat, fixed_mask=np.ones(flat[0].array.shape))
    with pytest.raises(InputError, match="2 axes"):
        register(*flat, fixed_mask=Image(np.ones((2, 2, 2)), Geometry.of_shape((2, 2, 2))))


def test_images_that_cannot_be_registered(flat):
    fixed, moving = flat
    broken = moving.array.copy()
    broken[2, 3] = np.nan
    with pytest.raises(InputError, match="moving must hold finite"):
        register(fixed, Image(broken, moving.geometry))
    with pytest.raises(InputError, match="fixed must not be constant"):
        register(Image(np.ones((8, 8)), Geometry.of_shape((8, 8))), moving)
    with pytest.raises(InputError, match="both be 2-D or both 3-D"):
        register(fixed, image(grids(3)[0]))
    with pytest.raises(InputError, match="both be images"):
        register(fixed, moving.array)
    with pytest.raises(InputError, match="not a series of 4"):
        register(sitk.Image([5, 5, 5, 4], sitk.sitkFloat32), fixed.to_sitk())


@pytest.mark.parametrize("option", [{"spacing": (1, 1)}, {"start": np.eye(2, 3)}, {"ndim": 2}])
def test_what_only_arrays_have(flat, option):
    with pytest.raises(InputError, match=f"{next(iter(option))} is that of arrays"):
        register(*flat, **option)
    with pytest.raises(InputError, match="arrays have start"):
        register(flat[0].array, flat[1].array, initial="mass")


@pytest.mark.parametrize("initial", ["header", 3, transforms.Affine(np.eye(3), np.zeros(3))])
def test_initial_alignments_that_there_are_not(flat, initial):
    with pytest.raises(InputError, match="initial must be"):
        register(*flat, initial=initial)


def test_images_of_simpleitk(flat):
    found = still(*(one.to_sitk() for one in flat), bend=0.3)
    expected = still(*flat, bend=0.3)
    np.testing.assert_array_equal(found.moved.array, expected.moved.array)


def test_little_overlap_is_said(flat):
    fixed, _ = flat
    shift = transforms.Affine(np.eye(2), 0.8 * np.array(fixed.geometry.extent) * [1, 0])
    answer = still(fixed, fixed, initial=shift)
    assert "% of the fixed image start inside" in answer.warnings[0]
    assert answer.check().outside > 70


def test_saved_for_itk_and_elastix(tmp_path, flat):
    fixed, moving = flat
    moving = Image(np.rint(moving.array).astype("int16"), moving.geometry)
    shift = transforms.Affine(np.eye(2), [0.5, 0.25])
    bend = np.sin(np.moveaxis(np.indices(fixed.array.shape), 0, -1) / (5.0, 7.0))
    answer = still(fixed, moving, shift, bend)
    answer.save(tmp_path / "out", ".mha", {"who": "me"})
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"moved.mha", "transform.h5", "TransformParameters.txt", "registration.json"} <= names
    content = json.loads((tmp_path / "out" / "registration.json").read_text())
    assert content["who"] == "me" and content["similarity_after"] == 0.2
    assert content["fixed_geometry"] == fixed.geometry.to_dict()
    moved = sitk.ReadImage(str(tmp_path / "out" / "moved.mha"))
    assert moved.GetPixelID() == sitk.sitkInt16
    points = fixed.geometry.to_physical([[10.0, 12.5], [20.25, 30.0]])
    expected = answer.warp_points(points)
    theirs = sitk.ReadTransform(str(tmp_path / "out" / "transform.h5"))
    found = [theirs.TransformPoint(point) for point in points.tolist()]
    np.testing.assert_allclose(found, expected, atol=1e-3)
    ours = transforms.load(tmp_path / "out" / "TransformParameters.txt")
    np.testing.assert_allclose(ours.apply_points(points), expected, atol=1e-3)
    resampled = sitk.Resample(
        sitk.Cast(moving.to_sitk(), sitk.sitkFloat32), fixed.to_sitk(), theirs, sitk.sitkLinear
    )
    difference = sitk.GetArrayFromImage(resampled) - answer.moved.array
    assert np.abs(difference)[3:-3, 3:-3].max() < 0.1


@pytest.mark.parametrize("dtype", ["int32", "uint32", "uint64"])
def test_the_brightest_stay_the_brightest_when_they_are_stored(flat, dtype):
    """float32, in which images are moved, rounds the largest integers up."""
    fixed, moving = flat
    top = np.iinfo(dtype).max
    bright = np.full(moving.array.shape, top, dtype)
    bright[:4] = 0
    answer = still(fixed, Image(bright, moving.geometry), transforms.Affine(np.eye(2), [0.5, 0.25]))
    stored = answer.stored().array
    assert stored.dtype == dtype and (stored == top).mean() > 0.5
    np.testing.assert_allclose(stored.astype("float64"), answer.moved.array, rtol=1e-6)
