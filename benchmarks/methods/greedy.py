"""greedy as a contender."""

import io
import time
from typing import Any

import numpy as np

from benchmarks.methods.tool import Tool
from benchmarks.pairs import Pair

ABOUT = "greedy: NCC of radius 2, 100x100x50 iterations, its own smoothing"


def greedy(affine: bool = False) -> Tool:
    """greedy, after an affine registration or not."""
    return Tool("greedy", "picsl_greedy", _greedy, affine)


def _images(pair: Pair) -> tuple[Any, ...]:
    """SimpleITK images with the start as a shift of the moving one, as for elastix."""
    import SimpleITK as sitk

    spacing = np.array(pair.spacing)
    start = np.zeros(len(spacing)) if pair.start is None else np.array(pair.start)
    images = []
    for array, shift in ((pair.fixed, 0 * start), (pair.moving, -start * spacing)):
        image = sitk.GetImageFromArray(array.astype("float32"))
        image.SetSpacing([float(s) for s in spacing[::-1]])
        image.SetOrigin([float(o) for o in shift[::-1]])
        images.append(image)
    if pair.fixed_mask is not None:
        mask = sitk.GetImageFromArray(pair.fixed_mask.astype("float32"))
        mask.CopyInformation(images[0])
        images.append(mask)
    return (*images, spacing, start)


def _greedy(pair: Pair, affine: bool, threads: int) -> tuple[np.ndarray, float]:
    """NCC in windows of 5 voxels, three levels, greedy's own smoothing."""
    import SimpleITK as sitk
    from picsl_greedy import Greedy2D, Greedy3D

    fixed, moving, *masks, spacing, start = _images(pair)
    ndim = len(spacing)
    greedy = Greedy2D() if ndim == 2 else Greedy3D()
    window = "x".join(["2"] * ndim)
    images = {"fixed": fixed, "moving": moving, "out": io.StringIO()}
    common = f"-i fixed moving -m NCC {window} -n 100x100x50 -threads {threads} -V 0"
    if masks:
        common += " -gm mask"
        images["mask"] = masks[0]
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
    return field[..., ::-1] / spacing + start, seconds
