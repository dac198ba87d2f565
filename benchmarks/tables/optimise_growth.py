"""How time and memory of a registration without a network grow with the volume."""

import argparse
import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from benchmarks.harness import Row, Table, choose
from tfreg.errors import InputError

METHODS = {  # transform and similarity
    "bspline": ("bspline", "ncc"),
    "bspline LNCC": ("bspline", "lncc"),
    "dense": ("dense", "ncc"),
    "affine": ("affine", "ncc"),
    "velocity": ("velocity", "ncc"),
}
_SLOW = {"velocity": 64}  # minutes beyond
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
        help="largest edge of all but bspline with NCC (default: 128; velocity: 64)",
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
            "`compile`: in the first registration."
        ),
        columns=COLUMNS,
        settings={"seed": options.seed},
        layout="groups",
    )
    for method in methods:
        for size in sizes:
            if method != "bspline" and size > min(options.largest_others, _SLOW.get(method, size)):
                continue
            found = _measured(method, size, options.seed)
            if isinstance(found, str):
                table.notes.append(f"{method} at {size}^3: {found}")
                continue
            for metric, value in found.items():
                table.rows.append(Row.of(method, f"{size}^3", metric, UNITS[metric], [value]))
    return table


def _measured(method: str, size: int, seed: int) -> dict[str, float] | str:
    """The figures, or why there are none."""
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=_worker, args=(theirs, method, size, seed), daemon=True)
    process.start()
    theirs.close()
    try:
        return pipe.recv()
    except EOFError:
        process.join()
        return f"the process ended with exit code {process.exitcode}"
    finally:
        process.kill()
        process.join()


def _worker(pipe: Connection, method: str, size: int, seed: int) -> None:
    import resource

    from scipy import ndimage

    from tfreg.registration import register

    noise = np.random.default_rng(seed).normal(size=(size,) * 3).astype("float32")
    fixed = ndimage.gaussian_filter(noise, 2)
    moving = np.roll(fixed, 2, axis=1)
    small = (slice(12),) * 3
    transform, similarity = METHODS[method]
    options = {"transform": transform, "similarity": similarity}
    register(fixed[small], moving[small], **options)  # the libraries are loaded
    before = _resident()
    try:
        first = register(fixed, moving, **options)
        second = register(fixed, moving, **options)
    except InputError as error:  # such as too little memory
        pipe.send(str(error))
        return
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    pipe.send(
        {
            "seconds": second.seconds,
            "per voxel": 1e9 * second.seconds / size**3,
            "peak": peak / 2**20,
            "values": peak * 1024 / 4 / size**3,
            "compile": first.compile_seconds,
        }
    )


def _resident() -> int:
    """KiB of memory that the process holds now."""
    import resource

    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:  # not Linux: the most that it ever held
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return pages * resource.getpagesize() // 1024
