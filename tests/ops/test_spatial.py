import numpy as np
import pytest
from keras import ops as keras_ops

from tfreg import ops
from tfreg.ops.spatial import TRANSFORMS, spatial_displacement, spatial_parameters

FLAT = [(transform, (7, 12)) for transform in TRANSFORMS]
DEEP = [(transform, (5, 9, 6)) for transform in TRANSFORMS if transform != "projective"]
CASES = [*FLAT, *DEEP]


def count(transform, shape):
    return spatial_parameters(transform, len(shape))


@pytest.mark.parametrize(("transform", "shape"), CASES)
def test_zeros_are_exactly_the_identity(numpy, transform, shape):
    zeros = np.zeros((2, count(transform, shape)), "float32")
    found = numpy(spatial_displacement(zeros, transform, shape))
    assert found.shape == (2, *shape, len(shape))
    np.testing.assert_array_equal(found, 0)


@pytest.mark.parametrize(("transform", "shape"), CASES)
def test_the_identity_stretches_the_output_over_the_image(numpy, transform, shape):
    zeros = np.zeros((1, count(transform, shape)), "float32")
    moving = tuple(2 * n + axis for axis, n in enumerate(shape))
    u = numpy(spatial_displacement(zeros, transform, shape, moving))[0]
    first, last = (0,) * len(shape), tuple(n - 1 for n in shape)
    np.testing.assert_allclose(u[first], 0, atol=1e-5)
    np.testing.assert_allclose(u[last] + last, np.array(moving) - 1, atol=1e-4)


@pytest.mark.parametrize("transform", ["attention", "affine", "projective"])
def test_the_papers_formula(rng, numpy, transform):
    """Written down in its own coordinates: x first, both ends at the corner voxels' centres."""
    shape, moving = (7, 12), (9, 5)
    values = rng.uniform(-0.6, 0.6, (3, count(transform, shape))).astype("float32")
    rows, columns = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    grid = np.stack([columns, rows, np.ones_like(rows)])
    answers = numpy(spatial_displacement(values, transform, shape, moving))
    for found, v in zip(answers, values, strict=True):
        theta = np.eye(3)
        if transform == "attention":
            theta[[0, 1], [0, 1]] += v[0]
            theta[:2, 2] = v[1:]
        else:
            theta[:2] += v[:6].reshape(2, 3)
        if transform == "projective":
            theta[2, :2] = 0.45 * np.tanh(v[6:] / 0.45)
        x, y, below = np.einsum("ij,jrc->irc", theta, grid)
        expected = [(y / below + 1) * (moving[0] - 1) / 2, (x / below + 1) * (moving[1] - 1) / 2]
        position = found + np.moveaxis(np.indices(shape), 0, -1)
        np.testing.assert_allclose(position, np.stack(expected, -1), atol=1e-4)


def test_control_points_move_as_told(rng, numpy):
    values = rng.uniform(-0.5, 0.5, (2, 32)).astype("float32")
    u = numpy(spatial_displacement(values, "tps", (16, 31)))[:, ::5, ::10]
    moves = values.reshape(2, 4, 4, 2)
    np.testing.assert_allclose(u[..., 1], 15 * moves[..., 0], atol=1e-4)
    np.testing.assert_allclose(u[..., 0], 7.5 * moves[..., 1], atol=1e-4)


def test_a_spline_reproduces_an_affine_map(rng, numpy):
    theta = rng.uniform(-0.3, 0.3, 6).astype("float32")
    points = np.linspace(-1, 1, 3)
    moves = [theta.reshape(2, 3) @ [x, y, 1] for y in points for x in points]
    affine = spatial_displacement(theta[None], "affine", (6, 11), (9, 8))
    spline = np.ravel(moves)[None].astype("float32")
    found = spatial_displacement(spline, "tps", (6, 11), (9, 8), points=3)
    np.testing.assert_allclose(numpy(found), numpy(affine), atol=1e-4)


def test_a_quarter_turn_about_the_middle(numpy):
    turn = np.array([[0, 0, np.pi / 2]], "float32")
    u = numpy(spatial_displacement(turn, "rigid", (9, 9)))[0]
    np.testing.assert_allclose(u[4, 4], 0, atol=1e-5)
    np.testing.assert_allclose(sorted(np.abs(u[0, 4]) + 0.0), [4, 4], atol=1e-5)
    moved = numpy(spatial_displacement([[0.5, 0.0]], "translation", (5, 9), (9, 17)))[0]
    np.testing.assert_allclose(moved[2, 4] + (2, 4), (6, 8), atol=1e-5)


@pytest.mark.parametrize(("transform", "shape"), CASES)
def test_no_number_leads_off_the_image(numpy, transform, shape):
    """The middle stays where there is something to see, and the map is finite."""
    shape = tuple(n + 1 - n % 2 for n in shape)
    middle = tuple(n // 2 for n in shape)
    for value in (-1e4, -5.0, 5.0, 1e4):
        values = np.full((1, count(transform, shape)), value, "float32")
        u = numpy(spatial_displacement(values, transform, shape))[0]
        assert np.isfinite(u).all()
        if transform != "tps":
            assert (np.abs(u[middle]) <= np.array(middle) * (1 + 1e-5)).all()


def test_below_three_quarters_of_a_limit_nothing_is_changed(numpy):
    for value, taken in ((0.75, True), (-0.75, True), (0.8, False)):
        u = numpy(spatial_displacement([[0.0, value]], "translation", (5, 9)))
        assert (u[0, 0, 0, 1] == 4 * np.float32(value)) == taken


@pytest.mark.parametrize(("transform", "shape"), CASES)
def test_gradient(rng, check_gradient, transform, shape):
    """Through the sampler too; numbers within their limits and beyond."""
    moving = tuple(n + 2 for n in shape)
    image = keras_ops.convert_to_tensor(rng.normal(size=(2, *moving, 1)))
    weights = keras_ops.convert_to_tensor(rng.normal(size=(2, *shape, 1)))
    values = rng.uniform(-0.4, 0.4, (2, count(transform, shape)))
    values[1] *= 3

    def function(parameters):
        u = spatial_displacement(parameters, transform, shape, moving)
        return weights * ops.resample(image, u, mode="border")

    check_gradient(function, values, step=1e-7, tolerance=1e-5, samples=12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0.0]], "elastic", (5, 5)), "transform=elastic"),
        (([[0.0] * 5], "affine", (5, 5)), r"\(batch, 6\)"),
        (([[0.0] * 8], "projective", (5, 5, 5)), "ndim=3"),
        (([[0.0] * 6], "affine", (5, 5), (5, 5, 5)), r"\(5, 5, 5\)"),
        (([[0.0] * 2], "tps", (5, 5), None, 1), "points=1"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        spatial_displacement(*arguments)
