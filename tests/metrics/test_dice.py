import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tfreg import metrics


def test_dice_by_hand():
    fixed = np.array([[1, 1, 1, 2], [0, 0, 5, 2]])
    moved = np.array([[1, 1, 0, 0], [7, 2, 2, 2]])
    assert metrics.dice(fixed, moved) == {1: 0.8, 2: 0.4, 5: 0.0, 7: 0.0}


def test_dice_of_the_labels_asked_for():
    found = metrics.dice([0, 1, 1], [0, 0, 1], labels=(9, 0, 1))
    assert list(found) == [9, 0, 1]
    assert np.isnan(found[9])
    assert found[0] == found[1] == 2 / 3


def test_dice_of_nothing_is_nothing():
    assert metrics.dice(np.zeros((3, 3)), np.zeros((3, 3))) == {}


def test_dice_as_simpleitk(rng):
    fixed, moved = rng.integers(0, 4, (2, 5, 6, 7)).astype("uint8")
    measure = sitk.LabelOverlapMeasuresImageFilter()
    measure.Execute(sitk.GetImageFromArray(fixed), sitk.GetImageFromArray(moved))
    found = metrics.dice(fixed, moved)
    assert list(found) == [1, 2, 3]
    for label, value in found.items():
        assert value == pytest.approx(measure.GetDiceCoefficient(label), abs=1e-12)


LABELS = hnp.arrays("int64", (3, 4), elements=st.integers(0, 3))


@given(LABELS, LABELS)
@settings(max_examples=60, deadline=None)
def test_dice_is_a_symmetric_share(fixed, moved):
    found = metrics.dice(fixed, moved)
    assert all(0 <= value <= 1 for value in found.values())
    assert found == metrics.dice(moved, fixed)
    assert set(metrics.dice(fixed, fixed).values()) <= {1.0}


def test_ids_of_uint64_stay_what_they_are():
    ids = [2**63 + 5, 2**63 + 6, 2**64 - 1]
    fixed = np.array([0, 3, *ids], "uint64")
    moved = np.array([0, 3, ids[0], ids[2], ids[2]], "uint64")
    expected = {3: 1.0, ids[0]: 1.0, ids[1]: 0.0, ids[2]: 2 / 3}
    assert metrics.dice(fixed, moved) == expected
    assert metrics.dice(fixed, moved, ids[:1]) == {ids[0]: 1.0}
    assert metrics.dice(fixed, np.array([0, 3, 0, 0, 0])) == {3: 1.0} | dict.fromkeys(ids, 0.0)


def test_target_overlap_is_a_share_of_the_fixed_label():
    fixed = np.array([[1, 1, 1, 1], [2, 2, 0, 5]])
    moved = np.array([[1, 1, 1, 0], [2, 1, 2, 7]])
    found = metrics.target_overlap(fixed, moved, (1, 2, 5, 7))
    assert np.isnan(found.pop(7))  # the target has none
    assert found == {1: 0.75, 2: 0.5, 5: 0.0}
    turned = metrics.target_overlap(moved, fixed, (1, 2))
    assert turned == {1: 0.75, 2: 0.5} and metrics.target_overlap(moved, fixed)[7] == 0
