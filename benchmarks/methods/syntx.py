"""SyN of syntx as a contender: symmetric normalisation in torch."""

import os
import tempfile
import time

import numpy as np

from benchmarks.methods.tool import Tool
from benchmarks.pairs import Pair

ABOUT = "syntx: SyN as it comes (affine by mutual information, LNCC of radius 2), torch"


def syntx() -> Tool:
    """syntx' SyN, which begins affinely by itself."""
    return Tool("syntx SyN", "syntx", _syntx, affine=True)


def _syntx(pair: Pair, affine: bool, threads: int) -> tuple[np.ndarray, float]:
    """Its quick start: ``syntx.syn(fixed, moving)``, which takes no mask."""
    import ants
    import syntx
    import torch

    torch.set_num_threads(threads)
    spacing = np.array(pair.spacing)
    start = np.zeros(len(spacing)) if pair.start is None else np.array(pair.start)
    # ANTs, whose images it takes, counts axes as the array does.
    fixed, moving = (
        ants.from_numpy(a.astype("float32"), spacing=list(spacing), origin=list(map(float, o)))
        for a, o in ((pair.fixed, 0 * start), (pair.moving, -start * spacing))
    )
    begin = time.perf_counter()
    answer = syntx.syn(fixed=fixed, moving=moving)
    seconds = time.perf_counter() - begin
    with tempfile.TemporaryDirectory() as folder:
        whole = ants.apply_transforms(
            fixed, moving, answer["fwdtransforms"], compose=os.path.join(folder, "whole")
        )
        field = ants.image_read(whole).numpy()
    return field / spacing + start, seconds
