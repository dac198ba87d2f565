from dataclasses import replace

import numpy as np
import pytest

from benchmarks import evaluate, pairs
from benchmarks.judge import judge, unit_of
from tfreg import losses, ops


def test_evaluator_agrees_with_the_library(rng, numpy):
    image = rng.random((9, 13)).astype("float32")
    displacement = (2 * rng.normal(size=(9, 13, 2))).astype("float32")
    moved = numpy(ops.resample(image[None, ..., None], displacement[None]))[0, ..., 0]
    np.testing.assert_allclose(evaluate.warp(image, displacement), moved, atol=1e-5)
    batch = (image[None, ..., None], moved[None, ..., None])
    assert evaluate.ncc(image, moved) == pytest.approx(
        float(numpy(losses.ncc(*batch))[0]), abs=1e-5
    )
    determinant = numpy(ops.jacobian_determinant(displacement[None]))
    assert evaluate.folding(displacement) == pytest.approx(
        100 * (determinant <= 0).mean(), abs=1e-4
    )
    assert evaluate.folding(np.zeros((5, 6, 2))) == 0
    assert evaluate.ncc(image, np.ones_like(image)) == 0


def test_folding_under_a_mask_counts_the_voxels_of_the_mask():
    displacement = np.zeros((10, 12, 2))
    displacement[5, 6, 1] = -3.0  # folds around one voxel
    everywhere = evaluate.folding(displacement)
    mask = np.zeros((10, 12), bool)
    mask[:3] = True
    assert everywhere > 0 and evaluate.folding(displacement, mask) == 0
    assert evaluate.folding(displacement, ~mask) > everywhere


def test_labels_outside_the_mask_do_not_count():
    labels = np.zeros((6, 16, 16), "uint8")
    labels[1:5, 4:10, 4:10] = 2
    mask = np.zeros(labels.shape, "uint8")
    mask[1:5] = 1
    image = labels.astype("float32")
    one = pairs.Pair("p", image, image, (4.0, 1.0, 1.0), labels, labels, fixed_mask=mask)
    up = np.zeros((*labels.shape, 3))
    up[..., 0] = 1  # one slice of the label leaves the real ones
    found = judge(one, up, {"dice": 2}, surfaces=True)
    assert found["dice"] == [pytest.approx(2 * 3 / (4 + 3))]
    everywhere = pairs.Pair("p", image, image, (4.0, 1.0, 1.0), labels, labels)
    assert judge(everywhere, up, {"dice": 2})["dice"] == [pytest.approx(0.75)]


def test_of_several_labels_those_count_that_both_images_have():
    """Of 66 regions of a brain some are drawn in one person only."""
    fixed = np.zeros((12, 12), "uint8")
    fixed[1:4, 1:4], fixed[6:9, 6:9] = 2, 3
    moving = fixed.copy()
    moving[8, 6:9], moving[10:, 10:] = 0, 4  # a third of one is not there, another is new
    pair = pairs.Pair("p", fixed.astype("float32"), moving.astype("float32"), (1.0, 1.0))
    pair = replace(pair, fixed_labels=fixed, moving_labels=moving)
    still = np.zeros((12, 12, 2))
    expected = (1 + 2 * 6 / (9 + 6)) / 2
    assert judge(pair, still, {"dice": (1, 2, 3, 4)})["dice"] == [pytest.approx(expected)]
    assert np.isnan(judge(pair, still, {"dice": (1, 4)})["dice"]).all()


def test_the_worst_landmark_decides_neither_the_median_nor_the_trimmed_mean():
    image = np.zeros((8, 8, 8), "float32")
    places = np.array([[1.0, 1, 1], [2, 2, 2], [3, 3, 3], [4, 4, 4]])
    ends = places + np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 3], [0, 0, 0]])
    ends[3, 2] += 2  # 2 voxels of 10 mm
    pair = pairs.Pair("p", image, image, (2.0, 1.0, 10.0), fixed_points=places, moving_points=ends)
    found = judge(pair, np.zeros((8, 8, 8, 3)), {})
    assert found["tre"] == pytest.approx([2, 1, 30, 20])
    assert found["tre_median"] == [pytest.approx(11)]
    assert found["tre_trimmed"] == [pytest.approx(23 / 3)]


def test_units():
    assert unit_of("tre") == "mm" and unit_of("tre", "px") == "px"
    assert unit_of("folding", "px") == "%" and unit_of("dice posterior") == "1"
