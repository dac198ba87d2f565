import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from tfreg import losses
from tfreg.ops.bspline import basis


def smooth_pair(rng, shape):
    """Two modalities of one scene."""
    scene = ndimage.gaussian_filter(rng.normal(size=shape), 2)
    other = np.cos(8 * scene) + 0.3 * ndimage.gaussian_filter(rng.normal(size=shape), 1)
    return (v[None, ..., None].astype("float32") for v in (40 + 300 * scene, other))


def mattes(fixed, moved, bins, mask=None):
    """The metric of SimpleITK at the identity, on all voxels."""
    fixed, moved = (sitk.GetImageFromArray(v[0, ..., 0]) for v in (fixed, moved))
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(bins)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetInitialTransform(sitk.TranslationTransform(fixed.GetDimension()))
    if mask is not None:
        mask = sitk.GetImageFromArray(mask[0, ..., 0].astype("uint8"))
        method.SetMetricFixedMask(mask)
        method.SetMetricMovingMask(mask)
    return -method.MetricEvaluate(fixed, moved)


@pytest.mark.parametrize("shape", [(41, 56), (13, 21, 17)])
@pytest.mark.parametrize("bins", [8, 32, 50])
def test_equals_the_mattes_metric_of_simpleitk(rng, numpy, shape, bins):
    fixed, moved = smooth_pair(rng, shape)
    found = numpy(losses.mutual_information(fixed, moved, bins))[0]
    assert found > 0.1
    assert found == pytest.approx(mattes(fixed, moved, bins), rel=1e-4)


def test_equals_numpy_with_weights_and_ranges(rng, numpy):
    bins, (low, high) = 11, (-0.5, 1.25)
    fixed, moved = rng.normal(size=(2, 3, 9, 14, 1)).astype("float32")
    mask = rng.uniform(size=fixed.shape).astype("float32") * (fixed > -1)
    found = numpy(losses.mutual_information(fixed, moved, bins, None, (low, high), mask))
    for f, m, w, value in zip(fixed, moved, mask, found, strict=True):
        f, m, w = (v.ravel().astype("float64") for v in (f, m, w))
        own = f[w > 0]
        at = 2 + (bins - 4) * (f - own.min()) / np.ptp(own)
        row = np.clip(np.floor(at), 2, bins - 3)
        column = 2 + (bins - 4) * (np.clip(m, low, high) - low) / (high - low)
        joint = np.zeros((bins, bins))
        for k in range(bins):
            for j in range(bins):
                joint[k, j] = (w * (row == k) * basis(column - j)).sum()
        joint /= joint.sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = joint * np.log(joint / np.outer(joint.sum(1), joint.sum(0)))
        assert value == pytest.approx(np.nansum(terms), rel=2e-4)


def test_independent_images_and_equal_ones(rng, numpy):
    fixed, moved = rng.uniform(size=(2, 1, 256, 256, 1)).astype("float32")
    # The bias of a histogram of n samples is about (bins - 1)^2 / 2n: 0.001 here.
    assert 0 <= numpy(losses.mutual_information(fixed, moved, 16))[0] < 2e-3
    share = 0.3
    binary = (fixed < share).astype("float32")
    p = binary.mean()
    entropy = -p * np.log(p) - (1 - p) * np.log(1 - p)
    assert numpy(losses.mutual_information(binary, binary))[0] == pytest.approx(entropy, rel=1e-4)
    assert numpy(losses.mutual_information(binary, 5 - binary))[0] == pytest.approx(
        entropy, rel=1e-4
    )


def test_ignores_inversion_scale_and_offset(rng, numpy):
    fixed, moved = smooth_pair(rng, (30, 44))
    expected = numpy(losses.mutual_information(fixed, moved))[0]
    for changed in (-moved, 1e-9 * moved, 3e5 * moved, 100 - 7 * moved):
        found = numpy(losses.mutual_information(fixed, changed))[0]
        assert found == pytest.approx(expected, rel=1e-3)


def test_large_images_are_counted_in_full(numpy):
    """Adding 1/6 to a float32 sum of millions changes nothing; the partial histograms do."""
    image = np.zeros((1, 1700, 1700, 1), "float32")
    image[:, :425] = 1
    entropy = -0.25 * np.log(0.25) - 0.75 * np.log(0.75)
    found = numpy(losses.mutual_information(image, image))[0]
    assert found == pytest.approx(entropy, rel=1e-5)


def test_values_beyond_the_range_count_as_its_ends(rng, numpy):
    fixed, moved = rng.normal(size=(2, 1, 20, 30, 1)).astype("float32")
    limits = {"fixed_range": (-1.0, 1.0), "moved_range": (-0.5, 0.5)}
    found = losses.mutual_information(fixed, moved, **limits)
    clipped = losses.mutual_information(fixed.clip(-1, 1), moved.clip(-0.5, 0.5), **limits)
    np.testing.assert_array_equal(numpy(found), numpy(clipped))


def test_bad_input_is_named():
    image = np.zeros((1, 6, 5, 1), "float32")
    two = np.zeros((1, 6, 5, 2), "float32")
    with pytest.raises(ValueError, match=r"one channel. Received: fixed.shape=\(1, 6, 5, 2\)"):
        losses.mutual_information(two, two)
    for bins in (4, 2.5, True, None):
        with pytest.raises(ValueError, match=r"bins must be .* Received: bins="):
            losses.mutual_information(image, image, bins)
        with pytest.raises(ValueError, match="Received: bins="):
            losses.MutualInformation(bins=bins)
    for limits in ((1, 1), (2, 1), (1,), 3, (0.0, float("nan"))):
        with pytest.raises(ValueError, match=r"moved_range must be .* Received: moved_range="):
            losses.mutual_information(image, image, moved_range=limits)
