import numpy as np
import pytest

from tfreg.data import brain_volumes
from tfreg.data.slices import SPLITS, patients
from tfreg.errors import InputError

SMALL = (4, 6, 5)


def write(path, names, shape=(8, 12, 10)):
    images = np.arange(len(names), dtype="uint8")[:, None, None, None] * np.ones(shape, "uint8")
    images = 51 * images
    images[:, ::2] = 0  # every other slice: the mean of a block is half
    labels = np.broadcast_to(
        np.arange(len(names), dtype="uint8")[:, None, None, None], images.shape
    )
    np.savez(path / brain_volumes.PACK, images=images, labels=labels, subject=np.array(names))


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))
    lists = {"train": {"b", "d"}, "validation": {"c"}, "test": {"a"}}
    monkeypatch.setattr(brain_volumes, "patients", lambda source, split: frozenset(lists[split]))
    monkeypatch.setattr(brain_volumes, "SHAPE", SMALL)
    return tmp_path


def test_a_split_is_what_its_list_says_at_half_resolution(folder):
    assert not brain_volumes.available()
    write(folder, ["a", "b", "c", "d", "nobody's"])
    found = brain_volumes.volumes("train")
    assert found.names.tolist() == ["b", "d"] and found.spacing == (2.0, 2.0, 2.0)
    assert found.images.shape == (2, *SMALL) and found.images.dtype == np.float32
    np.testing.assert_allclose(found.images[:, 2, 3, 4], [0.1, 0.3], atol=1e-6)
    assert found.labels.shape == (2, *SMALL) and found.labels[:, 1, 1, 1].tolist() == [1, 3]


def test_what_is_missing_or_damaged_is_named(folder):
    with pytest.raises(InputError, match=r"TFREG_DATA.*brain_dkt31\.npz"):
        brain_volumes.volumes("test")
    write(folder, ["a", "b"])
    with pytest.raises(InputError, match=r"train split\. Missing: d"):
        brain_volumes.volumes("train")
    write(folder, ["a", "b", "c", "d"], shape=(4, 4, 4))
    with pytest.raises(InputError, match=r"must hold volumes.*\(4, 4, 4, 4\)"):
        brain_volumes.volumes("test")
    with pytest.raises(ValueError, match="source=ukbb"):
        brain_volumes.volumes("test", "ukbb")


def test_no_person_is_in_two_splits():
    lists = [patients("dkt31", split) for split in SPLITS]
    assert [len(names) for names in lists] == [9, 2, 3]
    assert len(frozenset().union(*lists)) == 14


def test_phantoms_hold_all_regions_on_nothing():
    found = brain_volumes.volumes("validation", "phantom")
    assert sorted(set(found.labels.ravel().tolist())) == list(range(9))
    for axis in (1, 2, 3):
        assert not np.take(found.images, [0, -1], axis=axis).any()
    shown = (found.images > 0).mean(axis=(1, 2, 3))
    assert (shown > 0.2).all() and (shown < 0.6).all()
    assert np.abs(found.images[0] - found.images[1]).mean() > 0.01


@pytest.mark.real_data
def test_real_brains():
    found = brain_volumes.volumes("validation")
    assert found.images.shape == (2, *brain_volumes.SHAPE) and found.images.max() <= 1
    assert found.labels.max() == brain_volumes.REGIONS
