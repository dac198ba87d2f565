import numpy as np
import pytest

from tfreg.data import damage


@pytest.fixture(scope="module")
def ramps():
    """An image whose greys tell the column, and one whose tell the row."""
    row, column = np.indices((120, 200))
    return row.astype("uint8"), column.astype("uint8")


def test_the_image_shows_the_original_where_the_displacement_says(ramps):
    for axis, ramp in enumerate(ramps):
        found = damage.cut(ramp, rms=3.0, shift=5.0, seed=7)
        where = np.indices(ramp.shape)[axis] + found.displacement[..., axis]
        inside = (where >= 0) & (where <= ramp.shape[axis] - 1)
        assert inside.mean() > 0.8 and not found.hidden.any()
        assert np.abs(found.image - where)[inside].max() <= 0.5 + 1e-6


def test_a_deformation_is_smooth_and_as_large_as_asked(rng):
    found = damage.deformation((160, 200), 4.0, 10.0, rng)
    mean = found.mean(axis=(0, 1))
    assert np.linalg.norm(mean) == pytest.approx(10.0)
    assert ((found - mean) ** 2).sum(axis=-1).mean() == pytest.approx(16.0)
    for axis in (0, 1):
        # Of waves of the stated length the slope is 2 pi / L of the amplitude, or somewhat more:
        # the longest ones are in the mean.
        slope = np.diff(found - mean, axis=axis)
        assert 0.05 < np.sqrt((slope**2).sum(axis=-1).mean()) < 12 * np.pi / damage.WAVELENGTH


def test_a_fold_swallows_tissue_where_it_lies(ramps):
    plain = damage.cut(ramps[1], 2.0, seed=4)
    folded = damage.cut(ramps[1], 2.0, damages=("folds",), seed=4)
    pull = folded.displacement - plain.displacement
    length = np.linalg.norm(pull, axis=-1)
    assert 3.5 < length.max() <= 4.0 and length.min() < 1.0
    across = np.abs(np.diff(pull, axis=1)).sum(axis=-1)
    assert across.max() > 1.0  # what is left and right of it was apart
    assert 0.005 < folded.hidden.mean() < 0.1
    dark = folded.image[folded.hidden].astype(float) / np.maximum(plain.image[folded.hidden], 1)
    assert np.median(dark) < 0.35


def test_dust_hides_and_nothing_else_changes(ramps):
    plain = damage.cut(ramps[1], 2.0, seed=5)
    dusty = damage.cut(ramps[1], 2.0, damages=("dust",), seed=5)
    np.testing.assert_array_equal(dusty.displacement, plain.displacement)
    changed = dusty.image != plain.image
    assert changed.any() and not changed[~dusty.hidden].any()
    assert 0.001 < dusty.hidden.mean() < 0.05


def test_contrast_changes_the_greys_and_keeps_their_order_nearby(ramps):
    plain = damage.cut(ramps[1], 0.0, seed=6)
    other = damage.cut(ramps[1], 0.0, damages=("contrast",), seed=6)
    np.testing.assert_array_equal(other.displacement, plain.displacement)
    assert np.abs(other.image.astype(int) - plain.image).mean() > 5
    assert np.corrcoef(plain.image.ravel(), other.image.ravel())[0, 1] > 0.9


def test_labels_follow(ramps):
    found = damage.cut(ramps[0], 3.0, seed=1)
    labels = damage.painted((ramps[0] > 60).astype("uint8"), found.displacement)
    assert set(np.unique(labels)) == {0, 1}
    clear = np.abs(found.image.astype(int) - 60) > 2
    np.testing.assert_array_equal((labels > 0)[clear], (found.image > 60)[clear])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"damages": ("rain",)}, r"of \('dust', 'folds', 'contrast'\). Received: .*'rain'"),
        ({"rms": -1.0}, "rms=-1.0, shift=0.0"),
        ({"rms": float("nan")}, "rms=nan"),
        ({"wavelength": 1.5}, "wavelength 2 or more. Received: .*wavelength=1.5"),
        ({"image": np.zeros((4, 4))}, r"uint8\. Received: float64 of shape \(4, 4\)"),
    ],
)
def test_what_cannot_be_painted_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        damage.cut(**{"image": np.zeros((8, 8), "uint8"), "rms": 1.0, **changes})
