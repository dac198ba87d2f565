import json
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

import zoo
from tfreg import transforms
from tfreg.errors import InputError, InputWarning
from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.registration import (
    Level,
    PhysicalRegistration,
    Preprocessing,
    Pyramid,
    Registration,
    register,
)
from tfreg.registration.physical import prepare

SHIFT = {2: np.array([3.0, -2.0]), 3: np.array([3.0, -2.0, 4.0])}
QUICK = Pyramid((Level(steps=50),))


def rotation(ndim, angle):
    matrix = np.eye(ndim)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return matrix


def scene(points):
    """Blobs that look like nothing else when turned or mirrored, (n, ndim) LPS mm."""
    ndim = points.shape[-1]
    value = np.zeros(points.shape[:-1])
    for place, width, height in (
        ((0.0, 0.0, 0.0), 9.0, 1.0),
        ((12.0, 3.0, -4.0), 5.0, 0.8),
        ((-6.0, 11.0, 7.0), 4.0, 0.6),
    ):
        square = ((points - np.array(place[:ndim])) ** 2).sum(axis=-1)
        value += height * np.exp(-square / (2 * width**2))
    return value


def image(geometry, shift=0.0, scale=1.0):
    index = np.moveaxis(np.indices(geometry.shape, "float64"), 0, -1)
    points = geometry.to_physical(index)
    return Image((100 * scale * scene(points - shift)).astype("float32"), geometry)


def grids(ndim):
    """Two oblique grids about the scene that have nothing in common."""
    turn, flip = rotation(ndim, 0.3), rotation(ndim, -0.5)
    flip[:, 1] *= -1  # left-handed
    sizes = ((44, 36), (50, 52)) if ndim == 2 else ((30, 26, 14), (34, 30, 24))
    steps = ((1.4, 1.7), (1.1, 1.3)) if ndim == 2 else ((2.0, 2.2, 4.0), (1.9, 2.4, 2.6))
    found = []
    for size, spacing, direction in zip(sizes, steps, (turn, flip), strict=True):
        half = direction @ (np.array(spacing) * (np.array(size) - 1) / 2)
        found.append(Geometry(size, spacing, tuple(1.0 - half), tuple(map(tuple, direction))))
    return found


def still(fixed, moving, initial="geometry", bend=0.0, **masks):
    """What a registration answers that adds only ``bend`` voxels: nothing has to be compiled."""
    prepared = prepare(fixed, moving, initial, **masks)
    inner = prepared.inner
    displacement = np.zeros((*inner.fixed.shape, inner.fixed.ndim)) + bend
    if inner.start is not None:
        displacement += inner.start[:, -1]
    arrays = (inner.fixed, inner.moving, inner.fixed, displacement.astype("float32"))
    return prepared.conclude(Registration(*arrays, 0.1, 0.2, 0.0))


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


# With a network


@pytest.fixture(scope="module")
def model():
    return zoo.load("dirnet-phantom")


@pytest.fixture(scope="module")
def digits():
    """A digit and another of its kind, on two oblique grids that are finer than the network's."""
    from tfreg.data import phantoms

    images = phantoms.digits(40, seed=8).images
    inner = Geometry((28, 28), (2.0, 2.0), (10.0, -20.0), tuple(map(tuple, rotation(2, 0.4))))
    fixed = Image(images[4].astype("float32"), inner).resample(inner.resampled(size=(56, 56)))
    moving = Image(images[14].astype("float32"), inner).resample(inner.resampled(size=(84, 42)))
    return fixed, moving


def test_a_network_on_its_own_grid(model, digits):
    fixed, moving = digits
    with pytest.warns(InputWarning, match="states no voxel size"):
        answer = model.register(fixed, moving)
    inner = answer.inner
    assert inner.fixed.shape == (28, 28) and answer.moved.array.shape == (56, 56)
    alone = model.register(inner.fixed, inner.moving)
    np.testing.assert_array_equal(alone.displacement, inner.displacement)
    grid = fixed.geometry.resampled(size=(28, 28))
    index = np.array([[10.0, 12.0], [20.0, 5.0]])
    there = index + inner.displacement[tuple(index.astype(int).T)]
    found = answer.warp_points(grid.to_physical(index))
    np.testing.assert_allclose(found, grid.to_physical(there), atol=1e-4)
    before = moving.resample(fixed.geometry).array
    correlation = [
        np.corrcoef(fixed.array.ravel(), array.ravel())[0, 1]
        for array in (before, answer.moved.array)
    ]
    assert correlation[1] > correlation[0] + 0.2
    assert answer.similarity_after > answer.similarity_before


