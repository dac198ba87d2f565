"""DLIR between the hippocampi of two subjects, beside elastix and the others."""

import argparse

from benchmarks import volumes
from benchmarks.harness import Table
from benchmarks.methods.elastix import Settings
from benchmarks.tables import dlir
from benchmarks.tables.optimise import TOOLS, Measurement
from tfreg.data import hippocampus
from zoo.dlir.train_hippocampus import RECIPE

PRESET = "dlir-hippocampus"
PAIRS = 16
ROWS = dlir.stages(len(RECIPE.stages) - 1)
ELASTIX = {
    f"elastix {spacing} mm x{iterations}": Settings(
        iterations, spacing, levels=3, samples=4096, affine=True
    )
    for spacing, iterations in ((8, 500), (4, 500), (4, 2000))
} | dlir.DEFAULT
METHODS = ("none", *ELASTIX, *TOOLS, *ROWS, *dlir.OURS)
COLUMNS = {
    "dice": "mean ± sd",
    "dice anterior": "mean",
    "dice posterior": "mean",
    "hd95": "mean ± sd",
    "msd": "mean ± sd",
    "folding": "mean",
    "seconds": "median",
    "compile": "median",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    dlir.add_arguments(parser, ("decathlon", "phantom"), "the Decathlon's", PAIRS)
    dlir.add_split(parser)


def run(options: argparse.Namespace) -> Table:
    """Registers the same pairs with every method and collects the rows."""
    dlir.check(options)
    data = options.data
    if data == "auto":
        data = "decathlon" if hippocampus.available() else "phantom"
    pairs = volumes.hippocampi(options.split, data, options.seed, options.pairs)
    about = {"decathlon": "hippocampi of the Decathlon", "phantom": "phantom hippocampi"}[data]
    table = Table(
        name="dlir-hippocampus",
        data=f"{about}, {options.split} split",
        protocol=(
            f"{len(pairs)} random pairs of two different volumes, "
            f"{'x'.join(map(str, pairs[0].fixed.shape))} voxels of 1 mm; the same for every "
            f"method, all of which start where the crops lie on each other. {dlir.WARPS} `dice`: "
            "mean of the anterior and the posterior part, mean ± SD over registrations; "
            f"{dlir.SURFACES}: mean of both parts; `folding`: share of voxels where the map "
            f"folds. {dlir.SECONDS}"
        ),
        columns=COLUMNS,
        settings=dlir.settings(options, pairs, "3 levels, 4096"),
    )
    measurement = Measurement(
        *(table, pairs, ELASTIX, dlir.OURS),
        labels=volumes.LABELS_OF_HIPPOCAMPI,
        surfaces=True,
        affine=True,
    )
    preset, outlined = dlir.preset_for(PRESET, data), tuple(hippocampus.LABELS)
    return dlir.run_on_labels(options, measurement, METHODS, preset, ROWS, outlined)
