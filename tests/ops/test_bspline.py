import itertools

import keras
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import BSpline
from scipy.ndimage import spline_filter1d

from tfreg import ops
from tfreg.ops import bspline


def transposed_convolution(control_points, spacing):
    """One axis the other way: insert zeros, convolve with the sampled kernel, crop 1.5 s."""
    s = spacing
    kernel = bspline.basis((np.arange(4 * s) - (4 * s - 1) / 2) / s)
    spread = np.zeros((len(control_points) - 1) * s + 1)
    spread[::s] = control_points
    full = np.convolve(spread, kernel)
    crop = 3 * s // 2
    return full[crop : crop + len(control_points) * s]


@pytest.mark.parametrize("order", bspline.ORDERS)
def test_basis_and_its_derivatives_are_scipys(order):
    t = np.linspace(-2.5, 2.5, 102)  # no knot among them
    element = BSpline.basis_element(np.arange(order + 2) - (order + 1) / 2, extrapolate=False)
    for derivative in range(order + 1):
        expected = np.nan_to_num(element(t, nu=derivative))
        np.testing.assert_allclose(bspline.basis(t, order, derivative), expected, atol=1e-12)
    assert not bspline.basis(t, order, order + 1).any()


@pytest.mark.parametrize("spacing", [2, 4, 16])
def test_zero_boundary_is_the_transposed_convolution(rng, spacing):
    control_points = rng.normal(size=7)
    matrix = bspline.basis_matrix(7 * spacing, 7, spacing, "zero")
    np.testing.assert_allclose(
        matrix @ control_points, transposed_convolution(control_points, spacing), atol=1e-12
    )


@pytest.mark.parametrize("spacing", [1, 3, 4])
def test_edge_weights_sum_to_one_and_zero_ones_do_not(spacing):
    edge = bspline.basis_matrix(6 * spacing, 6, spacing, "edge")
    zero = bspline.basis_matrix(6 * spacing, 6, spacing, "zero")
    np.testing.assert_allclose(edge.sum(axis=1), 1, atol=1e-12)
    assert zero.sum(axis=1)[0] < 0.9
    inner = slice(2 * spacing, -2 * spacing)
    np.testing.assert_allclose(zero[inner], edge[inner], atol=1e-12)


@pytest.mark.parametrize(("grid", "spacing"), [((5, 7), (4, 2)), ((3, 5, 4), (2, 3, 4))])
@pytest.mark.parametrize("boundary", ["zero", "edge"])
@pytest.mark.parametrize("order", bspline.ORDERS)
def test_displacement_is_the_tensor_product(rng, numpy, grid, spacing, boundary, order):
    ndim = len(grid)
    control_points = rng.normal(size=(2, *grid, ndim)).astype("float32")
    found = numpy(ops.bspline_displacement(control_points, spacing, boundary, order))
    expected = control_points.astype("float64")
    for axis in range(ndim):
        matrix = bspline.basis_matrix(
            grid[axis] * spacing[axis], grid[axis], spacing[axis], boundary, order
        )
        expected = np.moveaxis(np.tensordot(matrix, expected, (1, 1 + axis)), 0, 1 + axis)
    assert found.shape == (2, *(g * s for g, s in zip(grid, spacing, strict=True)), ndim)
    np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize(("grid", "spacing"), [((6, 8), (4, 3)), ((4, 5, 3), (2, 3, 4))])
@pytest.mark.on_jax
def test_equals_simpleitk(rng, numpy, grid, spacing, order):
    ndim = len(grid)
    control_points = rng.normal(size=(1, *grid, ndim))
    found = numpy(ops.bspline_displacement(control_points.astype("float32"), spacing, order=order))
    # Beyond our grid coefficients are zero; ITK's ends there, so give it two more on either side.
    padded = np.pad(control_points[0], [(2, 2)] * ndim + [(0, 0)])
    transform = sitk.BSplineTransform(ndim, order)
    mesh = [n + 4 - order for n in grid]
    # ITK's domain starts (order - 1) / 2 control points inside its grid.
    first = [(s - 1) / 2 - 2 * s + (order - 1) / 2 * s for s in spacing]
    transform.SetTransformDomainMeshSize(mesh[::-1])
    transform.SetTransformDomainOrigin(first[::-1])
    transform.SetTransformDomainPhysicalDimensions(
        [float(m * s) for m, s in zip(mesh, spacing, strict=True)][::-1]
    )
    transform.SetTransformDomainDirection(np.eye(ndim).ravel().tolist())
    parameters = [padded[..., a].ravel() for a in reversed(range(ndim))]
    transform.SetParameters(np.concatenate(parameters).tolist())
    checked = 0
    for point in itertools.product(*(range(0, n, 3) for n in found.shape[1:-1])):
        moved = transform.TransformPoint([float(p) for p in point[::-1]])[::-1]
        inside = all(
            f <= p < f + m * s for p, f, m, s in zip(point, first, mesh, spacing, strict=True)
        )
        if inside:
            checked += 1
            np.testing.assert_allclose(found[0][point], np.subtract(moved, point), atol=1e-5)
    assert checked > 20