def test_the_initial_alignment_comes_after_the_network(model, digits):
    fixed, moving = digits
    turn = transforms.Affine(rotation(2, 0.1), [300.0, -200.0], fixed.geometry.centre)
    away = np.array(moving.geometry.direction).T  # the moving image, carried along by the turn
    direction = turn.matrix @ away.T
    origin = turn.apply_points(np.array(moving.geometry.origin)[None])[0]
    carried = Geometry(
        moving.geometry.size, moving.geometry.spacing, tuple(origin), tuple(map(tuple, direction))
    )
    with pytest.warns(InputWarning):
        here = model.register(fixed, moving)
        there = model.register(fixed, Image(moving.array, carried), initial=turn)
    np.testing.assert_allclose(there.inner.moving, here.inner.moving, atol=0.05)
    points = fixed.geometry.to_physical([[20.0, 30.0], [40.0, 25.0]])
    expected = turn.apply_points(here.warp_points(points))
    np.testing.assert_allclose(there.warp_points(points), expected, atol=0.05)


def test_beyond_the_networks_grid_the_border_continues(digits, model, monkeypatch):
    fixed, moving = digits
    monkeypatch.setattr(model, "preprocessing", Preprocessing((28, 28), (1.0, 1.0)))
    with pytest.warns(InputWarning, match="what lies beyond follows its border"):
        answer = model.register(fixed, moving)
    grid = answer.transform.geometry
    assert min(grid.shape) >= 54 and grid.spacing == (1.0, 1.0)
    first = (np.array(grid.shape) - 28) // 2
    field = answer.transform.apply_points(grid.to_physical([[0.0, 0.0], [*map(float, first)]]))
    start = grid.to_physical([[0.0, 0.0], [*map(float, first)]])
    np.testing.assert_allclose(*(field - start), atol=1e-9)


def test_a_mask_says_what_the_networks_grid_is_about(digits, model, monkeypatch):
    fixed, moving = digits
    monkeypatch.setattr(model, "preprocessing", Preprocessing((28, 28), (1.0, 1.0)))
    mask = np.zeros(fixed.array.shape, "uint8")
    mask[10:20, 30:44] = 1
    mask = Image(mask, fixed.geometry)
    with pytest.warns(InputWarning):
        answer = model.register(fixed, moving, fixed_mask=mask)
    centred = Preprocessing((28, 28), (1.0, 1.0)).grid(fixed.geometry, mask.centre_of_mass())
    expected = fixed.resample(centred).array
    np.testing.assert_allclose(answer.inner.fixed, expected, atol=1e-3)


def test_masks_need_something_that_looks_at_them(digits, model, monkeypatch):
    fixed, moving = digits
    mask = Image(np.ones(fixed.array.shape, "uint8"), fixed.geometry)
    with pytest.raises(InputError, match="fixed_mask would have no effect"):
        model.register(fixed, moving, fixed_mask=mask)
    with pytest.raises(InputError, match="moving_mask would have no effect"):
        model.register(fixed.array[:28, :28], moving.array[:28, :28], 3, moving_mask=mask.array)
    half = np.zeros(fixed.array.shape, "uint8")
    half[:28] = 1
    masks = {"fixed_mask": Image(half, fixed.geometry), "moving_mask": mask}
    prepared = prepare(fixed, moving, "geometry", **masks, model=model)
    given = {}

    def optimise(*images, **options):
        given.update(options)
        return register(*images, "translation", pyramid=QUICK)

    monkeypatch.setattr("tfreg.registration.model.optimise", optimise)
    with pytest.warns(InputWarning):
        model.register(fixed, moving, "fast", **masks)
    for name, found in prepared.inner.masks.items():
        np.testing.assert_array_equal(given[name], found)
        assert found.shape == (28, 28)


