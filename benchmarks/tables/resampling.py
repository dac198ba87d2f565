"""Resampling: time and memory of tfreg beside torch, SciPy and SimpleITK, and the floor."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Row, Table, choose
from benchmarks.methods.resampler_worker import Worker
from benchmarks.methods.resamplers import METHODS, OPERATIONS, SPLINE, Case, missing
from tfreg.errors import InputError
from tfreg.viz import new_figure

OURS = "tfreg tensorflow"
REFERENCE = "SciPy"
CASES = (
    Case((28, 28), 256),
    Case((256, 256), 32, (*OPERATIONS, SPLINE)),
    Case((32, 32, 32), 1, ("linear", "linear + gradient")),
    Case((64, 64, 64), 4),
    Case((128, 128, 128)),
    Case((192, 192, 192)),
)
SMALL = (Case((32, 32), 2, (*OPERATIONS, SPLINE)), Case((12, 12, 12), 2))
LONG = 2.0  # seconds: what takes longer is run three times at most


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    parser.add_argument("--repeats", type=int, default=9, help="timed runs each (default: 9)")
    parser.add_argument(
        "--small", action="store_true", help="tiny images: shows that it works, not how fast"
    )


def run(options: argparse.Namespace) -> Table:
    """Asks every method for every operation on every case, in turns."""
    if options.repeats < 1:
        raise InputError(f"--repeats must be positive. Received: {options.repeats}")
    cases = SMALL if options.small else CASES
    table = Table(
        name="resampling",
        data="noise, warped by a smooth displacement",
        protocol=(
            "Median milliseconds of a warm run, float32, all cores (SciPy has one thread); the "
            "methods take turns, run by run, each in its own process, on the same inputs, prepared "
            "in each library's own form (torch: the sampling grid; SciPy: the coordinates; "
            "SimpleITK: the transform) before the clock starts. `+ gradient`: forward and gradient "
            "with respect to the displacement. `copy`: copying as many bytes as must be read and "
            "written. `catmull-rom`: torch's bicubic is the same convolution with another "
            "parameter. `spline`: 16x16 control points to a dense displacement. `peak`: MiB of a "
            "forward linear warp beyond its inputs, output included. `error`: largest difference "
            "to SciPy in float32; images are between 0 and 1."
        ),
        columns={},
        settings={"seed": options.seed, "repeats": options.repeats},
        layout="groups",
    )
    methods = []
    for method in choose(options.methods, tuple(METHODS)):
        package = missing(method)
        if package:
            table.notes.append(
                f'{method}: skipped, {package} is not installed (pip install "tfreg[{package}]")'
            )
        else:
            methods.append(method)
    _measure_times(table, methods, cases, options)
    _measure_peaks(table, methods, cases, options.seed)
    if not options.small:
        table.figures["growth.png"] = lambda path: _growth(table, path)
    return table


def _measure_times(table: Table, methods: list[str], cases: tuple[Case, ...], options: Any) -> None:
    from tqdm import tqdm

    workers = {method: Worker(method) for method in methods}
    todo = [(case, operation) for case in cases for operation in case.operations]
    try:
        for case, operation in tqdm(todo, desc="times", unit="operation"):
            ready = [m for m in methods if workers[m].ask("prepare", case, options.seed, operation)]
            seconds: dict[str, list[float]] = {method: [] for method in ready}
            for _ in range(options.repeats):
                for method, runs in seconds.items():
                    if len(runs) < 3 or max(runs) < LONG:
                        runs.append(workers[method].ask("run"))
            for method, runs in seconds.items():
                values = [1e3 * value for value in runs]
                table.columns.setdefault(operation, "median")
                table.rows.append(Row.of(method, case.name, operation, "ms", values))
            if REFERENCE in ready:
                expected = workers[REFERENCE].ask("result")
                metric = f"error of {operation}"
                for method in ready:
                    if method not in (REFERENCE, "copy"):
                        found = workers[method].ask("result").reshape(expected.shape)
                        error = np.abs(found - expected).max()
                        table.columns.setdefault(metric, "median")
                        table.rows.append(Row.of(method, case.name, metric, "1", [error]))
    finally:
        for worker in workers.values():
            worker.close()


def _measure_peaks(table: Table, methods: list[str], cases: tuple[Case, ...], seed: int) -> None:
    if not Path("/proc/self/clear_refs").exists():
        table.notes.append("peak: not measured, this system does not reset a process's peak")
        return
    for case in cases:
        for method in methods:
            if method == "copy":
                continue
            worker = Worker(method, memory=True)
            try:
                if not worker.ask("prepare", case, seed, "linear"):
                    continue
                peak = worker.ask("peak")
            finally:
                worker.close()
            image = 4 * case.voxels / 2**20
            table.columns.setdefault("peak", "median")
            table.columns.setdefault("peak in images", "median")
            table.rows.append(Row.of(method, case.name, "peak", "MiB", [peak]))
            table.rows.append(Row.of(method, case.name, "peak in images", "1", [peak / image]))


def _growth(table: Table, path: Path) -> None:
    """Time against the number of voxels, 3-D, linear, forward and with the gradient."""
    from matplotlib.ticker import LogLocator

    figure, axes = new_figure(1, 2, 5.0)
    cases = {case.name: case.voxels for case in CASES if len(case.shape) == 3}
    colours = {m: f"C{i}" for i, m in enumerate(dict.fromkeys(row.method for row in table.rows))}
    for axis, operation in zip(axes[0], ("linear", "linear + gradient"), strict=True):
        methods = dict.fromkeys(row.method for row in table.rows if row.metric == operation)
        for method in methods:
            points = sorted(
                (cases[row.group], row.median, row.q1, row.q3)
                for row in table.rows
                if (row.method, row.metric) == (method, operation) and row.group in cases
            )
            voxels, median, low, high = np.array(points).T
            style = {"markersize": 3, "label": method, "color": colours[method]}
            axis.loglog(voxels, median, "--" if method == "copy" else "-o", **style)
            axis.fill_between(voxels, low, high, alpha=0.2, color=colours[method])
        axis.set_title(operation, fontsize=9)
        axis.set_xlabel("voxels (log)")
        axis.set_ylabel("milliseconds (log)")
        axis.xaxis.set_major_locator(LogLocator())
        axis.yaxis.set_major_locator(LogLocator())
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    figure.savefig(path, dpi=130)
