"""What transforms answer: points, Jacobians, inverses, compositions, displacements."""

import warnings

import numpy as np
import pytest
from transform_cases import affine, bspline, displacement, gentle, geometry, points

from tfreg.errors import InputError, InputWarning
from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.transforms import (
    Affine,
    BSpline,
    Displacement,
    Inverse,
    Sequence,
    Sum,
    ThinPlate,
    Velocity,
    compose,
)

KINDS = ("affine", "bspline", "displacement", "velocity", "thin_plate", "sequence", "sum")


def build(kind, rng, grid):
    """A transform that does not fold."""
    field = gentle(rng, grid)
    if kind == "affine":
        return affine(rng, grid)
    if kind == "bspline":
        return BSpline(field, grid, int(rng.integers(1, 4)))
    if kind == "displacement":
        return Displacement(field, grid)
    if kind == "velocity":
        return Velocity(2 * field, grid, steps=32)
    if kind == "thin_plate":
        fixed = grid.to_physical(rng.uniform(0, np.array(grid.shape) - 1, (12, grid.ndim)))
        return ThinPlate(fixed, fixed + rng.normal(0, 0.02, fixed.shape) * min(grid.spacing))
    if kind == "sequence":
        # The field after a linear map that brings the grid onto itself.
        turn = affine(rng, grid)
        other = Displacement(field, grid)
        return Sequence([turn, turn.inverse(), BSpline(field, grid), turn, turn.inverse(), other])
    scaled = Affine(1.1 * np.eye(grid.ndim), np.zeros(grid.ndim), grid.centre)
    return Sum([scaled, Displacement(field, grid)])


def inside(rng, grid, count=40):
    last = np.array(grid.shape) - 1
    return grid.to_physical(rng.uniform(1.1, last - 1.1, (count, grid.ndim)))


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_jacobian_is_the_derivative(kind, ndim):
    rng = np.random.default_rng(1)
    for _ in range(5):
        grid = geometry(rng, ndim, 5, 9)
        transform, where, step = build(kind, rng, grid), inside(rng, grid), 1e-5
        found = transform.jacobian(where)
        assert found.shape == (len(where), ndim, ndim)
        for axis, unit in enumerate(np.eye(ndim)):
            ahead = transform.apply_points(where + step * unit)
            behind = transform.apply_points(where - step * unit)
            error = np.abs(found[..., axis] - (ahead - behind) / (2 * step)).max(axis=1)
            # Where the step crosses a node of a linear field, the derivative jumps.
            assert (error < 1e-6).mean() > 0.95
            assert np.median(error) < 1e-8


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_inverse(kind, ndim):
    rng = np.random.default_rng(2)
    for _ in range(5):
        grid = geometry(rng, ndim, 5, 9)
        transform, where = build(kind, rng, grid), inside(rng, grid)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            inverse = transform.inverse()
            there = transform.apply_points(where)
            back = inverse.apply_points(there)
        assert inverse.residual <= (0 if kind == "affine" else 1e-3)
        tight = 1e-3 if kind == "velocity" else 1e-5
        np.testing.assert_allclose(back, where, atol=tight)
        again = inverse.inverse().apply_points(where)
        np.testing.assert_allclose(again, there, atol=tight)
        if kind != "velocity":
            product = inverse.jacobian(there) @ transform.jacobian(where)
            error = np.abs(product - np.eye(ndim)).max(axis=(1, 2))
            assert np.median(error) < 1e-5


def test_inverse_of_an_inverse_is_the_transform(rng):
    spline = bspline(rng, geometry(rng, 2), size=0.1)
    assert spline.inverse().inverse() is spline


def test_residual_is_measured_and_a_fold_is_told():
    """x + u(x) with a slope of -4: some points are reached thrice, and all are reached."""
    grid = Geometry.of_shape((9, 9))
    field = np.zeros((9, 9, 2))
    field[:, 4, 0], field[:, 5, 0] = 2.0, -2.0
    inverse = Displacement(field, grid).inverse()
    targets = np.array([[4.5, 4.0], [3.1, 2.0]])
    reached = Displacement(field, grid).apply_points(inverse.apply_points(targets))
    np.testing.assert_allclose(reached, targets, atol=1e-6)
    assert inverse.residual < 1e-6


