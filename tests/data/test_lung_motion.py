import hashlib

import numpy as np
import pytest

from tfreg.data import breathing, lung_motion, respiration
from tfreg.data.slices import SPLITS, patients
from tfreg.errors import InputError

SHAPE, SPACING = (36, 32, 36), (9.0, 8.0, 8.5)
LISTS = "b4a7481d683250858222ce5f5f890fb925fa2ea70d1dc419f65aab25080a1502"


def ellipsoids(shape, spacing):
    z, y, x = ((np.indices(shape)[k] - (shape[k] - 1) / 2) * spacing[k] for k in range(3))
    sides = ((z / 105) ** 2 + (y / 80) ** 2 + ((x - s) / 55) ** 2 < 1 for s in (-70, 70))
    return np.logical_or(*sides)


@pytest.fixture(scope="module")
def lungs():
    return ellipsoids(SHAPE, SPACING)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Patients whose lungs grow by 1.2 along z about their tops, and by 1.1 along y."""
    shape = (104, 96, 96)
    mask = ellipsoids(shape, (2.6, 2.5, 2.6))
    rng = np.random.default_rng(0)
    pack = {}
    for case in range(1, 11):
        places = np.argwhere(mask)[rng.choice(mask.sum(), 300, replace=False)].astype("float32")
        top = places[:, 0].max()
        there = places.copy()
        there[:, 0] = top + 1.2 * (places[:, 0] - top)
        there[:, 1] = 48 + 1.1 * (places[:, 1] - 48)
        shift = rng.normal(0, 2, 3)  # where the table stood
        for breath, points in (("exp", places), ("insp", there + shift)):
            pack[f"case{case}_points_{breath}_xyz"] = points[:, ::-1]
            pack[f"case{case}_mask_{breath}"] = mask.astype("uint8")
    np.savez(tmp_path / lung_motion.PACK, **pack)
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))
    lung_motion.motion.cache_clear()
    yield tmp_path
    lung_motion.motion.cache_clear()


def test_nobody_changes_the_split():
    lists = [patients("copd", split) for split in SPLITS]
    assert tuple(map(len, lists)) == tuple(lung_motion.SOURCE.splits[split] for split in SPLITS)
    assert frozenset.union(*lists) == {f"case{k}" for k in range(1, 11)}
    text = "\n".join(" ".join(sorted(names)) for names in lists)
    assert hashlib.sha256(text.encode()).hexdigest() == LISTS


@pytest.mark.parametrize("inspire", [True, False])
def test_lungs_go_as_the_patients_did(folder, lungs, inspire):
    """The affine motion of the pack, scaled from the patient's lungs to these, is found again."""
    one = lung_motion.breathe(lungs, SPACING, np.random.default_rng(3), inspire, "validation")
    u = (one.displacement * SPACING)[lungs]
    places = np.argwhere(lungs) * SPACING
    box = lung_motion.box_of(lungs) * SPACING
    # Along z the motion is as far from the top as the place is, by the same share everywhere.
    height = (box[1, 0] - places[:, 0]) * (1 if inspire else -1)
    slope, start = np.polyfit(height, -u[:, 0], 1)
    most = 0.2 if inspire else 1 - 1 / 1.2
    assert 0.25 * most - 0.01 < slope < most + 0.01
    assert np.abs(-u[:, 0] - slope * height - start).max() < 0.15 * slope * np.ptp(height)
    # A tenth of the places is the highest seventh of the lungs: it rests in the median.
    assert abs(start) < 0.2 * slope * np.ptp(height)
    wide = np.polyfit(places[:, 1], u[:, 1], 1)[0]
    share = slope / most
    assert wide == pytest.approx(share * (0.1 if inspire else 1 / 1.1 - 1), abs=0.03)
    assert np.abs(u[:, 2]).max() < 2
    change = one.inside.sum() / lungs.sum()
    assert change > 1.04 if inspire else change < 0.97
    assert f"case{one.case}" in patients("copd", "validation")