@pytest.mark.parametrize(("grid", "spacing"), [((5, 6), (4, 3)), ((4, 3, 5), (3, 4, 2))])
@pytest.mark.parametrize("boundary", bspline.BOUNDARIES)
def test_derivatives_against_fine_differences(rng, numpy, grid, spacing, boundary):
    """Differences of the spline itself, evaluated between voxels in float64."""
    ndim = len(grid)
    control_points = rng.normal(size=(1, *grid, ndim))
    step = 1e-4

    def between_voxels(offset):
        values = control_points[0]
        for axis in range(ndim):
            count, s = grid[axis], spacing[axis]
            t = (np.arange(count * s) + offset[axis] - (s - 1) / 2) / s
            outside = np.arange(-2, count + 2)
            weights = bspline.basis(t[:, None] - outside)
            matrix = np.zeros((count * s, count))
            for column, i in enumerate(outside):
                if boundary == "edge" or 0 <= i < count:
                    matrix[:, np.clip(i, 0, count - 1)] += weights[:, column]
            values = np.moveaxis(np.tensordot(matrix, values, (1, axis)), 0, axis)
        return values

    unit = step * np.eye(ndim)
    for a, b in itertools.combinations_with_replacement(range(ndim), 2):
        derivative = tuple(int(axis == a) + int(axis == b) for axis in range(ndim))
        found = numpy(
            ops.bspline_derivative(control_points.astype("float32"), spacing, derivative, boundary)
        )[0]
        signs = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
        expected = sum(p * q * between_voxels((p * unit[a] + q * unit[b]) / 2) for p, q in signs)
        np.testing.assert_allclose(found, expected / step**2, atol=2e-4)
    first = tuple(int(axis == 0) for axis in range(ndim))
    found = numpy(
        ops.bspline_derivative(control_points.astype("float32"), spacing, first, boundary)
    )[0]
    expected = (between_voxels(unit[0]) - between_voxels(-unit[0])) / (2 * step)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("order", bspline.ORDERS)
@pytest.mark.parametrize("boundary", ["mirror", "zero", "edge"])
@pytest.mark.parametrize("shape", [(6, 9), (4, 1, 5)])
def test_prefilter_interpolates(rng, numpy, order, boundary, shape):
    values = rng.normal(size=(2, *shape, 2)).astype("float32")
    coefficients = numpy(ops.bspline_coefficients(values, order, boundary)).astype("float64")
    width = {"mirror": "reflect", "zero": "constant", "edge": "edge"}[boundary]
    found = np.pad(coefficients, [(0, 0)] + [(1, 1)] * len(shape) + [(0, 0)], width)
    for axis in range(1, len(shape) + 1):
        weights = bspline.basis(np.array([-1.0, 0.0, 1.0]), order)
        size = shape[axis - 1]
        found = sum(
            w * np.take(found, np.arange(k, k + size), axis=axis) for k, w in enumerate(weights)
        )
    np.testing.assert_allclose(found, values, atol=1e-5)