def test_points_that_nothing_reaches_are_told():
    """A shift ends at the border of its grid: no point reaches the gap behind it."""
    field = np.zeros((6, 6, 2))
    field[..., 0] = 2.0
    shift = Displacement(field, Geometry.of_shape((6, 6)))
    inverse = shift.inverse()
    assert inverse.residual < 1e-6
    with pytest.warns(InputWarning, match="1 of 3 points cannot be reached"):
        found = inverse.apply_points([[3.0, 3.0], [0.5, 3.0], [30.0, 3.0]])
    np.testing.assert_allclose(found[[0, 2]], [[1.0, 3.0], [30.0, 3.0]], atol=1e-6)


def test_too_few_steps_are_told():
    grid = Geometry.of_shape((8, 8))
    field = 6 * np.random.default_rng(0).normal(size=(8, 8, 2))
    with pytest.warns(InputWarning, match="more than steps=1"):
        inverse = Velocity(field, grid, steps=1).inverse()
    assert inverse.residual > 1e-3


def test_velocity_of_a_linear_field_is_the_matrix_exponential(rng):
    from scipy.linalg import expm

    grid = geometry(rng, 3, 9, 12)
    matrix = rng.normal(0, 0.2, (3, 3))
    nodes = grid.to_physical(np.moveaxis(np.indices(grid.shape), 0, -1))
    flow = Velocity((nodes - grid.centre) @ matrix.T, grid, steps=16)
    where = grid.centre + rng.uniform(-0.3, 0.3, (20, 3)) * min(grid.extent) / 2
    expected = grid.centre + (where - grid.centre) @ expm(matrix).T
    np.testing.assert_allclose(flow.apply_points(where), expected, atol=1e-5)


@pytest.mark.parametrize("ndim", [2, 3])
def test_thin_plate_is_scipys(ndim, rng):
    from scipy.interpolate import RBFInterpolator

    fixed, moving = rng.normal(0, 40, (2, 15, ndim))
    where = rng.normal(0, 60, (30, ndim))
    kernel = "thin_plate_spline" if ndim == 2 else "linear"
    expected = RBFInterpolator(fixed, moving, kernel=kernel, degree=1)(where)
    spline = ThinPlate(fixed, moving)
    np.testing.assert_allclose(spline.apply_points(where), expected, atol=1e-8)
    np.testing.assert_allclose(spline.apply_points(fixed), moving, atol=1e-8)


def test_compose_order_and_merging(rng):
    first, second = (affine(rng, geometry(rng, 3)) for _ in range(2))
    where = rng.normal(0, 50, (9, 3))
    both = compose(first, second)
    expected = second.apply_points(first.apply_points(where))
    np.testing.assert_allclose(both.apply_points(where), expected, atol=1e-9)
    merged = both.merged()
    assert isinstance(merged, Affine)
    np.testing.assert_allclose(merged.apply_points(where), expected, atol=1e-9)
    assert len(compose(both, both).transforms) == 4
    field = displacement(rng, geometry(rng, 3))
    parts = compose(first, second, field, first, second).merged().transforms
    assert [type(part) for part in parts] == [Affine, Displacement, Affine]


@pytest.mark.parametrize("ndim", [2, 3])
def test_to_displacement(ndim, rng):
    grid, other = geometry(rng, ndim), geometry(rng, ndim)
    transform = compose(displacement(rng, other), affine(rng, other))
    found = transform.to_displacement(grid)
    nodes = grid.to_physical(np.argwhere(np.ones(grid.shape)))
    np.testing.assert_allclose(
        found.apply_points(nodes), transform.apply_points(nodes), rtol=0, atol=1e-9
    )
    assert found.geometry == grid
    field = displacement(rng, grid)
    np.testing.assert_allclose(field.to_displacement(grid).field, field.field, atol=1e-10)


def test_displacement_of_voxels(rng):
    fixed, moving = geometry(rng, 3), geometry(rng, 3)
    u = rng.normal(size=(*fixed.shape, 3))
    transform = Displacement.from_voxels(u, fixed, moving)
    index = np.argwhere(np.ones(fixed.shape))
    found = moving.to_index(transform.apply_points(fixed.to_physical(index)))
    np.testing.assert_allclose(found, index + u.reshape(-1, 3), atol=1e-9)


def test_outside_nothing_moves(rng):
    grid = geometry(rng, 3, 6, 8)
    field, spline = displacement(rng, grid), bspline(rng, grid)
    last = np.array(grid.shape) - 1
    for transform, edge in ((field, 0.5), (spline, -1.0)):
        for axis in range(3):
            index = np.tile(last / 2, (4, 1))
            index[:, axis] = [-edge - 0.01, -edge + 0.01, 0, 0]
            index[2:, axis] = last[axis] + edge + np.array([-0.01, 0.01])
            where = grid.to_physical(index)
            stays = np.abs(transform.apply_points(where) - where).max(axis=1) == 0
            assert stays.tolist() == [True, False, False, True]
            unit = np.abs(transform.jacobian(where) - np.eye(3)).max(axis=(1, 2)) == 0
            assert unit[[0, 3]].all()


