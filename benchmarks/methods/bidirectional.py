"""A B-spline registration in the manner of bUnwarpJ: both ways at once, and consistent."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops as keras_ops

from benchmarks.methods.contender import Answer
from benchmarks.pairs import Pair
from tfreg import losses, ops
from tfreg.ops.bspline import refine_bspline
from tfreg.registration.instance.adam import minimiser

LEVELS = ((128, 60), (64, 60), (32, 40), (16, 40))  # px between control points, and steps of Adam
CONSISTENCY = 0.05  # weight of the squares of what both ways leave, px^2
ROUGHNESS = 0.1  # weight of the squares of differences of neighbours, in units of cells
RATE = 1.0  # px


class Bidirectional:
    """``-NCC`` of both directions, and the distance of each map's inverse to the other.

    bUnwarpJ takes squared differences of images of one contrast, and divergence and curl; here they
    are NCC and differences of neighbouring vectors, as in the other lines.

    Args:
        name: of the line.

    Reference:
        Arganda-Carreras et al., Consistent and elastic registration of histological sections using
        vector-spline regularization, CVAMIA 2006.
    """

    ours = False

    def __init__(self, name: str) -> None:
        self.name = name
        self._runs = {spacing: minimiser(_energy(spacing)) for spacing, _ in LEVELS}

    def unavailable(self) -> None:
        """It can always run."""

    def warm(self, pair: Pair) -> None:
        """Compiles for the size of the pair."""
        self.register(pair)

    def register(self, pair: Pair) -> Answer:
        """Registers one pair."""
        begin = time.perf_counter()
        images = [
            ((image - image.mean()) / image.std())[None, ..., None]
            for image in (pair.fixed, pair.moving)
        ]
        shape, vectors, before = pair.fixed.shape, None, None
        for spacing, steps in LEVELS:
            counts = tuple(-(-n // spacing) for n in shape)
            if before is None:
                vectors = np.zeros((1, *counts, 4), "float32")
            else:
                spacings = ((before,) * 2, (spacing,) * 2)
                vectors = refine_bspline(vectors, *spacings, counts, "edge", 3)
            settings = np.int32(steps), np.float32(RATE), np.float32(0.1), np.float32(0)
            vectors, *_ = self._runs[spacing](*settings, vectors, *images)
            before = spacing
        found = ops.bspline_displacement(vectors[..., :2], (before,) * 2, "edge", 3, shape)
        return Answer(keras_ops.convert_to_numpy(found)[0], time.perf_counter() - begin)

    def close(self) -> None:
        """Holds nothing."""


def _energy(spacing: int) -> Callable:
    steps = (spacing, spacing)

    def energy(vectors: Any, fixed: Any, moving: Any) -> Any:
        shape = fixed.shape[1:3]
        there, back = (
            ops.bspline_displacement(part, steps, "edge", 3, shape)
            for part in (vectors[..., :2], vectors[..., 2:])
        )
        total = 0.0
        for one, other, towards, away in (
            (fixed, moving, there, back),
            (moving, fixed, back, there),
        ):
            total = total - losses.ncc(one, ops.resample(other, towards, image_gradient=False))
            left = towards + ops.resample(away, towards)
            total = total + CONSISTENCY * keras_ops.mean(left * left, axis=(1, 2, 3))
        cells = vectors / spacing
        for axis in (1, 2):
            rough = keras_ops.diff(cells, axis=axis)
            total = total + ROUGHNESS * keras_ops.mean(rough * rough, axis=(1, 2, 3))
        return total

    return energy
