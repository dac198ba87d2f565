import numpy as np
import pytest
from scipy import ndimage

from tfreg.data import acdc, cine, stacks, ventricles
from tfreg.errors import InputError


@pytest.fixture
def folder(monkeypatch, tmp_path, rng):
    """The prepared file of three patients with 3, 4 and 7 slices."""
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))
    monkeypatch.setattr(
        acdc,
        "patients",
        lambda source, split: frozenset({"patient003", "patient004", "patient007"}),
    )
    patient = np.repeat([3, 4, 7], [3, 4, 7])
    number = np.concatenate([np.arange(n) for n in (3, 4, 7)])
    images = rng.integers(100, 900, (2, 14, 16, 16)).astype("uint16")
    labels = np.zeros((2, 14, 16, 16), "uint8")
    labels[:, :, 6:9, 7:10] = 1 + number[None, :, None, None] % 3
    names = {"ed": images[0], "es": images[1], "seg_ed": labels[0], "seg_es": labels[1]}
    np.savez(tmp_path / acdc.PACK, **names, patient=patient, slice=number)
    return images, labels


def test_stacks_are_padded_or_cut_to_one_depth(folder):
    images, labels = folder
    found = stacks.hearts("train", depth=4, size=16)
    assert found.names.tolist() == [f"acdc patient00{n}" for n in (3, 4, 7)]
    assert found.slices.tolist() == [3, 4, 4] and found.first.tolist() == [0, 0, 0]
    assert found.mask[:, :, 0, 0].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1]]
    kept = ([0, 1, 2, 2], [3, 4, 5, 6], [9, 10, 11, 12])
    for side, volume in enumerate((found.diastole, found.systole)):
        assert volume.dtype == np.float32 and volume.shape == (3, 4, 16, 16)
        for heart, index in enumerate(kept):
            raw = images[side][index].astype(float)
            np.testing.assert_allclose(
                volume[heart], (raw - raw.min()) / (raw.max() - raw.min()), atol=1e-6
            )
    for side, volume in enumerate((found.diastole_labels, found.systole_labels)):
        np.testing.assert_array_equal(volume[2], labels[side][9:13])
        np.testing.assert_array_equal(volume[0, :3], labels[side][:3])
        assert not volume[0, 3].any() and volume.dtype == np.uint8
    deep = stacks.hearts("train", depth=8, size=16)
    assert deep.first.tolist() == [2, 2, 0] and deep.slices.tolist() == [3, 4, 7]
    np.testing.assert_array_equal(deep.diastole[0, 0], deep.diastole[0, 2])
    assert deep.mask.sum() == 14 and (deep.diastole_labels[0, [0, 1, 5, 6, 7]] == 0).all()


def test_a_lost_spacing_is_said_and_a_known_one_kept(folder, monkeypatch):
    found = stacks.hearts("train", depth=4, size=16)
    assert found.unit == "px"
    np.testing.assert_allclose(found.spacing, [[20 / 3, 1, 1]] * 3)
    plain = list(cine.slices("train", ("acdc",), 16))

    def slices(known):
        return lambda split, sources, size: iter(
            [
                type(one)(**{**vars(one), "spacing": (1.25, 1.5), "gap": 8.0}) if known(k) else one
                for k, one in enumerate(plain)
            ]
        )

    monkeypatch.setattr(cine, "slices", slices(lambda k: True))
    found = stacks.hearts("train", depth=4, size=16)
    assert found.unit == "mm" and found.spacing[2].tolist() == [8.0, 1.25, 1.5]
    monkeypatch.setattr(cine, "slices", slices(lambda k: k == 0))
    with pytest.raises(InputError, match="all have a spacing"):
        stacks.hearts("train", depth=4, size=16)


def test_phantom_stacks_need_no_files(monkeypatch):
    monkeypatch.delenv("TFREG_DATA", raising=False)
    found = stacks.hearts("validation", "phantom", size=48)
    assert found.unit == "mm" and found.spacing[0].tolist() == [10.0, 1.5, 1.5]
    assert found.first.tolist() == [2] * 4 and found.diastole.shape == (4, 16, 48, 48)
    areas = [(labels == 3).sum() for labels in (found.diastole_labels, found.systole_labels)]
    assert areas[0] > 1.3 * areas[1]


@pytest.mark.parametrize(
    ("options", "name"),
    [({"split": "val"}, "split=val"), ({"source": "ukbb"}, "source="), ({"depth": 3}, "depth=3")],
)
def test_what_makes_no_stack_is_named(options, name):
    with pytest.raises(ValueError, match=name):
        stacks.hearts(**{"split": "test", **options})


@pytest.mark.parametrize("fixed", ["diastole", "systole"])
def test_the_tissue_of_a_phantom_heart_is_followed_across_slices(fixed):
    drawn = ventricles.beating_stacks(2, seed=3, size=96)
    parts = {
        "diastole": (drawn.diastole, drawn.diastole_labels),
        "systole": (drawn.systole, drawn.systole_labels),
    }
    (image, labels), (other, other_labels) = (
        parts[fixed],
        parts["systole" if fixed == "diastole" else "diastole"],
    )
    grid = np.moveaxis(np.indices(image.shape[1:]), 0, -1)
    for heart in range(2):
        u = drawn.displacement(heart, fixed)
        there = np.moveaxis(grid + u, -1, 0)
        moved = ndimage.map_coordinates(other_labels[heart], there, order=0, mode="nearest")
        seen = labels[heart] == 2
        right = (moved == labels[heart])[seen].mean()
        assert right > 0.85 > (other_labels[heart] == labels[heart])[seen].mean() + 0.05
        warped = ndimage.map_coordinates(other[heart], there, order=1, mode="nearest")
        before, after = (
            np.abs(side - image[heart])[labels[heart] > 0].mean() for side in (other[heart], warped)
        )
        assert after < 0.5 * before
        assert np.abs(u[..., 0]).max() > 0.3 and np.abs(u[..., 1:]).max() > 2
        assert np.abs(u[:, [0, -1]]).max() < 0.3  # at rest at the border
        jacobian = np.stack(np.gradient(u, axis=(0, 1, 2)), axis=-1) + np.eye(3)
        assert np.linalg.det(jacobian).min() > 0.1


def test_a_bad_phantom_is_named():
    for options in ({"count": 0}, {"depth": 5}, {"size": 31}):
        with pytest.raises(ValueError, match=f"{next(iter(options))}="):
            ventricles.beating_stacks(**{"count": 1, **options})
    with pytest.raises(ValueError, match="fixed=end"):
        ventricles.beating_stacks(1, depth=6, size=32).displacement(0, "end")


@pytest.mark.real_data
def test_real_stacks():
    found = stacks.hearts("test")
    assert found.diastole.shape == (10, 16, 128, 128) and found.unit == "px"
    assert found.slices.sum() == 80 and found.slices.max() < 16
    areas = [(labels == 3).sum() for labels in (found.diastole_labels, found.systole_labels)]
    assert areas[0] > 1.2 * areas[1]
