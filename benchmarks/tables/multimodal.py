"""Images of two contrasts, hippocampi remapped and CT with MRI, beside elastix and ANTs."""

import argparse
from dataclasses import replace

from benchmarks import modalities, protocol
from benchmarks import options as declared
from benchmarks.harness import Table
from benchmarks.measurement import Measurement
from benchmarks.methods import ants as ants_module
from benchmarks.methods.ants import ants
from benchmarks.methods.contender import Contender, pick
from benchmarks.methods.elastix import Elastix, Settings
from benchmarks.methods.instance import AFFINE_FIRST, Instance, of_task
from benchmarks.methods.nothing import Nothing
from tfreg.data import brain_pairs, hippocampus

PAIRS = 8
COLUMNS = {
    "error voxels": "mean ± sd",
    "error p95 voxels": "mean",
    "folding": "mean",
    "seconds": "median",
    "compile": "median",
}
SIMILARITIES = {
    "MI": "mi",
    "NGF": "ngf",
    "MIND": "mind",
    "MI + NGF": {"mi": 1, "ngf": 1},
    "MI + MIND": {"mi": 1, "mind": 1},
}


def contenders() -> list[Contender]:
    """The lines of the table."""
    return [
        Nothing(),
        *(
            Elastix(
                f"elastix MI {spacing} px x{count}",
                Settings(count, spacing, levels=3, samples=4096, affine=True, information=True),
                in_voxels=True,
            )
            for spacing, count in ((16, 500), (8, 500), (8, 2000))
        ),
        Elastix("elastix default", Settings(default=True, affine=True)),
        ants(affine=True, information=True),
        *(
            Instance(f"tfreg {name}", transform=AFFINE_FIRST, similarity=similarity)
            for name, similarity in SIMILARITIES.items()
        ),
        of_task("ct-mr"),
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_pairs(parser, PAIRS, "pairs of each group at most")
    declared.add_data(parser, ("real", "phantom"), "real images")
    declared.add_split(parser)


def run(options: argparse.Namespace) -> Table:
    """Registers the pairs of every group with every method and collects the rows."""

    def there() -> bool:
        return brain_pairs.available() and hippocampus.available()

    real = declared.source(options, "real", there) == "real"
    chosen = pick(options.methods, contenders())
    whose = "the Decathlon and The Whole Brain Atlas" if real else "phantoms"
    table = Table(
        name="multimodal",
        data=f"{whose}, {options.split} split",
        protocol=(
            f"{options.pairs} pairs of each group at most, whose true map is known. `hippocampi`: "
            "one volume and itself, warped smoothly by up to 4 voxels, the contrast of one "
            "remapped by a random function that turns three times or more; `hippocampi, bias`: "
            "both with another bias field of a factor of 2 as well; `ct-mri`: aligned slices of "
            "one head, one of them shifted by 10 px, turned by 10 degrees and warped by up to 4 "
            "px, within a mask of the head that every method gets. Noise of "
            f"{100 * modalities.NOISE:g} % of the range on every image. All but `none` and `tfreg "
            "ct-mr`, which is rigid first, register affinely first, then by a map that bends. "
            "`error`: distance from the true displacement in voxels, its mean and 95th percentile, "
            "mean over pairs; `folding`: share of voxels where the map folds. Sums have equal "
            f"weights. {protocol.SECONDS}"
        ),
        columns=COLUMNS,
        settings={
            "pairs": options.pairs,
            "seed": options.seed,
            "elastix": (
                "MI of 32 bins, 3 levels, 4096 new random samples per iteration, "
                f"{protocol.RANDOM}; `default`: its own maps"
            ),
            "others": ants_module.INFORMATION,
        },
        layout="groups",
    )
    for group in modalities.GROUPS:
        pairs = modalities.pairs(group, options.split, real, options.seed, options.pairs)
        part = replace(table, rows=[], notes=[], figures={}, differences=[])
        Measurement(part, pairs, keep=1).run_all(chosen)
        table.rows += [replace(row, group=group) for row in part.rows]
        table.notes += [note for note in part.notes if note not in table.notes]
    return table
