import dataclasses

import numpy as np
import pytest
from physical_cases import grids, image

from tfreg import ops
from tfreg.errors import InputError
from tfreg.registration import Level, Pyramid, pyramid, register
from tfreg.registration.instance import engine
from tfreg.registration.instance.maps import Grid, transform_of
from tfreg.registration.instance.optimisation import Optimisation

QUICK = Pyramid((Level(shrink=2, steps=8, weight=0.08), Level(steps=6, weight=0.08)))


def discs(shape, size, bend):
    """A ball, and the same bent out at one side: no affine map makes one of the other."""
    grid = np.moveaxis(np.indices(shape), 0, -1) - (np.array(shape) - 1) / 2
    radius = np.linalg.norm(grid, axis=-1) + 1e-6
    turned = 1 + bend * np.tanh(3 * grid[..., -1] / radius)
    return [1 / (1 + np.exp(radius - size * one)) for one in (1.0, turned)]


@pytest.fixture(scope="module")
def pair():
    return discs((48, 40), 11, 0.25)


@pytest.fixture(scope="module")
def answer(pair):
    return register(*pair, "lddmm", similarity="mse", pyramid=QUICK)


@pytest.mark.on_jax
def test_a_shape_is_found_without_folding(pair, answer):
    assert answer.similarity_after > 0.1 * answer.similarity_before
    check = answer.check()
    assert check.folding == 0 and check.jacobian_min > 0.1 and check.accepted
    assert [level.transform for level in answer.levels] == ["lddmm"] * 2
    assert all((one.loss_after < one.loss_before).all() for one in answer.levels)


@pytest.mark.long
def test_volumes_too(numpy):
    volumes = discs((20, 24, 22), 6, 0.25)
    found = register(*volumes, "lddmm", similarity="mse", pyramid=QUICK, spacing=(1.2, 1, 1))
    assert found.similarity_after > 0.2 * found.similarity_before
    assert found.check().jacobian_min > 0.1


def test_the_path_leads_from_the_start_to_the_answer(answer):
    np.testing.assert_allclose(answer.at(0), 0, atol=1e-6)
    np.testing.assert_allclose(answer.at(1), answer.displacement, atol=1e-5)
    half, whole = (np.abs(answer.at(time)).max() for time in (0.5, 1))
    assert 0.35 * whole < half < 0.65 * whole
    path = answer.path
    assert path.momentum.shape == (48, 40, 2) and path.spacing == (1.0, 1.0)
    for time in (None, float("nan"), True, "1"):
        with pytest.raises(InputError, match=r"time must be a finite number\. Received"):
            answer.at(time)


def test_the_map_of_the_path_undoes_the_answer(answer):
    back = answer.path.forward()
    assert back.shape == (48, 40, 2) and np.abs(back).max() > 1
    left = np.linalg.norm(np.asarray(ops.compose(answer.displacement[None], back[None])), axis=-1)
    assert left.max() < 0.1 * np.abs(back).max()
    begun = dataclasses.replace(answer.path, start=answer.displacement)
    with pytest.raises(InputError, match=r"a path without a start\. Received: one with a start"):
        begun.forward()


def test_momenta_that_fold_on_the_full_grid_are_shortened(pair, numpy):
    """The last level is a coarse one, whose own guard does not see what is between its voxels."""
    shape = (48, 40)
    full = Grid(shape, (1, 1), (1.0, 1.0))
    coarse = transform_of("lddmm", Grid(shape, (4, 4), (1.0, 1.0)), None)
    grid = np.indices(coarse.grid.shape) - np.array([[[5]], [[4]]])
    bump = np.exp(-(grid**2).sum(axis=0) / 3)[..., None] * np.array([1.0, -0.5])
    strengths = np.array([1.0, 10.0, 1e4], "float32")[:, None, None, None]
    momenta = strengths * bump.astype("float32")
    before = numpy(coarse.folded(coarse.displacement(momenta, full)))
    assert before.tolist() == [False, True, True]
    found = numpy(engine._unfolded(coarse, full, momenta, engine.Clock()))
    assert not numpy(coarse.folded(coarse.displacement(found, full))).any()
    np.testing.assert_array_equal(found[0], momenta[0])
    share = found[1].max() / momenta[1].max()
    tenths = np.log(share) / np.log(0.9)
    assert 0 < share < 1 and tenths == pytest.approx(round(tenths), abs=1e-3)
    longer = numpy(coarse.displacement(momenta[1:2] * 0.9 ** (round(tenths) - 1), full))
    assert numpy(coarse.folded(longer)).all()
    assert not found[2].any()


@pytest.mark.parametrize("similarity", ["mse", "ncc", "lncc", "mi", "ngf"])
def test_the_weight_of_the_energy_is_that_of_the_similarity(similarity):
    of = [pyramid("fast", "lddmm", (64, 64), (1, 1), name) for name in (similarity, "mse")]
    weights = [{level.weight for level in one.levels} for one in of]
    assert len(weights[0]) == 1 and weights[1] == {2 * 0.2**2}
    assert (weights[0] == weights[1]) == (similarity == "mse")
    found = Optimisation("lddmm", similarity=similarity, pyramid="fast")
    assert found.pyramids((64, 64), (1.0, 1.0)) == (of[0],)


def test_an_unknown_similarity_has_no_weight():
    with pytest.raises(InputError, match=r"similarity must be one of .* Received: similarity=nmi"):
        pyramid("fast", "lddmm", (64, 64), (1, 1), "nmi")


def test_only_the_end_of_a_path_has_one(pair):
    level = Pyramid((Level(steps=1),))
    with pytest.raises(InputError, match=r"last transform is lddmm .* Received: translation"):
        register(*pair, "translation", pyramid=level).at(1)


