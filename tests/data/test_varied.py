import numpy as np
import pytest

from tfreg.data import PatchSampler, varied
from tfreg.data.varied import Varied

SHAPE = (20, 24, 28)


@pytest.fixture
def plain():
    """A lung of -860 HU in a wall of soft tissue, the moving one a voxel further down."""
    image = np.full(SHAPE, 0.75, "float32")
    image[4:16, 4:20, 4:24] = 0.1
    mask = (image < 0.5).astype("uint8")
    sides = [image], [np.roll(image, -1, axis=0)]
    return PatchSampler(*sides, SHAPE, 3, seed=2, fixed_masks=[mask])


def test_a_batch_is_a_function_of_seed_and_step(plain):
    one, again, other = (Varied(plain).batch(step) for step in (5, 5, 6))
    for name in ("fixed", "moving", "mask"):
        np.testing.assert_array_equal(one[name], again[name])
        assert one[name].dtype == np.float32 and one[name].shape == (3, *SHAPE, 1)
        assert (one[name] != other[name]).any()
        assert one[name].min() >= 0 and one[name].max() <= 1
    assert Varied(plain).count == plain.count == 1
    np.testing.assert_array_equal(plain.batch(5)["fixed"][0], plain.batch(5)["fixed"][1])


def test_air_changes_its_density_and_the_wall_does_not(plain, monkeypatch):
    monkeypatch.setattr(varied, "NOISE", 0)
    monkeypatch.setattr(varied, "CUT", 0)
    ratios = []
    for step in range(40):
        batch = Varied(plain).batch(step)
        for fixed, moving in zip(batch["fixed"], batch["moving"], strict=True):
            np.testing.assert_allclose(fixed[0], 0.75, atol=1e-6)
            ratios.append((fixed[10, 12, 14, 0] / 0.1, moving[10, 12, 14, 0] / 0.1))
    ratios = np.log(ratios)
    assert np.abs(ratios).max() <= varied.DENSITY + 1e-6
    # Where one is thinner the other is mostly denser: as one breathes.
    assert np.corrcoef(ratios.T)[0, 1] < -0.6 and np.abs(ratios).max() > 0.8 * varied.DENSITY


def test_noise_is_as_large_as_is_said():
    rng = np.random.default_rng(0)
    sizes = [varied.noise((16, 16, 16), rng).std() for _ in range(60)]
    assert 0.8 * varied.NOISE < max(sizes) < 1.1 * varied.NOISE and min(sizes) < 0.2 * varied.NOISE


def test_beyond_the_field_of_view_nothing_is_looked_at():
    rng = np.random.default_rng(1)
    image = rng.random(SHAPE, dtype="float32") + 1
    cut = 0
    for _ in range(50):
        first, second = varied.fields_of_view(SHAPE, rng)
        for one, other, n in zip(first, second, SHAPE, strict=True):
            assert 0 <= one.start <= varied.CUT * n + varied.APART + 1
            assert abs(one.start - other.start) <= 2 * varied.APART
            assert (one.start == 0) or one.stop > n / 2
            cut += one.start > 0
        shown = varied.seen(image, first, air=True)
        np.testing.assert_array_equal(shown[first], image[first])
        assert (shown > 0).sum() == image[first].size
        border = varied.seen(image, first, air=False)
        assert border.min() >= image[first].min() and border.shape == SHAPE
    assert 50 < cut < 100  # of 150


def test_the_mask_ends_with_the_fixed_field_of_view(plain, monkeypatch):
    monkeypatch.setattr(varied, "CUT", 0.5)
    for step in range(5):
        before, after = plain.batch(step)["mask"], Varied(plain).batch(step)["mask"]
        assert (after <= before).all()
    assert after.sum() < before.sum()


def test_other_batches_are_refused():
    volumes = [np.zeros((8, 8, 8))]
    with pytest.raises(ValueError, match=r"fixed, moving and mask\. Received: fixed, moving$"):
        Varied(PatchSampler(volumes, volumes, (4, 4, 4)))
