"""Networks on images with a place in space."""

from types import SimpleNamespace

import numpy as np
import pytest
from physical_cases import QUICK, SHIFT, grids, image, rotation
from shipped import DIGITS, STACKS, VOLUMES

import zoo
from tfreg import transforms
from tfreg.errors import InputError, InputWarning
from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.registration import (
    Preprocessing,
    Refinement,
)
from tfreg.registration.space.physical import prepare


@pytest.fixture
def flat():
    """Two 2-D images on one grid."""
    grid = grids(2)[0]
    return image(grid), image(grid, SHIFT[2])


@pytest.fixture(scope="module")
def model():
    return zoo.load(DIGITS)


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


def test_masks_need_something_that_looks_at_them(digits, model):
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

    class Look(Refinement):
        def __call__(self, pair, start):
            given.update(pair.arrays)
            return super().__call__(pair, start)

    with pytest.warns(InputWarning):
        model.register(fixed, moving, Look("translation", pyramid=QUICK), **masks)
    for name, found in prepared.inner.masks.items():
        np.testing.assert_array_equal(given[name][0, ..., 0], found)
        assert found.shape == (28, 28)


def test_a_flat_network_and_volumes(model):
    with pytest.raises(InputError, match="registers 2-D images"):
        model.register(image(grids(3)[0]), image(grids(3)[1]))
    with pytest.raises(InputError, match="images in physical space"):
        model.register(np.eye(28), np.eye(28), initial="mass")


def test_images_beyond_what_a_network_looks_at_are_refused(flat):
    fixed, moving = flat
    network = SimpleNamespace(
        ndim=2, preprocessing=None, intensity_range=(-1000.0, 400.0), sees_all_moving=False
    )
    prepare(fixed, moving, "geometry", model=network)
    above = Image(moving.array + 1000, moving.geometry)
    with pytest.raises(InputError, match="moving must have intensities between -1000 and 400"):
        prepare(fixed, above, "geometry", model=network)


def test_a_stack_of_slices_fills_the_grid_of_its_network(rng):
    """Slices 10 mm apart: with cubic voxels the heart would be a dozen voxels wide."""
    stack = Geometry((60, 50, 12), (3.0, 3.0, 10.0), (5.0, -7.0, 30.0), np.eye(3).tolist())
    found = rng.random(stack.shape)
    inner = prepare(
        Image(found, stack), Image(found[::-1], stack), "geometry", model=zoo.load(STACKS)
    ).inner
    assert inner.fixed.shape == (16, 128, 128)
    inside = inner.grid.to_index(stack.to_physical(np.array([[0, 0, 0], stack.shape]) - 0.5))
    assert (np.ptp(inside, axis=0) > (12, 100, 120)).all()


# A network in stages, of volumes


@pytest.fixture(scope="module")
def volumes():
    """A preset of volumes on a small grid, and a pair on two oblique grids."""
    network = zoo.load(VOLUMES)
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


@pytest.mark.long
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