@pytest.mark.parametrize("order", [2, 3])
def test_prefilter_is_scipys(rng, numpy, order):
    values = rng.normal(size=(1, 7, 12, 1)).astype("float32")
    expected = values[0, ..., 0].astype("float64")
    for axis in range(2):
        expected = spline_filter1d(expected, order, axis, mode="mirror")
    found = numpy(ops.bspline_coefficients(values, order))[0, ..., 0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_shape_crops(rng, numpy):
    control_points = rng.normal(size=(1, 4, 5, 2)).astype("float32")
    full = numpy(ops.bspline_displacement(control_points, (4, 3)))
    part = numpy(ops.bspline_displacement(control_points, (4, 3), shape=(13, 15)))
    np.testing.assert_allclose(part, full[:, :13, :15], atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(
    grid=st.lists(st.integers(2, 6), min_size=2, max_size=3),
    spacing=st.lists(st.integers(1, 5), min_size=3, max_size=3),
    order=st.sampled_from(bspline.ORDERS),
    seed=st.integers(0, 2**16),
)
def test_edge_boundary_reproduces_translations_and_adds_up(grid, spacing, order, seed):
    rng = np.random.default_rng(seed)
    ndim = len(grid)
    spacing = spacing[:ndim]
    a, b = rng.normal(size=(2, 1, *grid, ndim)).astype("float32")
    shift = rng.normal(size=ndim).astype("float32")

    def dense(c):
        return keras.ops.convert_to_numpy(ops.bspline_displacement(c, spacing, "edge", order))

    np.testing.assert_allclose(dense(a + 2 * b + shift), dense(a) + 2 * dense(b) + shift, atol=2e-5)


def test_flipping_the_grid_flips_the_displacement(rng, numpy):
    control_points = rng.normal(size=(1, 5, 6, 2)).astype("float32")
    straight = numpy(ops.bspline_displacement(control_points, (4, 3)))
    flipped = numpy(ops.bspline_displacement(control_points[:, ::-1], (4, 3)))
    np.testing.assert_allclose(flipped, straight[:, ::-1], atol=1e-6)


@pytest.mark.on_jax
def test_gradient(rng, check_gradient):
    control_points = rng.normal(size=(1, 4, 3, 2))
    weights = keras.ops.convert_to_tensor(rng.normal(size=(1, 8, 9, 2)), "float64")
    check_gradient(lambda c: weights * ops.bspline_displacement(c, (2, 3)) ** 2, control_points)


@pytest.mark.parametrize(
    ("shape", "spacing", "boundary", "message"),
    [
        ((1, 4, 4, 2), (4, 4), "mirror", "mirror"),
        ((1, 4, 4, 2), (4, 0), "zero", "positive"),
        ((1, 4, 4, 2), (4, 2.5), "zero", "positive"),
        ((1, 4, 4, 2), (4, 4, 4), "zero", "one spacing per axis"),
        ((1, 4, 4, 3), (4, 4), "zero", "one spacing per axis"),
    ],
)
def test_bad_input_is_named(shape, spacing, boundary, message):
    with pytest.raises(ValueError, match=message):
        ops.bspline_displacement(np.zeros(shape, "float32"), spacing, boundary)


@pytest.mark.parametrize(("grid", "spacing"), [((3, 5), (4, 3)), ((2, 4, 3), (2, 3, 4))])
def test_constant_grid_is_a_translation(numpy, grid, spacing):
    vector = np.array([1.5, -2.0, 0.25][: len(grid)], "float32")
    control_points = np.broadcast_to(vector, (1, *grid, len(grid)))
    found = numpy(ops.bspline_displacement(control_points, spacing, "edge"))
    np.testing.assert_allclose(found, np.broadcast_to(vector, found.shape), atol=1e-6)


def test_flips_in_three_dimensions(rng, numpy):
    control_points = rng.normal(size=(1, 3, 4, 5, 3)).astype("float32")
    for boundary in bspline.BOUNDARIES:
        straight = numpy(ops.bspline_displacement(control_points, (2, 3, 4), boundary))
        for axis in (1, 2, 3):
            flipped = np.flip(control_points, axis)
            np.testing.assert_allclose(
                numpy(ops.bspline_displacement(flipped, (2, 3, 4), boundary)),
                np.flip(straight, axis),
                atol=1e-6,
            )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: ops.bspline_displacement(c, (4, 4), order=4), "order=4"),
        (lambda c: ops.bspline_displacement(c, (4, 4), shape=(17, 16)), r"shape=\(17, 16\)"),
        (lambda c: ops.bspline_displacement(c, (4, 4), shape=(16,)), "shape"),
        (lambda c: ops.bspline_derivative(c, (4, 4), (2,)), "derivative"),
        (lambda c: ops.bspline_derivative(c, (4, 4), (2, 0), order=1), "order 1"),
        (lambda c: ops.bspline_coefficients(c, boundary="wrap"), "wrap"),
        (lambda c: ops.bspline_coefficients(c, order=0), "order=0"),
        (lambda c: ops.bspline_coefficients(c[0, 0]), "values.shape"),
    ],
)
def test_bad_options_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.zeros((1, 4, 4, 2), "float32"))
