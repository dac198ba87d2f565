"""greedy and ANTs SyN, each where its package is installed, in a process of its own."""

import importlib.util
import io
import os
import tempfile
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from benchmarks.methods.worker import Worker
from benchmarks.pairs import Pair

NEEDS = {"greedy": "picsl_greedy", "ANTs SyN": "ants"}


class Tool:
    """One of ``NEEDS`` in a warm worker of its own.

    Args:
        name: ``"greedy"`` or ``"ANTs SyN"``.
        affine: whether an affine registration comes first.
        threads: threads that it may use.
        timeout: seconds that a pair may take.
    """

    def __init__(
        self, name: str, affine: bool = False, threads: int = 1, timeout: float = 1200.0
    ) -> None:
        self.worker = Worker(_serve, (name, affine, threads), threads, timeout)

    def __call__(self, pair: Pair) -> tuple[np.ndarray, float, float]:
        """Registers one pair; answers its displacement in voxels, seconds and peak MiB."""
        # Labels, points and the truth are nothing that a method may see.
        bare = {"fixed_labels": None, "moving_labels": None, "truth": None}
        return self.worker.ask(replace(pair, **bare, fixed_points=None, moving_points=None))

    def close(self) -> None:
        """Ends the worker."""
        self.worker.close()


def installed(name: str) -> bool:
    """Whether the package of a tool is there."""
    return importlib.util.find_spec(NEEDS[name]) is not None


def _serve(pipe: Connection, name: str, affine: bool, threads: int) -> None:
    import resource

    run = {"greedy": _greedy, "ANTs SyN": _ants}[name]
    while True:
        try:
            pair = pipe.recv()
        except EOFError:
            return
        try:
            displacement, seconds = run(pair, affine, threads)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            pipe.send((displacement, seconds, peak))
        except Exception as error:  # whatever the tool throws is its answer
            last = (str(error).strip().splitlines() or ["no message"])[-1]
            pipe.send(f"{type(error).__name__}: {last}")


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


def _ants(pair: Pair, affine: bool, threads: int) -> tuple[np.ndarray, float]:
    """SyN with cross correlation, three levels, the last at full resolution.

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
    options: dict[str, Any] = {"syn_metric": "CC", "syn_sampling": 2}
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
