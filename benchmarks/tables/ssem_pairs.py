"""Neighbouring sections of electron microscopy with painted deformations and damages."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from benchmarks import options as declared
from benchmarks import sections as cut_sections
from benchmarks.harness import Row, Table, choose
from benchmarks.methods.bidirectional import Bidirectional
from benchmarks.methods.contender import Contender
from benchmarks.methods.elastix import Elastix, Settings
from benchmarks.methods.instance import Instance
from benchmarks.methods.nothing import Nothing
from benchmarks.methods.phase import Phase
from benchmarks.methods.preset import Preset
from benchmarks.methods.stackreg import StackReg
from benchmarks.methods.vector_map import Pixels, VectorMap
from benchmarks.methods.worker import WorkerError
from benchmarks.sections import GROUPS, CutPair, Painted
from tfreg.data import sections
from tfreg.errors import InputError
from tfreg.serial import pyramid_for
from zoo.ssemnet import paper
from zoo.ssemnet.model import SsEMnet
from zoo.ssemnet.scheme import SCHEMES

PAIRS = 20
COLUMNS = {
    "consistency": "mean ± sd",
    "ncc": "mean ± sd",
    "dice": "mean",
    "folding": "mean",
    "seconds": "median",
}
UNITS = {"consistency": "px", "folding": "%", "seconds": "s"}
_PAPER = {"pixel mse": paper.PAIR["intensities"], "ssemnet": paper.PAIR["features"]}


def contenders(source: str, shape: Sequence[int]) -> list[Contender]:
    """The lines of the table, but for the painted truth.

    Args:
        source: of the sections; phantom ones are registered with the preset trained on such.
        shape: of the sections.
    """
    trained = "phantom" if source == "phantom" else "vnc"
    plain = asdict(SCHEMES["paper"])
    centred = asdict(replace(SCHEMES["paper"], similarity="centred"))
    return [
        Nothing(),
        Phase(),
        VectorMap("pixel mse", Pixels, plain),
        VectorMap("pixel ncc", Pixels, centred),
        Instance("ncc coarse to fine", pyramid=pyramid_for(shape)),
        VectorMap("random encoder", SsEMnet, plain),
        Preset("ssemnet", f"ssemnet-{trained}"),
        Preset("ssemnet plus", f"ssemnet-{trained}-plus"),
        Instance("tfreg default", pyramid="default"),
        Elastix("elastix", Settings(500, 32, levels=4, samples=4096)),
        Elastix("elastix default", Settings(default=True)),
        Bidirectional("bidirectional"),
        StackReg("pystackreg affine"),
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_pairs(parser, PAIRS, "pairs of each group at most")
    declared.add_data(parser, ("isbi2012", "vnc", "phantom"), "ISBI 2012")
    declared.add_split(parser)
    parser.add_argument(
        "--groups",
        default=",".join(g.replace(", ", "+") for g in GROUPS),
        help="comma-separated, of near, far, near+dust, near+folds, near+contrast and "
        "near+short waves (default: all)",
    )


def run(options: argparse.Namespace) -> Table:
    """Registers the same pairs with every method and collects the rows."""
    source = declared.source(options, "isbi2012", lambda: sections.available("isbi2012"))
    groups = [word.replace("+", ", ") for word in options.groups.split(",")]
    if any(group not in GROUPS for group in groups):
        known = ", ".join(g.replace(", ", "+") for g in GROUPS)
        raise InputError(f"--groups takes {known}. Received: {options.groups}")
    pairs = cut_sections.pairs(source, options.split, groups, options.seed, options.pairs)
    lines, truth = contenders(source, pairs[0].pair.fixed.shape), Painted()
    names = choose(options.methods, [lines[0].name, truth.name, *(c.name for c in lines[1:])])
    table = Table(
        name="ssem-pairs",
        data=f"{sections.SOURCES[source].name}, {options.split} split",
        protocol=(
            f"{_counts(pairs)} of neighbours, "
            f"{'x'.join(map(str, pairs[0].pair.fixed.shape))} px. Onto the moving section a smooth "
            "deformation is painted, of 4 px RMS (near), or of 8 px and a shift of 10 px (far), "
            "and in three groups dust, a fold, or another contrast; it turns round over 200 px, "
            "in one group over 90 px. `consistency`: the answer, taken back through what was "
            "painted, from the method's own answer on the pair as it was, since nobody knows where "
            "neighbours truly agree; `ncc`: of the inner region; `folding`: share of pixels where "
            "the map folds; `seconds`: one pair, warm. `pixel mse`, `pixel ncc`: the map of "
            "`ssemnet` on intensities; `random encoder`: its network, not trained. `ncc coarse to "
            "fine`: control points 128, 64 and 32 px apart, chosen on validation pairs; "
            "`bidirectional`: such both ways at once and consistent, as bUnwarpJ does; `elastix`: "
            "NCC alone, `elastix default`: Mattes MI with a penalty on bending. The paper's NCC is "
            "that of one pair of other sections, within a box."
        ),
        columns=COLUMNS,
        settings={"pairs": len(pairs), "seed": options.seed, "source": source},
    )
    if lines[0].name in names:
        _measure(table, lines[0], pairs)
    if truth.name in names:
        still = np.zeros((*pairs[0].pair.fixed.shape, 2))
        figures = [cut_sections.judged(one, truth.displacement(one), still) for one in pairs]
        _rows(table, truth.name, pairs, figures)
    for contender in lines[1:]:
        if contender.name in names:
            _measure(table, contender, pairs)
    return table


def _counts(pairs: list[CutPair]) -> str:
    """How many pairs each group has."""
    groups = [one.pair.group for one in pairs]
    return ", ".join(f"{groups.count(g)} pairs ({g})" for g in dict.fromkeys(groups))


def _measure(table: Table, contender: Contender, pairs: list[CutPair]) -> None:
    """Registers every pair as it was and as it was cut, and adds the rows."""
    from tqdm import tqdm

    reason = contender.unavailable()
    if reason is not None:
        table.notes.append(f"{contender.name}: {reason}")
        return
    known: dict[str, np.ndarray] = {}  # answers on pairs as they were, the same in all groups
    done, figures = [], []
    try:
        contender.warm(pairs[0].pair)
        for one in tqdm(pairs, desc=contender.name, unit="pair"):
            try:
                if one.plain.name not in known:
                    known[one.plain.name] = contender.register(one.plain).displacement
                answer = contender.register(one.pair)
            except WorkerError as error:
                table.notes.append(f"{contender.name} failed on {one.pair.name}: {error}")
                continue
            found = cut_sections.judged(one, answer.displacement, known[one.plain.name])
            found |= {} if answer.seconds is None else {"seconds": answer.seconds}
            done.append(one)
            figures.append(found)
    finally:
        contender.close()
    if done:
        _rows(table, contender.name, done, figures)


def _rows(table: Table, method: str, pairs: list[CutPair], figures: list[dict[str, float]]) -> None:
    groups = ["all", *dict.fromkeys(one.pair.group for one in pairs)]
    for group in groups:
        chosen = [
            found
            for one, found in zip(pairs, figures, strict=True)
            if group in ("all", one.pair.group)
        ]
        for metric in COLUMNS:
            values = [f[metric] for f in chosen if metric in f and not np.isnan(f[metric])]
            if values:
                told = _PAPER.get(method) if metric == "ncc" and group == "all" else None
                unit = UNITS.get(metric, "1")
                table.rows.append(Row.of(method, group, metric, unit, values, told))
