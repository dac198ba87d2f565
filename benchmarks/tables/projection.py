"""Projection: time of an image, its gradient and its Jacobian, and the error to exact integrals."""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Row, Table, choose
from benchmarks.methods.projectors import METHODS, Case
from tfreg.data import radiographs
from tfreg.errors import InputError
from tfreg.viz import new_figure

COLUMNS = {
    "seconds": "median",
    "seconds_gradient": "median",
    "seconds_jacobian": "median",
    "error": "median",
}
_VOLUMES = {
    "head": ((93, 64, 64), (1.5, 3.2, 3.2)),
    "cranium": ((108, 256, 256), (1.5, 0.957, 0.957)),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    add = parser.add_argument
    add("--repeats", type=int, default=9, help="timed runs each (default: 9)")
    add("--sizes", default="128,256,512", help="pixels along each side (default: 128,256,512)")
    add("--small", action="store_true", help="a tiny volume: shows that it works, not how fast")


def run(options: argparse.Namespace) -> Table:
    """Times every method on every volume and size."""
    if options.repeats < 1:
        raise InputError(f"--repeats must be positive. Received: {options.repeats}")
    try:
        sizes = [int(word) for word in options.sizes.split(",")]
    except ValueError:
        raise InputError(f"--sizes takes numbers. Received: {options.sizes}") from None
    table = Table(
        name="projection",
        data="CT of a head and of a skull where they are found, else noise of their sizes",
        protocol=(
            "Median seconds of a warm run, float32, all cores. `seconds`: an image; "
            "`seconds_gradient`: an image and the gradient of its sum by the pose; "
            "`seconds_jacobian`: an image and its derivatives by all six parameters, in one pass. "
            "`error`: the largest difference to integrals by a sorted Siddon sum in float64, over "
            "the range of the image, on 200 random rays."
        ),
        columns=COLUMNS,
        settings={"seed": options.seed, "repeats": options.repeats},
        layout="groups",
    )
    for case in _cases(sizes, options.small):
        for method in choose(options.methods, list(METHODS)):
            functions = METHODS[method]().prepare(case, options.seed)
            for metric, once in functions.items():
                once()  # compiles
                seconds = [_seconds(once) for _ in range(options.repeats)]
                table.rows.append(Row.of(method, case.name, metric, "s", seconds))
            error = _error(case, options.seed, functions["seconds"]())
            table.rows.append(Row.of(method, case.name, "error", "1", [error]))
    table.figures["growth.png"] = lambda path: _growth(table, path)
    return table


def _cases(sizes: list[int], small: bool) -> list[Case]:
    if small:
        return [Case("noise 16^2", (9, 12, 10), (2.0, 1.0, 1.5), 16)]
    return [
        Case(
            f"{name} {pixels}^2",
            shape,
            spacing,
            pixels,
            name if radiographs.available(name) else None,
        )
        for name, (shape, spacing) in _VOLUMES.items()
        for pixels in sizes
    ]


def _seconds(once: Any) -> float:
    begin = time.perf_counter()
    once()
    return time.perf_counter() - begin


def _error(case: Case, seed: int, image: np.ndarray) -> float:
    """Of some rays, to the sum over all planes that a ray crosses, in order."""
    import keras

    from tfreg import ops
    from tfreg.geometry import Geometry, frame_of

    volume = case.volume(seed).astype("float64")
    source, rays = case.camera.rays()
    frame = frame_of(Geometry.of_shape(case.shape, case.spacing))
    with ops.uncompiled():
        start, way = ops.pose_rays(case.pose[None], frame, source, rays[None])
    start, way = keras.ops.convert_to_numpy(start)[0], keras.ops.convert_to_numpy(way)[0]
    picks = np.random.default_rng(seed).integers(case.pixels, size=(200, 2))
    found, exact = image[0, ..., 0], []
    for row, column in picks:
        direction = way[row, column]
        sides = zip(volume.shape, start, direction, strict=True)
        planes = [(np.arange(n + 1) - 0.5 - s) / d for n, s, d in sides]
        places = np.sort(np.concatenate(planes))
        voxel = np.rint(start + ((places[1:] + places[:-1]) / 2)[:, None] * direction).astype(int)
        inside = ((voxel >= 0) & (voxel < volume.shape)).all(axis=1)
        exact.append((np.diff(places)[inside] * volume[tuple(voxel[inside].T)]).sum())
    difference = np.abs(found[picks[:, 0], picks[:, 1]] - np.array(exact)).max()
    return float(difference / np.ptp(found))


def _growth(table: Table, path: Path) -> None:
    """Time against the number of pixels, forward and with the Jacobian."""
    figure, axes = new_figure(1, 2, 5.0)
    for axis, metric in zip(axes[0], ("seconds", "seconds_jacobian"), strict=True):
        rows = [row for row in table.rows if row.metric == metric]
        lines = dict.fromkeys((row.method, row.group.split()[0]) for row in rows)
        for method, volume in lines:
            points = [
                (int(row.group.split()[1].split("^")[0]) ** 2, row.median)
                for row in rows
                if (row.method, row.group.split()[0]) == (method, volume)
            ]
            axis.loglog(*np.array(points).T, "-o", markersize=3, label=f"{method}, {volume}")
        axis.set_title(metric, fontsize=9)
        axis.set_xlabel("pixels (log)")
        axis.set_ylabel("seconds (log)")
        axis.legend(fontsize=7)
    figure.savefig(path)
