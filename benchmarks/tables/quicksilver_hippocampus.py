"""LDDMM and Quicksilver between the hippocampi of two people, beside elastix and the others."""

import argparse

from benchmarks import geodesics, protocol, volumes
from benchmarks import options as declared
from benchmarks.harness import Table
from benchmarks.measurement import Measurement
from benchmarks.methods.ants import ants
from benchmarks.methods.contender import Contender, pick
from benchmarks.methods.elastix import Elastix, Settings
from benchmarks.methods.greedy import greedy
from benchmarks.methods.instance import AFFINE_FIRST, Instance, instances
from benchmarks.methods.nothing import Nothing
from tfreg.data import hippocampus
from zoo.quicksilver import paper

PRESET = "quicksilver-hippocampus"
PAIRS = 6
_ABOUT = {"decathlon": "hippocampi of the Decathlon", "phantom": "phantom hippocampi"}
COLUMNS = {"dice": "mean ± sd", "target_overlap": "mean", **geodesics.COLUMNS}


def contenders(data: str = "decathlon", folder: str | None = None) -> list[Contender]:
    """The lines of the table.

    Args:
        data: what is registered. On phantoms presets are those trained on such.
        folder: of presets of one's own.
    """
    preset = f"{PRESET}-phantom" if data == "phantom" else PRESET
    from tfreg.registration import Level, Pyramid

    # The weight was chosen on validation pairs among 1, 3 and 10.
    levels = ((4, 20), (2, 15), (1, 3))
    pyramid = Pyramid(tuple(Level(shrink=s, steps=n, weight=3.0) for s, n in levels))
    lncc = {"transform": "lddmm", "similarity": "lncc", "pyramid": pyramid}
    return [
        Nothing(),
        Elastix("elastix 4 mm x500", Settings(500, 4, levels=3, samples=4096, affine=True)),
        greedy(affine=True),
        ants(affine=True),
        *instances("default", transform=AFFINE_FIRST),
        Instance("tfreg default mse", transform="bspline", similarity="mse", pyramid="default"),
        *geodesics.optimisations(PRESET),
        Instance("lo LNCC", **lncc),
        *geodesics.predictions(preset, folder),
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_pairs(parser, PAIRS)
    declared.add_data(parser, ("decathlon", "phantom"), "the Decathlon's")
    declared.add_split(parser)
    geodesics.add_presets(parser)


def run(options: argparse.Namespace) -> Table:
    """Registers the same pairs with every method and collects the rows."""
    data = declared.source(options, "decathlon", hippocampus.available)
    chosen = pick(options.methods, contenders(data, options.presets))
    pairs = volumes.hippocampi(options.split, data, options.seed, options.pairs)
    table = Table(
        name="quicksilver-hippocampus",
        data=f"{_ABOUT[data]}, {options.split} split",
        protocol=(
            f"{len(pairs)} random pairs of two different volumes, "
            f"{'x'.join(map(str, pairs[0].fixed.shape))} voxels of 1 mm; the same for every "
            f"method. {protocol.WARPS} `dice`: mean of the anterior and the posterior part; "
            "`target_overlap`: the part of the fixed label that the moved one covers. `elastix`, "
            "`greedy`, `ants` and `tfreg default` begin with an affine stage, the others do not: "
            "they take the volumes as they are. "
            f"{geodesics.PROTOCOL} {protocol.SECONDS}"
        ),
        columns=COLUMNS,
        settings={
            "pairs": len(pairs),
            "seed": options.seed,
            "samples of lpp": geodesics.SAMPLES,
            "evaluations of lp + refine": geodesics.REFINE,
            "others": protocol.TOOLS,
        },
        notes=[
            "the paper's target overlap, recomputed from its authors' result files, on "
            f"{', '.join(paper.DATA_SETS)}: "
            + "; ".join(
                f"{method} {', '.join(f'{mean:.3f}' for mean, _ in found)}"
                for method, found in paper.TARGET_OVERLAP.items()
            )
            + f"; lpc closes {', '.join(map(str, paper.GAP_CLOSED))} % of the gap."
        ],
    )
    measurement = Measurement(table, pairs, labels=volumes.LABELS_OF_HIPPOCAMPI)
    fields = measurement.run_all(chosen)
    geodesics.add_rows(table, pairs, fields)
    labels = volumes.LABELS_OF_HIPPOCAMPI["dice"]
    geodesics.add_target_overlap(table, pairs, fields, labels)
    geodesics.add_evaluations(table, pairs, PRESET, fields)
    geodesics.add_uncertainty(table, pairs, fields, chosen)
    geodesics.add_momenta(table, pairs, fields, chosen)
    dice = {method: found["dice"] for method, found in measurement.values.items()}
    geodesics.add_gap(table, pairs, dice)
    measurement.compare("dice", ["lo", "tfreg default"])
    measurement.pareto("dice")
    return table
