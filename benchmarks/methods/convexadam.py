"""convexAdam as a contender: MIND, a convex search over displacements, then Adam."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import evaluate
from benchmarks.methods.tool import Tool
from benchmarks.pairs import Pair

ABOUT = (
    "convexAdam: its own default settings (MIND-SSC of radius 1 and dilation 2, grid of 6 voxels, "
    "80 iterations, inverse consistency), on the processor; where a pair has masks of both images, "
    "its own masking"
)


def convexadam() -> Tool:
    """convexAdam with its default settings; it has no affine stage."""
    return Tool("convexAdam", "convexAdam", _convexadam)


def _convexadam(pair: Pair, affine: bool, threads: int) -> tuple[np.ndarray, float]:
    import torch
    from convexAdam.convex_adam_MIND import convex_adam_pt

    torch.set_num_threads(threads)
    start, shape = pair.at_start(), pair.fixed.shape
    # It knows neither a start nor images of two sizes: what it sees begins there, on one grid.
    moving = evaluate.warp(pair.moving, start)
    images = [_even(image.astype("float32")) for image in (pair.fixed, moving)]
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {}
        if pair.fixed_mask is not None and pair.moving_mask is not None:
            moving_mask = evaluate.warp(pair.moving_mask, start, order=0)
            options["use_mask"] = True
            for name, mask in (("fixed", pair.fixed_mask), ("moving", moving_mask)):
                options[f"path_{name}_mask"] = _written(_even(mask), Path(folder, f"{name}.nii.gz"))
        begin = time.perf_counter()
        found = convex_adam_pt(*images, **options)
        seconds = time.perf_counter() - begin
    return np.asarray(found)[tuple(map(slice, shape))] + start, seconds


def _even(image: np.ndarray) -> np.ndarray:
    """With an even number of voxels along each axis, which its masking needs."""
    return np.pad(image, [(0, n % 2) for n in image.shape], "edge")


def _written(mask: np.ndarray, path: Path) -> Path:
    import nibabel

    nibabel.save(nibabel.Nifti1Image(mask.astype("uint8"), np.eye(4)), path)
    return path
