"""Registration without a network on a pair of lung CTs, beside elastix, greedy and ANTs."""

import argparse

from benchmarks import figures, protocol
from benchmarks import options as declared
from benchmarks import pairs as data_sets
from benchmarks.harness import Table
from benchmarks.measurement import Measurement
from benchmarks.methods.ants import ants
from benchmarks.methods.contender import pick
from benchmarks.methods.elastix import Elastix, Settings
from benchmarks.methods.greedy import greedy
from benchmarks.methods.instance import AFFINE_FIRST, instances, of_task
from benchmarks.methods.nothing import Nothing
from tfreg.data import lung_pair

SETTINGS = ("fast", "default", "accurate")
CONTENDERS = [
    Nothing(),
    *(
        Elastix(
            f"elastix {spacing} mm x{count}",
            Settings(count, spacing, levels=4, samples=5000, affine=True),
        )
        for spacing, count in ((20, 500), (10, 500), (10, 2000))
    ),
    Elastix("elastix default", Settings(default=True, affine=True)),
    Elastix(
        "elastix 10 mm x2000 confined",
        Settings(2000, 10, levels=4, samples=5000, affine=True),
        confined=True,
    ),
    greedy(affine=True),
    greedy(affine=True, within=True),
    ants(affine=True),
    # As elastix, affine first. With LNCC too, since the density of lungs changes with breathing.
    *instances(*SETTINGS, transform=AFFINE_FIRST),
    *instances(*SETTINGS, suffix=" LNCC", transform=AFFINE_FIRST, similarity="lncc"),
    of_task("lung-ct"),
]
COLUMNS = {
    "tre": "mean ± sd",
    "tre_median": "mean",
    "tre_trimmed": "mean",
    "tre p95": "mean",
    "folding": "mean",
    "seconds": "median",
    "compile": "median",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_data(parser, ("ct", "phantom"), "the lung pair", "phantom lungs")


def run(options: argparse.Namespace) -> Table:
    """Registers the pair with every method and collects the rows."""
    contenders = pick(options.methods, CONTENDERS)
    data = declared.source(options, "ct", lung_pair.available)
    pairs = data_sets.chest(data, options.seed)
    about = "lung CT, baseline and follow-up" if data == "ct" else "phantom lungs"
    landmarks = len(pairs[0].fixed_points)
    table = Table(
        name="optimise-chest-ct",
        data=about,
        protocol=(
            f"One pair, {landmarks} landmarks; every method gets the mask of the fixed lung"
            + (", starts where the centroids of the lung masks coincide" * (data == "ct"))
            + " (`none` is the start), and registers affinely first; `tfreg lung-ct` is the "
            "setting for this task, which takes the mask of the moving lung too, where there is "
            "one; `confined`: with nothing to see outside of both masks. `tre`: distance of the "
            "landmarks in mm, mean ± SD over them, the median, the mean without the worst landmark "
            "(`tre_trimmed`) and the 95th percentile; `folding`: share of the voxels of the lung "
            "where the map folds; `seconds`: one run, warm, on all cores; `compile`: once per size "
            "of image, not in `seconds`. Settings of tfreg were chosen on validation patients of "
            "another data set and on phantom lungs."
        ),
        columns=COLUMNS,
        settings={
            "seed": options.seed,
            "elastix": (
                f"NCC, 4 levels, 5000 new random samples per iteration, {protocol.RANDOM}; "
                "`default`: its own map for B-splines"
            ),
            "others": protocol.TOOLS,
        },
    )
    measurement = Measurement(table, pairs)
    fields = measurement.run_all(contenders)
    measurement.compare("tre", ("elastix *", "ANTs SyN"))
    measurement.pareto("tre")
    shown = {name: found[0] for name, found in fields.items() if "fast" not in name}
    shown = shown or {name: found[0] for name, found in fields.items()}
    if shown:
        table.figures["landmarks.png"] = lambda path: figures.landmarks(pairs[0], shown, path)
    return table
