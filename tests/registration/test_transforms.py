import numpy as np
import pytest

from tfreg import ops
from tfreg.registration.instance.level import Problem
from tfreg.registration.instance.maps import Grid, transform_of
from tfreg.registration.kinds import FREE_FORM, LINEAR

SHAPES = [((20, 27), (1.0, 2.5)), ((12, 20, 17), (3.0, 1.0, 1.5))]


def parameters_of(transform, rng, scale):
    return rng.normal(size=transform.start(2).shape, scale=scale).astype("float32")


@pytest.mark.parametrize(("shape", "spacing"), SHAPES)
@pytest.mark.parametrize("kind", [*LINEAR, *FREE_FORM])
def test_zero_is_the_identity(numpy, kind, shape, spacing):
    transform = transform_of(kind, Grid(shape, (1,) * len(shape), spacing), 4.0)
    np.testing.assert_allclose(numpy(transform.displacement(transform.start(2))), 0, atol=1e-5)


@pytest.mark.parametrize(("shape", "spacing"), SHAPES)
@pytest.mark.parametrize("kind", LINEAR)
def test_a_level_shows_the_linear_map_of_the_full_grid(rng, numpy, kind, shape, spacing):
    ndim = len(shape)
    shrink = (2, 3, 1)[:ndim]
    coarse, full = Grid(shape, shrink, spacing), Grid(shape, (1,) * ndim, spacing)
    transform = transform_of(kind, coarse, None)
    parameters = parameters_of(transform, rng, 2.0)
    small, large = (numpy(transform.displacement(parameters, grid)) for grid in (coarse, full))
    centres = np.moveaxis(np.indices(coarse.shape), 0, -1) * shrink + (np.array(shrink) - 1) / 2
    points = np.broadcast_to(centres.reshape(1, -1, ndim), (2, centres[..., 0].size, ndim))
    inside = (points[0] <= np.array(shape) - 1).all(axis=-1)
    expected = numpy(ops.sample(large, points.astype("float32"))).reshape(2, -1, ndim)
    found = small.reshape(2, -1, ndim) * shrink
    np.testing.assert_allclose(found[:, inside], expected[:, inside], atol=2e-3)
    fine = transform_of(kind, full, None)
    moved = fine.displacement(fine.from_coarser(transform, parameters))
    np.testing.assert_allclose(numpy(moved), large, atol=2e-3)


def test_a_rotation_is_one_in_physical_space(rng, numpy):
    spacing = np.array([3.0, 1.0, 1.5])
    grid = Grid((12, 20, 17), (1, 1, 1), tuple(spacing))
    transform = transform_of("rigid", grid, None)
    matrix = numpy(transform.matrix(parameters_of(transform, rng, 5.0), grid))[:, :, :3]
    physical = matrix * spacing[:, None] / spacing[None]
    product = physical @ np.swapaxes(physical, 1, 2)
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(3), product.shape), atol=1e-5)
    assert np.abs(physical - np.eye(3)).max() > 0.1


@pytest.mark.parametrize("kind", LINEAR)
def test_one_unit_moves_the_border_by_about_one_voxel(numpy, kind):
    grid = Grid((64, 64), (2, 2), (1.0, 1.0))
    transform = transform_of(kind, grid, None)
    for index in range(transform.start(1).shape[1]):
        parameters = transform.start(1)
        parameters[0, index] = 1
        furthest = np.abs(numpy(transform.displacement(parameters))).max()
        assert 0.5 < furthest < 2.1


@pytest.mark.parametrize("kind", ["bspline", "dense"])
def test_refining_on_anisotropic_voxels(rng, numpy, kind):
    shape, spacing = (16, 48, 40), (2.0, 1.0, 1.0)
    coarse = transform_of(kind, Grid(shape, (1, 2, 4), spacing), 8.0)
    fine = transform_of(kind, Grid(shape, (1, 1, 2), spacing), 4.0)
    full = Grid(shape, (1, 1, 1), spacing)
    grid = np.moveaxis(np.indices(coarse.control_points), 0, -1).astype("float32")
    # A linear map, which every spline shows exactly inside the grid.
    slopes = np.array([[0.1, 0.2, -0.3], [0.05, -0.1, 0.2], [-0.2, 0.1, 0.15]], "float32")
    parameters = (grid @ slopes)[None]
    before = numpy(coarse.displacement(parameters, full))
    after = numpy(fine.displacement(fine.from_coarser(coarse, parameters), full))
    inside = (slice(None), slice(5, -5), slice(16, -16), slice(16, -16))
    assert np.ptp(before[inside]) > 1
    np.testing.assert_allclose(after[inside], before[inside], atol=0.02)


@pytest.mark.parametrize("kind", ["bspline", "dense"])
def test_refining_a_spline_keeps_the_displacement(rng, numpy, kind):
    shape, spacing = (32, 48), (1.0, 1.0)
    coarse = transform_of(kind, Grid(shape, (2, 2), spacing), 8.0)
    fine = transform_of(kind, Grid(shape, (1, 1), spacing), 4.0)
    full = Grid(shape, (1, 1), spacing)
    parameters = parameters_of(coarse, rng, 1.0)
    before = numpy(coarse.displacement(parameters, full))
    after = numpy(fine.displacement(fine.from_coarser(coarse, parameters)))
    inside = (slice(None), slice(8, -8), slice(8, -8))
    np.testing.assert_allclose(after[inside], before[inside], atol=0.05 * np.abs(before).max())
    if kind == "dense":
        np.testing.assert_allclose(after, before, atol=1e-5)


def test_roughness_does_not_depend_on_units_or_resolution(rng, numpy):
    values = []
    for factor, spacing in ((1, 1.0), (1, 0.25), (2, 1.0)):
        shape = (24 * factor, 32 * factor)
        grid = Grid(shape, (1, 1), (spacing / factor,) * 2)
        transform = transform_of("bspline", grid, 4 * spacing)
        assert transform.control_points == (6, 8)
        parameters = np.random.default_rng(0).normal(size=transform.start(1).shape) * 4 * factor
        values.append(float(numpy(transform.roughness("bending", parameters.astype("float32")))[0]))
    np.testing.assert_allclose(values, values[0], rtol=1e-5)
    assert values[0] > 1


@pytest.mark.parametrize("kind", ["velocity", "bspline", "affine"])
def test_what_a_transform_starts_from(rng, numpy, kind):
    """A velocity's map goes before the start, the others add to it."""
    grid = Grid((24, 28), (1, 1), (1.0, 1.0))
    transform = transform_of(kind, grid, 7.0)
    problem = Problem(transform, "ncc", None, False, False, started=True, sampled=False)
    where = np.moveaxis(np.indices(grid.full), 0, -1).astype("float32")
    turn = np.array([[0.9, -0.3], [0.3, 0.8]], "float32")
    start = (where @ turn.T + (3, -2) - where)[None].astype("float32")
    parameters = parameters_of(transform, rng, 1.0)[:1]
    alone = numpy(transform.displacement(parameters))
    found = numpy(problem.total(parameters, start))
    expected = start + alone
    if kind == "velocity":
        expected = ((where + alone) @ turn.T + (3, -2)) - where
    inside = (slice(None), slice(6, -6), slice(6, -6))  # nothing leaves the grid
    assert np.abs(alone).max() > 0.5
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-3)
