import hashlib

import numpy as np
import pytest
from scipy import ndimage

from tfreg.data import hippocampus
from tfreg.data.slices import SPLITS, patients
from tfreg.errors import InputError


def write(path, names, shape=hippocampus.SHAPE):
    images = np.arange(len(names), dtype="uint8")[:, None, None, None] * np.ones(shape, "uint8")
    np.savez(path / hippocampus.PACK, images=images, labels=images // 2, name=np.array(names))


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))
    lists = {"train": {"b", "d"}, "validation": {"c"}, "test": {"a"}}
    monkeypatch.setattr(hippocampus, "patients", lambda source, split: frozenset(lists[split]))
    return tmp_path


def test_a_split_is_what_its_list_says(folder):
    write(folder, ["a", "b", "c", "d", "nobody's"])
    found = hippocampus.subjects("train")
    assert found.names.tolist() == ["b", "d"] and found.spacing == (1.0, 1.0, 1.0)
    assert found.images.shape == (2, 48, 64, 48) and found.images.dtype == np.uint8
    assert found.images[:, 3, 4, 5].tolist() == [1, 3] and found.labels[1, 0, 0, 0] == 1
    assert hippocampus.subjects("validation").names.tolist() == ["c"]


def test_what_is_missing_or_damaged_is_named(folder, monkeypatch):
    assert not hippocampus.available()
    with pytest.raises(InputError, match=r"TFREG_DATA.*brain_hippocampus3d\.npz"):
        hippocampus.subjects("test")
    write(folder, ["a", "b"])
    with pytest.raises(InputError, match=r"train split\. Missing: d"):
        hippocampus.subjects("train")
    write(folder, ["a", "b", "c", "d"], shape=(4, 4, 4))
    with pytest.raises(InputError, match=r"must hold volumes.*\(4, 4, 4, 4\)"):
        hippocampus.subjects("test")
    (folder / hippocampus.PACK).write_bytes(b"no archive")
    with pytest.raises(InputError, match="prepared file"):
        hippocampus.subjects("test")
    with pytest.raises(ValueError, match="source=ukbb"):
        hippocampus.subjects("test", "ukbb")


def test_an_unknown_split_is_named():
    with pytest.raises(ValueError, match="split=val"):
        hippocampus.subjects("val")


def test_phantoms_differ_in_place_but_hold_both_parts_in_order():
    train, test = (hippocampus.subjects(split, "phantom") for split in ("train", "test"))
    # As the real ones, and as a network sees any image when it registers.
    assert set(train.images.min(axis=(1, 2, 3))) == {0}
    assert set(train.images.max(axis=(1, 2, 3))) == {255}
    assert len(train.images) == 40 and not np.array_equal(train.images[:10], test.images)
    overlaps = []
    for one, other in zip(test.labels, test.labels[1:], strict=False):
        front, back = (ndimage.center_of_mass(one == label)[1] for label in (1, 2))
        assert front - back > 8
        overlaps.append(
            2 * ((one == 2) & (other == 2)).sum() / ((one == 2) * 1 + (other == 2)).sum()
        )
        assert (one > 0)[[0, -1]].sum() == 0
    assert 0.3 < np.mean(overlaps) < 0.85  # there is something to register


def test_nobody_changes_the_split():
    lists = [patients("hippocampus", split) for split in SPLITS]
    assert tuple(map(len, lists)) == (182, 26, 26) and len(frozenset.union(*lists)) == 234
    text = "\n".join(" ".join(sorted(names)) for names in lists)
    assert hashlib.sha256(text.encode()).hexdigest() == LISTS


LISTS = "32917daf7a826b22c7f884464264c6b63dbf5f1d5f51dbdf1faabbf13a3abdb9"


@pytest.mark.real_data
def test_the_prepared_file_agrees_with_the_lists():
    with np.load(hippocampus._file()) as pack:
        theirs = dict(zip(pack["name"].tolist(), pack["split"].tolist(), strict=True))
    for split in SPLITS:
        found = hippocampus.subjects(split)
        column = {"validation": "val"}.get(split, split)
        assert {theirs[name] for name in found.names} == {column}
        assert len(found.names) == list(theirs.values()).count(column)
        sizes = np.stack([(found.labels == label).sum(axis=(1, 2, 3)) for label in (1, 2)])
        assert sizes.min() > 300 and found.labels.max() == 2
