import itertools

import numpy as np
import pytest

from tfreg import losses, ops
from tfreg.ops import bspline


@pytest.mark.parametrize(("grid", "spacing"), [((5, 7), (4, 2)), ((3, 5, 4), (2, 3, 4))])
@pytest.mark.parametrize("boundary", bspline.BOUNDARIES)
@pytest.mark.parametrize("order", [2, 3])
def test_bending_energy_is_the_mean_of_all_squared_second_derivatives(
    rng, numpy, grid, spacing, boundary, order
):
    ndim = len(grid)
    control_points = rng.normal(size=(2, *grid, ndim)).astype("float32")
    expected = 0.0
    for a, b in itertools.product(range(ndim), repeat=2):
        derivative = [int(axis == a) + int(axis == b) for axis in range(ndim)]
        dense = numpy(
            ops.bspline_derivative(control_points, spacing, derivative, boundary, order)
        ).astype("float64")
        expected += (dense**2).sum(axis=-1).reshape(2, -1).mean(axis=-1)
    found = numpy(losses.bspline_bending_energy(control_points, spacing, boundary, order))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_an_affine_grid_does_not_bend_away_from_the_border(numpy):
    ramp = np.moveaxis(np.indices((9, 11)), 0, -1)[None].astype("float32")
    for derivative in ((2, 0), (1, 1), (0, 2)):
        second = numpy(ops.bspline_derivative(ramp, (3, 3), derivative))[0]
        np.testing.assert_allclose(second[6:-6, 6:-6], 0, atol=1e-5)
    assert (
        numpy(losses.bspline_bending_energy(ramp, (3, 3)))[0] > 1e-3
    )  # the zero boundary bends it


@pytest.mark.on_jax
def test_gradient_of_the_bending_energy(rng, check_gradient):
    check_gradient(
        lambda c: losses.bspline_bending_energy(c, (2, 3), "edge"), rng.normal(size=(2, 4, 3, 2))
    )


def test_equals_the_dense_differences_where_the_spline_is_fine(rng, numpy):
    """The finite-difference energy of the dense field, inside, where it is fine."""
    control_points = rng.normal(size=(1, 8, 9, 2)).astype("float32")
    dense = numpy(ops.bspline_displacement(control_points, (12, 12)))
    inner = dense[:, 24:-24, 24:-24]
    expected = numpy(losses.bending_energy(inner))[0]
    total = 0.0
    for derivative, times in (((2, 0), 1), ((1, 1), 2), ((0, 2), 1)):
        second = numpy(ops.bspline_derivative(control_points, (12, 12), derivative))
        total += times * (second[:, 25:-25, 25:-25] ** 2).sum(axis=-1).mean()
    assert total == pytest.approx(expected, rel=0.02)


def test_order_one_is_refused():
    with pytest.raises(ValueError, match="order=1"):
        losses.bspline_bending_energy(np.zeros((1, 4, 4, 2), "float32"), (4, 4), order=1)