def test_labels(rng):
    grid = Geometry((20, 18), (1.0, 2.0), (3.0, 4.0), ((0.0, -1.0), (1.0, 0.0)))
    labels = Image(rng.integers(0, 900, (18, 20)).astype("uint16"), grid)
    shift = Affine(np.eye(2), [0.4, -0.6])
    for interpolation in ("nearest", "label"):
        moved = shift.apply(labels, grid, interpolation)
        assert moved.array.dtype == np.uint16
        assert set(np.unique(moved.array)) <= {0, *np.unique(labels.array)}
    array = np.zeros((9, 9), "uint8")
    array[2:7, 2:7] = 5
    square = Image(array, Geometry.of_shape((9, 9)))
    moved = Affine(np.eye(2), [0.45, 0.0]).apply(square, square.geometry, "label")
    np.testing.assert_array_equal(moved.array[:, 1:7], array[:, 1:7])
    half = Affine(np.eye(2), [0.5, 0.0]).apply(square, square.geometry, "label", fill=7)
    assert half.array[4].tolist() == [0, 0, 5, 5, 5, 5, 0, 0, 7]  # the lowest among equals


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: Affine(np.zeros((2, 2)), [0, 0]), "invertible"),
        (lambda g: Affine(np.eye(2), [0, 0, 0]), "translation must be"),
        (lambda g: Affine(np.eye(2), [0, np.nan]), "finite"),
        (lambda g: Displacement(np.zeros((5, 4, 2)), g), r"must be \(4, 5, 2\)"),
        (lambda g: Displacement(np.full((4, 5, 2), np.inf), g), "finite"),
        (lambda g: BSpline(np.zeros((4, 5, 2)), g, 4), "order=4"),
        (lambda g: BSpline(np.zeros((3, 5, 2)), Geometry.of_shape((3, 5))), "4 nodes"),
        (lambda g: Velocity(np.zeros((4, 5, 2)), g, 0), "steps"),
        (lambda g: ThinPlate([[0, 0], [1, 1], [2, 2]], np.zeros((3, 2))), "one line"),
        (lambda g: ThinPlate([[0, 0], [1, 1]], np.zeros((2, 2))), "3 points"),
        (lambda g: ThinPlate([[0, 0], [1, 1], [1, 1], [0, 4]], np.zeros((4, 2))), "the same"),
        (lambda g: Sequence([]), "one transform"),
        (lambda g: compose(Affine.identity(2), Affine.identity(3)), "2-D, 3-D"),
        (lambda g: Sum([3]), "Only transforms"),
        (lambda g: Affine.identity(2).apply_points([[1, 2, 3]]), r"\(n, 2\)"),
        (lambda g: Affine.identity(2).apply_points([[1, np.nan]]), "finite"),
        (lambda g: Affine.identity(3).to_displacement(g), "3-D grid"),
        (lambda g: Affine.identity(2).apply(Image(np.ones((4, 5)), g), g, "best"), "one of"),
        (lambda g: Affine.identity(2).apply(np.ones((4, 5)), g), "Image is needed"),
        (
            lambda g: Affine.identity(2).apply(Image(np.ones((4, 5), "u1"), g), g, "label", 300),
            "uint8",
        ),
    ],
)
def test_unusable_arguments(call, message):
    with pytest.raises(InputError, match=message):
        call(Geometry.of_shape((4, 5)))


def test_points_come_from_the_cases(rng):
    grid = geometry(rng, 2)
    assert points(rng, grid).shape == (50, 2)
    assert isinstance(Inverse(displacement(rng, grid, 0.01)), Inverse)


def test_a_sequence_says_once_and_briefly_that_its_inverse_is_not_exact(rng):
    folded = Displacement(3 * rng.normal(size=(6, 7, 8, 3)), Geometry.of_shape((6, 7, 8)))
    with pytest.warns(InputWarning) as said:
        inverse = compose(folded, affine(rng, geometry(rng, 3)), folded).inverse()
    assert len(said) == 1 and "(Displacement, Affine, Displacement)" in str(said[0].message)
    assert len(str(said[0].message)) < 200 and inverse.residual > 1e-3
    with pytest.warns(InputWarning, match="inverse of this Displacement misses") as said:
        folded.inverse()
    assert len(said) == 1
