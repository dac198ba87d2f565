"""convexAdam as a contender: MIND-SSC, a coupled convex search and Adam."""

import time

import numpy as np

from benchmarks.methods import in_space
from benchmarks.methods.tool import Tool
from benchmarks.pairs import Pair

ABOUT = (
    "convexAdam: its own settings (MIND-SSC, grid of 6 voxels, search of 4 cells, Adam 80 "
    "iterations, weight 1.25), after an affine registration of SimpleITK, which is in its time"
)


def convexadam(affine: bool = False) -> Tool:
    """convexAdam, after an affine registration or not; volumes only."""
    return Tool("convexadam", "convexAdam", _convexadam, affine)


def _convexadam(pair: Pair, affine: bool, threads: int) -> tuple[np.ndarray, float]:
    """As it comes; float32, which is what it takes on a processor."""
    import torch
    from convexAdam.convex_adam_MIND import convex_adam_pt

    if pair.fixed.ndim != 3:
        raise ValueError(f"convexAdam registers volumes. Received: {pair.fixed.shape}")
    torch.set_num_threads(threads)
    begin = time.perf_counter()
    transform = in_space.affine(pair, threads) if affine else None
    moving = pair.moving
    if transform is not None:
        moving = in_space.moved(pair, transform)
    elif pair.start is not None:
        import SimpleITK as sitk

        moving = in_space.moved(pair, sitk.AffineTransform(3))
    sides = (np.ascontiguousarray(side, "float32") for side in (pair.fixed, moving))
    field = convex_adam_pt(*sides, dtype=torch.float32, device=torch.device("cpu"))
    seconds = time.perf_counter() - begin
    if transform is None:
        return field + (0.0 if pair.start is None else np.array(pair.start)), seconds
    return in_space.composed(pair, field, transform), seconds
