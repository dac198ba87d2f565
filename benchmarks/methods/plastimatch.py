"""B-splines of plastimatch as a contender: its program, started for every pair."""

import contextlib
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.methods import in_space
from benchmarks.methods.projectors_elsewhere import program
from benchmarks.methods.tool import Tool
from benchmarks.pairs import Pair

ABOUT = (
    "plastimatch: B-splines of 30, 15 and 10 mm, mean squares, L-BFGS-B, 50 iterations each, "
    "weight 0.005 of the curvature, images from 0 to 1000, files included in the time"
)
_AFFINE = """
[STAGE]
xform=affine
impl=itk
optim=rsg
metric=mse
max_its=100
res=4 4 4
"""
_LEVELS = ((30, 4), (15, 2), (10, 1))  # mm between control points, and voxels per sample
_RANGE = 1000  # as large as the intensities of scanners, which the weight is beside


def plastimatch(affine: bool = False) -> Tool:
    """plastimatch's B-splines, after an affine registration or not; volumes only."""
    return Tool("plastimatch B-spline", "plastimatch", _plastimatch, affine)


def commands(affine: bool, masked: bool) -> str:
    """What the program is told, in the words of its parameter files."""
    lines = ["[GLOBAL]", "fixed=fixed.mha", "moving=moving.mha", "vf_out=field.mha"]
    lines += ["fixed_roi=mask.mha"] * masked
    text = "\n".join(lines) + _AFFINE * affine
    for spacing, every in _LEVELS:
        text += (
            "\n[STAGE]\nxform=bspline\nimpl=plastimatch\noptim=lbfgsb\nmetric=mse\n"
            f"max_its=50\nregularization_lambda=0.005\ngrid_spac={spacing} {spacing} {spacing}\n"
            f"res={every} {every} {every}\n"
        )
    return text


def _plastimatch(pair: Pair, affine: bool, threads: int) -> tuple[np.ndarray, float]:
    """Through files; its threads are those of OpenMP, which the worker sets."""
    import SimpleITK as sitk

    if pair.fixed.ndim != 3:
        raise ValueError(f"plastimatch registers volumes. Received: {pair.fixed.shape}")
    low = min(float(pair.fixed.min()), float(pair.moving.min()))
    extent = max(float(pair.fixed.max()), float(pair.moving.max())) - low
    scaled = (_RANGE * (side - low) / (extent or 1) for side in (pair.fixed, pair.moving))
    shown = replace(pair, **dict(zip(("fixed", "moving"), scaled, strict=True)))
    images = dict(zip(("fixed", "moving"), in_space.images(shown), strict=True))
    mask = in_space.mask(pair, images["fixed"])
    if mask is not None:
        images["mask"] = mask
    with tempfile.TemporaryDirectory(prefix="tfreg-plastimatch-") as folder:
        Path(folder, "parms.txt").write_text(commands(affine, "mask" in images), encoding="ascii")
        begin = time.perf_counter()
        for name, image in images.items():
            sitk.WriteImage(image, str(Path(folder, f"{name}.mha")))
        done = subprocess.run(
            [program("plastimatch") or "plastimatch", "register", "parms.txt"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - begin
        field = None
        with contextlib.suppress(RuntimeError):
            field = sitk.GetArrayFromImage(sitk.ReadImage(str(Path(folder, "field.mha"))))
    if done.returncode or field is None:
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing"]
        raise RuntimeError(f"plastimatch ended with {done.returncode} and said: {said[-1]}")
    return in_space.displacement(pair, field), seconds
