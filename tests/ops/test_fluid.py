import numpy as np
import pytest

from tfreg import ops

SHAPES = [((9, 12), (1.0, 2.5)), ((6, 7, 8), (2.0, 0.7, 1.3))]
A, B, C = 0.03, 0.02, 0.004
OPERATOR = ops.FluidOperator(A, B, C)


def difference(values, axis, step):
    return (np.roll(values, -1, axis) - np.roll(values, 1, axis)) / (2 * step)


def second_difference(values, axis, step):
    return (np.roll(values, -1, axis) - 2 * values + np.roll(values, 1, axis)) / step**2


def applied(velocity, spacing):
    """``L v`` in mm, by differences between neighbours of a periodic grid."""
    axes = range(len(spacing))
    found = C * velocity
    for d in axes:
        for e in axes:
            found[..., d] -= A * second_difference(velocity[..., d], 1 + e, spacing[e])
            mixed = velocity[..., e]
            if e == d:
                mixed = second_difference(mixed, 1 + d, spacing[d])
            else:
                mixed = difference(difference(mixed, 1 + e, spacing[e]), 1 + d, spacing[d])
            found[..., d] -= B * mixed
    return found


@pytest.mark.parametrize(("shape", "spacing"), SHAPES)
@pytest.mark.on_jax
def test_velocity_is_the_one_whose_momentum_it_is(rng, numpy, shape, spacing):
    velocity = rng.normal(size=(2, *shape, len(shape)))  # in voxels
    momentum = applied(velocity * spacing, spacing) * spacing
    found = numpy(ops.fluid_velocity(momentum.astype("float32"), spacing, OPERATOR))
    np.testing.assert_allclose(found, velocity, atol=2e-4)


@pytest.mark.parametrize(("shape", "spacing"), SHAPES)
def test_operator_is_its_own_adjoint_and_so_is_its_gradient(
    rng, numpy, check_gradient, shape, spacing
):
    one, other = rng.normal(size=(2, 1, *shape, len(shape)))
    pairing = [
        (a * numpy(ops.fluid_velocity(b, spacing, OPERATOR))).sum()
        for a, b in ((one, other), (other, one))
    ]
    assert pairing[0] == pytest.approx(pairing[1], rel=1e-10)

    def weighted(momentum):
        return other * ops.fluid_velocity(momentum, spacing, OPERATOR)

    check_gradient(weighted, one, tolerance=1e-5, samples=6)


def test_kernel_is_that_of_quicksilver(numpy):
    """Smoothing lengths of 3.16 and 4.47 mm, and 1/c for what is constant."""
    wave = np.zeros((1, 64, 64, 2))
    turn = 2 * np.pi / 64
    wave[..., 0] = np.cos(turn * np.arange(64))  # along the second axis: no divergence
    shear = numpy(ops.fluid_velocity(wave))[0, 0, 0, 0]
    assert shear == pytest.approx(1000 / (1 + 10 * turn**2), rel=1e-3)
    along = numpy(ops.fluid_velocity(np.swapaxes(wave, 1, 2)))[0, 0, 0, 0]
    assert along == pytest.approx(1000 / (1 + 20 * turn**2), rel=1e-3)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"c more than 0. Received: a=0.01, b=0.01, c=0"):
        ops.FluidOperator(c=0.0)
    momentum = np.zeros((1, 4, 5, 2), "float32")
    with pytest.raises(ValueError, match=r"2 positive numbers. Received: spacing=\(1.0,\)"):
        ops.fluid_velocity(momentum, (1.0,))
    with pytest.raises(ValueError, match=r"Received: momentum.shape=\(4, 5, 2\)"):
        ops.fluid_velocity(momentum[0])