def test_a_flat_network_and_volumes(model):
    with pytest.raises(InputError, match="registers 2-D images"):
        model.register(image(grids(3)[0]), image(grids(3)[1]))
    with pytest.raises(InputError, match="physical space only"):
        model.register(np.eye(28), np.eye(28), initial="mass")


def test_images_beyond_what_a_network_looks_at_are_refused(flat):
    fixed, moving = flat
    network = SimpleNamespace(ndim=2, preprocessing=None, intensity_range=(-1000.0, 400.0))
    prepare(fixed, moving, "geometry", model=network)
    above = Image(moving.array + 1000, moving.geometry)
    with pytest.raises(InputError, match="moving must have intensities between -1000 and 400"):
        prepare(fixed, above, "geometry", model=network)


def test_a_stack_of_slices_fills_the_grid_of_its_network(rng):
    """Slices 10 mm apart: with cubic voxels the heart would be a dozen voxels wide."""
    stack = Geometry((60, 50, 12), (3.0, 3.0, 10.0), (5.0, -7.0, 30.0), np.eye(3).tolist())
    found = rng.random(stack.shape)
    inner = prepare(
        Image(found, stack), Image(found[::-1], stack), "geometry", model=zoo.load("dlir-cine")
    ).inner
    assert inner.fixed.shape == (16, 128, 128)
    inside = inner.grid.to_index(stack.to_physical(np.array([[0, 0, 0], stack.shape]) - 0.5))
    assert (np.ptp(inside, axis=0) > (12, 100, 120)).all()


# A network in stages, of volumes


@pytest.fixture(scope="module")
def volumes():
    """A preset of volumes on a small grid, and a pair on two oblique grids."""
    network = zoo.load("dlir-hippocampus")
    network.preprocessing = Preprocessing((12, 20, 16), (4.0, 3.0, 3.5))
    fixed, moving = grids(3)
    return network, image(fixed), image(moving, np.array([1.0, -2.0, 2.0]), scale=30)


@pytest.mark.filterwarnings("ignore::tfreg.errors.InputWarning")
@pytest.mark.parametrize("options", [{}, {"stages": 1}, {"stages": 2, "memory_gib": 4.0}])
def test_volumes_on_the_grid_of_a_network_in_stages(volumes, options):
    network, fixed, moving = volumes
    answer = network.register(fixed, moving, **options)
    inner = answer.inner
    assert inner.fixed.shape == (12, 20, 16) and answer.moved.geometry == fixed.geometry
    alone = network.register(inner.fixed, inner.moving, **options)
    np.testing.assert_array_equal(alone.displacement, inner.displacement)
    whole = network.register(inner.fixed, inner.moving)
    assert options == {} or np.abs(whole.displacement - alone.displacement).max() > 0.05
    grid = network.preprocessing.grid(fixed.geometry)
    index = np.array([[5, 12, 3], [7, 8, 10]])
    there = grid.to_physical(index + inner.displacement[tuple(index.T)])
    np.testing.assert_allclose(answer.warp_points(grid.to_physical(index)), there, atol=1e-4)


@pytest.mark.filterwarnings("ignore::tfreg.errors.InputWarning")
def test_masks_of_volumes_reach_the_refinement(volumes):
    network, fixed, moving = volumes
    masks = {
        "fixed_mask": Image(fixed.array > 20, fixed.geometry),
        "moving_mask": Image(moving.array > 600, moving.geometry),
    }
    answer = network.register(fixed, moving, refine=QUICK, stages=1, **masks)
    plain = network.register(fixed, moving, refine=QUICK, stages=1, fixed_mask=masks["fixed_mask"])
    assert answer.similarity_after > answer.similarity_before
    assert np.abs(answer.inner.displacement - plain.inner.displacement).max() > 1e-3
    centre = np.array([[0.0, 0.0, 0.0]])
    np.testing.assert_allclose(answer.warp_points(centre), [[1.0, -2.0, 2.0]], atol=1.0)


def test_a_small_moving_mask_is_no_little_overlap(flat):
    fixed, moving = flat
    mask = np.zeros(moving.array.shape, "uint8")
    mask[tuple(n // 2 for n in mask.shape)] = 1
    mask = Image(mask, moving.geometry)
    said = prepare(fixed, moving, "centre", moving_mask=mask).warnings
    assert not any("start inside" in line for line in said)
