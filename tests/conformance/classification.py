"""What presets that classify must fulfil."""

import keras
import numpy as np

from conformance import common


def check_answer(case):
    """Shapes and types of an answer, alone and in batches."""
    model, images = case.load(), case.example()["images"]
    answer = model.classify(images)
    count, classes = len(images), len(model.classes)
    assert answer.probabilities.shape == (count, classes) and answer.labels.shape == (count,)
    assert answer.probabilities.dtype == np.float32
    np.testing.assert_allclose(answer.probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(answer.labels, answer.probabilities.argmax(axis=1))
    assert answer.names.tolist() == [model.classes[label] for label in answer.labels]
    parts = model.classify(images, batch_size=max(1, count // 2))
    np.testing.assert_allclose(parts.probabilities, answer.probabilities, atol=1e-5)
    one = model.classify(images[1])
    np.testing.assert_allclose(one.probabilities, answer.probabilities[1], atol=1e-5)
    assert isinstance(one.labels, int) and one.names == model.classes[one.labels]


def check_bfloat16(case):
    """With half of the bits in its layers it still answers, in float32."""
    half, images = common.in_bfloat16(case), case.example()["images"]
    found = half.classify(images).probabilities
    assert found.dtype == np.float32 and np.isfinite(found).all()
    expected = case.load().classify(images).probabilities
    np.testing.assert_allclose(found, expected, atol=0.1)
    assert keras.config.dtype_policy().name == "float32"


def check_refusals(case):
    """Bad images, in one line."""
    model, example = case.load(), case.example()
    common.check_refusals(model, example, "images")


def answered(case):
    """Labels, and the probabilities of the first class and of the last."""
    answer = case.load().classify(**case.example())
    ends = answer.probabilities[:, [0, -1]].astype("float64").round(6)
    return {"labels": answer.labels.tolist(), "probabilities": ends.tolist()}


def check_golden(case, found):
    """It answers what it answered when it was recorded."""
    golden = case.golden
    assert found["labels"] == golden["labels"]
    # Convolutions may add up in another order on another processor.
    np.testing.assert_allclose(found["probabilities"], golden["probabilities"], atol=2e-3)
