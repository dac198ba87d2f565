import numpy as np
import pytest
from scipy.ndimage import affine_transform, gaussian_filter

from tfreg.errors import InputError
from tfreg.serial import phase_correlation


@pytest.fixture(scope="module")
def texture():
    """Wider than what the sections show of it."""
    return gaussian_filter(np.random.default_rng(3).normal(size=(400, 420)), 2.0)


def seen(texture, shape, matrix):
    """What lies at ``A x + b`` of a section, whose first pixel is at (120, 120) of the texture."""
    offset = matrix[:, 2] + 120
    return affine_transform(texture, matrix[:, :2], offset, shape, order=3)


def rigid(degrees, shift, shape):
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    turn, centre = np.array([[cosine, -sine], [sine, cosine]]), (np.array(shape) - 1) / 2
    return np.concatenate([turn, (centre - turn @ centre + shift)[:, None]], axis=1)


@pytest.mark.parametrize("shift", [(0, 0), (7.4, -3.8), (-52, 31), (70.0, 0.0)])
def test_the_shift_is_found_between_pixels_and_far_away(texture, shift):
    shape = (140, 170)
    # moving(x + shift) = fixed(x)
    back = np.concatenate([np.eye(2), -np.array(shift, float)[:, None]], axis=1)
    fixed, moving = seen(texture, shape, np.eye(2, 3)), seen(texture, shape, back)
    found = phase_correlation(fixed, moving)
    np.testing.assert_array_equal(found[:, :2], np.eye(2))
    # Of half the section less is seen through the window.
    np.testing.assert_allclose(found[:, 2], shift, atol=0.5 if max(map(abs, shift)) > 60 else 0.3)


@pytest.mark.parametrize(("degrees", "shift"), [(12.3, (8, -5)), (-33.0, (0, 6)), (0.0, (3, 4))])
def test_a_rotation_is_found_with_the_shift(texture, degrees, shift):
    shape = (150, 170)
    expected = rigid(degrees, shift, shape)
    inverse = np.linalg.inv(np.vstack([expected, [0, 0, 1]]))[:2]
    fixed, moving = seen(texture, shape, np.eye(2, 3)), seen(texture, shape, inverse)
    found = phase_correlation(fixed, moving, degrees=40)
    corners = np.array([[0, 0, 1], [149, 0, 1], [0, 169, 1], [149, 169, 1]]).T
    np.testing.assert_allclose(found @ corners, expected @ corners, atol=1.0)


def test_what_fills_no_block_does_not_move_the_centre(monkeypatch, texture):
    """Measured at a fifth of the size: four rows and columns at the far borders are left out."""
    monkeypatch.setattr("tfreg.serial.phase._MEASURED", 50)
    shape = (214, 199)
    expected = rigid(17.0, (5, -5), shape)
    inverse = np.linalg.inv(np.vstack([expected, [0, 0, 1]]))[:2]
    wide = gaussian_filter(texture, 6.0)
    fixed, moving = seen(wide, shape, np.eye(2, 3)), seen(wide, shape, inverse)
    found = phase_correlation(fixed, moving, degrees=20)
    middle = np.array([107, 100, 1.0])
    np.testing.assert_allclose(found @ middle, expected @ middle, atol=0.6)


def test_no_rotation_beyond_the_degrees(texture):
    shape = (150, 150)
    inverse = np.linalg.inv(np.vstack([rigid(12, (0, 0), shape), [0, 0, 1]]))[:2]
    found = phase_correlation(
        seen(texture, shape, np.eye(2, 3)), seen(texture, shape, inverse), degrees=5
    )
    assert abs(np.degrees(np.arctan2(found[1, 0], found[0, 0]))) <= 5 + 1e-9


def test_contrast_and_noise_do_not_matter(texture, rng):
    shape = (128, 128)
    back = np.array([[1, 0, 9.0], [0, 1, -6.0]])
    fixed, moving = seen(texture, shape, np.eye(2, 3)), seen(texture, shape, back)
    moving = 5 - 0.3 * -moving + rng.normal(0, 0.3 * fixed.std(), shape)
    np.testing.assert_allclose(phase_correlation(fixed, moving)[:, 2], (-9, 6), atol=0.3)


def test_what_most_is_alike_with_counts_and_not_the_highest_peak(texture):
    """Weak noise that both share, elsewhere: of all frequencies alike, it has the highest peak."""
    shape = (128, 128)
    back = np.array([[1, 0, -3.0], [0, 1, 2.0]])
    fixed, moving = seen(texture, shape, np.eye(2, 3)), seen(texture, shape, back)
    noise = gaussian_filter(np.random.default_rng(1).normal(size=shape), 1.2)
    noise *= 0.9 * fixed.std() / noise.std()
    found = phase_correlation(fixed + noise, moving + np.roll(noise, (30, 20), axis=(0, 1)))
    np.testing.assert_allclose(found[:, 2], (3, -2), atol=0.5)


@pytest.mark.parametrize(
    ("fixed", "moving", "degrees", "message"),
    [
        (np.eye(20), np.eye(21), 0, r"one shape.*Received: \(20, 20\) and \(21, 21\)"),
        (np.eye(12), np.eye(12), 0, r"16 px or more.*\(12, 12\)"),
        (np.eye(20), np.ones((20, 20)), 0, "constant"),
        (np.eye(20), np.eye(20), 200, "degrees=200"),
        (np.eye(20), np.full((20, 20), np.nan), 0, "finite"),
    ],
)
def test_bad_input_is_refused(fixed, moving, degrees, message):
    with pytest.raises(InputError, match=message):
        phase_correlation(fixed, moving, degrees)
