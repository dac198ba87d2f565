"""DLIR: time and memory of a large pair of volumes, and of a step of training."""

import argparse
import math
import time
from typing import Any

import numpy as np

from benchmarks.cores import THREADS
from benchmarks.harness import Row, Table, choose
from benchmarks.methods.alone import alone, peak, resident
from benchmarks.methods.stages import REFINE, stages
from tfreg.errors import InputError

_INFERENCE = {"inference": (0, False), "inference in tiles": (0, True)}
_REFINED = {"inference + refine": (REFINE, False)}
_INFERENCE |= _REFINED | {"inference in tiles + refine": (REFINE, True)}
_STEPS = {
    f"training {row.name.removeprefix('dlir ')}": number + 1
    for number, row in enumerate(stages("dlir-chest-ct", "ct")[:-1])
}
METHODS = (*_INFERENCE, *_STEPS)
COLUMNS = {metric: "median" for metric in ("seconds", "first", "peak", "beyond")}
UNITS = {"seconds": "s", "first": "s", "peak": "GiB", "beyond": "GiB"}
_REPEATS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    add = parser.add_argument
    add("--shape", default="128,256,256", help="voxels of the pair (default: 128,256,256)")
    add("--patch", type=int, default=96, help="edge of the patches of training (default: 96)")
    add("--memory-gib", type=float, default=2.0, help="budget where there are tiles (default: 2)")


def run(options: argparse.Namespace) -> Table:
    """Measures every row in a process of its own."""
    methods = choose(options.methods, METHODS)
    try:
        shape = tuple(int(size) for size in options.shape.split(","))
    except ValueError:
        shape = ()
    if len(shape) != 3 or min(shape) < 16:
        raise InputError(
            f"--shape takes three numbers of voxels, 16 or more. Received: {options.shape}"
        )
    if options.patch < 16:
        raise InputError(f"--patch must be 16 or more. Received: {options.patch}")
    if not (options.memory_gib > 0 and math.isfinite(options.memory_gib)):
        raise InputError(f"--memory-gib must be positive. Received: {options.memory_gib}")
    table = Table(
        name="dlir-cost",
        data="smooth noise, displaced by two voxels",
        protocol=(
            f"The stages of dlir-chest-ct, not trained, which costs the same. `inference`: a pair "
            f"of {'x'.join(map(str, shape))} voxels, all preparation included; `in tiles`: with "
            f"memory_gib={options.memory_gib:g}, which is for the network alone; `+ refine`: then "
            f"refine={REFINE!r}. `training`: a step on a batch of one patch of "
            f"{options.patch}^3, the stages before it frozen. Each in a process of its own. "
            "`seconds`: median of three warm runs, without compiling; `first`: the first one, with "
            "it; `peak`: the most memory that the process held, libraries included; `beyond`: that "
            "less what it held with libraries, network and images before."
        ),
        columns=COLUMNS,
        settings={"seed": options.seed, "threads": THREADS, "repeats": _REPEATS},
    )
    for method in methods:
        if method in _INFERENCE:
            refine, tiles = _INFERENCE[method]
            memory = options.memory_gib if tiles else None
            found = alone(_inference, shape, options.seed, refine, memory)
        else:
            found = alone(_training, options.patch, options.seed, _STEPS[method])
        if isinstance(found, str):
            table.notes.append(f"{method}: {found}")
            continue
        for metric, values in found.items():
            table.rows.append(Row.of(method, "all", metric, UNITS[metric], values))
    return table


def _model() -> Any:
    from zoo.dlir.model import DLIR
    from zoo.dlir.train_chest_ct import RECIPE

    model = DLIR(3, RECIPE.stages)
    model.build()
    return model


def _pair(shape: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    from scipy import ndimage

    noise = np.random.default_rng(seed).normal(size=shape).astype("float32")
    fixed = ndimage.gaussian_filter(noise, 2)
    return fixed, np.roll(fixed, 2, axis=1)


def _inference(
    shape: tuple[int, ...], seed: int, refine: int | str, memory: float | None
) -> dict[str, list[float]]:
    fixed, moving = _pair(shape, seed)
    model = _model()
    return _timed(lambda: model.register(fixed, moving, refine=refine, memory_gib=memory).seconds)


def _training(patch: int, seed: int, stages: int) -> dict[str, list[float]]:
    import keras

    model = _model()
    model.use_stages(stages)
    model.compile(keras.optimizers.Adam(1e-3), jit_compile=False)
    sides = zip(("fixed", "moving"), _pair((patch,) * 3, seed), strict=True)
    batch = {name: image[None, ..., None] for name, image in sides}

    def step() -> float:
        begin = time.perf_counter()
        model.train_on_batch(batch)
        return time.perf_counter() - begin

    return _timed(step)


def _timed(once) -> dict[str, list[float]]:
    before = resident()
    begin = time.perf_counter()
    once()
    first = time.perf_counter() - begin
    seconds = [once() for _ in range(_REPEATS)]
    return {
        "seconds": seconds,
        "first": [first],
        "peak": [peak() / 2**20],
        "beyond": [(peak() - before) / 2**20],
    }
