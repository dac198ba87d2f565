import numpy as np
import pytest
from scipy import ndimage

from tfreg.data import breathing, respiration, thorax
from tfreg.errors import InputError

SHAPE, SPACING = (48, 60, 64), (6.0, 5.0, 5.5)  # too coarse for vessels, but quick


@pytest.fixture(scope="module")
def lungs():
    """Two half ellipsoids on domes, feet first."""
    z, y, x = (
        (np.indices(SHAPE)[axis] - (SHAPE[axis] - 1) / 2) * SPACING[axis] for axis in range(3)
    )
    inside = np.zeros(SHAPE, bool)
    for side in (-70, 70):
        shell = (z / 125) ** 2 + (y / 85) ** 2 + ((x - side) / 55) ** 2
        dome = 30 * np.exp(-((y / 60) ** 2) - ((x - side) / 60) ** 2)
        inside |= (shell < 1) & (z > dome - 70)
    return inside


@pytest.fixture(scope="module", params=[True, False], ids=["inspire", "expire"])
def breath(request, lungs):
    return request.param, respiration.breathe(
        lungs, SPACING, np.random.default_rng(8), request.param
    )


@pytest.fixture(scope="module")
def pair():
    return breathing.make("train", 1, shape=SHAPE, spacing=SPACING)


def test_the_way_back_is_exact_in_the_lungs(breath, lungs):
    _, one = breath
    grid = np.moveaxis(np.indices(SHAPE, dtype="float32"), 0, -1)
    back = respiration.at(one.lung, grid + one.displacement)
    error = np.linalg.norm(back - grid, axis=-1)[lungs]
    assert np.quantile(error, 0.99) < 0.02 and error.max() < 0.2
    there = grid + one.displacement
    within = ((there >= 0) & (there <= np.array(SHAPE) - 1)).all(axis=-1) & ~lungs
    error = np.linalg.norm(respiration.at(one.outside, there) - grid, axis=-1)[within]
    assert np.quantile(error, 0.99) < 0.05


def test_sizes_are_those_of_a_case(breath, lungs):
    inspire, one = breath
    case = respiration.CASES[one.case - 1]
    u = (one.displacement * SPACING)[lungs]
    length = np.linalg.norm(u, axis=1)
    assert 0.8 * case.mean < length.mean() < 1.2 * case.mean
    assert length.max() < 1.5 * case.largest
    down = -u[:, 0] if inspire else u[:, 0]
    assert down.mean() > 0.7 * length.mean()  # mostly towards the feet as one breathes in
    height = np.argwhere(lungs)[:, 0]
    low, high = np.quantile(height, (0.2, 0.8))
    assert down[height <= low].mean() > 2.5 * down[height >= high].mean()


def test_nothing_folds_and_breathing_in_makes_lungs_larger(breath, lungs):
    inspire, one = breath
    for back in (one.lung, one.outside):
        jacobian = np.stack(np.gradient(back, axis=(0, 1, 2)), axis=-1)
        assert np.linalg.det(jacobian)[2:-2, 2:-2, 2:-2].min() > 0.15
    change = one.inside.sum() / lungs.sum()
    assert change > 1.02 if inspire else change < 0.98
    assert one.gap.sum() < 0.02 * lungs.sum()


def test_the_lungs_slide_along_the_wall(breath, lungs):
    _, one = breath
    u = one.displacement * SPACING
    x = SHAPE[2] - 1 - np.argmax(lungs[:, :, ::-1], axis=2)  # the last voxel of the lung, sideways
    jumps, across = [], []
    for z in range(14, 20):
        for y in range(22, 38):
            if lungs[z, y].any() and x[z, y] < SHAPE[2] - 2:
                step = u[z, y, x[z, y]] - u[z, y, x[z, y] + 1]
                jumps.append(abs(step[0]))
                across.append(abs(step[2]))
    assert np.median(jumps) > 2 * np.median(across) and np.median(jumps) > 1.0


def test_a_thorax_looks_like_one():
    one = thorax.draw(np.random.default_rng(3))
    other = thorax.draw(np.random.default_rng(4))
    air = one.volume[one.lungs]
    assert -900 < np.median(air) < -800 and (air > -300).mean() > 0.02  # vessels
    assert np.abs(one.volume - other.volume).mean() > 20
    litres = one.lungs.sum() * np.prod(one.spacing) / 1e6
    sizes = np.bincount(ndimage.label(one.lungs)[0].ravel())[1:]
    assert 2 < litres < 6 and (sizes > 0.3 * sizes.sum()).sum() == 2
    assert (one.volume > 200).sum() > 5000  # bones


def test_a_pair_shows_the_same_tissue(pair):
    assert pair.fixed.dtype == pair.moving.dtype == np.float32 and pair.fixed.shape == SHAPE
    assert pair.displacement.shape == (*SHAPE, 3) and pair.spacing == SPACING
    for image in (pair.fixed, pair.moving):
        assert image.min() == 0 and 0.9 < image.max() <= 1
    inside = pair.fixed_mask == 1
    there = np.moveaxis(np.indices(SHAPE), 0, -1) + pair.displacement
    where = np.moveaxis(there, -1, 0)
    deep = ndimage.binary_erosion(inside)
    moved = ndimage.map_coordinates(pair.moving, where, order=3)
    before, after = (
        np.corrcoef(pair.fixed[deep], image[deep])[0, 1] for image in (pair.moving, moved)
    )
    assert after > 0.7 and 1 - after < 0.5 * (1 - before)
    mask = ndimage.map_coordinates(pair.moving_mask, where, order=0)
    assert mask[deep].mean() > 0.995


