"""What presets that fuse must fulfil."""

import keras
import numpy as np

from conformance import common


def check_answer(case):
    """Shapes and types of an answer, alone and in a batch."""
    model, example = case.load(), case.example()
    first, second = example["first"], example["second"]
    answer = model.fuse(first, second)
    assert answer.fused.shape == answer.weight.shape == first.shape
    for found in (answer.fused, answer.weight):
        assert found.dtype == np.float32 and 0 <= found.min() < found.max() <= 1
    batch = np.stack([first, second])
    both = model.fuse(batch, batch[::-1], batch_size=2)
    np.testing.assert_allclose(both.fused[0], answer.fused, atol=1e-4)
    np.testing.assert_allclose(both.weight[0], answer.weight, atol=1e-4)


def check_bfloat16(case):
    """With half of the bits in its layers it still answers, in float32."""
    half, example = common.in_bfloat16(case), case.example()
    found, expected = (model.fuse(**example) for model in (half, case.load()))
    assert found.fused.dtype == np.float32
    np.testing.assert_allclose(found.weight, expected.weight, atol=0.1)
    assert np.abs(found.fused - expected.fused).mean() < 0.01
    assert keras.config.dtype_policy().name == "float32"


def check_refusals(case):
    """Bad images, in one line."""
    model, example = case.load(), case.example()
    for image, other in (("first", "second"), ("second", "first")):
        wrong = np.array(example[image], "float32")
        wrong.flat[3] = np.nan
        common.refused(model.fuse, "finite", {**example, image: wrong})
        flat = np.full_like(wrong, 7)
        common.refused(model.fuse, f"{image} must show something", {**example, image: flat})
        common.refused(model.fuse, "one shape", {**example, image: wrong[1:]})
        bits = np.asarray(example[other]).astype(complex)
        common.refused(model.fuse, "real numbers", {image: bits, other: bits})
    common.refused(model.fuse, "does not take this option", {**example, "no_such_option": 1})


def answered(case):
    """Means of the fused image and of the weight, and both at some pixels."""
    answer = case.load().fuse(**case.example())
    some = slice(None, None, 17)
    return {
        name: [float(image.mean()), *image[some, some].ravel().astype("float64").round(5).tolist()]
        for name, image in (("fused", answer.fused), ("weight", answer.weight))
    }


def check_golden(case, found):
    """It answers what it answered when it was recorded."""
    for name, values in case.golden.items():
        # Convolutions may add up in another order on another processor.
        np.testing.assert_allclose(found[name], values, atol=2e-3)
