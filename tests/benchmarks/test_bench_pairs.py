import numpy as np
import pytest

from benchmarks import pairs, volumes
from benchmarks.judge import judge
from tfreg.data import dirlab
from tfreg.data.volume_pair import VolumePair
from tfreg.errors import InputError


@pytest.mark.parametrize("read", [pairs.cine, pairs.chest])
def test_absent_data_is_named(monkeypatch, tmp_path, read):
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))
    arguments = ("test", "acdc") if read is pairs.cine else ("ct",)
    with pytest.raises(ValueError, match="TFREG_DATA"):
        read(*arguments)


@pytest.mark.real_data
def test_no_patient_is_in_two_splits():
    names = {
        split: {p.name.split(" slice")[0] for p in pairs.cine(split, "acdc")}
        for split in ("test", "validation")
    }
    assert names["test"] and names["validation"] and not names["test"] & names["validation"]


def test_pairs_of_hippocampi_are_of_two_volumes_and_seeded():
    one, same, other = (volumes.hippocampi("test", "phantom", seed, 5) for seed in (0, 0, 1))
    names = [[pair.name for pair in found] for found in (one, same, other)]
    assert names[0] == names[1] != names[2] and len(set(names[0])) == 5
    assert all(len(set(name.split(" <- "))) == 2 for name in names[0])


def test_cases_of_dirlab_are_read_in_order(tmp_path, monkeypatch):
    def load(root, case):
        image = np.full((4, 5, 6), -2000.0 + 3000 * case, "float32")
        points = np.ones((3, 3))
        mask = np.ones(image.shape, "uint8")
        return VolumePair(str(root), image, image, (2.5, 1, 1), mask, mask, points, points)

    monkeypatch.setenv("TFREG_DATA", str(tmp_path))
    monkeypatch.setattr(dirlab, "load", load)
    found = volumes.chests("dirlab", limit=2)
    assert [pair.name for pair in found] == ["case 1", "case 2"]
    assert found[0].fixed.max() == 400 and found[0].start is None
    assert {pair.name for pair in volumes.chests("dirlab")} == {f"case {k + 1}" for k in range(10)}


def test_dirlab_that_is_not_there_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))
    with pytest.raises(InputError, match="Case1Pack"):
        volumes.chests("dirlab")


@pytest.mark.real_data
def test_the_lung_pair_starts_at_the_centroids_of_its_masks():
    (pair,) = volumes.chests("ct")
    start = np.broadcast_to(pair.start, (*pair.fixed.shape, 3))
    assert np.mean(judge(pair, start, {})["tre"]) == pytest.approx(5.02, abs=0.01)


@pytest.mark.real_data
def test_sunnybrook_has_cavities_but_no_myocardium_twice():
    assert len(pairs.cine("test", "sunnybrook", label=3)) == 22
    with pytest.raises(InputError, match="label 2"):
        pairs.cine("test", "sunnybrook")


def test_pairs_run_both_ways():
    found = pairs.cine("validation", "phantom")
    assert len(found) == 20 and len({pair.patient for pair in found}) == 10
    one, other = found[:2]
    np.testing.assert_array_equal(one.fixed, other.moving)
    np.testing.assert_array_equal(one.moving_labels, other.fixed_labels)
    assert one.name.endswith("ED <- ES") and other.name.endswith("ES <- ED")


def test_digits_are_pairs_of_one_class_each_a_group():
    found = pairs.digits("phantom", 2, seed=3)
    assert [pair.group for pair in found] == [str(digit) for digit in range(10) for _ in range(2)]
    assert found[2].name == "digit 1, pair 0" and found[0].fixed.shape == (28, 28)
    again = pairs.digits("phantom", 2, seed=3)
    np.testing.assert_array_equal(found[5].moving, again[5].moving)
    assert 0 <= found[0].fixed.min() < 0.1 < 0.5 < found[0].fixed.max() <= 1


def test_the_start_and_a_small_part_of_a_pair():
    image = np.arange(8 * 12, dtype="float32").reshape(8, 12)
    pair = pairs.Pair("p", image, image + 1, (2.0, 1.0), start=(0.5, -3.0), fixed_mask=image)
    np.testing.assert_array_equal(pair.at_start()[7, 11], (0.5, -3.0))
    small = pair.small()
    np.testing.assert_array_equal(small.fixed, image[::4, ::4])
    assert small.start is None and small.fixed_mask is None
    assert not small.at_start().any()
