import numpy as np
import pytest

from tfreg.data import cone_beam
from tfreg.data.cone_beam import Look, draw, field_of_view, simulate

SHAPE, SPACING = (24, 30, 36), (4.0, 3.0, 2.5)


def volume():
    rng = np.random.default_rng(0)
    image = np.full(SHAPE, 0.4, "float32") + 0.02 * rng.random(SHAPE, dtype="float32")
    image[10:14, 12:15, 20:23] = 1.0
    return image


def test_the_field_of_view_is_a_cylinder_in_mm():
    mask = field_of_view(SHAPE, SPACING, Look(radius=30.0, height=25.0))
    volume = mask.sum() * np.prod(SPACING)
    assert volume == pytest.approx(np.pi * 30**2 * 50, rel=0.08)
    places = (np.argwhere(mask) - (np.array(SHAPE) - 1) / 2) * SPACING
    assert np.abs(places[:, 0]).max() <= 25 and np.hypot(*places[:, 1:].T).max() <= 30
    np.testing.assert_allclose(places.mean(axis=0), 0, atol=1e-6)


def test_without_artefacts_it_is_a_cut_and_a_scale():
    found = simulate(volume(), SPACING, Look(30.0, 25.0, gain=3.0, offset=0.5), rng(), extent=2.0)
    inside = found.mask > 0
    np.testing.assert_allclose(found.image[inside], 3 * volume()[inside] + 1.0, rtol=1e-6)
    assert (found.image[~inside] == found.image[inside].min()).all()
    assert found.image.dtype == np.float32 and found.mask.dtype == np.uint8


def rng():
    return np.random.default_rng(3)


def test_cupping_darkens_the_middle_and_leaves_the_rim():
    flat = np.ones((5, 61, 61), "float32")
    flat[0, 0, 0] = 0  # air, which stays air
    found = simulate(flat, (2.0,) * 3, Look(58.0, 20.0, cupping=0.3), rng()).image
    assert found[2, 30, 30] == pytest.approx(0.7, abs=1e-6)
    assert found[2, 30, 2] == pytest.approx(1 - 0.3 * (1 - (56 / 58) ** 2), abs=1e-5)
    row = found[2, 30, 30:58]
    assert (np.diff(row) > 0).all()


def test_noise_has_its_size_and_is_correlated_with_neighbours():
    found = simulate(
        np.zeros((40, 60, 60), "float32"), (1.0,) * 3, Look(40, 30, noise=0.1), rng(), 2
    )
    values = found.image[5:35, 20:40, 20:40]
    assert values.std() == pytest.approx(0.2, rel=0.05)
    near = np.corrcoef(values[:-1].ravel(), values[1:].ravel())[0, 1]
    far = np.corrcoef(values[:-3].ravel(), values[3:].ravel())[0, 1]
    assert near == pytest.approx(0.5, abs=0.06) and abs(far) < 0.06


def test_streaks_come_from_what_is_dense_within_few_slices():
    image = np.full((40, 50, 50), 0.2, "float32")
    image[18:23, 12:16, 30:34] = 1.0  # 80 voxels: they come from there alone
    plain = simulate(image, (3.0,) * 3, Look(70.0, 70.0), rng()).image
    found = simulate(image, (3.0,) * 3, Look(70.0, 70.0, streaks=0.2), rng()).image
    inside = field_of_view((40, 50, 50), (3.0,) * 3, Look(70.0, 70.0))
    difference = np.abs(found - plain) * inside
    assert difference[20].mean() > 20 * difference[1].mean()
    assert 0.02 < difference[20].max() < 0.8


def test_looks_at_random_and_the_same_ones_again():
    looks = [draw(np.random.default_rng(k), (50, 60), (20, 30)) for k in range(40)]
    assert all(50 <= one.radius <= 60 and 20 <= one.height <= 30 for one in looks)
    assert len({one.gain for one in looks}) == 40
    assert draw(np.random.default_rng(7)) == draw(np.random.default_rng(7))
    twice = [simulate(volume(), SPACING, looks[0], rng()).image for _ in range(2)]
    np.testing.assert_array_equal(*twice)


def test_two_axes_are_refused():
    with pytest.raises(ValueError, match=r"three axes. Received: shape=\(4, 5\)"):
        cone_beam.field_of_view((4, 5), (1.0, 1.0), Look(3.0, 3.0))
