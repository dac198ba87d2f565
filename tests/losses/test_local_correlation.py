import itertools

import keras
import numpy as np
import pytest

from tfreg import losses, ops
from tfreg.losses.box import box_mean, box_sum


def reference(fixed, moved, window, mask=None):
    """Window by window, in float64, per channel; the floor as documented."""
    values = []
    ndim = fixed.ndim - 2
    window = np.broadcast_to(window, ndim)
    mask = np.ones((*fixed.shape[:-1], 1)) if mask is None else mask
    for f_all, m_all, w in zip(fixed, moved, mask, strict=True):
        total = 0
        for f, m in zip(np.moveaxis(f_all, -1, 0), np.moveaxis(m_all, -1, 0), strict=True):
            f, m, w1 = f.astype("float64"), m.astype("float64"), w[..., 0].astype("float64")
            floors = [1e-4 * np.cov(v.ravel(), aweights=w1.ravel(), ddof=0) for v in (f, m)]
            for x in itertools.product(*(range(n) for n in f.shape)):
                box = tuple(
                    slice(max(i - n // 2, 0), i + n // 2 + 1)
                    for i, n in zip(x, window, strict=True)
                )
                if w1[x] == 0:
                    continue
                (vf, c), (_, vm) = np.cov(
                    f[box].ravel(), m[box].ravel(), aweights=w1[box].ravel(), ddof=0
                )
                total += w1[x] * c**2 / (max(vf, floors[0]) * max(vm, floors[1]))
        values.append(total / (w.sum() * fixed.shape[-1]))
    return values


@pytest.mark.parametrize(
    ("shape", "window"),
    [
        ((2, 9, 13, 1), 5),
        ((1, 6, 11, 2), (3, 7)),
        ((2, 5, 8, 6, 1), (3, 5, 1)),
        ((1, 4, 5, 6, 1), 9),
    ],
)
@pytest.mark.compiled
def test_equals_numpy_window_by_window(rng, numpy, shape, window):
    fixed, moved = rng.normal(size=(2, *shape)).astype("float32")
    moved += fixed
    if window != (3, 5, 1):  # also windows that are all but flat
        fixed[:, :4] *= 1e-3
    found = numpy(losses.lncc(fixed, moved, window))
    np.testing.assert_allclose(found, reference(fixed, moved, window), rtol=2e-5)
    mask = (rng.uniform(size=(*shape[:-1], 1)) * (rng.uniform(size=(*shape[:-1], 1)) > 0.3)).astype(
        "float32"
    )
    found = numpy(losses.lncc(fixed, moved, window, mask))
    np.testing.assert_allclose(found, reference(fixed, moved, window, mask), rtol=2e-5)


@pytest.mark.parametrize("length", [1, 3, 5, 7, 9, 11, 15, 21])
def test_box_sums(rng, numpy, length):
    values = rng.normal(size=(2, 10, 6, 3)).astype("float32")
    window = (length, 3)
    expected, counts = np.zeros_like(values), np.zeros_like(values)
    for i, j in itertools.product(range(10), range(6)):
        box = values[:, max(i - length // 2, 0) : i + length // 2 + 1, max(j - 1, 0) : j + 2]
        expected[:, i, j] = box.sum(axis=(1, 2))
        counts[:, i, j] = box[0, ..., 0].size
    np.testing.assert_allclose(numpy(box_sum(values, window)), expected, atol=1e-5)
    np.testing.assert_allclose(numpy(box_mean(values, window)), expected / counts, atol=1e-6)


def test_ignores_local_linear_changes_of_intensity(rng, numpy):
    """A gain per window: -3 in one half and 2 in the other, read where no window sees both."""
    image = rng.normal(size=(1, 20, 8, 1)).astype("float32")
    changed = image.copy()
    changed[:, :10] = 5 - 3 * image[:, :10]
    changed[:, 10:] = 2 * image[:, 10:] - 1
    apart = np.ones_like(image)
    apart[:, 8:12] = 0
    assert numpy(losses.lncc(image, changed, 5, apart))[0] == pytest.approx(1, abs=1e-5)
    assert numpy(losses.lncc(image, changed, 5))[0] < 0.99


@pytest.mark.parametrize(("scale", "offset"), [(1e-9, 0), (1e6, 0), (1.0, 1000.0)])
def test_ignores_scale_and_offset(rng, numpy, scale, offset):
    image = rng.normal(size=(1, 16, 12, 1)).astype("float32")
    other = (offset + scale * image).astype("float32")
    assert numpy(losses.lncc(other, other))[0] == pytest.approx(1, abs=1e-4)


@pytest.mark.on_jax
def test_flat_windows_count_zero(rng, numpy):
    """A bright flat region does not correlate by its rounding errors."""
    image = rng.normal(size=(1, 40, 40, 1)).astype("float32")
    image[:, :20] = 3.3
    other = np.ascontiguousarray(image[:, :, ::-1])
    flat = np.zeros_like(image)
    flat[:, :18] = 1
    assert numpy(losses.lncc(image, other, 5, flat))[0] == 0
    tensor = keras.ops.convert_to_tensor(other)
    gradient = numpy(ops.value_and_gradient(lambda m: losses.lncc(image, m, 5), tensor)[1])
    assert np.abs(gradient[:, :16]).max() < 1e-4 * np.abs(gradient).max()


@pytest.mark.parametrize("window", [0, -3, 4, 2.5, True, (3,), (3, 5, 7), (3, 4), "9", None])
def test_bad_windows_are_named(window):
    image = np.zeros((1, 8, 8, 1), "float32")
    with pytest.raises(ValueError, match=r"window must be .* Received: window="):
        losses.lncc(image, image, window)


@pytest.mark.parametrize("window", [4, (3, 2), None])
def test_the_loss_checks_its_window_when_made(window):
    with pytest.raises(ValueError, match="Received: window="):
        losses.LNCC(window=window)
