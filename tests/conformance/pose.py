"""What presets that find poses must fulfil."""

import keras
import numpy as np

from conformance import common


def check_answer(case):
    """Shapes and types of an answer, which ends where it says."""
    model, example = case.load(), case.example()
    answer = model.register(**example)
    assert answer.pose.shape == (6,) and answer.pose.dtype == np.float64
    assert answer.steps.shape[1:] == (6,) and np.isfinite(answer.steps).all()
    np.testing.assert_array_equal(answer.steps[0], example["initial"])
    np.testing.assert_array_equal(answer.steps[-1], answer.pose)
    assert answer.image.shape == np.shape(example["xray"]) and answer.image.max() > 0
    again = model.register(**example)
    np.testing.assert_allclose(_found(again), _found(answer), atol=1e-3)


def check_bfloat16(case):
    """Half of the bits in its layers change its answer little."""
    example = case.example()
    whole = case.load().register(**example)
    half = common.in_bfloat16(case)
    half.preprocessing = case.load().preprocessing
    found, expected = (_found(answer) for answer in (half.register(**example), whole))
    assert np.isfinite(found).all()
    start = np.asarray(example["initial"]) if whole.pose is expected else 0
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected - start).max() + 0.2
    assert keras.config.dtype_policy().name == "float32"


def check_refusals(case):
    """Bad images, in one line."""
    common.check_refusals(case.load(), case.example(), "xray")


def answered(case):
    """What is found."""
    return {"found": _found(case.load().register(**case.example())).round(4).tolist()}


def check_golden(case, found):
    """It answers what it answered when it was recorded."""
    # Convolutions may add up in another order on another processor.
    np.testing.assert_allclose(found["found"], case.golden["found"], atol=0.05)


def _found(answer):
    """The pose, or where that is given the coefficients of a deformation."""
    return getattr(answer, "coefficients", answer.pose)
