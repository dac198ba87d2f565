"""greedy and ANTs SyN, each where its package is installed, in a process of its own."""

import importlib.util
import multiprocessing
import os
import time
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from benchmarks.pairs import Pair

NEEDS = {"greedy": "picsl_greedy", "ANTs SyN": "ants"}


class ToolError(RuntimeError):
    """A tool failed; the message says why."""


class Tool:
    """One of ``NEEDS`` in a warm worker of its own.

    Args:
        name: ``"greedy"`` or ``"ANTs SyN"``.
        threads: threads that it may use.
        timeout: seconds that a pair may take.
    """

    def __init__(self, name: str, threads: int = 1, timeout: float = 1200.0) -> None:
        self.name = name
        self.timeout = timeout
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        names = ("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "OMP_NUM_THREADS")
        before = {key: os.environ.get(key) for key in names}
        os.environ.update(dict.fromkeys(names, str(threads)))  # read once, when ITK loads
        try:
            arguments = (theirs, name, threads)
            self._process = context.Process(target=_worker, args=arguments, daemon=True)
            self._process.start()
        finally:
            for key, value in before.items():
                os.environ.pop(key) if value is None else os.environ.update({key: value})
        theirs.close()

    def __call__(self, pair: Pair) -> tuple[np.ndarray, float, float]:
        """Registers one pair; answers its displacement in voxels, seconds and peak MiB."""
        self._pipe.send(pair)
        if not self._pipe.poll(self.timeout):
            raise ToolError(f"no answer within {self.timeout:g} s")
        try:
            answer = self._pipe.recv()
        except EOFError:
            raise ToolError("the worker died") from None
        if isinstance(answer, str):
            raise ToolError(answer)
        return answer

    def close(self) -> None:
        """Ends the worker."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


def installed(name: str) -> bool:
    """Whether the package of a tool is there."""
    return importlib.util.find_spec(NEEDS[name]) is not None


def _worker(pipe: Connection, name: str, threads: int) -> None:
    import resource

    run = {"greedy": _greedy, "ANTs SyN": _ants}[name]
    while True:
        try:
            pair = pipe.recv()
        except EOFError:
            return
        try:
            displacement, seconds = run(pair, threads)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            pipe.send((displacement, seconds, peak))
        except Exception as error:  # whatever the tool throws is its answer
            pipe.send(f"{type(error).__name__}: {str(error).strip().splitlines()[-1:]}")


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


def _greedy(pair: Pair, threads: int) -> tuple[np.ndarray, float]:
    """NCC in windows of 5 voxels, three levels, greedy's own smoothing."""
    import SimpleITK as sitk
    from picsl_greedy import Greedy2D, Greedy3D

    fixed, moving, *masks, spacing, start = _images(pair)
    ndim = len(spacing)
    greedy = Greedy2D() if ndim == 2 else Greedy3D()
    window = "x".join(["2"] * ndim)
    command = f"-i fixed moving -o warp -m NCC {window} -n 100x100x50 -s 2vox 1vox"
    command += f" -threads {threads} -V 0"
    extra = {}
    if masks:
        command += " -gm mask"
        extra["mask"] = masks[0]
    begin = time.perf_counter()
    greedy.execute(command, fixed=fixed, moving=moving, warp=None, **extra)
    seconds = time.perf_counter() - begin
    field = sitk.GetArrayFromImage(greedy["warp"])
    return field[..., ::-1] / spacing + start, seconds


def _ants(pair: Pair, threads: int) -> tuple[np.ndarray, float]:
    """``SyNOnly`` with its defaults but for cross correlation as its metric."""
    import ants

    spacing = np.array(pair.spacing)
    start = np.zeros(len(spacing)) if pair.start is None else np.array(pair.start)
    sides = ((pair.fixed, 0 * start), (pair.moving, -start * spacing))
    # ANTs counts axes as the array does.
    fixed, moving = (
        ants.from_numpy(a.astype("float32"), spacing=list(spacing), origin=list(map(float, o)))
        for a, o in sides
    )
    extra = {}
    if pair.fixed_mask is not None:
        extra["mask"] = ants.from_numpy(
            pair.fixed_mask.astype("float32"), spacing=list(spacing), origin=[0.0] * len(spacing)
        )
    begin = time.perf_counter()
    answer = ants.registration(
        fixed,
        moving,
        "SyNOnly",
        initial_transform="Identity",
        syn_metric="CC",
        syn_sampling=2,
        random_seed=1,
        **extra,
    )
    seconds = time.perf_counter() - begin
    field = next(ants.image_read(t) for t in answer["fwdtransforms"] if t.endswith(".nii.gz"))
    return field.numpy() / spacing + start, seconds
