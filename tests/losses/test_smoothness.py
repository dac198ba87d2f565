import itertools

import numpy as np
import pytest

from tfreg import losses

SHAPES = [(6, 4), (4, 7, 5)]


def coordinates(shape):
    return np.indices(shape).astype("float64")


@pytest.mark.parametrize("shape", SHAPES)
def test_bending_energy_equals_numpy(rng, numpy, shape):
    ndim = len(shape)
    fields = rng.normal(size=(3, *shape, ndim)).astype("float32")
    expected = []
    for u in fields.astype("float64"):
        total, count = 0.0, 0
        for x in itertools.product(*(range(1, n - 1) for n in shape)):
            count += 1
            at = lambda *moves, x=x, u=u: u[tuple(np.add(x, sum(moves)))]  # noqa: E731
            for a, b in itertools.product(np.eye(ndim, dtype=int), repeat=2):
                if (a == b).all():
                    second = at(a) - 2 * at(0 * a) + at(-a)
                else:
                    second = (at(a, b) - at(a, -b) - at(-a, b) + at(-a, -b)) / 4
                total += (second**2).sum()
        expected.append(total / count)
    np.testing.assert_allclose(numpy(losses.bending_energy(fields)), expected, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_bending_energy_of_quadratic_and_affine_fields(rng, numpy, shape):
    ndim, x = len(shape), coordinates(shape)
    hessians = rng.normal(size=(ndim, ndim, ndim))
    hessians = hessians + hessians.swapaxes(1, 2)
    affine = np.einsum("ia,a...->...i", rng.normal(size=(ndim, ndim)), x) + 3
    quadratic = np.einsum("iab,a...,b...->...i", hessians, x, x) / 2
    found = numpy(losses.bending_energy((quadratic + affine)[None]))
    np.testing.assert_allclose(found, [(hessians**2).sum()], rtol=1e-4)
    np.testing.assert_allclose(numpy(losses.bending_energy(affine[None])), [0], atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_diffusion_equals_numpy(rng, numpy, shape):
    fields = rng.normal(size=(3, *shape, len(shape))).astype("float32")
    expected = [
        sum((np.diff(u, axis=a) ** 2).sum(axis=-1).mean() for a in range(len(shape)))
        for u in fields.astype("float64")
    ]
    np.testing.assert_allclose(numpy(losses.diffusion(fields)), expected, rtol=1e-5)
    assert numpy(losses.diffusion(np.full((1, *shape, len(shape)), 3.0)))[0] == 0


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("penalty", [losses.bending_energy, losses.diffusion])
def test_gradients_and_dtypes(rng, numpy, check_gradient, shape, penalty):
    field = rng.normal(size=(2, *shape, len(shape)))
    half = (1000 + field).astype("float16")
    found = numpy(penalty(half))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, numpy(penalty(half.astype("float64"))), rtol=1e-5)
    check_gradient(penalty, field)


@pytest.mark.parametrize("penalty", [losses.bending_energy, losses.diffusion])
def test_bad_shapes_are_named(penalty):
    for shape in [(1, 5, 5, 3), (1, 5, 5), (1, 5, 2), (1, 5, 5, 5, 2)]:
        with pytest.raises(ValueError, match=r"must be .* Received: displacement.shape="):
            penalty(np.zeros(shape))
    with pytest.raises(ValueError, match=r"at least .* Received: displacement.shape=\(1, 5, 1, 2"):
        penalty(np.zeros((1, 5, 1, 2)))
