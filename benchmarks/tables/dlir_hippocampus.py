"""DLIR between the hippocampi of two subjects: a row per stage, beside elastix and the others."""

import argparse

from benchmarks import options as declared
from benchmarks import protocol, volumes
from benchmarks.harness import Table
from benchmarks.measurement import Measurement
from benchmarks.methods.ants import ants
from benchmarks.methods.contender import Contender, pick
from benchmarks.methods.elastix import Elastix, Settings
from benchmarks.methods.greedy import greedy
from benchmarks.methods.instance import AFFINE_FIRST, instances, of_task
from benchmarks.methods.nothing import Nothing
from benchmarks.methods.stages import about, stages
from tfreg.data import hippocampus

PRESET = "dlir-hippocampus"
PAIRS = 16
_ABOUT = {"decathlon": "hippocampi of the Decathlon", "phantom": "phantom hippocampi"}
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


def contenders(data: str = "decathlon") -> list[Contender]:
    """The lines of the table."""
    return [
        Nothing(),
        *(
            Elastix(
                f"elastix {spacing} mm x{count}",
                Settings(count, spacing, levels=3, samples=4096, affine=True),
            )
            for spacing, count in ((8, 500), (4, 500), (4, 2000))
        ),
        Elastix("elastix default", Settings(default=True, affine=True)),
        greedy(affine=True),
        ants(affine=True),
        *stages(PRESET, data),
        *instances("fast", "default", "accurate", transform=AFFINE_FIRST),
        of_task("brain-mr", "fast"),
        of_task("brain-mr"),
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_pairs(parser, PAIRS)
    declared.add_data(parser, ("decathlon", "phantom"), "the Decathlon's")
    declared.add_split(parser)


def run(options: argparse.Namespace) -> Table:
    """Registers the same pairs with every method and collects the rows."""
    data = declared.source(options, "decathlon", hippocampus.available)
    chosen = pick(options.methods, contenders(data))
    pairs = volumes.hippocampi(options.split, data, options.seed, options.pairs)
    table = Table(
        name="dlir-hippocampus",
        data=f"{_ABOUT[data]}, {options.split} split",
        protocol=(
            f"{len(pairs)} random pairs of two different volumes, "
            f"{'x'.join(map(str, pairs[0].fixed.shape))} voxels of 1 mm; the same for every "
            "method, all of which start where the crops lie on each other. "
            f"{protocol.WARPS} `dice`: mean of the anterior and the posterior part, mean ± SD over "
            f"registrations; {protocol.SURFACES}: mean of both parts; `folding`: share of voxels "
            "where the map folds; `tfreg brain-mr` is the setting for this task. "
            f"{protocol.SECONDS}"
        ),
        columns=COLUMNS,
        settings=protocol.of_stages(len(pairs), options.seed, "3 levels, 4096"),
    )
    labels = volumes.LABELS_OF_HIPPOCAMPI
    measurement = Measurement(table, pairs, labels=labels, surfaces=True)
    table.notes += about(stages(PRESET, data), chosen)
    fields = measurement.run_all(chosen)
    measurement.pareto("dice")
    shown = {name: found for name, found in fields.items() if name.startswith(("none", "dlir"))}
    measurement.outlines(shown or fields, tuple(hippocampus.LABELS))
    return table
