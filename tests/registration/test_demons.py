import numpy as np
import pytest
from scipy import ndimage

from tfreg import ops
from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.registration import Features, demons
from tfreg.registration.described.demons import Demons
from tfreg.registration.described.force import force, smoothed, squarings, weights_of


def blobs(shape, seed=0, sigma=3.0):
    """A smooth image that fades towards its border."""
    rng = np.random.default_rng(seed)
    image = ndimage.gaussian_filter(rng.normal(size=shape), sigma)
    windows = np.meshgrid(*(np.hanning(n) for n in shape), indexing="ij")
    image = (image - image.min()) / np.ptp(image) * np.prod(windows, axis=0)
    return image.astype("float32")


def waved(image, amount=2.0):
    """The image through a smooth known displacement."""
    grid = np.indices(image.shape).astype("float64")
    field = np.zeros((*image.shape, image.ndim))
    for axis in range(image.ndim):
        other = (axis + 1) % image.ndim
        field[..., axis] = amount * np.sin(2 * np.pi * grid[other] / image.shape[other])
    where = np.moveaxis(grid, 0, -1) + field
    moved = ndimage.map_coordinates(image, np.moveaxis(where, -1, 0), order=1, mode="nearest")
    return moved.astype("float32"), field


def of_simpleitk(fixed, moving, steps, spacing, sigma=1.0):
    """The displacement in voxels that SimpleITK finds."""
    import SimpleITK as sitk

    images = [sitk.GetImageFromArray(array) for array in (fixed, moving)]
    for image in images:
        image.SetSpacing([float(s) for s in spacing[::-1]])
    method = sitk.DiffeomorphicDemonsRegistrationFilter()
    method.SetNumberOfIterations(steps)
    method.SetStandardDeviations(sigma)
    method.SetMaximumRMSError(0.0)
    method.SetNumberOfThreads(1)
    field = sitk.GetArrayFromImage(method.Execute(*images))
    return field[..., ::-1] / np.array(spacing)


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("shape", "spacing"), [((48, 56), (1.0, 1.0)), ((24, 28, 32), (1.5, 0.8, 1.0))]
)
def test_one_channel_is_what_simpleitk_does(shape, spacing):
    moving = blobs(shape)
    fixed, _ = waved(moving)
    scale = 1 / np.concatenate([fixed, moving]).std()  # ITK ignores differences below 0.001
    expected = of_simpleitk(scale * fixed, scale * moving, 20, spacing)
    answer = demons(fixed, moving, shrink=(1,), steps=20, spacing=spacing)
    inside = (slice(4, -4),) * len(shape)
    assert np.abs(expected[inside]).max() > 1.0
    off = np.linalg.norm(answer.displacement - expected, axis=-1)[inside]
    assert off.mean() < 0.02 and np.percentile(off, 99) < 0.1
    assert answer.check().folding == 0 and answer.accepted


@pytest.mark.plain
def test_levels_follow_a_larger_displacement():
    moving = blobs((64, 72), sigma=5.0)
    fixed, field = waved(moving, amount=5.0)
    answer = demons(fixed, moving, steps=30)
    inside = (slice(12, -12),) * 2
    before = np.linalg.norm(field, axis=-1)[inside].mean()
    after = np.linalg.norm(answer.displacement - field, axis=-1)[inside].mean()
    assert after < 0.35 * before
    assert [level.shape for level in answer.levels] == [(16, 18), (32, 36), (64, 72)]
    assert all((level.steps == 30).all() for level in answer.levels)
    assert answer.similarity_after > answer.similarity_before


@pytest.mark.plain
@pytest.mark.on_jax
def test_the_force_of_one_channel_is_the_formula(rng, numpy):
    fixed, moved = rng.normal(size=(2, 1, 6, 7, 1)).astype("float32")
    spacing, step = (2.0, 0.5), 1.5
    found = numpy(force(fixed, moved, spacing, step))
    d = (fixed - moved)[0, ..., 0]
    slopes = np.gradient((fixed + moved)[0, ..., 0], *spacing)
    square = sum(s**2 for s in slopes) + d**2 / (step**2 * np.mean(np.square(spacing)))
    expected = [2 * d * slope / square / size for slope, size in zip(slopes, spacing, strict=True)]
    np.testing.assert_allclose(found[0], np.stack(expected, axis=-1), rtol=1e-4, atol=1e-6)
    for name, image in (("fixed", fixed), ("moved", moved)):
        one = numpy(force(fixed, moved, (1.0, 1.0), step, name))
        both = numpy(
            force(image + 0.5 * (fixed - moved), image - 0.5 * (fixed - moved), (1.0, 1.0), step)
        )
        np.testing.assert_allclose(one, both, rtol=1e-3, atol=1e-4)


