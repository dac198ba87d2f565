"""Time of `tfreg register` from nothing, and pairs per second of `tfreg batch`."""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.cores import THREADS
from benchmarks.harness import Row, Table, choose
from tfreg import io
from tfreg.data import bodies
from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.image import Image

PRESET = "dirnet-cine-bl"
# Size of the images, ending of their files, words after the names of the files.
ALONE = {
    "256x256 .nii by network": (2, ".nii", ("-m", PRESET)),
    "256x256 .nii without network": (2, ".nii", ()),
    "256x256 .npy by network": (2, ".npy", ("-m", PRESET)),
    "128x128x128 .nii fast": (3, ".nii", ("--pyramid", "fast")),
    "128x128x128 .nii default": (3, ".nii", ()),
}
BATCHES = {"batch 256x256 .npy": ".npy", "batch 256x256 .nii": ".nii"}
METHODS = (*ALONE, *BATCHES)
COLUMNS = {
    "cold": "median",
    "again": "median",
    "pairs per second": "median",
    "pairs per second warm": "median",
}
REPEATS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    parser.add_argument(
        "--pairs", type=int, default=400, help="pairs of a batch, 2 or more (default: 400)"
    )
    parser.add_argument("--size", type=int, default=256, help="pixels of an edge (default: 256)")


def run(options: argparse.Namespace) -> Table:
    """Types every command as a user would, each time in a process of its own."""
    methods = choose(options.methods, METHODS)
    if options.pairs < 2:
        raise InputError(f"--pairs must be 2 or more. Received: {options.pairs}")
    if options.size < 64 or options.size % 32:
        raise InputError(f"--size must be a multiple of 32, 64 or more. Received: {options.size}")
    table = Table(
        name="command-line",
        data="phantom hearts, and noise displaced by two voxels",
        protocol=(
            f"`cold`: seconds of a whole `tfreg register`, imports, reading, compiling and writing "
            f"included; the median of {REPEATS}, each with an empty cache of executables; `again`: "
            "the same command after it, with what that one kept. `pairs per second`: of a whole "
            f"`tfreg batch` of {options.pairs} pairs with {PRESET}, start-up, reading and writing "
            "included, with an empty cache; `warm`: "
            f"of its last {options.pairs // 2} pairs, which is that batch less one of half as many "
            "pairs. Sizes in the names are those of the default options."
        ),
        columns=COLUMNS,
        settings={"seed": options.seed, "threads": THREADS, "size": options.size},
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for method in methods:
            if method in ALONE:
                for metric, seconds in _alone(folder, method, options).items():
                    table.rows.append(Row.of(method, "all", metric, "s", seconds))
                continue
            whole, half = _batches(folder, method, options)
            rate = options.pairs / whole
            table.rows.append(Row.of(method, "all", "pairs per second", "1/s", [rate]))
            warm = (options.pairs - options.pairs // 2) / max(whole - half, 1e-9)
            table.rows.append(Row.of(method, "all", "pairs per second warm", "1/s", [warm]))
    return table


def _alone(folder: Path, method: str, options: argparse.Namespace) -> dict[str, list[float]]:
    ndim, suffix, words = ALONE[method]
    images = _hearts(options) if ndim == 2 else _noise(options)
    files = [_written(folder / f"{name}{ndim}{suffix}", image) for name, image in images.items()]
    seconds: dict[str, list[float]] = {"cold": [], "again": []}
    for number in range(REPEATS):
        place = folder / f"{METHODS.index(method)}-{number}"
        for metric, found in seconds.items():
            out = place / metric
            found.append(_timed(place / "cache", "register", *files, *words, "-o", out))
    return seconds


def _batches(folder: Path, method: str, options: argparse.Namespace) -> tuple[float, float]:
    suffix = BATCHES[method]
    rng = np.random.default_rng(options.seed)
    images = _hearts(options)
    rows = []
    for number in range(options.pairs):
        pair = [
            _written(
                folder / f"{name}-{number}{suffix}",
                image + 0.01 * rng.normal(size=image.shape).astype("float32"),
            )
            for name, image in images.items()
        ]
        rows.append(pair)
    found = []
    for count in (options.pairs, options.pairs // 2):
        table = folder / f"pairs-{count}{suffix}.csv"
        with table.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("fixed", "moving"), *rows[:count]])
        out = folder / f"out-{count}{suffix}"
        found.append(
            _timed(folder / f"cache-{count}{suffix}", "batch", table, "-m", PRESET, "-o", out)
        )
    return found[0], found[1]


def _hearts(options: argparse.Namespace) -> dict[str, np.ndarray]:
    hearts = bodies.beating_hearts(1, seed=options.seed, size=options.size)
    return {"fixed": hearts.images[0, 0], "moving": hearts.images[0, hearts.systole]}


def _noise(options: argparse.Namespace) -> dict[str, np.ndarray]:
    from scipy import ndimage

    rng = np.random.default_rng(options.seed)
    fixed = ndimage.gaussian_filter(rng.normal(size=(options.size // 2,) * 3), 3)
    return {"fixed": fixed.astype("float32"), "moving": np.roll(fixed, 2, 1).astype("float32")}


def _written(path: Path, image: np.ndarray) -> Path:
    if not path.exists():
        io.write(Image(image.astype("float32"), Geometry.of_shape(image.shape)), path)
    return path


def _timed(cache: Path, *words: object) -> float:
    """Seconds of a command that keeps its executables in a folder."""
    command = [sys.executable, "-m", "tfreg.cli", *map(str, words)]
    place = {**os.environ, "TFREG_CACHE": str(cache)}
    begin = time.perf_counter()
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env=place)
    seconds = time.perf_counter() - begin
    if answer.returncode:
        raise InputError(f"`tfreg {words[0]}` failed: {answer.stderr.strip()}")
    return seconds
