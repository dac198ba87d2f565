import numpy as np
import pytest

from tfreg.data import brain_slices
from tfreg.data.slices import SPLITS, patients
from tfreg.errors import InputError


def write(path, names, shape=brain_slices.SHAPE):
    images = np.arange(len(names), dtype="uint16")[:, None, None] * np.ones(shape, "uint16")
    np.savez(path / brain_slices.PACK, images=819 * images, name=np.array(names))


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))
    lists = {"train": {"b", "d"}, "validation": {"c"}, "test": {"a"}}
    monkeypatch.setattr(brain_slices, "patients", lambda source, split: frozenset(lists[split]))
    return tmp_path


def test_a_split_is_what_its_list_says(folder):
    assert not brain_slices.available()
    write(folder, ["a", "b", "c", "d", "nobody's"])
    assert brain_slices.available()
    found = brain_slices.slices("train")
    assert found.names.tolist() == ["b", "d"] and found.images.dtype == np.float32
    np.testing.assert_allclose(found.images[:, 3, 4], [0.2, 0.6])


def test_what_is_missing_or_damaged_is_named(folder):
    with pytest.raises(InputError, match=r"TFREG_DATA.*brain_oasis2d\.npz"):
        brain_slices.slices("test")
    write(folder, ["a", "b"])
    with pytest.raises(InputError, match=r"train split\. Missing: d"):
        brain_slices.slices("train")
    write(folder, ["a", "b", "c", "d"], shape=(4, 4))
    with pytest.raises(InputError, match=r"must hold slices.*\(4, 4, 4\)"):
        brain_slices.slices("test")
    (folder / brain_slices.PACK).write_bytes(b"no archive")
    with pytest.raises(InputError, match="prepared file"):
        brain_slices.slices("test")
    with pytest.raises(ValueError, match="source=ukbb"):
        brain_slices.slices("test", "ukbb")


def test_no_person_is_in_two_splits():
    lists = [patients("oasis2d", split) for split in SPLITS]
    assert [len(names) for names in lists] == [70, 10, 20]
    assert len(frozenset().union(*lists)) == 100


def test_phantoms_are_different_brains_on_nothing():
    train, test = (brain_slices.slices(split, "phantom").images for split in ("train", "test"))
    assert train.shape == (70, 128, 128) and test.shape == (20, 128, 128)
    assert not train[:, [0, -1]].any() and not train[:, :, [0, -1]].any()
    shown = (train > 0).mean(axis=(1, 2))
    assert (shown > 0.3).all() and (shown < 0.7).all() and shown.std() > 0.005
    assert np.abs(train[0] - test[0]).mean() > 0.01
    again = brain_slices.slices("train", "phantom").images
    np.testing.assert_array_equal(train, again)


@pytest.mark.real_data
def test_real_slices():
    images = brain_slices.slices("validation").images
    assert images.shape == (10, 128, 128) and images.min() == 0 and 0.9 < images.max() <= 1


def test_slices_of_a_whole_brain_fill_the_box_of_the_others():
    """An ellipsoid whose intensity is its height."""
    shape = (60, 100, 80)
    z, y, x = np.indices(shape, dtype="float64")
    inside = ((z - 30) / 24) ** 2 + ((y - 48) / 40) ** 2 + ((x - 41) / 30) ** 2 <= 1
    brain = np.where(inside, (z + 10) / 100, 0)
    (found,) = brain_slices.cut(brain[None], brain)
    assert found.shape == (7, *brain_slices.SHAPE) and found.dtype == np.float32
    # The box of the ellipsoid is 6 to 54 high; its widest slice fills the box of the slices.
    heights = 6 + np.linspace(0.5, 0.62, 7) * 48
    np.testing.assert_allclose(found[:, 64, 64], (heights + 10) / 100, atol=1e-4)
    rows, columns = (np.flatnonzero((found[0] > 0.2).any(axis)) for axis in (1, 0))
    assert np.ptp(rows) == pytest.approx(118, abs=2) and rows.mean() == pytest.approx(63.5, abs=0.6)
    assert np.ptp(columns) == pytest.approx(94, abs=2)
    assert not found[:, 0].any()
