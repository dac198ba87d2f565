"""Registration without a network on a pair of lung CTs, beside elastix, greedy and ANTs."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import evaluate
from benchmarks import pairs as data_sets
from benchmarks.harness import Table, choose
from benchmarks.methods.elastix import Settings
from benchmarks.pairs import Pair
from benchmarks.tables.optimise import THREADS, TOOL_SETTINGS, TOOLS, Measurement, pareto
from tfreg import metrics
from tfreg.data import lung_pair
from tfreg.viz import new_figure

ELASTIX = {
    f"elastix {spacing} mm x{iterations}": Settings(
        iterations, spacing, levels=4, samples=5000, affine=True
    )
    for spacing, iterations in ((20, 500), (10, 500), (10, 2000))
} | {"elastix default": Settings(default=True, affine=True)}
# As elastix, affine first. With LNCC too, since the density of lungs changes with breathing.
OURS = {
    f"tfreg {setting}{' LNCC' * (similarity == 'lncc')}": {
        "transform": ("affine", "bspline"),
        "pyramid": setting,
        "similarity": similarity,
    }
    for similarity in ("ncc", "lncc")
    for setting in ("fast", "default", "accurate")
}
METHODS = ("none", *ELASTIX, *TOOLS, *OURS)
COLUMNS = {
    "tre": "mean ± sd",
    "tre p95": "mean",
    "folding": "mean",
    "seconds": "median",
    "compile": "median",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    parser.add_argument(
        "--data",
        choices=("auto", "ct", "phantom"),
        default="auto",
        help="auto: the lung pair where it is found, else phantom lungs",
    )


def run(options: argparse.Namespace) -> Table:
    """Registers the pair with every method and collects the rows."""
    methods = choose(options.methods, METHODS)
    data = options.data
    if data == "auto":
        data = "ct" if lung_pair.available() else "phantom"
    pairs = data_sets.chest(data, options.seed)
    about = "lung CT, baseline and follow-up" if data == "ct" else "phantom lungs"
    landmarks = len(pairs[0].fixed_points)
    table = Table(
        name="optimise-chest-ct",
        data=about,
        protocol=(
            f"One pair, {landmarks} landmarks; every method gets the mask of the fixed lung"
            + (", starts where the centroids of the lung masks coincide" * (data == "ct"))
            + " (`none` is the start), and registers affinely first. `tre`: distance of the "
            "landmarks in mm, mean ± SD over them, and its 95th percentile; `folding`: share of "
            "the voxels of the lung where the map folds; `seconds`: one run, warm, on all cores; "
            "`compile`: once per size of image, not in `seconds`. Settings of tfreg were chosen on "
            "validation patients of another data set and on phantom lungs."
        ),
        columns=COLUMNS,
        settings={
            "seed": options.seed,
            "elastix": (
                f"NCC, 4 levels, 5000 new random samples per iteration, {THREADS} threads, "
                "RandomSeed 1; `default`: its own map for B-splines"
            ),
            "others": TOOL_SETTINGS,
        },
    )
    measurement = Measurement(table, pairs, ELASTIX, OURS, affine=True)
    fields = {method: measurement.run(method) for method in methods}
    if len(methods) > 1:
        table.figures["pareto.png"] = lambda path: pareto(table, "tre", path)
    shown = {method: found[0] for method, found in fields.items() if found}
    if shown:
        table.figures["landmarks.png"] = lambda path: _landmarks(pairs[0], shown, path)
    return table


def _landmarks(pair: Pair, fields: dict[str, np.ndarray], path: Path) -> None:
    """Checkerboards of fixed and moved, and the landmarks in millimetres, largest first."""
    names = list(fields)[:1] + [name for name in list(fields)[1:] if "fast" not in name]
    figure, axes = new_figure(2, len(names), 3.0)
    middle = pair.fixed.shape[1] // 2
    aspect = pair.spacing[0] / pair.spacing[2]
    for column, name in enumerate(names):
        moved = evaluate.warp(pair.moving, fields[name])
        board = np.add.outer(np.arange(len(moved)) // 16, np.arange(moved.shape[2]) // 16) % 2
        picture = np.where(board, pair.fixed[:, middle], moved[:, middle])
        axes[0, column].imshow(picture[::-1], cmap="gray", aspect=aspect)
        axes[0, column].set_title(name, fontsize=8)
        landmark_bars(axes[1, column], pair, fields[name])
    axes[1, 0].set_ylabel("landmark error (mm)", fontsize=7)
    figure.savefig(path, dpi=130)


def landmark_bars(axis: Any, pair: Pair, displacement: np.ndarray) -> None:
    """Draws the errors of all landmarks in millimetres, largest first."""
    error = metrics.target_registration_error(
        pair.fixed_points, pair.moving_points, displacement, pair.spacing
    )
    axis.set_axis_on()
    axis.bar(np.arange(len(error)), np.sort(error)[::-1], color="tab:blue")
    axis.set_title(f"mean {error.mean():.2f} mm", fontsize=8)
    axis.set_ylim(0, 15)
    axis.set_yticks(range(0, 16, 5))
    axis.tick_params(labelsize=6)
