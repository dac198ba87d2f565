"""DLIR on whole short-axis stacks of cardiac cine MRI, beside elastix and the others."""

import argparse

from benchmarks import volumes
from benchmarks.harness import Table
from benchmarks.methods.elastix import Settings
from benchmarks.tables import dlir
from benchmarks.tables.optimise import TOOLS, Measurement
from tfreg.data import cine
from zoo.dlir.train_cine import RECIPE

PRESET = "dlir-cine"
ROWS = dlir.stages(len(RECIPE.stages) - 1)
_GRIDS = ((16, 500), (8, 500), (8, 2000), (4, 500))  # in pixels, and iterations
METHODS = (
    *("none", *(f"elastix {grid} px x{iterations}" for grid, iterations in _GRIDS)),
    *(*dlir.DEFAULT, *TOOLS, *ROWS, *dlir.OURS),
)
COLUMNS = {
    "dice": "mean ± sd",
    "hd95": "mean ± sd",
    "msd": "mean ± sd",
    "dice LV": "mean",
    "dice RV": "mean",
    "folding": "mean",
    "seconds": "median",
    "compile": "median",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    dlir.add_arguments(parser, ("acdc", "phantom"), "ACDC")
    dlir.add_split(parser)


def elastix(pixel: float) -> dict[str, Settings]:
    """Its settings, for pixels of a size; grids are cubes, so flat in voxels as the network's."""
    common = {"levels": 3, "samples": 4096, "affine": True, "thick_slices": True}
    return {
        f"elastix {grid} px x{iterations}": Settings(iterations, grid * pixel, **common)
        for grid, iterations in _GRIDS
    } | dlir.DEFAULT


def run(options: argparse.Namespace) -> Table:
    """Registers the same pairs with every method and collects the rows."""
    dlir.check(options)
    data = options.data
    if data == "auto":
        data = "acdc" if cine.available(("acdc",)) else "phantom"
    pairs = volumes.hearts(options.split, data, options.seed, options.pairs)
    unit = pairs[0].unit
    lost = (
        " The prepared file lost the size of the pixels: distances count pixels in the plane, and "
        "a slice is taken as 10/1.5 of them thick."
    )
    table = Table(
        name="dlir-cine",
        data=f"{'ACDC' if data == 'acdc' else 'phantom hearts'}, whole stacks, {options.split} "
        "split",
        protocol=(
            f"{len(pairs)} registrations of {len({pair.patient for pair in pairs})} patients: the "
            "ends of diastole and systole, each to the other, stacks of "
            f"{'x'.join(map(str, pairs[0].fixed.shape))} voxels, the first and last slice repeated "
            "where there are fewer; every method that takes a mask gets that of the real slices, "
            f"and nothing else is judged. {dlir.WARPS} `dice`, {dlir.SURFACES}, in {unit}: "
            "myocardium, mean ± SD over registrations; `dice LV`, `dice RV`: the cavities; "
            "`folding`: share of the voxels of real slices where the map folds. "
            + dlir.SECONDS
            + lost * (unit == "px")
        ),
        columns=COLUMNS,
        settings=dlir.settings(options, pairs, "3 levels, smoothed within slices only, 4096"),
    )
    measurement = Measurement(
        *(table, pairs, elastix(pairs[0].spacing[-1]), dlir.OURS),
        labels=volumes.LABELS_OF_HEARTS,
        surfaces=True,
        affine=True,
    )
    preset = dlir.preset_for(PRESET, data)
    return dlir.run_on_labels(options, measurement, METHODS, preset, ROWS, (2,))
