"""Rigid registration of images that stand anywhere, beside the initialisers of elastix and ANTs."""

import argparse

import numpy as np

from benchmarks import options as declared
from benchmarks.harness import Row, Table
from benchmarks.methods.contender import pick
from benchmarks.methods.rigid import DEGREES, Elsewhere, Moved, Ours, ants, elastix
from benchmarks.methods.worker import WorkerError
from tfreg.data import brain_volumes, lung_pair

STARTS = 50
THRESHOLD = 10.0  # mm
COLUMNS = {"success": "mean", "error": "median", "error of successes": "mean", "seconds": "median"}
UNITS = {"success": "%", "error": "mm", "error of successes": "mm", "seconds": "s"}


class _Start:
    """Where the headers leave the images."""

    name, ours = "none", False

    def unavailable(self) -> None:
        """It can always run."""

    def warm(self, pair: object) -> None:
        """There is nothing to load."""

    def register(self, pair: object) -> Moved:
        """The points where they are."""
        return Moved(pair.fixed_points, None)

    def close(self) -> None:
        """Holds nothing."""


class _Best(_Start):
    """The rigid map that fits the points themselves, below which none can come."""

    name = "best fit of the points"

    def register(self, pair: object) -> Moved:
        """The points, moved."""
        return Moved(pair.best(), None)


CONTENDERS = [
    _Start(),
    _Best(),
    Ours("tfreg rigid", "mass"),
    Ours("tfreg rigid search", "search"),
    Elsewhere("elastix centres", "itk", elastix, "GeometricalCenter"),
    Elsewhere("elastix gravity", "itk", elastix, "CenterOfGravity"),
    Elsewhere("ANTs mass", "ants", ants, "mass"),
    Elsewhere("ANTs affine_initializer", "ants", ants, "affine_initializer", most=8),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_pairs(parser, STARTS, "starts of each kind of image")
    declared.add_data(parser, ("real", "phantom"), "brains and a pair of CTs")


def run(options: argparse.Namespace) -> Table:
    """Registers all starts with every method and collects the rows."""
    from benchmarks import placed

    contenders = pick(options.methods, CONTENDERS)
    there = brain_volumes.available() and lung_pair.available()
    real = declared.source(options, "real", lambda: there) == "real"
    cases = [
        *placed.drawn(placed.brains("dkt31" if real else "phantom"), options.pairs, options.seed),
        *placed.drawn(placed.chests("ct" if real else "phantom"), options.pairs, options.seed + 1),
    ]
    table = Table(
        name="wide-capture",
        data=(
            "brains of different people; two CTs of a lung and phantom thoraxes"
            if real
            else "phantom brains and thoraxes"
        ),
        protocol=(
            f"{options.pairs} starts each: the moving image is turned as a whole about a random "
            f"axis by up to {placed.ANGLE:g} degrees and shifted by up to {placed.SHIFT:g} mm "
            "along each axis, in its header. Images have voxels of 1.4 to 2.5 mm, no masks. "
            "`error`: mean distance of the centres of regions (brains), of landmarks or of the "
            "true displacement (CTs) after a rigid registration, median over the starts; "
            f"`success`: starts with less than {THRESHOLD:g} mm; a method that fails leaves the "
            "start. `error of successes`: mean of those. `tfreg rigid` begins at the centres of "
            "mass, `search` with `initial=search`; elastix with the "
            "AutomaticTransformInitialization that its line names, its own rigid map with NCC; "
            "ANTs with the centres of mass, as it comes, or with its affine_initializer every "
            f"{DEGREES:g} degrees of the whole circle, an affine map that stays beneath its "
            "rigid one. `seconds`: one registration, warm, initialiser included."
        ),
        columns=COLUMNS,
        settings={"seed": options.seed, "starts": options.pairs, "threshold": f"{THRESHOLD:g} mm"},
        layout="groups",
    )
    for contender in contenders:
        missing = contender.unavailable()
        most = getattr(contender, "most", None)
        if most is not None and options.pairs > most:
            missing = f"left out, minutes for each start: --pairs {most} or fewer has it."
        if missing:
            table.notes.append(f"{contender.name}: {missing}")
            continue
        _measure(table, contender, cases)
    return table


def _measure(table: Table, contender: object, cases: list) -> None:
    failures = []
    groups = list(dict.fromkeys(case.group for case in cases))
    for group in groups:
        chosen = [case for case in cases if case.group == group]
        found: dict[str, list[float]] = {metric: [] for metric in COLUMNS}
        sizes: set = set()
        for case in chosen:
            size = (case.fixed.array.shape, case.moving.array.shape)
            try:
                if size not in sizes:
                    sizes.add(size)
                    contender.warm(case)
                moved, seconds = contender.register(case)
            except WorkerError as error:
                failures.append(f"{case.name}: {error}")
                moved, seconds = case.fixed_points, None
            error = case.error(np.asarray(moved))
            found["error"].append(error)
            found["success"].append(100.0 * (error < THRESHOLD))
            if error < THRESHOLD:
                found["error of successes"].append(error)
            if seconds is not None:
                found["seconds"].append(seconds)
        for metric, values in found.items():
            if values:
                table.rows.append(Row.of(contender.name, group, metric, UNITS[metric], values))
    contender.close()
    if failures:
        table.notes.append(f"{contender.name} failed on {len(failures)}, first {failures[0]}")
