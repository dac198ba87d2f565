import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RBFInterpolator

from tfreg.ops.tps import tps_coefficients, tps_displacement, tps_evaluate
from tfreg.ops.tps_layout import control_point_grid, tps_layout_displacement, tps_matrix

SHAPES = [(20, 31), (9, 14, 7)]


def scipy_spline(points, values, smoothing):
    name = "thin_plate_spline" if points.shape[1] == 2 else "linear"
    return RBFInterpolator(points, values, kernel=name, smoothing=smoothing, degree=1)


def grid(shape):
    return np.moveaxis(np.indices(shape), 0, -1).reshape(-1, len(shape)).astype("float64")


def landmarks(rng, shape, n=15, batch=2):
    """Points at least two voxels apart: two that nearly coincide are a test of float32 alone."""
    sets = []
    for _ in range(batch):
        points = []
        while len(points) < n:
            point = rng.uniform(0, np.array(shape) - 1)
            if all(np.linalg.norm(point - other) > 2 for other in points):
                points.append(point)
        sets.append(points)
    return np.array(sets, "float32")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 30.0])
def test_agrees_with_scipy(rng, numpy, shape, smoothing):
    """float32 against float64, to 1e-4 of the largest displacement."""
    fixed = landmarks(rng, shape)
    moving = fixed + rng.normal(size=fixed.shape, scale=2).astype("float32")
    found = numpy(tps_displacement(fixed, moving, shape, smoothing))
    assert found.shape == (2, *shape, len(shape)) and found.dtype == np.float32
    for i in range(2):
        spline = scipy_spline(fixed[i].astype("float64"), (moving - fixed)[i], smoothing)
        expected = spline(grid(shape))
        error = np.abs(found[i].reshape(-1, len(shape)) - expected).max()
        assert error < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_scipy_in_float64(rng, numpy, shape):
    fixed = landmarks(rng, shape, batch=1).astype("float64")
    moving = fixed + rng.normal(size=fixed.shape, scale=2)
    tensors = [keras.ops.convert_to_tensor(a, "float64") for a in (fixed, moving)]
    if keras.backend.standardize_dtype(tensors[0].dtype) != "float64":
        pytest.skip("float64 is switched off on this backend")
    found = numpy(tps_displacement(*tensors, shape))[0].reshape(-1, len(shape))
    expected = scipy_spline(fixed[0], (moving - fixed)[0], 0.0)(grid(shape))
    np.testing.assert_allclose(found, expected, atol=1e-8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("smoothing", [0.0, 3.0])
def test_matrix_agrees_with_scipy(rng, shape, smoothing):
    points = rng.uniform(0, np.array(shape) - 1, (12, len(shape)))
    matrix = tps_matrix(points, grid(shape), smoothing)
    expected = scipy_spline(points, np.eye(12), smoothing)(grid(shape))
    np.testing.assert_allclose(matrix, expected, atol=1e-9)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_passes_through_the_values(rng, numpy, shape):
    points, values = landmarks(rng, shape), rng.normal(size=(2, 15, 4)).astype("float32")
    found = numpy(tps_evaluate(tps_coefficients(points, values), points, points))
    np.testing.assert_allclose(found, values, atol=5e-5)


@pytest.mark.parametrize("shape", [(20, 31), (256, 320), (9, 14, 7), (60, 90, 70)])
@pytest.mark.parametrize("smoothing", [0.0, 5.0])
def test_affine_maps_are_reproduced(rng, numpy, shape, smoothing):
    ndim = len(shape)
    fixed = landmarks(rng, shape, n=20)
    linear, shift = rng.normal(size=(ndim, ndim), scale=0.1), rng.normal(size=ndim)
    points = landmarks(rng, shape, n=40)
    coefficients = tps_coefficients(fixed, (fixed @ linear.T + shift).astype("float32"), smoothing)
    found = numpy(tps_evaluate(coefficients, fixed, points))
    np.testing.assert_allclose(found, points @ linear.T + shift, atol=1e-6 * max(shape) + 1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_displacement_is_exactly_none(rng, numpy, shape):
    fixed = landmarks(rng, shape)
    assert np.all(numpy(tps_displacement(fixed, fixed, shape)) == 0)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 3), st.integers(0, 2**32 - 1), st.floats(0.1, 50), st.floats(0, 10))