@pytest.mark.plain
def test_forces_are_averaged_and_no_channel_goes_too_far(rng, numpy):
    fixed, moved = rng.normal(size=(2, 1, 6, 7, 8, 3)).astype("float32")
    every = numpy(force(fixed, moved, (1.0, 1.0, 1.0), 0.5))
    each = [
        numpy(force(fixed[..., k : k + 1], moved[..., k : k + 1], (1.0,) * 3, 0.5))
        for k in range(3)
    ]
    np.testing.assert_allclose(every, np.mean(each, axis=0), atol=1e-6)
    assert max(np.linalg.norm(one, axis=-1).max() for one in each) <= 0.5 + 1e-5
    scaled = numpy(force(1000 * fixed, 1000 * moved, (1.0,) * 3, 0.5))
    np.testing.assert_allclose(scaled, every, atol=1e-5)
    flat = np.ones((1, 4, 4, 1), "float32")
    assert not numpy(force(flat, flat, (1.0, 1.0), 0.5)).any()


@pytest.mark.plain
def test_smoothing_is_that_of_itk(rng, numpy):
    import SimpleITK as sitk

    field = rng.normal(size=(1, 20, 24, 2)).astype("float32")
    method = sitk.DiscreteGaussianImageFilter()
    method.SetVariance(1.5**2)
    method.SetMaximumError(0.1)
    method.SetMaximumKernelWidth(30)
    expected = sitk.GetArrayFromImage(method.Execute(sitk.GetImageFromArray(field[0, ..., 1])))
    np.testing.assert_allclose(numpy(smoothed(field, 1.5))[0, ..., 1], expected, atol=1e-5)
    np.testing.assert_allclose(weights_of(1.0).sum(), 1)
    np.testing.assert_array_equal(numpy(smoothed(field, 0.0)), field)
    assert [squarings(step) for step in (0.5, 1.0, 1.1, 2.0, 0.1)] == [1, 2, 3, 3, 0]


@pytest.mark.plain
def test_a_channel_that_must_not_move_holds_the_other_back():
    moving = blobs((40, 44))
    fixed, field = waved(moving)
    noise = np.random.default_rng(1).normal(size=moving.shape).astype("float32")
    both = demons(
        np.stack([fixed, noise], -1),
        np.stack([moving, noise], -1),
        channels=True,
        shrink=(1,),
        steps=30,
    )
    assert both.moved.shape == (40, 44, 2)
    inside = (slice(8, -8),) * 2
    error = np.linalg.norm(both.displacement - field, axis=-1)[inside].mean()
    alone = demons(fixed, moving, shrink=(1,), steps=30)
    assert np.linalg.norm(alone.displacement - field, axis=-1)[inside].mean() < error
    assert np.abs(both.displacement).max() < np.abs(alone.displacement).max()
    described = Features(lambda image: np.stack([image, image**2], axis=-1), "powers")
    answer = demons(fixed, moving, features=described, shrink=(1,), steps=30)
    assert answer.similarity == "powers" and answer.moved.shape == fixed.shape
    assert np.linalg.norm(answer.displacement - field, axis=-1)[inside].mean() < error
    assert answer.stages[0].transform == "demons" and answer.stages[0].accepted.all()


