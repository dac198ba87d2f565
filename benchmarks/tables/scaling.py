"""Scaling: what a pair costs by its size, where the time goes, and what many would cost."""

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.harness import Row, Table, choose
from benchmarks.tables.cohort import warm_rate
from tfreg import io
from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.image import Image

# Edge, number of axes, the words of the command, and how many pairs are timed.
CASES: dict[str, tuple[int, int, tuple[str, ...], int]] = {
    "64x64 fast": (64, 2, ("--pyramid", "fast"), 60),
    "128x128 fast": (128, 2, ("--pyramid", "fast"), 60),
    "256x256 fast": (256, 2, ("--pyramid", "fast"), 45),
    "128x128 by network": (128, 2, ("-m", "dirnet-cine-bl"), 900),
    "256x256 by network": (256, 2, ("-m", "dirnet-cine-bl"), 450),
    "32x32x32 fast": (32, 3, ("--pyramid", "fast"), 45),
    "64x64x64 fast": (64, 3, ("--pyramid", "fast"), 24),
    "128x128x128 fast": (128, 3, ("--pyramid", "fast"), 9),
}
COLUMNS = {
    "seconds": "median",
    "microseconds per voxel": "median",
    "reading": "median",
    "writing": "median",
    "bytes read": "median",
    "bytes written": "median",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    parser.add_argument(
        "--share", type=float, default=1.0, help="of the pairs of each case (default: 1)"
    )


def run(options: argparse.Namespace) -> Table:
    """Runs `tfreg batch` on each case, and looks at what it read and wrote."""
    methods = choose(options.methods, tuple(CASES))
    if not 0 < options.share <= 1:
        raise InputError(f"--share must be above 0 and at most 1. Received: {options.share}")
    table = Table(
        name="scaling",
        data="noise displaced by two voxels",
        protocol=(
            "`seconds` of a pair within a whole `tfreg batch` of one process with one thread, from "
            "files to files (.mha), between a third of its pairs and the last: without start-up "
            "and compiling. `reading` and `writing`: seconds that the two images and the results "
            "of a pair take alone, on the disk of this machine; in a batch both go on while the "
            "next pair is registered."
        ),
        columns=COLUMNS,
        settings={"seed": options.seed, "threads": 1, "share": options.share},
    )
    with tempfile.TemporaryDirectory() as place:
        for method in methods:
            for metric, (unit, values) in _case(Path(place), method, options).items():
                table.rows.append(Row.of(method, "all", metric, unit, values))
    return table


def _case(
    folder: Path, method: str, options: argparse.Namespace
) -> dict[str, tuple[str, list[float]]]:
    from scipy import ndimage

    edge, ndim, words, pairs = CASES[method]
    count = max(6, round(pairs * options.share))
    place = folder / method.replace(" ", "-")
    place.mkdir()
    rng = np.random.default_rng(options.seed)
    geometry = Geometry.of_shape((edge,) * ndim)
    rows = []
    for number in range(count):
        fixed = ndimage.gaussian_filter(rng.normal(size=(edge,) * ndim), 3).astype("float32")
        names = [f"{number}-{side}.mha" for side in ("fixed", "moving")]
        for name, image in zip(names, (fixed, np.roll(fixed, 2, 1)), strict=True):
            io.write(Image(image, geometry), place / name)
        rows.append(names)
    with open(place / "pairs.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("fixed", "moving"), *rows])
    out = place / "out"
    command = [sys.executable, "-m", "tfreg.cli", "batch", place / "pairs.csv", *words, "-o", out]
    ended = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, env=one_thread()
    )
    if ended.returncode:
        raise InputError(f"`{method}` failed: {ended.stderr.strip()[-500:]}")
    seconds = 1 / warm_rate(out / "ledger.jsonl")
    reading, writing, read_bytes, written_bytes = [], [], [], []
    for number in range(min(count, 9)):
        files = [place / name for name in rows[number]]
        begin = time.perf_counter()
        for path in files:
            io.read(path)
        reading.append(time.perf_counter() - begin)
        results = [path for path in sorted(out.glob(f"{number}-moving-to-*/*")) if path.is_file()]
        contents = [path.read_bytes() for path in results]
        begin = time.perf_counter()
        for path, content in zip(results, contents, strict=True):
            path.with_suffix(".again").write_bytes(content)
        writing.append(time.perf_counter() - begin)
        read_bytes.append(float(sum(path.stat().st_size for path in files)))
        written_bytes.append(float(sum(map(len, contents))))
    return {
        "seconds": ("s", [seconds]),
        "microseconds per voxel": ("us", [1e6 * seconds / edge**ndim]),
        "reading": ("s", reading),
        "writing": ("s", writing),
        "bytes read": ("B", read_bytes),
        "bytes written": ("B", written_bytes),
    }


def one_thread() -> dict[str, str]:
    """The environment of a process that has one thread to compute with."""
    import os

    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    return {**os.environ, **dict.fromkeys(names, "1")}
