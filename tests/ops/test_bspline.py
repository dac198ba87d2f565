import keras
import numpy as np
import pytest
from scipy.interpolate import BSpline

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


def test_basis_is_scipys():
    t = np.linspace(-2.5, 2.5, 101)
    element = BSpline.basis_element([-2, -1, 0, 1, 2], extrapolate=False)
    np.testing.assert_allclose(bspline.basis(t), np.nan_to_num(element(t)), atol=1e-12)


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
def test_displacement_is_the_tensor_product(rng, numpy, grid, spacing, boundary):
    ndim = len(grid)
    control_points = rng.normal(size=(2, *grid, ndim)).astype("float32")
    found = numpy(ops.bspline_displacement(control_points, spacing, boundary))
    expected = control_points.astype("float64")
    for axis in range(ndim):
        matrix = bspline.basis_matrix(
            grid[axis] * spacing[axis], grid[axis], spacing[axis], boundary
        )
        expected = np.moveaxis(np.tensordot(matrix, expected, (1, 1 + axis)), 0, 1 + axis)
    assert found.shape == (2, *(g * s for g, s in zip(grid, spacing, strict=True)), ndim)
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_equals_simpleitk(rng, numpy):
    sitk = pytest.importorskip("SimpleITK")
    grid, spacing = (6, 8), (4, 3)
    control_points = rng.normal(size=(1, *grid, 2))
    found = numpy(ops.bspline_displacement(control_points.astype("float32"), spacing))[0]
    # ITK's grid has a point more on either side than fits our zero boundary: pad it with zeros.
    padded = np.pad(control_points[0], ((2, 2), (2, 2), (0, 0)))
    transform = sitk.BSplineTransform(2, 3)
    size = [n + 4 for n in grid]
    first = [(s - 1) / 2 - 2 * s for s in spacing]
    mesh = [n - 3 for n in size]
    transform.SetTransformDomainMeshSize(mesh[::-1])
    # ITK's domain starts one control point inside its grid.
    transform.SetTransformDomainOrigin([f + s for f, s in zip(first, spacing, strict=True)][::-1])
    transform.SetTransformDomainPhysicalDimensions(
        [float(m * s) for m, s in zip(mesh, spacing, strict=True)][::-1]
    )
    transform.SetTransformDomainDirection([1, 0, 0, 1])
    transform.SetParameters([*padded[..., 1].ravel().tolist(), *padded[..., 0].ravel().tolist()])
    rows, columns = found.shape[:2]
    for row in range(0, rows, 5):
        for column in range(0, columns, 3):
            x, y = transform.TransformPoint((float(column), float(row)))
            np.testing.assert_allclose(found[row, column], (y - row, x - column), atol=1e-5)


def test_flipping_the_grid_flips_the_displacement(rng, numpy):
    control_points = rng.normal(size=(1, 5, 6, 2)).astype("float32")
    straight = numpy(ops.bspline_displacement(control_points, (4, 3)))
    flipped = numpy(ops.bspline_displacement(control_points[:, ::-1], (4, 3)))
    np.testing.assert_allclose(flipped, straight[:, ::-1], atol=1e-6)


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
