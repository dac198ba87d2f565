import itertools

import numpy as np
import pytest

from tfreg import ops
from tfreg.features import PAIRS, mind, mind_ssc, mind_ssc_on_grids

pytestmark = pytest.mark.plain


def expected(image, radius=1, dilation=1):
    """MIND-SSC voxel by voxel, from its definition, of one image ``(*spatial)``; float64."""
    ndim = image.ndim
    axes = np.concatenate(
        [sign * np.eye(ndim, dtype=int)[[k]] for k in range(ndim) for sign in (-1, 1)]
    )
    pairs = [(a, b) for a, b in itertools.combinations(axes, 2) if np.any(a != -b)]
    offsets = list(itertools.product(range(-radius, radius + 1), repeat=ndim))
    last = np.array(image.shape) - 1

    def at(place):
        return image[tuple(np.clip(place, 0, last))]

    distances = np.empty((*image.shape, len(pairs)))
    for voxel in np.ndindex(image.shape):
        for k, (a, b) in enumerate(pairs):
            distances[(*voxel, k)] = np.mean(
                [
                    (at(voxel + dilation * a + o) - at(voxel + dilation * b + o)) ** 2
                    for o in np.array(offsets)
                ]
            )
    distances -= distances.min(axis=-1, keepdims=True)
    variance = distances.mean(axis=-1, keepdims=True)
    variance = np.clip(variance, variance.mean() / 1000, variance.mean() * 1000)
    return np.exp(-distances / variance)


@pytest.mark.parametrize(
    ("shape", "radius", "dilation"),
    [((8, 7), 1, 1), ((6, 9), 2, 3), ((5, 4, 6), 1, 1), ((4, 5, 3), 0, 2)],
)
def test_it_is_its_definition(rng, numpy, monkeypatch, shape, radius, dilation):
    images = rng.normal(size=(2, *shape, 1))
    images[1, ..., 0] *= np.indices(shape)[0] > 1  # some of it is flat
    images[1] = 300 * images[1] + 40
    wanted = np.stack([expected(image[..., 0], radius, dilation) for image in images])
    assert wanted.shape[-1] == PAIRS[len(shape)]
    for slab in (2**21, 3 * int(np.prod(shape[1:])), 1):  # at once, in threes, row by row
        monkeypatch.setattr(mind, "_SLAB", slab)
        found = numpy(mind_ssc(images.astype("float32"), radius, dilation))
        assert found.dtype == "float32"
        np.testing.assert_allclose(found, wanted, atol=2e-4)
    double = numpy(mind_ssc(images, radius, dilation))
    if double.dtype == "float64":  # JAX may have it switched off
        np.testing.assert_allclose(double, wanted, atol=1e-9)


@pytest.mark.compiled
@pytest.mark.parametrize("shape", [(2, 13, 10, 1), (1, 11, 9, 8, 1)])
def test_on_coarser_grids_it_is_averaged(rng, numpy, monkeypatch, shape):
    image = rng.random(shape).astype("float32")
    ndim = len(shape) - 2
    grids = [(1,) * ndim, (2,) * ndim, (1, 2, 4)[:ndim], (3, 2, 1)[:ndim]]
    monkeypatch.setattr(mind, "_SLAB", 4 * int(np.prod(shape[2:-1])))
    found = mind_ssc_on_grids(image, grids)
    whole = mind_ssc(image)
    for grid in grids:
        np.testing.assert_allclose(found[grid], numpy(ops.downsample(whole, grid)), atol=2e-6)
    small = mind_ssc(ops.downsample(image, grids[1]))
    assert np.abs(found[grids[1]] - numpy(small)).mean() > 0.05  # which is something else


def test_contrast_does_not_change_it(rng, numpy):
    image = rng.normal(size=(1, 12, 10, 1)).astype("float32")
    one = numpy(mind_ssc(image))
    np.testing.assert_allclose(numpy(mind_ssc(7 - 250 * image)), one, atol=1e-3)
    np.testing.assert_allclose(one.max(axis=-1), 1, atol=1e-6)
    assert one.min() > 0


def test_a_constant_image_has_the_same_everywhere(numpy):
    np.testing.assert_allclose(numpy(mind_ssc(np.full((1, 6, 5, 4, 1), 3.0))), 1, atol=1e-6)


def test_gradient(rng, check_gradient):
    weights = rng.normal(size=(1, 6, 7, 4))
    check_gradient(
        lambda image: mind_ssc(image) * weights, rng.random((1, 6, 7, 1)), tolerance=1e-5
    )


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((1, 8, 8, 2), {}, "one channel|of known shape"),
        ((8, 8), {}, "image must be"),
        ((1, 8, 8, 1), {"radius": -1}, "radius must be an integer, 0 or more. Received: radius=-1"),
        ((1, 8, 8, 1), {"dilation": 0}, "dilation must be an integer, 1 or more"),
        ((1, 8, 8, 1), {"radius": 1.5}, "Received: radius=1.5"),
        ((1, 8, 8, 1), {"dilation": True}, "Received: dilation=True"),
    ],
)
def test_what_it_does_not_take(shape, options, message):
    with pytest.raises(ValueError, match=message):
        mind_ssc(np.zeros(shape), **options)
