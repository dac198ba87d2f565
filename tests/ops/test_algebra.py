import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from tfreg import ops
from tfreg.ops import algebra

SHAPES = [(24, 31), (14, 18, 16)]


def smooth(rng, shape, size, batch=1):
    """A smooth field that vanishes towards the border, with a largest step of ``size`` voxels."""
    field = rng.normal(size=(batch, *shape, len(shape)))
    field = gaussian_filter(field, (0, *[3] * len(shape), 0))
    for axis, n in enumerate(shape):
        window = np.sin(np.pi * np.arange(n) / (n - 1)) ** 2
        field *= window.reshape([-1 if a == 1 + axis else 1 for a in range(field.ndim)])
    return (size * field / np.abs(field).max()).astype("float32")


@pytest.mark.parametrize("shape", SHAPES)
def test_composition_of_linear_maps_is_exact(rng, numpy, shape):
    ndim = len(shape)
    grid = np.moveaxis(np.indices(shape), 0, -1).astype("float64")
    centre = (np.array(shape) - 1) / 2
    a, b = (np.eye(ndim) + 0.05 * rng.normal(size=(ndim, ndim)) for _ in range(2))

    def field(matrix):
        return ((grid - centre) @ (matrix - np.eye(ndim)).T)[None].astype("float32")

    found = numpy(algebra.compose(field(a), field(b)))[0]
    inner = tuple(slice(4, -4) for _ in shape)  # inside, no point leaves the grid
    np.testing.assert_allclose(found[inner], field(a @ b)[0][inner], atol=1e-4)


@pytest.mark.on_jax
def test_composition_is_warping_twice_in_the_stated_order(rng, numpy):
    """On a ramp linear interpolation is exact, so both ways agree to rounding."""
    ramp = (np.indices((24, 31)) * [[[2.0]], [[-1.0]]]).sum(axis=0)[None, ..., None]
    ramp = ramp.astype("float32")
    outer, inner = smooth(rng, (24, 31), 2), smooth(rng, (24, 31), 2)
    once = numpy(ops.resample(ramp, algebra.compose(outer, inner)))
    twice = numpy(ops.resample(ops.resample(ramp, outer), inner))
    other = numpy(ops.resample(ops.resample(ramp, inner), outer))
    np.testing.assert_allclose(once, twice, atol=2e-5)
    assert np.abs(once - other).max() > 0.1


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.on_jax
def test_inverse_undoes_the_map_to_its_residual(rng, numpy, shape):
    field = smooth(rng, shape, 1.5, batch=2)
    inverse, residual = (numpy(part) for part in algebra.invert(field))
    assert residual.shape == (2,) and residual.max() < 1e-3
    identity = numpy(algebra.compose(field, inverse))
    assert np.linalg.norm(identity, axis=-1).max() == pytest.approx(residual.max(), abs=1e-5)


def test_residual_tells_when_there_is_no_inverse(rng, numpy):
    _, residual = algebra.invert(smooth(rng, (24, 31), 20))
    assert numpy(residual)[0] > 0.1


def swirl(shape, fineness):
    """A smooth velocity that vanishes at the border, the same field on a finer grid."""
    size = [fineness * n for n in shape]
    grid = np.meshgrid(*(np.linspace(0, 1, n) for n in size), indexing="ij")
    window = np.prod([np.sin(np.pi * x) ** 2 for x in grid], axis=0)
    parts = [
        np.cos(2 * x + 3 * y + k) for k, (x, y) in enumerate(zip(grid, grid[::-1], strict=True))
    ]
    return 0.08 * size[0] * (window[..., None] * np.stack(parts, axis=-1))[None].astype("float32")


@pytest.mark.parametrize("shape", [(20, 26), (12, 14, 13)])
def test_exponential_of_minus_v_is_the_inverse(numpy, shape):
    """exp(v) after exp(-v) is the identity, to an error of second order in the voxel size."""
    errors = []
    for fineness in (1, 2):
        velocity = swirl(shape, fineness)
        there, back = ops.exponential(velocity), ops.exponential(-velocity)
        assert (numpy(ops.jacobian_determinant(there)) > 0).all()
        assert np.abs(numpy(there)).max() > 0.8 * fineness
        for pair in ((there, back), (back, there)):
            errors.append(np.abs(numpy(ops.compose(*pair))).max() / np.abs(velocity).max())
    assert max(errors[:2]) < 0.07, errors
    # Twice as fine: a quarter of the error, were it not a maximum on a coarse grid.
    assert max(errors[2:]) < 0.4 * max(errors[:2]), errors


def test_exponential_of_a_rotation(numpy):
    """v(x) = W (x - c) flows to the rotation exp(W)."""
    grid = np.moveaxis(np.indices((33, 41)), 0, -1) - np.array([16, 20.0])
    angle = 0.2
    velocity = (grid @ np.array([[0, angle], [-angle, 0]]))[None].astype("float32")
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    expected = grid @ rotation - grid
    found = numpy(algebra.exponential(velocity))[0]
    np.testing.assert_allclose(found[8:-8, 8:-8], expected[8:-8, 8:-8], atol=0.02)


def test_points_follow_the_field(rng, numpy):
    field = smooth(rng, (24, 31), 3)
    points = np.array([[[5, 7], [12, 20]]], "float32")
    found = numpy(algebra.warp_points(points, field))[0]
    np.testing.assert_allclose(found[1], [12, 20] + field[0, 12, 20], atol=1e-6)


def test_resized_field_is_the_same_map_in_new_voxels(numpy):
    shape, new = (8, 12), (16, 6)
    scale = np.array(new) / shape
    grid = np.moveaxis(np.indices(shape), 0, -1)
    field = (0.1 * (grid + 0.5))[None].astype("float32")  # grows by 10 % from the image's corner
    found = numpy(algebra.resize_displacement(field, new))[0]
    expected = 0.1 * (np.moveaxis(np.indices(new), 0, -1) + 0.5)
    inside = (slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-5)
    constant = numpy(algebra.resize_displacement(np.ones_like(field), new))
    np.testing.assert_allclose(constant, np.broadcast_to(scale, constant.shape), atol=1e-6)


def test_bad_input_is_named():
    field = np.zeros((1, 4, 4, 2), "float32")
    with pytest.raises(ValueError, match="iterations=0"):
        algebra.invert(field, 0)
    with pytest.raises(ValueError, match="squarings=-1"):
        algebra.exponential(field, -1)
    with pytest.raises(ValueError, match="2 axes"):
        algebra.resize_displacement(field, (4, 4, 4))
