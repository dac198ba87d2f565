import numpy as np
import pytest
from keras import ops as keras_ops
from scipy.ndimage import gaussian_filter, map_coordinates

from tfreg import ops

SHAPES = [((24, 20), (1.0, 1.5)), ((14, 16, 12), (1.2, 1.0, 0.8))]


def momentum_of(rng, shape, size, width=1.5):
    """A smooth momentum that vanishes towards the border and moves points by up to ``size``."""
    field = gaussian_filter(rng.normal(size=(1, *shape, len(shape))), (0, *[width] * len(shape), 0))
    for axis, n in enumerate(shape):
        window = np.sin(np.pi * np.arange(n) / (n - 1)) ** 4
        field *= window.reshape([-1 if a == 1 + axis else 1 for a in range(field.ndim)])
    return size * field / np.abs(np.asarray(ops.fluid_velocity(field))).max()


def sampled(values, where, outside):
    """``(*spatial, ndim)`` at positions, linearly; ``"nearest"`` or ``"constant"`` (zero)."""
    places = np.moveaxis(where, -1, 0)
    parts = [
        map_coordinates(values[..., k], places, order=1, mode=outside)
        for k in range(values.shape[-1])
    ]
    return np.stack(parts, axis=-1)


def jacobian_of(place):
    axes = range(place.shape[-1])
    return np.stack([np.gradient(place, axis=axis) for axis in axes], axis=-1)


def sheet(momentum, steps=10, iterations=20):
    """The scheme of the paper's code: both maps, the inverse by fixed-point iterations."""
    identity = np.moveaxis(np.indices(momentum.shape[:-1], dtype="float64"), 0, -1)

    def velocity(inverse):
        jacobian = jacobian_of(inverse)
        carried = sampled(momentum, inverse, "constant")
        pushed = np.einsum("...ij,...i->...j", jacobian, carried)
        moved = np.linalg.det(jacobian)[..., None] * pushed
        return np.asarray(ops.fluid_velocity(moved[None]))[0]

    def updated(inverse, step):
        found = inverse
        for _ in range(iterations):
            back = identity - sampled(step, found, "constant")
            found = back + sampled(inverse - identity, back, "nearest")
        return found

    def slope(place, inverse):
        return sampled(velocity(inverse), place, "constant") / steps

    place, inverse = identity, identity
    for _ in range(steps):
        k1 = slope(place, inverse)
        k2 = slope(place + k1 / 2, updated(inverse, k1 / 2))
        k3 = slope(place + k2 / 2, updated(inverse, k2 / 2))
        k4 = slope(place + k3, updated(inverse, k3))
        whole = (k1 + 2 * k2 + 2 * k3 + k4) / 6
        place, inverse = place + whole, updated(inverse, whole)
    return inverse - identity, place - identity


def left(numpy, inverse, forward):
    """How far one map misses what the other has done, at most."""
    maps = (field[None].astype("float32") for field in (inverse, forward))
    return np.linalg.norm(numpy(ops.compose(*maps)), axis=-1).max()


@pytest.mark.parametrize("shape", [(48, 44), pytest.param((24, 22, 26), marks=pytest.mark.long)])
def test_both_maps_are_those_of_the_papers_scheme(rng, numpy, shape):
    """Its inverse is resampled at every step, which smooths it: ours undoes the map better."""
    momentum = momentum_of(rng, shape, 2.0, width=2)
    expected = sheet(momentum[0])
    found = [numpy(part)[0] for part in ops.geodesic(momentum)]
    inside = (slice(6, -6),) * len(shape)
    errors = [np.linalg.norm(a - b, axis=-1) for a, b in zip(found, expected, strict=True)]
    assert all(np.abs(field).max() > 1.2 for field in expected)
    assert errors[1][inside].max() < 0.08 and errors[1].mean() < 0.02
    assert errors[0][inside].mean() < 0.08 and errors[0].mean() < 0.03
    assert left(numpy, *found) < 0.6 * left(numpy, *expected)
    np.testing.assert_allclose(numpy(ops.shoot(momentum))[0], found[0], atol=1e-8)


@pytest.mark.parametrize(("shape", "spacing"), SHAPES)
@pytest.mark.on_jax
def test_gradient_is_that_of_the_steps(rng, check_gradient, shape, spacing):
    momentum = momentum_of(rng, shape, 1.5)
    weights = rng.normal(size=momentum.shape)

    def weighted(tensor):
        # In units of which one moves a point by about a voxel.
        return weights * ops.shoot(0.001 * tensor, spacing, steps=3)

    check_gradient(weighted, 1000 * momentum, step=1e-6, tolerance=1e-4, samples=8)


@pytest.mark.compiled
@pytest.mark.parametrize(("shape", "spacing"), SHAPES)
def test_compiled_gradient_is_the_same(rng, numpy, shape, spacing):
    momentum = momentum_of(rng, shape, 1.5).astype("float32")
    weights = rng.normal(size=momentum.shape).astype("float32")

    def energy(tensor):
        return keras_ops.sum(weights * ops.shoot(tensor, spacing, steps=3), axis=(1, 2))

    tensor = keras_ops.convert_to_tensor(momentum)
    found = [numpy(part) for part in ops.value_and_gradient(energy, tensor)]
    with ops.uncompiled():
        expected = [numpy(part) for part in ops.value_and_gradient(energy, tensor)]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4 * np.abs(other).max())


@pytest.mark.on_jax
def test_maps_undo_each_other(rng, numpy):
    for shape in ((48, 40), (20, 24, 22)):
        momentum = momentum_of(rng, shape, 2.0, width=3).astype("float32")
        inverse, forward = ops.geodesic(momentum)
        assert np.linalg.norm(numpy(inverse), axis=-1).max() > 1.5
        for maps in ((inverse, forward), (forward, inverse)):
            missed = np.linalg.norm(numpy(ops.compose(*maps)), axis=-1)
            assert missed.max() < 0.2 and missed.mean() < 0.01


def test_energy_stays_along_a_geodesic(rng, numpy):
    """``<m, K m>`` of the momentum that the map has carried to its end."""
    momentum = momentum_of(rng, (64, 56), 4.0, width=4)
    u = numpy(ops.shoot(momentum))[0]
    place = np.moveaxis(np.indices(u.shape[:-1]), 0, -1) + u
    jacobian = jacobian_of(place)
    carried = np.einsum("...ij,...i->...j", jacobian, sampled(momentum[0], place, "constant"))
    carried = (np.linalg.det(jacobian)[..., None] * carried)[None]
    start, end = ((m * numpy(ops.fluid_velocity(m))).sum() for m in (momentum, carried))
    assert end == pytest.approx(start, rel=0.02)


def test_spacing_is_a_change_of_units(rng, numpy):
    """The same momentum of the same voxels at twice their size, with lengths twice as long."""
    momentum = momentum_of(rng, (24, 20), 1.5)
    operator = ops.FluidOperator(0.04, 0.04, 0.001)
    found = numpy(ops.shoot(4 * momentum, (2.0, 2.0), operator))
    np.testing.assert_allclose(found, numpy(ops.shoot(momentum)), atol=1e-10)


def test_bad_arguments_are_named():
    momentum = np.zeros((1, 8, 8, 2), "float32")
    for run in (ops.shoot, ops.geodesic):
        with pytest.raises(ValueError, match=r"steps must be a positive integer.*: steps=0"):
            run(momentum, steps=0)
        with pytest.raises(ValueError, match=r"Received: spacing=\(1, 0\)"):
            run(momentum, (1, 0))
