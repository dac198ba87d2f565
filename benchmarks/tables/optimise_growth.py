"""Registration without a network: time and memory against the size of the volume."""

import argparse
import importlib.util
import os
from typing import Any

import numpy as np

from benchmarks.harness import Row, Table, choose
from benchmarks.methods.alone import alone, peak, resident
from tfreg.errors import InputError

METHODS: dict[str, dict[str, Any]] = {
    "bspline": {"transform": "bspline"},
    "bspline LNCC": {"transform": "bspline", "similarity": "lncc"},
    "dense": {"transform": "dense"},
    "affine": {"transform": "affine"},
    "velocity": {"transform": "velocity"},
    "velocity symmetric": {"transform": "velocity", "symmetric": True},
    # The same loops on the other backend.
    "bspline JAX": {"transform": "bspline"},
    "affine JAX": {"transform": "affine"},
    "velocity JAX": {"transform": "velocity"},
}
COLUMNS = {metric: "median" for metric in ("seconds", "per voxel", "peak", "values", "compile")}
UNITS = {"seconds": "s", "per voxel": "ns", "peak": "GiB", "values": "1", "compile": "s"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    parser.add_argument(
        "--sizes",
        default="64,96,128,192,256",
        help="edges of the cubes (default: 64,96,128,192,256)",
    )
    parser.add_argument(
        "--largest-others",
        type=int,
        default=128,
        help="largest edge of all but bspline with NCC on TensorFlow (default: 128)",
    )


def run(options: argparse.Namespace) -> Table:
    """Registers one pair per size and transform, each in a process of its own."""
    methods = choose(options.methods, tuple(METHODS))
    try:
        sizes = [int(size) for size in options.sizes.split(",")]
    except ValueError:
        sizes = [0]
    if min(sizes) < 16:
        raise InputError(f"--sizes must be integers, 16 or more. Received: {options.sizes}")
    table = Table(
        name="optimise-growth",
        data="smooth noise, displaced by two voxels",
        protocol=(
            "One pair of cubes per row, default pyramid, NCC but where said, each in a process of "
            "its own. `seconds`: the second registration of that size; `per voxel`: seconds by the "
            "number of voxels of the cube; `peak`: the most memory that the process held, beyond "
            "what it held with both images before; `values`: that in float32 numbers per voxel; "
            "`compile`: in the first registration. `symmetric`: both directions; `JAX`: that "
            "backend of Keras, the others TensorFlow."
        ),
        columns=COLUMNS,
        settings={"seed": options.seed},
        layout="groups",
    )
    for method in methods:
        if method.endswith("JAX") and importlib.util.find_spec("jax") is None:
            table.notes.append(f"{method}: skipped, jax is not installed.")
            continue
        for size in sizes:
            if method != "bspline" and size > options.largest_others:
                continue
            found = alone(_figures, method, size, options.seed)
            if isinstance(found, str):
                table.notes.append(f"{method} at {size}^3: {found}")
                continue
            for metric, value in found.items():
                table.rows.append(Row.of(method, f"{size}^3", metric, UNITS[metric], [value]))
    return table


def _figures(method: str, size: int, seed: int) -> dict[str, float]:
    # Keras reads it once, when it loads, which in this process nothing has done.
    os.environ["KERAS_BACKEND"] = "jax" if method.endswith("JAX") else "tensorflow"
    from scipy import ndimage

    from tfreg.registration import register

    noise = np.random.default_rng(seed).normal(size=(size,) * 3).astype("float32")
    fixed = ndimage.gaussian_filter(noise, 2)
    moving = np.roll(fixed, 2, axis=1)
    small = (slice(12),) * 3
    options = METHODS[method]
    register(fixed[small], moving[small], **options)  # the libraries are loaded
    before = resident()
    first = register(fixed, moving, **options)
    second = register(fixed, moving, **options)
    held = peak() - before
    return {
        "seconds": second.seconds,
        "per voxel": 1e9 * second.seconds / size**3,
        "peak": held / 2**20,
        "values": held * 1024 / 4 / size**3,
        "compile": first.compile_seconds,
    }
