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
from benchmarks.paired import paired
from benchmarks.sections import GROUPS, CutPair, Painted
from tfreg.data import sections
from tfreg.errors import InputError
from tfreg.serial import pyramid_for
from zoo.ssemnet import paper
from zoo.ssemnet.crops import Crops
from zoo.ssemnet.model import SsEMnet
from zoo.ssemnet.scheme import SCHEMES
from zoo.ssemnet.start import start
from zoo.ssemnet.train_sections import SIZE, START_CROPS

PAIRS = 20
# Chosen in the table ssem-choices, without and with a penalty on bending.
ELASTIX = Settings(500, 32, levels=4, samples=4096)
ELASTIX_BENDING = replace(ELASTIX, spacing=16, bending=100)
COLUMNS = {
    "consistency": "mean ± sd",
    "ncc": "mean ± sd",
    "dice": "mean",
    "folding": "mean",
    "seconds": "median",
}
UNITS = {"consistency": "px", "folding": "%", "seconds": "s"}
_PAPER = {"pixel mse": paper.PAIR["intensities"], "ssemnet": paper.PAIR["features"]}
_Found = list[tuple[CutPair, dict[str, float]]]  # pairs with their figures
# Whether features help is asked of the same map on both, and of the best without features.
_REFERENCES = ("pixel ncc", "ncc coarse to fine")
_FEATURES = ("pixel mse", "random encoder", "ssemnet", "ssemnet plus")


def contenders(
    source: str = "isbi2012", shape: Sequence[int] = (512, 512)
) -> list[Contender | Painted]:
    """The lines of the table.

    Args:
        source: of the sections; phantom ones are registered with the preset trained on such.
        shape: of the sections.
    """
    trained = "phantom" if source == "phantom" else "vnc"

    def begin(model: SsEMnet) -> None:
        stacks = [stack.images for stack in sections.stacks(trained, "train")]
        start(model, Crops(stacks, SIZE, START_CROPS).batch(0)["images"])

    plain = asdict(SCHEMES["paper"])
    centred = asdict(replace(SCHEMES["paper"], similarity="centred"))
    return [
        Nothing(),
        Painted(),
        Phase(),
        VectorMap("pixel mse", Pixels, plain),
        VectorMap("pixel ncc", Pixels, centred),
        Instance("ncc coarse to fine", pyramid=pyramid_for(shape)),
        VectorMap("random encoder", SsEMnet, plain, begin),
        Preset("ssemnet", f"ssemnet-{trained}"),
        Preset("ssemnet plus", f"ssemnet-{trained}-plus"),
        Instance("tfreg default", pyramid="default"),
        Elastix("elastix", ELASTIX),
        Elastix("elastix bending", ELASTIX_BENDING),
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
    lines = contenders(source, pairs[0].pair.fixed.shape)
    names = choose(options.methods, [line.name for line in lines])
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
            "neighbours truly agree; `ncc`: of the inner region; `dice`: of "
            f"{_labelled(source, pairs)}; `folding`: share of pixels where the map folds; "
            "`seconds`: one pair, warm. `pixel mse`, `pixel ncc`: the map of `ssemnet` on "
            "intensities; `random encoder`: its network as training begins. `ncc coarse to "
            "fine`: control points 128, 64, 32 and 16 px apart, chosen on validation pairs, on "
            "which `elastix` (NCC) and `elastix bending` (and a penalty on bending) were chosen as "
            "well, see `ssem-choices`; `elastix default`: Mattes MI with such a penalty, as it "
            "comes; "
            "`bidirectional`: the map of `ncc coarse to fine` both ways at once and consistent, as "
            "bUnwarpJ does, not tuned. The paper's NCC within a box, of one pair of other "
            f"sections: {paper.PAIR['intensities']:.4f} on intensities, "
            f"{paper.PAIR['features']:.2f} on features."
        ),
        columns=COLUMNS,
        settings={"pairs": len(pairs), "seed": options.seed, "source": source},
        layout="groups",
    )
    figures: dict[str, dict[tuple[str, str], float]] = {}
    for line in lines:
        if line.name not in names:
            continue
        known = isinstance(line, Painted)
        found = _painted(line, pairs) if known else measured(table, line, pairs)
        add_rows(table, line.name, found)
        figures[line.name] = {
            (one.pair.group, one.pair.name): values["consistency"] for one, values in found
        }
    _differences(table, figures)
    return table


def _counts(pairs: list[CutPair]) -> str:
    """How many pairs each group has."""
    groups = [one.pair.group for one in pairs]
    return ", ".join(f"{groups.count(g)} pairs ({g})" for g in dict.fromkeys(groups))


def _labelled(source: str, pairs: list[CutPair]) -> str:
    """What Dice is of, and of how many pairs."""
    what = {"isbi2012": "membranes", "phantom": "cells"}.get(source, "labels")
    count = len({one.pair.name for one in pairs if one.pair.fixed_labels is not None})
    return f"{what} in the {count} pairs that have labels"


def _painted(line: Painted, pairs: list[CutPair]) -> _Found:
    still = np.zeros((*pairs[0].pair.fixed.shape, 2))
    return [(one, cut_sections.judged(one, line.displacement(one), still)) for one in pairs]


def measured(table: Table, contender: Contender, pairs: list[CutPair]) -> _Found:
    """Registers every pair as it was and as it was cut; a method that cannot run leaves a note.

    Returns:
        The pairs that it registered, each with its figures.
    """
    from tqdm import tqdm

    reason = contender.unavailable()
    if reason is not None:
        table.notes.append(f"{contender.name}: {reason}")
        return []
    known: dict[str, np.ndarray] = {}  # answers on pairs as they were, the same in all groups
    done: _Found = []
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
            done.append((one, found))
    finally:
        contender.close()
    return done


def add_rows(table: Table, method: str, found: _Found) -> None:
    """The rows of a method over all pairs, and of each group."""
    if not found:
        return
    for group in ("all", *dict.fromkeys(one.pair.group for one, _ in found)):
        chosen = [values for one, values in found if group in ("all", one.pair.group)]
        for metric in COLUMNS:
            values = [f[metric] for f in chosen if metric in f and not np.isnan(f[metric])]
            if values:
                told = _PAPER.get(method) if metric == "ncc" and group == "all" else None
                unit = UNITS.get(metric, "1")
                table.rows.append(Row.of(method, group, metric, unit, values, told))


def _differences(table: Table, figures: dict[str, dict[tuple[str, str], float]]) -> None:
    """What features gain over intensities, by group."""
    for group in GROUPS:
        for reference in _REFERENCES:
            base = figures.get(reference, {})
            keys = [key for key in base if key[0] == group]
            values = {
                name: [figures[name].get(key, np.nan) for key in keys]
                for name in (reference, *_FEATURES)
                if name in figures
            }
            if keys:
                clusters = [name for _, name in keys]
                metric = f"consistency, {group}"
                table.differences += paired(values, reference, clusters, metric, "px", "pair")
