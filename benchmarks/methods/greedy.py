"""greedy as a contender."""

import io
import time

import numpy as np

from benchmarks.methods import in_space
from benchmarks.methods.tool import Tool
from benchmarks.pairs import Pair, confined

ABOUT = "greedy: NCC of radius 2, 100x100x50 iterations, its own smoothing"


def greedy(affine: bool = False, within: bool = False) -> Tool:
    """greedy, after an affine registration or not; with nothing to see outside of both masks."""
    if within:
        return Tool("greedy confined", "picsl_greedy", _confined, affine)
    return Tool("greedy", "picsl_greedy", _greedy, affine)


def _confined(pair: Pair, affine: bool, threads: int) -> tuple[np.ndarray, float]:
    return _greedy(confined(pair), affine, threads)


def _greedy(pair: Pair, affine: bool, threads: int) -> tuple[np.ndarray, float]:
    """NCC in windows of 5 voxels, three levels, greedy's own smoothing."""
    import SimpleITK as sitk
    from picsl_greedy import Greedy2D, Greedy3D

    fixed, moving = in_space.images(pair)
    mask = in_space.mask(pair, fixed, "float32")
    ndim = len(pair.spacing)
    greedy = Greedy2D() if ndim == 2 else Greedy3D()
    window = "x".join(["2"] * ndim)
    images = {"fixed": fixed, "moving": moving, "out": io.StringIO()}
    common = f"-i fixed moving -m NCC {window} -n 100x100x50 -threads {threads} -V 0"
    if mask is not None:
        common += " -gm mask"
        images["mask"] = mask
    begin = time.perf_counter()
    if affine:
        greedy.execute(f"{common} -a -dof 12 -ia-identity -o affine", affine=None, **images)
        greedy.execute(f"{common} -it affine -o warp", warp=None, **images)
    else:
        greedy.execute(f"{common} -o warp", warp=None, **images)
    seconds = time.perf_counter() - begin
    if affine:
        greedy.execute(
            f"-rf fixed -rc whole -r warp affine -threads {threads} -V 0",
            whole=None,
            out=images["out"],
        )
    field = sitk.GetArrayFromImage(greedy["whole" if affine else "warp"])
    return in_space.displacement(pair, field), seconds
