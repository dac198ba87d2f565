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
    assert judge(everywhere, 0 * up, {"dice": (1, 2)})["dice"][0] != 1


def test_units():
    assert unit_of("tre") == "mm" and unit_of("tre", "px") == "px"
    assert unit_of("folding", "px") == "%" and unit_of("dice posterior") == "1"
