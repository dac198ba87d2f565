import numpy as np
import pytest

from tfreg import ops


def case(rng, shape=(7, 11), size=1.5):
    labels = rng.choice([0, 2, 5], size=(2, *shape, 1)).astype("int32")
    displacement = (size * rng.normal(size=(2, *shape, len(shape)))).astype("float32")
    return labels, displacement


@pytest.mark.parametrize("shape", [(7, 11), (4, 6, 5)])
@pytest.mark.on_jax
def test_linear_is_the_argmax_of_one_hot(rng, numpy, shape):
    labels, displacement = case(rng, shape)
    classes = np.array([0, 2, 5])
    indicators = (labels == classes).astype("float32")
    strength = numpy(ops.resample(indicators, displacement))
    found = numpy(ops.resample_labels(labels, displacement, "linear", classes=classes.tolist()))
    clear = np.sort(strength, axis=-1)[..., -1] - np.sort(strength, axis=-1)[..., -2] > 1e-5
    assert found.dtype == np.int32 and clear.mean() > 0.9
    np.testing.assert_array_equal(found[..., 0][clear], classes[strength.argmax(-1)][clear])


@pytest.mark.parametrize("method", ["nearest", "linear"])
def test_no_displacement_and_no_new_label(rng, numpy, method):
    labels, displacement = case(rng)
    classes = {"classes": (0, 2, 5)} if method == "linear" else {}
    same = ops.resample_labels(labels, 0 * displacement, method, **classes)
    np.testing.assert_array_equal(numpy(same), labels)
    moved = numpy(ops.resample_labels(labels, displacement, method, **classes))
    assert set(np.unique(moved)) <= {0, 2, 5}


@pytest.mark.parametrize("method", ["nearest", "linear"])
def test_outside(rng, numpy, method):
    labels, displacement = case(rng)
    far = displacement * 0 + 100
    classes = {"classes": (0, 2, 5)} if method == "linear" else {}
    filled = numpy(
        ops.resample_labels(labels, far, method, mode="constant", fill_value=5, **classes)
    )
    assert (filled == 5).all()


def test_the_first_of_two_equals_wins(numpy):
    labels = np.array([[[3, 4]] * 2], "uint8")[..., None]
    shift = np.full((1, 2, 2, 2), [0.0, 0.5], "float32")
    for classes in ((3, 4), (4, 3)):
        found = numpy(ops.resample_labels(labels, shift, "linear", classes=classes))
        assert found[0, 0, 0, 0] == classes[0] and found.dtype == np.uint8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.zeros((1, 4, 4, 1), "float32")}, "integers"),
        ({"labels": np.zeros((1, 4, 4, 2), "int32")}, "integers"),
        ({"method": "cubic"}, "method=cubic"),
        ({"classes": (0, 1)}, "no effect"),
        ({"method": "linear"}, "needs the classes"),
        ({"method": "linear", "classes": (1, 2), "mode": "constant"}, "fill_value=0"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {
        "labels": np.zeros((1, 4, 4, 1), "int32"),
        "displacement": np.zeros((1, 4, 4, 2), "float32"),
        **change,
    }
    with pytest.raises(ValueError, match=message):
        ops.resample_labels(**arguments)
