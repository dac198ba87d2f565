import numpy as np
import pytest
from scipy import ndimage

from tfreg.errors import InputError
from tfreg.registration import confine, register


def sliding_disc(shift):
    """A textured disc that is moved in a textured surrounding that is not."""
    rng = np.random.default_rng(3)
    inside, outside = (ndimage.gaussian_filter(rng.normal(size=(64, 80)), 2) * 4 for _ in "ab")
    y, x = np.mgrid[:64, :80]
    mask = (y - 30) ** 2 + (x - 38 - shift) ** 2 < 18**2
    return np.where(mask, np.roll(inside, shift, axis=1), 3 + outside), mask


def test_what_is_beyond_the_organ_no_longer_says_anything():
    (fixed, fixed_mask), (moving, moving_mask) = sliding_disc(0), sliding_disc(8)
    shown = confine(fixed, moving, fixed_mask, moving_mask)
    assert np.array_equal(shown.fixed[fixed_mask], fixed[fixed_mask].astype("float32"))
    assert np.unique(shown.fixed[~fixed_mask]).size == 1
    assert shown.fixed[0, 0] == shown.moving[0, 0]
    grown = ndimage.binary_dilation(fixed_mask, iterations=2)
    assert np.array_equal(shown.fixed_mask > 0, grown)
    outside = np.median(fixed[grown & ~fixed_mask])
    assert shown.fixed[0, 0] == pytest.approx(outside)

    def error(images, mask):
        answer = register(*images, fixed_mask=mask)
        return np.linalg.norm(answer.displacement[fixed_mask] - (0, 8), axis=-1).mean()

    # Without, the surrounding holds the disc back; its mask alone leaves its edge unseen.
    confined = error((shown.fixed, shown.moving), shown.fixed_mask)
    assert confined < 0.4
    assert confined < error((fixed, moving), None) / 2
    assert confined < error((fixed, moving), fixed_mask) / 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fixed_mask": np.zeros((4, 5))}, "fixed_mask must mark a voxel"),
        ({"moving_mask": np.ones((4, 4))}, r"moving_mask must have the shape.*\(4, 4\)"),
        ({"rim": 0}, "rim=0"),
        ({"rim": float("nan")}, "rim=nan"),
    ],
)
def test_unusable_input_is_named(change, message):
    image = np.ones((4, 5))
    given = {"fixed": image, "moving": image, "fixed_mask": image, "moving_mask": image}
    with pytest.raises(InputError, match=message):
        confine(**{**given, **change})