@pytest.mark.long
def test_a_start_comes_before_the_path_and_batches_are_pairs(pair):
    fixed, moving = pair
    moving = np.roll(moving, 2, axis=1)
    pyramids = [Pyramid((Level(steps=40),)), QUICK]
    both = np.stack([fixed, fixed]), np.stack([moving, pair[1]])
    kinds = ["translation", "lddmm"]
    found = register(*both, kinds, similarity="mse", pyramid=pyramids, ndim=2)
    np.testing.assert_allclose(found.at(1), found.displacement, atol=1e-5)
    one = found.item(0)
    np.testing.assert_allclose(one.at(1), one.displacement, atol=1e-5)
    assert np.ptp(one.at(0)[..., 1]) < 1e-4 and one.at(0)[0, 0, 1] > 1


def test_what_is_left_out_leaves_no_path(pair):
    """Nothing can be gained on one image: the answer stays where it started."""
    found = register(pair[0], pair[0], "lddmm", similarity="mse", pyramid=QUICK)
    assert np.abs(found.at(1)).max() < 1e-3


def test_descent_needs_more_evaluations_than_lbfgs(pair):
    losses = {}
    for optimiser, rate in (("lbfgs", 0.5), ("descent", 0.5)):
        level = Level(steps=8, learning_rate=rate, decay=1.0, weight=0.08, optimiser=optimiser)
        options = {"similarity": "mse", "pyramid": Pyramid((level,))}
        (report,) = register(*pair, "lddmm", **options).levels
        losses[optimiser] = report.loss_after[0]
        assert report.steps[0] == 8
    assert losses["lbfgs"] < losses["descent"] < report.loss_before[0]


@pytest.mark.parametrize(("shape", "spacing"), [((20, 27), (1.0, 2.5)), ((9, 12, 10), (2, 1, 1))])
def test_a_level_shoots_the_momentum_of_the_full_grid(rng, numpy, shape, spacing):
    """Parameters are in voxels of the level: the same path on both grids."""
    shrink = (2,) * len(shape)
    coarse = transform_of("lddmm", Grid(shape, shrink, spacing), None)
    fine = transform_of("lddmm", Grid(shape, (1,) * len(shape), spacing), None)
    constant = np.full(coarse.start(1).shape, 0.7, "float32")
    finer = numpy(fine.from_coarser(coarse, constant))
    np.testing.assert_allclose(finer, 1.4, rtol=1e-5)
    momentum = numpy(coarse.momentum(constant, fine.grid))
    np.testing.assert_allclose(momentum, numpy(fine.momentum(finer)), rtol=1e-5)
    velocity = numpy(ops.fluid_velocity(momentum, spacing))
    np.testing.assert_allclose(velocity, 1.4, rtol=1e-4)


def test_the_wall_is_that_of_the_determinant(numpy):
    """Shrunk to half along one axis, to 0.8, and stretched."""
    transform = transform_of("lddmm", Grid((8, 6), (1, 1), (1.0, 1.0)), None)
    rows = np.arange(8.0)[:, None] * np.ones(6)
    fields = np.stack([np.stack([f * rows, 0 * rows], -1) for f in (-0.5, -0.2, 0.4)])
    wall = numpy(transform.wall(fields.astype("float32")))
    np.testing.assert_allclose(wall, [3 * 0.2**2, 0, 0], atol=1e-6)
    assert not numpy(transform.folded(fields.astype("float32"))).any()
    assert numpy(transform.folded((2 * fields[:1]).astype("float32"))).all()


def test_energy_is_that_of_the_momentum(rng, numpy, check_gradient):
    transform = transform_of("lddmm", Grid((12, 10), (1, 1), (1.0, 1.5)), None)
    parameters = rng.normal(size=(1, 12, 10, 2))
    momentum = numpy(transform.momentum(parameters))
    velocity = numpy(ops.fluid_velocity(momentum, (1.0, 1.5)))
    expected = (momentum * velocity).sum() / 2 / 120
    found = numpy(transform.roughness("bending", parameters))
    assert found[0] == pytest.approx(expected, rel=1e-5)
    check_gradient(lambda p: transform.roughness("bending", p), parameters, samples=6)


@pytest.mark.long
def test_in_physical_space_with_its_momentum(tmp_path):
    grid = grids(2)[0]
    fixed, moving = image(grid), image(grid, (1.0, -0.6))
    found = register(fixed, moving, "lddmm", similarity="mse", pyramid=QUICK)
    points = grid.to_physical([[12.0, 9.0], [20.0, 30.0]])
    there = found.transform.apply_points(points)
    np.testing.assert_allclose(found.at(1).apply_points(points), there, atol=1e-4)
    np.testing.assert_allclose(found.at(0).apply_points(points), points, atol=1e-5)
    assert np.linalg.norm(there - points, axis=1).max() > 0.1
    parts = found.momentum
    assert len(parts) == 2 and all(part.geometry == grid for part in parts)
    # Its product with the velocity is the same in voxels and in millimetres.
    momentum = found.inner.path.momentum
    velocity = np.asarray(ops.fluid_velocity(momentum[None], found.inner.path.spacing))[0]
    origin = grid.to_physical(np.zeros((1, 2)))
    world = grid.to_physical(velocity.reshape(-1, 2)).reshape(velocity.shape) - origin
    product = sum(part.array * world[..., axis] for axis, part in enumerate(parts))
    np.testing.assert_allclose(product, (momentum * velocity).sum(axis=-1), atol=1e-6)
    found.save(tmp_path / "out")
    assert (tmp_path / "out" / "transform.h5").exists()