def test_units_do_not_matter(ndim, seed, unit, smoothing):
    """Scaling space and, as its kernel, the regularisation leaves the spline as it is."""
    rng = np.random.default_rng(seed)
    points, where = rng.uniform(0, 10, (2, 9, ndim))
    scaled = smoothing * (unit**2 if ndim == 2 else unit)
    np.testing.assert_allclose(
        tps_matrix(points * unit, where * unit, scaled),
        tps_matrix(points, where, smoothing),
        atol=1e-6,
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 3), st.integers(0, 2**32 - 1))
def test_turning_space_turns_the_spline(ndim, seed):
    rng = np.random.default_rng(seed)
    points, where = rng.uniform(0, 10, (2, 9, ndim))
    turn, _ = np.linalg.qr(rng.normal(size=(ndim, ndim)))
    np.testing.assert_allclose(
        tps_matrix(points @ turn, where @ turn), tps_matrix(points, where), atol=1e-6
    )


def test_strong_regularisation_is_the_best_affine_map(rng, numpy):
    points, values = landmarks(rng, (20, 31), n=25), rng.normal(size=(2, 25, 1)).astype("float32")
    found = numpy(tps_evaluate(tps_coefficients(points, values, 1e7), points, points))
    for i in range(2):
        design = np.hstack([np.ones((25, 1)), points[i]])
        expected = design @ np.linalg.lstsq(design, values[i], rcond=None)[0]
        np.testing.assert_allclose(found[i], expected, atol=1e-3)


# The constant layout


@pytest.mark.parametrize(("shape", "points"), [((20, 31), (4, 4)), ((9, 14, 7), (3, 4, 2))])
@pytest.mark.parametrize("placement", ["cells", "corners"])
@pytest.mark.parametrize("smoothing", [0.0, 2.0])
def test_layout_equals_the_general_spline(rng, numpy, shape, points, placement, smoothing):
    ndim = len(shape)
    control = control_point_grid(shape, points, placement)
    values = rng.normal(size=(3, *points, ndim)).astype("float32")
    fixed = np.repeat(control.reshape(1, -1, ndim), 3, 0).astype("float32")
    moving = fixed + values.reshape(3, -1, ndim)
    expected = numpy(tps_displacement(fixed, moving, shape, smoothing))
    found = numpy(tps_layout_displacement(values, control, shape, smoothing))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_layout_of_cells_and_of_corners():
    cells = control_point_grid((256, 256), (16, 16), "cells")
    np.testing.assert_allclose(cells[:, 0, 0], np.arange(16) * 16 + 7.5)
    corners = control_point_grid((28, 40), (4, 4), "corners")
    assert corners.shape == (4, 4, 2)
    np.testing.assert_allclose(corners[0, 0], [0, 0])
    np.testing.assert_allclose(corners[-1, -1], [27, 39])


def test_layout_constant_and_zero(numpy):
    control = control_point_grid((64, 48), (16, 12), "cells")
    zero = numpy(tps_layout_displacement(np.zeros((1, 16, 12, 2)), control, (64, 48)))
    assert np.all(zero == 0)
    ones = np.ones((1, 16, 12, 2), "float32")
    found = numpy(tps_layout_displacement(ones, control, (64, 48)))
    np.testing.assert_allclose(found, 1, atol=5e-6)


@pytest.mark.on_jax
def test_layout_takes_theta_of_an_stn(rng, numpy):
    """Theta are the 16 target coordinates; the control grid itself is the identity."""
    from tfreg.ops.normalised import points_from_normalised, points_to_normalised

    shape = (28, 40)
    control = control_point_grid(shape, (4, 4), "corners")
    theta = numpy(points_to_normalised(control.reshape(1, 16, 2).astype("float32"), shape))
    np.testing.assert_allclose(theta[0, 1], [-1 / 3, -1], atol=1e-6)  # x first
    back = numpy(points_from_normalised(theta, shape)) - control.reshape(1, 16, 2)
    np.testing.assert_allclose(back, 0, atol=3e-6)