def test_lungs_keep_their_mass(pair):
    mass = [
        (image[mask == 1] * 1400).sum() / (fixed_or_moving.sum())
        for image, mask, fixed_or_moving in (
            (pair.fixed, pair.fixed_mask, pair.fixed_mask),
            (pair.moving, pair.moving_mask, pair.moving_mask),
        )
    ]
    volumes = pair.fixed_mask.sum(), pair.moving_mask.sum()
    air = [
        np.median(image[mask == 1]) * 1400
        for image, mask in ((pair.fixed, pair.fixed_mask), (pair.moving, pair.moving_mask))
    ]
    # The larger lung is the thinner one.
    assert (air[0] > air[1]) == (volumes[0] < volumes[1]) and abs(air[0] - air[1]) > 2
    assert mass[0] * volumes[0] == pytest.approx(mass[1] * volumes[1], rel=0.12)


def test_a_pair_is_a_function_of_its_name(pair):
    small = {"shape": (24, 30, 32), "spacing": (12.0, 10.0, 11.0)}
    one, again, other = (breathing.make(split, 1, **small) for split in ("train", "train", "test"))
    np.testing.assert_array_equal(again.moving, one.moving)
    assert np.abs(other.fixed - one.fixed).mean() > 0.01 and one.case == pair.case
    assert (pair.name, other.name) == ("phantom-train-0001", "phantom-test-0001")


def test_the_cache_loses_nothing(pair, tmp_path, monkeypatch):
    monkeypatch.setattr(breathing, "make", lambda *args: pair)
    (first,) = breathing.pairs("train", 1, "phantom", tmp_path / "cache", SHAPE, SPACING)
    assert first is pair
    monkeypatch.setattr(breathing, "make", lambda *args: pytest.fail("made again"))
    (second,) = breathing.pairs("train", 1, "phantom", tmp_path / "cache", SHAPE, SPACING)
    for key, value in vars(pair).items():
        np.testing.assert_array_equal(getattr(second, key), value)
        assert type(getattr(second, key)) is type(value)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["phantom-train-0000.npz"]
    with pytest.raises(InputError, match="another grid"):
        breathing.pairs("train", 1, "phantom", tmp_path / "cache")
    (tmp_path / "cache" / "phantom-train-0000.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match="prepared file"):
        breathing.pairs("train", 1, "phantom", tmp_path / "cache", SHAPE, SPACING)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("val", 0), "split=val"),
        (("test", -1), "number=-1"),
        (("test", 0, "mri"), "source=mri"),
    ],
)
def test_what_cannot_be_made_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        breathing.make(*arguments)


def test_an_absent_or_damaged_ct_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))
    breathing._chest.cache_clear()
    assert breathing.available("phantom") and not breathing.available("ct")
    with pytest.raises(InputError, match=r"TFREG_DATA.*ct_chest_drr\.npz"):
        breathing.make("test", 0, "ct")
    nothing = np.zeros((4, 4, 4))
    np.savez(tmp_path / breathing.PACK, volume=nothing, labels=nothing, spacing_zyx=np.ones(3))
    with pytest.raises(InputError, match="labelled lobes"):
        breathing.make("test", 0, "ct")


@pytest.mark.real_data
def test_the_real_ct_breathes():
    breathing._chest.cache_clear()
    pair = breathing.make("validation", 0, "ct", SHAPE, SPACING)
    inside = ndimage.binary_erosion(pair.fixed_mask)
    where = np.moveaxis(np.moveaxis(np.indices(SHAPE), 0, -1) + pair.displacement, -1, 0)
    moved = ndimage.map_coordinates(pair.moving, where, order=3)
    before, after = (
        np.corrcoef(pair.fixed[inside], image[inside])[0, 1] for image in (pair.moving, moved)
    )
    assert after > 0.7 and 1 - after < 0.5 * (1 - before)


@pytest.mark.real_data
def test_the_table_of_cases_is_that_of_the_landmarks():
    import os
    from pathlib import Path

    with np.load(Path(os.environ["TFREG_DATA"]) / "landmarks_dirlab4dct.npz") as pack:
        for number, case in enumerate(respiration.CASES, 1):
            start, stop = (pack[f"case{number}_lm300_{k}_yxz"].astype(float) for k in ("EE", "EI"))
            step = (stop - start) * pack[f"case{number}_spacing_yxz"]
            length = np.linalg.norm(step, axis=1)
            found = (length.mean(), length.std(), length.max())
            assert found == pytest.approx(case[:3], abs=0.051)
            axes = np.abs(step).mean(axis=0)[[2, 0, 1]]
            assert tuple(axes) == pytest.approx(case.axes, abs=0.0051)
            height = (start[:, 2] - start[:, 2].min()) / np.ptp(start[:, 2])
            fifths = [
                step[(height >= low) & (height <= low + 0.2), 2].mean() / axes[0]
                for low in (0, 0.2, 0.4, 0.6, 0.8)
            ]
            assert fifths == pytest.approx(case.fifths, abs=0.0051)
