"""Grids and regularisation for sections, ours and those of elastix, on validation pairs."""

import argparse

from benchmarks import options as declared
from benchmarks import sections as cut_sections
from benchmarks.harness import Table, choose
from benchmarks.methods.contender import Contender
from benchmarks.methods.elastix import Elastix, Settings
from benchmarks.methods.instance import Instance
from benchmarks.tables import ssem_pairs
from tfreg.data import sections
from tfreg.registration import Level, Pyramid

GROUPS = ("near", "far")
_LEVELS = ((4, 128.0, 60), (4, 64.0, 60), (2, 32.0, 40), (2, 16.0, 40))


def contenders() -> list[Contender]:
    """The lines of the table."""
    lines: list[Contender] = []
    for count in (2, 3, 4):
        for weight in (0.05, 0.1, 0.2, 0.3, 1.0):
            levels = (Level(k, grid_spacing=s, steps=n, weight=weight) for k, s, n in _LEVELS)
            name = f"ncc {_LEVELS[count - 1][1]:g} px, {weight:g}"
            lines.append(Instance(name, pyramid=Pyramid(tuple(levels)[:count])))
    for spacing in (16, 32, 64):
        for bending in (0, 100, 1000):
            settings = Settings(500, spacing, levels=4, samples=4096, bending=bending)
            lines.append(Elastix(f"elastix {spacing} px, {bending}", settings))
    return lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_data(parser, ("real", "phantom"), "Drosophila VNC and ISBI 2012")


def run(options: argparse.Namespace) -> Table:
    """Registers the same validation pairs with every setting and collects the rows."""
    wanted = ("vnc", "isbi2012")
    real = declared.source(options, "real", lambda: all(map(sections.available, wanted))) == "real"
    sources = wanted if real else ("phantom",)
    pairs = [
        pair
        for source in sources
        for pair in cut_sections.pairs(source, "validation", GROUPS, options.seed, None)
    ]
    lines = contenders()
    names = choose(options.methods, [line.name for line in lines])
    table = Table(
        name="ssem-choices",
        data=f"{', '.join(sections.SOURCES[source].name for source in sources)}, validation split",
        protocol=(
            f"The {len(pairs)} validation pairs of the groups `near` and `far` of `ssem-pairs`. "
            "`ncc`: px between control points at last, after coarser ones from 128 px on, and the "
            "weight of their bending; `elastix`: the same, NCC and the weight of a penalty on "
            "bending, 0 none. Taken for `ssem-pairs` and `tfreg align` is, of what does not fold "
            "and has the least consistency over all to a tenth of a pixel, that with the highest "
            "NCC."
        ),
        columns={key: ssem_pairs.COLUMNS[key] for key in ("consistency", "ncc", "folding")},
        settings={"pairs": len(pairs), "seed": options.seed},
        layout="groups",
    )
    for line in lines:
        if line.name in names:
            ssem_pairs.add_rows(table, line.name, ssem_pairs.measured(table, line, pairs))
    return table
