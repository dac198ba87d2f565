"""Registration of whole brains of different people, affine and deformable, by all tools."""

import argparse
from collections.abc import Sequence

import numpy as np

from benchmarks import options as declared
from benchmarks import protocol, volumes
from benchmarks.harness import Row, Table
from benchmarks.judge import unit_of
from benchmarks.measurement import Measurement
from benchmarks.methods import convexadam as convexadam_module
from benchmarks.methods import plastimatch as plastimatch_module
from benchmarks.methods import syntx as syntx_module
from benchmarks.methods.ants import ants
from benchmarks.methods.apart import Apart
from benchmarks.methods.contender import Contender, pick
from benchmarks.methods.elastix import Elastix, Settings
from benchmarks.methods.greedy import greedy
from benchmarks.methods.instance import AFFINE_FIRST, Instance, instances, of_task
from benchmarks.methods.nothing import Nothing
from benchmarks.pairs import Pair
from tfreg.data import brain_volumes

# `candidates` are compared on the validation pairs: `--split validation`.
SIMILARITY = "lncc"
WEIGHT: float | None = None
COLUMNS = {
    "dice": "mean ± sd",
    "inverse": "mean",
    "sd log J": "mean",
    "folding": "mean",
    "seconds": "median",
    "compile": "median",
    "peak_mib": "median",
}
_ABOUT = {"dkt31": "brains of Mindboggle-101", "phantom": "phantom brains"}
_OTHERS = "; ".join(
    (
        protocol.TOOLS,
        plastimatch_module.ABOUT,
        f"{convexadam_module.ABOUT}, {convexadam_module.AFFINE}",
        syntx_module.ABOUT,
    )
)


def contenders() -> list[Contender]:
    """The lines of the table."""
    options = {"transform": AFFINE_FIRST, "similarity": SIMILARITY, "weight": WEIGHT}
    return [
        Nothing(),
        Apart(Instance("tfreg affine", transform="affine", pyramid="default")),
        *(
            Elastix(
                f"elastix {spacing} mm x{count}",
                Settings(count, spacing, levels=4, samples=5000, affine=True),
            )
            for spacing, count in ((10, 500), (5, 2000))
        ),
        greedy(affine=True),
        ants(affine=True),
        plastimatch_module.plastimatch(affine=True),
        convexadam_module.convexadam(affine=True),
        syntx_module.syntx(),
        *map(Apart, instances("fast", "default", "accurate", **options)),
        Apart(of_task("brain-mr")),
    ]


def candidates() -> list[Contender]:
    """What the settings of tfreg are chosen among, on validation pairs."""
    return [
        Nothing(),
        Apart(of_task("brain-mr")),
        *(
            Apart(instance)
            for similarity in ("ncc", "lncc")
            for weight in (None, 0.3, 1.0)
            for instance in instances(
                "default",
                suffix=f" {similarity.upper()}" + ("" if weight is None else f" {weight:g}"),
                transform=AFFINE_FIRST,
                similarity=similarity,
                weight=weight,
            )
        ),
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_pairs(parser)
    declared.add_data(parser, ("dkt31", "phantom"), "Mindboggle's")
    declared.add_split(parser, said=", of which it has other rows")
    parser.add_argument(
        "--half", action="store_true", help="at 2 mm, in an eighth of the time (default: 1 mm)"
    )


def run(options: argparse.Namespace) -> Table:
    """Registers the same pairs with every method and collects the rows."""
    data = declared.source(options, "dkt31", brain_volumes.available)
    chosen = pick(options.methods, contenders() if options.split == "test" else candidates())
    fine = data != "phantom" and not options.half
    pairs = volumes.whole_brains(options.split, data, fine, options.seed, options.pairs)
    regions = brain_volumes.REGIONS if data == "dkt31" else int(pairs[0].fixed_labels.max())
    table = Table(
        name="optimise-brain",
        data=f"{_ABOUT[data]}, {options.split} split",
        protocol=(
            f"{len(pairs)} ordered pairs of two people, "
            f"{'x'.join(map(str, pairs[0].fixed.shape))} voxels of {pairs[0].spacing[0]:g} mm, as "
            "scanned: all but `none` register affinely first, from where boxes about the brains "
            f"coincide, without a mask. {protocol.WARPS} `dice`: mean of those of {regions} "
            "regions that both brains have, mean ± SD over pairs; `inverse`: how far the map and "
            "that of the reversed pair, which each method registers as well, miss the start, mean "
            "over the brain; `sd log J`: standard deviation of the logarithm of the Jacobian "
            "determinant in the brain; `folding`: share "
            f"of voxels where the map folds. {protocol.SECONDS} `peak_mib`: the most memory of the "
            "process, libraries included; every method, ours as well, has one of its own."
        ),
        columns=COLUMNS,
        settings={
            "pairs": len(pairs),
            "seed": options.seed,
            "tfreg": f"affine, then B-splines, {SIMILARITY.upper()}"
            + (" and bending energy" if WEIGHT is None else f", bending energy with {WEIGHT:g}")
            + "; `tfreg brain-mr` is the setting for this task",
            "elastix": "affine, then B-spline, NCC, 4 levels, 5000 new random samples per "
            f"iteration, {protocol.RANDOM}",
            "others": _OTHERS,
        },
    )
    labels = {"dice": tuple(range(1, regions + 1))}
    measurement = Measurement(table, pairs, labels=labels, memory=True)
    for contender in chosen:
        fields = measurement.run(contender)  # of one method at a time: they are large
        if fields:
            table.rows += smoothness(contender.name, pairs, fields)
    measurement.compare("dice", ("greedy", "ANTs SyN"))
    measurement.pareto("dice")
    return table


def smoothness(method: str, pairs: Sequence[Pair], fields: Sequence[np.ndarray]) -> list[Row]:
    """Rows of how evenly maps change volume, and of how well those of both directions agree."""
    from tfreg import metrics

    brains = [pair.fixed > 0 for pair in pairs]
    spread = [
        metrics.sd_log_jacobian(field, brain) for field, brain in zip(fields, brains, strict=True)
    ]
    rows = [Row.of(method, "all", "sd log J", unit_of("sd log J"), spread)]
    known = {pair.name: number for number, pair in enumerate(pairs)}
    errors = []
    for number, pair in enumerate(pairs):
        other = known.get(" <- ".join(reversed(pair.name.split(" <- "))))
        if other is not None:
            found = metrics.inverse_consistency_error(
                fields[number], fields[other], pair.spacing, brains[number]
            )
            errors.append(found.error)
    if errors:
        rows.append(Row.of(method, "all", "inverse", unit_of("inverse"), errors))
    return rows