@pytest.mark.plain
def test_masks_starts_and_tolerance():
    moving = blobs((40, 44))
    fixed, _ = waved(moving)
    mask = np.zeros(fixed.shape)
    mask[:, 22:] = 1
    there = demons(fixed, moving, shrink=(1,), steps=10, fixed_mask=mask)
    size = np.abs(there.displacement).max(axis=-1)
    assert size[:, :8].max() < 1e-3 < 0.3 < size[:, 26:].max()
    shift = np.array([[1.0, 0.0, 3.0], [0.0, 1.0, -2.0]])
    shifted = demons(np.roll(moving, (-3, 2), (0, 1)), moving, shrink=(1,), steps=5, start=shift)
    inside = (slice(8, -8),) * 2
    np.testing.assert_allclose(shifted.displacement[inside] - [3, -2], 0, atol=0.05)
    early = demons(fixed, moving, shrink=(1,), steps=40, tolerance=0.1)
    assert 1 <= early.levels[0].steps[0] < 40


@pytest.mark.plain
def test_a_mask_says_where_it_is_judged_and_each_pair_has_its_own():
    moving = blobs((40, 44))
    fixed, _ = waved(moving)
    mask = np.zeros(fixed.shape)
    mask[:, 26:] = 1
    # What the displacement does beside the mask, where it fades, is nobody's affair, as
    # long as nothing of it is moved into the mask.
    texture = 5 * np.random.default_rng(0).random((40, 4)).astype("float32")
    fixed[:, 20:24], moving[:, 20:24] = texture, texture
    options = {"shrink": (1,), "steps": 8}
    there = demons(fixed, moving, fixed_mask=mask, **options)
    assert there.accepted and there.similarity_after > there.similarity_before
    assert np.abs(there.displacement[:, 20:24]).max() > 0.02
    assert np.abs(there.displacement[:, 30:]).max() > 0.3
    both = demons(
        np.stack([fixed, fixed]),
        np.stack([moving, moving]),
        fixed_mask=np.stack([mask, 0.5 * mask]),
        ndim=2,
        **options,
    )
    for found in both.displacement:
        np.testing.assert_allclose(found, there.displacement, atol=2e-3)


@pytest.mark.plain
def test_what_is_alike_already_is_no_failure():
    image = blobs((32, 36))
    answer = demons(image, image, shrink=(1,), steps=2)
    assert answer.accepted and np.abs(answer.displacement).max() < 1e-3
    assert answer.similarity == "nearness" and answer.similarity_before == pytest.approx(1)


@pytest.mark.plain
def test_batches_and_images_in_space():
    moving = np.stack([blobs((40, 44), seed) for seed in (0, 1)])
    fixed = np.stack([waved(one)[0] for one in moving])
    both = demons(fixed, moving, shrink=(2, 1), steps=(10, 5), ndim=2)
    for item in range(2):
        alone = demons(fixed[item], moving[item], shrink=(2, 1), steps=(10, 5))
        np.testing.assert_allclose(both.displacement[item], alone.displacement, atol=2e-3)
    images = [Image(one[0], Geometry.of_shape(one[0].shape, 1.0)) for one in (fixed, moving)]
    physical = demons(*images, shrink=(2, 1), steps=(10, 5))
    np.testing.assert_allclose(physical.inner.displacement, both.displacement[0], atol=5e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": 3}, "features must be Features. Received: features=3"),
        ({"shrink": (4, 3)}, r"divide the shrink factor .*shrink=\(4, 3\)"),
        ({"steps": 0}, "positive integers"),
        ({"steps": (1, 2)}, "steps for each level"),
        ({"sigma": -1}, "sigma must be 0 or more. Received: sigma=-1"),
        ({"step_length": 0}, "step_length=0"),
        ({"gradient": "steepest"}, "gradient='steepest'"),
        ({"tolerance": float("nan")}, "tolerance=nan"),
    ],
)
def test_bad_values(options, message):
    with pytest.raises(InputError, match=message):
        demons(np.eye(20), np.eye(20), **options)


def test_bad_images():
    with pytest.raises(InputError, match="must not be constant"):
        demons(np.zeros((20, 20)), np.eye(20))
    with pytest.raises(InputError, match=r"\(\*spatial, channels\) of an image"):
        demons(np.eye(20), np.eye(20), features=Features(lambda image: image))


def test_levels_that_are_too_small_are_left_out():
    method = Demons()
    assert method.levels((24, 64, 64)) == [(2, 50), (1, 50)]
    assert method.levels((8, 8)) == [(1, 50)]
    assert np.allclose(ops.resize_displacement(np.ones((1, 4, 4, 2)), (8, 8)), 2)