# Gradients and errors


@pytest.mark.parametrize("ndim", [2, 3])
def test_gradients(rng, check_gradient, ndim):
    shape = (5, 6, 4)[:ndim]
    fixed = rng.uniform(0, 4, (2, 8, ndim))
    moving = fixed + rng.normal(size=fixed.shape, scale=0.3)
    weights = rng.normal(size=(2, *shape, ndim))
    for smoothing in (0.0, 0.5):
        check_gradient(
            lambda t, s=smoothing: tps_displacement(fixed, t, shape, s) * weights, moving
        )
        check_gradient(
            lambda t, s=smoothing: tps_displacement(t, moving, shape, s) * weights,
            fixed,
            tolerance=1e-4,
        )


@pytest.mark.parametrize("ndim", [2, 3])
def test_gradient_on_a_control_point_is_finite(rng, numpy, ndim):
    from tfreg.ops import value_and_gradient

    shape = (4, 5, 3)[:ndim]
    fixed = np.stack([grid(shape)[[0, 3, 7, -2, -1]]] * 1).astype("float32")  # on voxels
    moving = fixed + rng.normal(size=fixed.shape).astype("float32")

    def function(points):
        return keras.ops.sum(tps_displacement(points, moving, shape) ** 2, axis=(1, 2))

    gradient = numpy(value_and_gradient(function, keras.ops.convert_to_tensor(fixed))[1])
    assert np.all(np.isfinite(gradient)) and np.any(gradient != 0)


@pytest.mark.on_jax
def test_gradient_of_the_layout(rng, check_gradient):
    control = control_point_grid((9, 8), (3, 4), "cells")
    weights = rng.normal(size=(2, 9, 8, 2))
    check_gradient(
        lambda t: tps_layout_displacement(t, control, (9, 8), 0.2) * weights,
        rng.normal(size=(2, 3, 4, 2)),
    )


LINE = np.array([[0, 0], [1, 1], [2, 2], [3, 3]], "float64")
SQUARE = np.array([[0, 0], [0, 1], [1, 0], [1, 0]], "float64")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tps_coefficients(np.zeros((1, 2, 2)), np.zeros((1, 2, 1))), "ndim \\+ 1"),
        (lambda: tps_coefficients(np.zeros((1, 5, 2)), np.zeros((1, 4, 1))), "one value"),
        (lambda: tps_coefficients(np.zeros((1, 5, 4)), np.zeros((1, 5, 1))), "2-D or 3-D"),
        (lambda: tps_coefficients(np.zeros((1, 5, 2)), np.zeros((1, 5, 1)), -1.0), "-1.0"),
        (lambda: tps_displacement(*np.zeros((2, 1, 5, 2)), (4, 4, 4)), r"\(4, 4, 4\)"),
        (lambda: tps_evaluate(np.zeros((1, 9, 2)), *np.zeros((2, 1, 5, 2))), "belong together"),
        (lambda: tps_matrix(LINE, LINE), "one line"),
        (lambda: tps_matrix(SQUARE, LINE), "coincide"),
        (lambda: tps_matrix(SQUARE[:, :1], LINE), "2-D or 3-D"),
        (lambda: tps_matrix(SQUARE[:3], np.zeros((4, 3))), "points"),
        (lambda: control_point_grid((8, 8), (4, 4), "centre"), "placement=centre"),
        (lambda: control_point_grid((8, 8), (1, 4), "cells"), r"\(1, 4\)"),
        (lambda: control_point_grid((8, 8), (4, 4, 4), "cells"), r"\(4, 4, 4\)"),
        (lambda: tps_layout_displacement(np.zeros((1, 3, 2)), SQUARE, (4, 4)), "one per control"),
    ],
)
def test_errors_name_the_value(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "Received: " in str(caught.value)
