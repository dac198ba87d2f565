import numpy as np
import pytest

from tfreg import losses


def reference(fixed, moved, eta=None, spacing=1.0, weights=None):
    values = []
    for f_all, m_all in zip(fixed, moved, strict=True):
        channels = []
        for f, m in zip(np.moveaxis(f_all, -1, 0), np.moveaxis(m_all, -1, 0), strict=True):
            steps = np.broadcast_to(spacing, f.ndim)
            w = np.ones(f.shape) if weights is None else weights
            gf, gm = (np.stack(np.gradient(v.astype("float64"), *steps)) for v in (f, m))
            sf, sm = ((g**2).sum(axis=0) for g in (gf, gm))
            if eta is None:
                ef, em = (np.average(np.sqrt(s), weights=w) for s in (sf, sm))
            else:
                ef, em = np.broadcast_to(eta, 2)
            cosine = (gf * gm).sum(axis=0) ** 2 / ((sf + ef**2) * (sm + em**2))
            channels.append(np.average(1 - cosine, weights=w))
        values.append(np.mean(channels))
    return values


@pytest.mark.parametrize(
    ("shape", "spacing"), [((2, 7, 11, 2), (0.5, 2.0)), ((2, 5, 8, 6, 1), (1.0, 2.0, 0.7))]
)
@pytest.mark.parametrize("eta", [None, 0.8, (0.3, 2.0)])
def test_equals_numpy(rng, numpy, shape, spacing, eta):
    fixed, moved = rng.normal(size=(2, *shape)).astype("float32")
    for steps in (None, spacing):
        found = numpy(losses.ngf(fixed, moved, eta, steps))
        expected = reference(fixed, moved, eta, 1.0 if steps is None else steps)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_mask_counts_whole_differences_only(rng, numpy):
    fixed, moved = rng.normal(size=(2, 1, 8, 10, 1)).astype("float32")
    mask = np.zeros((1, 8, 10, 1), "float32")
    mask[:, 2:, 3:9] = rng.uniform(0.5, 1, size=(6, 6, 1))
    counts = np.zeros((8, 10))
    counts[3:, 4:8] = mask[0, 3:, 4:8, 0]
    expected = reference(fixed, moved, weights=counts)
    np.testing.assert_allclose(numpy(losses.ngf(fixed, moved, mask=mask)), expected, rtol=1e-5)


def test_ignores_sign_scale_and_offset(rng, numpy):
    fixed, moved = rng.normal(size=(2, 1, 12, 9, 1)).astype("float32")
    expected = numpy(losses.ngf(fixed, moved))
    for changed in (-moved, 3 - 2 * moved, 1e-9 * moved, 1e9 * moved):
        np.testing.assert_allclose(numpy(losses.ngf(fixed, changed)), expected, rtol=1e-5)


def test_eta_decides_what_an_edge_is(rng, numpy):
    image = rng.normal(size=(1, 12, 9, 1)).astype("float32")
    assert numpy(losses.ngf(image, image, 1e-3))[0] < 0.01
    assert numpy(losses.ngf(image, image, 1e3))[0] > 0.99


@pytest.mark.parametrize("value", [0, -1.0, (1.0, 2.0, 3.0, 4.0), float("nan"), "1", (1.0,)])
def test_bad_numbers_are_named(value):
    image = np.zeros((1, 6, 5, 1), "float32")
    for name in ("eta", "spacing"):
        with pytest.raises(ValueError, match=f"{name} must be .* Received: {name}="):
            losses.ngf(image, image, **{name: value})
    with pytest.raises(ValueError, match="Received: eta="):
        losses.NGF(eta=value)
