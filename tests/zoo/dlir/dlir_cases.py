"""Small DLIR models that do something, images for them, and the same maps by SciPy."""

import keras
import numpy as np
from scipy import ndimage

AFFINE = {"kind": "affine", "kernels": 3, "nodes": 4, "convolutions": 3}
FLAT = {"kind": "deformable", "spacing": [8, 4], "kernels": 3, "wider": 1}
FINE = {"kind": "deformable", "spacing": [4, 2], "kernels": 2, "wider": 1}
SOLID = {"kind": "deformable", "spacing": [2, 4, 8], "kernels": 3, "wider": 1}


def smooth(rng, shape, batch=2):
    """Images that differ along every axis, in [0, 1]."""
    values = np.stack([ndimage.gaussian_filter(rng.random(shape), 1.2) for _ in range(batch)])
    axes = tuple(range(1, values.ndim))
    low, high = values.min(axes, keepdims=True), values.max(axes, keepdims=True)
    return ((values - low) / (high - low)).astype("float32")[..., None]


def inputs(rng, shape, moving_shape=None, batch=2):
    return {
        "fixed": smooth(rng, shape, batch),
        "moving": smooth(rng, moving_shape or shape, batch),
    }


def randomised(model, seed=0, outputs=0.05):
    """Gives every variable other values: what starts at zero starts to act."""
    model.build()
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        values = keras.ops.convert_to_numpy(variable)
        if "variance" in variable.path:
            values = rng.uniform(0.05, 0.2, values.shape)
        elif "beta" in variable.path or "moving_mean" in variable.path:
            values = rng.normal(0, 0.1, values.shape)
        elif not values.any() and "seed" not in variable.path:
            values = rng.normal(0, outputs, values.shape)
        variable.assign(values.astype(variable.dtype))
    return model


def mapped(matrix, shape):
    """Where voxels go: ``(*shape, ndim)``."""
    x = np.moveaxis(np.indices(shape), 0, -1).astype("float64")
    return x @ matrix[:, :-1].T + matrix[:, -1]


def warped(image, displacement):
    """SciPy's linear resampling, the border repeated."""
    x = np.moveaxis(np.indices(displacement.shape[:-1]), 0, -1) + displacement
    return ndimage.map_coordinates(
        image.astype("float64"), np.moveaxis(x, -1, 0), order=1, mode="nearest"
    )


def composed(outer, inner):
    """``inner + outer(x + inner)`` by SciPy."""
    parts = [warped(outer[..., a], inner) for a in range(outer.shape[-1])]
    return inner + np.stack(parts, axis=-1)