def test_the_way_back_is_exact_and_nothing_folds(folder, lungs):
    one = lung_motion.breathe(lungs, SPACING, np.random.default_rng(5), True)
    grid = respiration.grid_of(SHAPE)
    back = respiration.at(one.lung, grid + one.displacement)
    assert np.linalg.norm(back - grid, axis=-1)[lungs].max() < 0.05
    there = grid + one.displacement
    within = ((there >= 0) & (there <= np.array(SHAPE) - 1)).all(axis=-1) & ~lungs
    error = np.linalg.norm(respiration.at(one.outside, there) - grid, axis=-1)[within]
    assert np.quantile(error, 0.99) < 0.1
    for way in (one.lung, one.outside):
        jacobian = np.stack(np.gradient(way, axis=(0, 1, 2)), axis=-1)
        assert np.linalg.det(jacobian)[2:-2, 2:-2, 2:-2].min() > 0.1
    far = one.displacement[:, [0, -1]] * SPACING  # the skin, in front and behind
    assert np.abs(far).max() < 0.4 * np.abs(one.displacement * SPACING)[lungs].max()


def test_what_folds_is_smoothed_until_it_does_not(lungs):
    spacing = np.array(SPACING)
    coarse = respiration.Coarse(SHAPE, spacing)
    depth = coarse.sample(respiration.depth_of(lungs, spacing))
    wild = np.random.default_rng(0).normal(0, 3, (*coarse.shape, 3)).astype("float32")
    assert lung_motion._least(wild) < 0
    for field in lung_motion._whole(wild, depth, coarse):
        assert lung_motion._least(field) >= lung_motion.LEAST
        inverse = lung_motion.inverse(field)
        grid = respiration.grid_of(coarse.shape)
        rest = inverse + respiration.at(field, grid + inverse)
        assert np.abs(rest[2:-2, 2:-2, 2:-2]).max() < 0.02


def test_a_lone_lung_moves_as_one_of_two(folder):
    known = lung_motion.motion("case1", True)
    both, first, second = known.boxes
    assert first[0, 2] == pytest.approx(both[0, 2], abs=6)
    assert second[1, 2] == pytest.approx(both[1, 2], abs=6)
    assert first[1, 2] < second[0, 2]


def test_what_is_missing_or_damaged_is_named(tmp_path, monkeypatch):
    lung_motion.motion.cache_clear()
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))
    assert not lung_motion.available()
    with pytest.raises(InputError, match=r"TFREG_DATA.*lung_motion_copd\.npz"):
        lung_motion.motion("case1", True)
    np.savez(
        tmp_path / lung_motion.PACK,
        **{"case1_mask_exp": np.ones((4, 4, 4)), "case1_points_exp_xyz": np.zeros((5, 3))},
        case1_points_insp_xyz=np.zeros((4, 3)),
    )
    with pytest.raises(InputError, match=r"as many points of each breath. Received: case1"):
        lung_motion.motion("case1", True)
    with pytest.raises(ValueError, match="motion=elastic"):
        breathing.make("train", motion="elastic")


def test_a_pair_of_phantoms_moves_so(folder):
    grid = (24, 28, 32), (12.0, 11.0, 11.0)
    one, again, drawn = (
        breathing.make("test", 2, "phantom", *grid, motion) for motion in ("copd", "copd", "drawn")
    )
    np.testing.assert_array_equal(one.moving, again.moving)
    assert one.name == "phantom-copd-test-0002" and drawn.name == "phantom-test-0002"
    assert f"case{one.case}" in patients("copd", "test")
    assert np.abs(one.displacement - drawn.displacement).max() > 0.1


@pytest.mark.real_data
def test_the_splines_bring_the_experts_landmarks_together():
    """What experts marked is moved from 10 to 30 mm apart to within 2.5 mm; lungs gain volume."""
    lung_motion.motion.cache_clear()
    path = lung_motion._file()
    for name in ("case3", "case8"):
        known = lung_motion.motion(name, True)
        with np.load(path) as pack:
            marks = [pack[f"{name}_landmarks_{b}_xyz"][:, ::-1] for b in lung_motion.BREATHS]
            volumes = [int(pack[f"{name}_mask_{b}"].sum()) for b in lung_motion.BREATHS]
            shape = pack[f"{name}_mask_exp"].shape
        assert volumes[1] > 1.2 * volumes[0]
        coarse = respiration.Coarse(shape, np.array(lung_motion.SPACING), mm=10)
        field = lung_motion.fitted(known, coarse, known.boxes[0])
        found = respiration.at(field, marks[0] / coarse.step) * coarse.spacing
        true = (marks[1] - marks[0]) * lung_motion.SPACING
        shift = np.median(true - found, axis=0)  # the tops lie on each other in `known`
        assert np.linalg.norm(true - found - shift, axis=1).mean() < 2.5
        apart = np.linalg.norm(found, axis=1).mean()
        assert 8 < apart < 32
