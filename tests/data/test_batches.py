import numpy as np
import pytest

from tfreg.data import Array, Batches, PairSampler
from tfreg.data.phantoms import digits


class Labelled(Batches):
    """Arrays of three shapes and dtypes that tell their seed and their step."""

    def __init__(self, targets=("labels",)):
        arrays = {
            "images": Array((5, 3, 1)),
            "labels": Array((), "int64"),
            "matrices": Array((2, 3), "float64"),
        }
        super().__init__(4, 7, arrays, targets, count=20)

    def batch(self, step):
        rng = np.random.default_rng([self.seed, step])
        return {
            "images": rng.random((4, 5, 3, 1)).astype("float32"),
            "labels": rng.integers(10, size=4),
            "matrices": rng.random((4, 2, 3)),
        }


def test_each_array_keeps_its_shape_and_dtype_in_tf_data():
    batches = Labelled()
    drawn = list(batches.dataset(3, 6))
    for step, (inputs, labels) in enumerate(drawn, start=3):
        expected = batches.batch(step)
        assert labels.shape == (4,) and labels.dtype.name == "int64"
        np.testing.assert_array_equal(labels, expected.pop("labels"))
        for name, array in expected.items():
            assert inputs[name].dtype.name == array.dtype.name
            np.testing.assert_array_equal(inputs[name], array)
    assert len(drawn) == 3


def test_without_tensorflow_the_same_batches_come():
    (inputs, labels), *_ = Labelled().tuples(2, 4)
    expected = Labelled().batch(2)
    np.testing.assert_array_equal(labels, expected["labels"])
    np.testing.assert_array_equal(inputs["matrices"], expected["matrices"])


def test_one_array_goes_alone_and_pairs_have_no_target():
    inputs, targets = Labelled(("labels", "matrices")).split(Labelled().batch(0))
    assert inputs.shape == (4, 5, 3, 1) and set(targets) == {"labels", "matrices"}
    drawn = digits(20)
    pairs = PairSampler(drawn.images, drawn.labels, 3)
    ((inputs,),) = pairs.tuples(0, 1)
    assert set(inputs) == {"fixed", "moving"} and pairs.split(inputs)[1] is None
    assert pairs.count == 20


@pytest.mark.parametrize("targets", [("label",), ("images", "labels", "matrices")])
def test_targets_are_some_of_the_arrays(targets):
    with pytest.raises(ValueError, match=r"targets must be some.*Received: targets=\('"):
        Labelled(targets)
