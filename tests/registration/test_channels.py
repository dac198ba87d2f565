import numpy as np
import pytest
from scipy import ndimage

from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.registration import Features, Level, Pyramid, Refinement, register
from tfreg.registration.channels import nearness, standardised


def pair(shape=(40, 44)):
    rng = np.random.default_rng(0)
    moving = ndimage.gaussian_filter(rng.random(shape), 2.5)
    fixed = ndimage.shift(moving, (1.5, -2.0), order=1, mode="nearest")
    return fixed.astype("float32"), moving.astype("float32")


def in_space(*arrays):
    return [Image(array, Geometry.of_shape(array.shape, 1.0)) for array in arrays]


def slopes(image):
    return np.stack([image, *np.gradient(image)], axis=-1)


def test_channels_count_alike(rng):
    fixed, moving = (
        rng.normal(size=(2, *shape, 3)) * [1, 100, 0] + [5, -3, 2] for shape in ((9, 8), (7, 10))
    )
    found = standardised(fixed, moving)
    flat = np.concatenate([one.reshape(2, -1, 3) for one in found], axis=1)
    assert not flat[..., 2].any()
    sizes = [one.reshape(2, -1, 3)[..., :2] for one in found]
    mean = np.mean([one.mean(axis=1) for one in sizes], axis=0)
    square = np.mean([(one**2).mean(axis=1) for one in sizes], axis=0)
    np.testing.assert_allclose(mean, 0, atol=1e-5)
    np.testing.assert_allclose(square, 1, rtol=1e-4)


def test_nearness_is_a_correlation_of_what_is_standardised(rng, numpy):
    one = rng.normal(size=(1, 50, 60, 1)).astype("float32")
    other = (0.6 * one + 0.8 * rng.normal(size=one.shape)).astype("float32")
    fixed, moved = (np.float32((x - x.mean()) / x.std()) for x in (one, other))
    expected = np.corrcoef(fixed.ravel(), moved.ravel())[0, 1]
    assert float(numpy(nearness(fixed, moved, None))[0]) == pytest.approx(expected, abs=1e-5)
    mask = np.zeros(one.shape, "float32")
    mask[:, :25] = 1
    half = float(numpy(nearness(fixed, np.where(mask, fixed, moved), mask))[0])
    assert half == pytest.approx(1)


@pytest.mark.compiled
def test_features_in_the_place_of_intensities():
    fixed, moving = pair()
    seen = []

    def described(image):
        seen.append(image.shape)
        return slopes(image)

    answer = register(fixed, moving, ["affine", "bspline"], similarity=Features(described, "own"))
    assert seen == [fixed.shape, moving.shape]  # once each, at full resolution
    assert answer.similarity == "own" and answer.similarity_after > answer.similarity_before
    assert answer.moved.shape == fixed.shape
    inside = (slice(8, -8),) * 2
    np.testing.assert_allclose(answer.displacement[inside].mean(axis=(0, 1)), [-1.5, 2], atol=0.2)
    from tfreg import ops

    expected = np.asarray(ops.resample(moving[None, ..., None], answer.displacement[None]))
    np.testing.assert_allclose(answer.moved, expected[0, ..., 0], atol=1e-5)


@pytest.mark.compiled
def test_what_is_compiled_serves_all_features():
    fixed, moving = pair()
    levels = Pyramid((Level(shrink=2, steps=5), Level(steps=3)))
    first = register(fixed, moving, similarity=Features(slopes), pyramid=levels)
    again = register(fixed, moving, similarity=Features(slopes, "others"), pyramid=levels)
    assert first.compile_seconds > 0.05 and again.compile_seconds < 0.01
    np.testing.assert_allclose(again.displacement, first.displacement, atol=1e-4)


@pytest.mark.compiled
def test_batches_masks_and_images_in_space():
    fixed, moving = pair()
    mask = np.zeros(fixed.shape)
    mask[6:-6, 6:-6] = 1
    levels = Pyramid((Level(steps=30),))
    options = {"similarity": Features(slopes), "pyramid": levels}
    batch = register(
        np.stack([fixed, moving]), np.stack([moving, fixed]), "translation", ndim=2, **options
    )
    alone = register(fixed, moving, "translation", **options)
    np.testing.assert_allclose(batch.displacement[0], alone.displacement, atol=1e-2)
    masked = register(fixed, moving, "translation", fixed_mask=mask, **options)
    np.testing.assert_allclose(masked.displacement[0, 0], [-1.5, 2], atol=0.3)
    space = register(*in_space(fixed, moving), "translation", **options)
    np.testing.assert_allclose(space.inner.displacement[0, 0], alone.displacement[0, 0], atol=0.05)
    assert Refinement("bspline", similarity=Features(slopes)).similarity.name == "features"


@pytest.mark.parametrize(
    ("describe", "message"),
    [
        (lambda image: image, "of an image. Received"),
        (lambda image: np.full((*image.shape, 2), np.nan), "must be finite"),
        (lambda image: np.ones((*image.shape, 1 + int(image[0, 0]))), "as many channels of both"),
    ],
)
def test_features_that_do_not_fit(describe, message):
    fixed, moving = pair()
    fixed[0, 0], moving[0, 0] = 0, 3
    with pytest.raises(InputError, match=message):
        register(fixed, moving, similarity=Features(describe))


def test_what_cannot_describe():
    with pytest.raises(InputError, match="describe must be a function of one image"):
        Features("no function")
    fixed, moving = (np.stack([one, one], axis=-1) for one in pair())
    with pytest.raises(InputError, match=r"images of one channel\. Received: 2"):
        register(fixed, moving, similarity=Features(slopes), channels=True)
