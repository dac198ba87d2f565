"""DLIR on whole stacks of cardiac cine MRI: a row per stage, beside elastix and the others."""

import argparse

from benchmarks import options as declared
from benchmarks import protocol, volumes
from benchmarks.harness import Table
from benchmarks.measurement import Measurement
from benchmarks.methods.ants import ants
from benchmarks.methods.contender import Contender, pick
from benchmarks.methods.elastix import Elastix, Settings
from benchmarks.methods.greedy import greedy
from benchmarks.methods.instance import AFFINE_FIRST, instances
from benchmarks.methods.nothing import Nothing
from benchmarks.methods.stages import about, stages
from tfreg.data import cine

PRESET = "dlir-cine"
# Grids in pixels, cubes, so flat in voxels as the network's; and iterations.
_GRIDS = ((16, 500), (8, 500), (8, 2000), (4, 500))
_COMMON = {"levels": 3, "samples": 4096, "affine": True, "thick_slices": True}
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


def contenders(data: str = "acdc") -> list[Contender]:
    """The lines of the table."""
    return [
        Nothing(),
        *(
            Elastix(f"elastix {grid} px x{n}", Settings(n, grid, **_COMMON), in_pixels=True)
            for grid, n in _GRIDS
        ),
        Elastix("elastix default", Settings(default=True, affine=True)),
        greedy(affine=True),
        ants(affine=True),
        *stages(PRESET, data),
        *instances("fast", "default", transform=AFFINE_FIRST),
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_pairs(parser)
    declared.add_data(parser, ("acdc", "phantom"), "ACDC")
    declared.add_split(parser)


def run(options: argparse.Namespace) -> Table:
    """Registers the same pairs with every method and collects the rows."""
    data = declared.source(options, "acdc", lambda: cine.available(("acdc",)))
    chosen = pick(options.methods, contenders(data))
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
            f"and nothing else is judged. {protocol.WARPS} `dice`, {protocol.SURFACES}, in {unit}: "
            "myocardium, mean ± SD over registrations; `dice LV`, `dice RV`: the cavities; "
            "`folding`: share of the voxels of real slices where the map folds. "
            + protocol.SECONDS
            + lost * (unit == "px")
        ),
        columns=COLUMNS,
        settings=protocol.of_stages(
            len(pairs), options.seed, "3 levels, smoothed within slices only, 4096"
        ),
    )
    labels = volumes.LABELS_OF_HEARTS
    measurement = Measurement(table, pairs, labels=labels, surfaces=True)
    table.notes += about(stages(PRESET, data), chosen)
    fields = measurement.run_all(chosen)
    measurement.pareto("dice")
    shown = {name: found for name, found in fields.items() if name.startswith(("none", "dlir"))}
    measurement.outlines(shown or fields, (labels["dice"],))
    return table
