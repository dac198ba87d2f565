"""What presets that give features must fulfil."""

import keras
import numpy as np

from conformance import common


def check_answer(case):
    """Channels of every voxel, alone, in a batch and in slabs."""
    model, images = case.load(), case.example()["images"]
    found = model.features(images)
    assert found.shape[:-1] == images.shape and found.dtype == np.float32
    assert np.isfinite(found).all() and found.std(axis=tuple(range(model.ndim))).min() > 1e-4
    both = model.features(np.stack([images[::-1], images]), batch_size=2)
    np.testing.assert_allclose(both[1], found, atol=1e-4)
    if model.reach is not None:
        # What lies further away is not looked at.
        middle, other = tuple(n // 2 for n in images.shape), np.array(images, "float32")
        far = np.max(np.abs(np.indices(images.shape).T - np.array(middle)), axis=-1).T
        low, high = other.min(), other.max()
        other[far > model.reach] = high + low - other[far > model.reach]
        other.flat[0], other.flat[-1] = low, high  # the range of intensities stays
        np.testing.assert_allclose(model.features(other)[middle], found[middle], atol=1e-4)
        model.slab_voxels = 1
        try:
            np.testing.assert_allclose(model.features(images), found, atol=1e-4)
        finally:
            del model.slab_voxels


def check_bfloat16(case):
    """With half of the bits in its layers it still answers, in float32."""
    half, example = common.in_bfloat16(case), case.example()
    found, expected = (model.features(**example) for model in (half, case.load()))
    assert found.dtype == np.float32
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99
    assert keras.config.dtype_policy().name == "float32"


def check_refusals(case):
    """Bad images, in one line."""
    common.check_refusals(case.load(), case.example(), "images")


def answered(case):
    """Mean and deviation of each channel, and all channels at some voxels."""
    found = case.load().features(**case.example())
    flat = found.reshape(-1, found.shape[-1])
    values = [flat.mean(axis=0), flat.std(axis=0), *flat[:: len(flat) // 5]]
    return {"features": [one.astype("float64").round(5).tolist() for one in values]}


def check_golden(case, found):
    """It answers what it answered when it was recorded."""
    # Convolutions may add up in another order on another processor.
    np.testing.assert_allclose(found["features"], case.golden["features"], atol=2e-3)
