"""LDDMM and Quicksilver between slices of the brains of two people, beside elastix."""

import argparse

from benchmarks import geodesics, protocol
from benchmarks import options as declared
from benchmarks.harness import Table
from benchmarks.measurement import Measurement
from benchmarks.methods.contender import Contender, pick
from benchmarks.methods.elastix import Elastix, Settings
from benchmarks.methods.instance import Instance
from benchmarks.methods.nothing import Nothing
from benchmarks.methods.preset import Preset
from benchmarks.pairs import brains
from tfreg.data import brain_slices

PRESET = "quicksilver-oasis2d"
OF_OTHERS = f"{PRESET}-dkt31"
MUTUAL = {"similarity": "mi", "pyramid": "default"}
PAIRS = 20
_ABOUT = {"oasis": "slices of OASIS", "phantom": "phantom brains"}
COLUMNS = {**geodesics.COLUMNS, "ncc": "mean"}


def contenders(data: str = "oasis", folder: str | None = None) -> list[Contender]:
    """The lines of the table.

    Args:
        data: what is registered. On phantoms presets are those trained on such.
        folder: of presets of one's own.
    """
    preset = f"{PRESET}-phantom" if data == "phantom" else PRESET
    of_another = geodesics.own(folder, f"{preset}-remapped")
    return [
        Nothing(),
        Elastix("elastix 8 px x500", Settings(500, 8, levels=3, samples=4096)),
        Instance("tfreg default", transform="bspline", similarity="mse", pyramid="default"),
        *geodesics.optimisations(PRESET),
        Instance("tfreg lddmm", transform="lddmm", similarity="mse", pyramid="default"),
        *geodesics.predictions(preset, folder),
        Preset("displacements", geodesics.own(folder, f"{preset}-displacements")),
        Preset("lp dkt31", OF_OTHERS),
        Preset("lpc dkt31", OF_OTHERS, correct=True),
        geodesics.Remapped("lp remapped", Preset("", of_another)),
        geodesics.Remapped("tfreg mi remapped", Instance("", transform="bspline", **MUTUAL)),
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_pairs(parser, PAIRS)
    declared.add_data(parser, ("oasis", "phantom"), "OASIS")
    declared.add_split(parser)
    geodesics.add_presets(parser)


def run(options: argparse.Namespace) -> Table:
    """Registers the same pairs with every method and collects the rows."""
    data = declared.source(options, "oasis", brain_slices.available)
    chosen = pick(options.methods, contenders(data, options.presets))
    pairs = brains(options.split, data, options.seed, options.pairs)
    table = Table(
        name="lddmm-oasis2d",
        data=f"{_ABOUT[data]}, {options.split} split",
        protocol=(
            f"{len(pairs)} random pairs of two different people, "
            f"{'x'.join(map(str, pairs[0].fixed.shape))} pixels, affinely aligned as they were "
            "published. `lp`, `lpc`, `lpp`: trained on other people of the same data set; "
            "`displacements`: the same network that predicts displacements and no momenta; "
            "`dkt31`: trained on slices of other brains (Mindboggle-101, which holds people of "
            "OASIS, too: whether some are the same is not known); `remapped`: the method "
            f"sees the fixed image in another contrast. {geodesics.PROTOCOL} {protocol.SECONDS}"
        ),
        columns=COLUMNS,
        settings={
            "pairs": len(pairs),
            "seed": options.seed,
            "samples of lpp": geodesics.SAMPLES,
            "evaluations of lp + refine": geodesics.REFINE,
        },
    )
    measurement = Measurement(table, pairs)
    fields = measurement.run_all(chosen)
    geodesics.add_gap(table, pairs, geodesics.add_rows(table, pairs, fields))
    geodesics.add_evaluations(table, pairs, PRESET, fields)
    geodesics.add_uncertainty(table, pairs, fields, chosen)
    geodesics.add_momenta(table, pairs, fields, chosen)
    measurement.pareto("ncc")
    return table
