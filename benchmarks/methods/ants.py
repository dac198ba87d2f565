"""SyN of ANTs as a contender."""

import os
import tempfile
import time
from typing import Any

import numpy as np

from benchmarks.methods.tool import Tool
from benchmarks.pairs import Pair, confined

ABOUT = (
    "ANTs: SyN, CC of radius 2, 100x70x50 iterations (3-D: 100x70x20), its files included in the "
    "time"
)


INFORMATION = "ANTs MI: SyN, Mattes' mutual information of 32 bins, the same iterations"


def ants(affine: bool = False, information: bool = False, within: bool = False) -> Tool:
    """ANTs SyN, after an affine registration or not; by mutual information in place of CC, or with
    nothing to see outside of both masks."""
    if information:
        return Tool("ANTs SyN MI", "ants", _information, affine)
    if within:
        return Tool("ANTs SyN confined", "ants", _confined, affine)
    return Tool("ANTs SyN", "ants", _ants, affine)


def _information(pair: Pair, affine: bool, threads: int) -> tuple[np.ndarray, float]:
    return _ants(pair, affine, threads, {"syn_metric": "mattes", "syn_sampling": 32})


def _confined(pair: Pair, affine: bool, threads: int) -> tuple[np.ndarray, float]:
    return _ants(confined(pair), affine, threads)


def _ants(
    pair: Pair, affine: bool, threads: int, metric: dict[str, Any] | None = None
) -> tuple[np.ndarray, float]:
    """SyN with cross correlation or another metric, three levels, the last at full resolution.

    ANTsPy writes its transforms to files, which is part of the time.
    """
    import ants

    ants.config._random_seed = 1  # without the rest of deterministic mode: one thread
    spacing = np.array(pair.spacing)
    start = np.zeros(len(spacing)) if pair.start is None else np.array(pair.start)
    sides = ((pair.fixed, 0 * start), (pair.moving, -start * spacing))
    # ANTs counts axes as the array does.
    fixed, moving = (
        ants.from_numpy(a.astype("float32"), spacing=list(spacing), origin=list(map(float, o)))
        for a, o in sides
    )
    options: dict[str, Any] = dict(metric or {"syn_metric": "CC", "syn_sampling": 2})
    # In a volume the last level costs minutes.
    options["reg_iterations"] = (100, 70, 50) if pair.fixed.ndim == 2 else (100, 70, 20)
    # Without these ANTs begins where the centres of mass coincide, and masks the last stage only.
    options["initial_transform"] = "Identity"
    if pair.fixed_mask is not None:
        options["mask_all_stages"] = True
        options["mask"] = ants.from_numpy(
            pair.fixed_mask.astype("float32"), spacing=list(spacing), origin=[0.0] * len(spacing)
        )
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        answer = ants.registration(
            fixed,
            moving,
            "SyN" if affine else "SyNOnly",
            outprefix=os.path.join(folder, "ants"),
            **options,
        )
        seconds = time.perf_counter() - begin
        transforms = answer["fwdtransforms"]
        whole = ants.apply_transforms(
            fixed, moving, transforms, compose=os.path.join(folder, "whole")
        )
        field = ants.image_read(whole).numpy()
    return field / spacing + start, seconds
