"""Phantom scenes for the spatial transformer networks."""

import numpy as np

from tfreg.data import phantoms
from zoo.stn.data import scenes


def example(preset):
    """Six of the kind that the preset is for."""
    words = preset.split("-")
    kind = next((kind for kind in ("clutter", "addition") if kind in words), words[-1])
    digits = phantoms.digits(30, seed=5)
    chosen = slice(4, 10)
    images, labels = digits.images[chosen], digits.labels[chosen]
    made, _ = scenes(kind, images, labels, digits.images, np.random.default_rng(6))
    return {"images": made if kind == "addition" else made[..., 0]}
