"""convexAdam as a contender: MIND-SSC, a coupled convex search over displacements, then Adam."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.methods import in_space
from benchmarks.methods.tool import Tool
from benchmarks.pairs import Pair

ABOUT = (
    "convexAdam: its own settings (MIND-SSC of radius 1 and dilation 2, grid of 6 voxels, search "
    "of 4 cells, Adam 80 iterations, weight 1.25, inverse consistency), on the processor; where a "
    "pair has masks of both images, its own masking"
)
AFFINE = "after an affine registration of SimpleITK, which is in its time"


def convexadam(affine: bool = False) -> Tool:
    """convexAdam, after an affine registration or not, as it has none; volumes only."""
    return Tool("convexAdam", "convexAdam", _convexadam, affine)


def _convexadam(pair: Pair, affine: bool, threads: int) -> tuple[np.ndarray, float]:
    """As it comes; float32, which is what it takes on a processor."""
    import SimpleITK as sitk
    import torch
    from convexAdam.convex_adam_MIND import convex_adam_pt

    if pair.fixed.ndim != 3:
        raise ValueError(f"convexAdam registers volumes. Received: {pair.fixed.shape}")
    torch.set_num_threads(threads)
    begin = time.perf_counter()
    transform = in_space.affine(pair, threads) if affine else sitk.AffineTransform(3)
    # It knows neither a start nor images of two sizes: what it sees begins there, on one grid.
    sides = [_even(one) for one in (pair.fixed, in_space.moved(pair, transform))]
    seconds = time.perf_counter() - begin
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {}
        if pair.fixed_mask is not None and pair.moving_mask is not None:
            moving_mask = in_space.moved(pair, transform, mask=True)
            options["use_mask"] = True
            for name, mask in (("fixed", pair.fixed_mask), ("moving", moving_mask)):
                options[f"path_{name}_mask"] = _written(_even(mask), Path(folder, f"{name}.nii.gz"))
        begin = time.perf_counter()
        found = convex_adam_pt(*sides, dtype=torch.float32, device=torch.device("cpu"), **options)
        seconds += time.perf_counter() - begin
    field = np.asarray(found)[tuple(map(slice, pair.fixed.shape))]
    return in_space.composed(pair, field, transform), seconds


def _even(image: np.ndarray) -> np.ndarray:
    """With an even number of voxels along each axis, which its masking needs."""
    return np.pad(image.astype("float32"), [(0, n % 2) for n in image.shape], "edge")


def _written(mask: np.ndarray, path: Path) -> Path:
    import nibabel

    nibabel.save(nibabel.Nifti1Image(mask.astype("uint8"), np.eye(4)), path)
    return path
