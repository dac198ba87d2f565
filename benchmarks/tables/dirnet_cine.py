"""DIRNet on cardiac cine MRI: Table 1 of the paper (section 3.2) beside elastix.

On Sunnybrook, whose myocardium is drawn at one time point only, the left ventricle's cavity is
judged.

Without ACDC the table runs on phantom hearts, with the networks that were trained on those.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import zoo
from benchmarks import figures, protocol
from benchmarks import options as declared
from benchmarks import pairs as data_sets
from benchmarks.harness import Table
from benchmarks.measurement import Measurement
from benchmarks.methods.ants import ants
from benchmarks.methods.contender import Contender, pick
from benchmarks.methods.elastix import Elastix, Settings
from benchmarks.methods.greedy import greedy
from benchmarks.methods.instance import instances
from benchmarks.methods.nothing import Nothing
from benchmarks.methods.preset import Preset
from tfreg.data import cine
from zoo.dirnet import METHOD

PAPER = METHOD.numbers["dirnet-cine"]
BATCH = 64
LABELS = {
    "acdc": {"dice": 2, "dice LV": 3, "dice RV": 1},
    "phantom": {"dice": 2, "dice LV": 3, "dice RV": 1},
    # The experts drew the myocardium at the end of diastole only.
    "sunnybrook": {"dice": 3},
}
_ABOUT = {"acdc": "ACDC", "sunnybrook": "Sunnybrook", "phantom": "phantom hearts"}
_TISSUES = {2: "myocardium", 3: "left ventricle's cavity"}
_PREFIX, _PHANTOM = "dirnet-cine-", "-phantom"
_ELASTIX = {
    "elastix 2x100": Settings(100, 16, samples=2048),
    "elastix 2x2000": Settings(2000, 16, samples=2048),
    "elastix 2x500, 8 px": Settings(500, 8, samples=2048),
    "elastix 2x2000, 8 px": Settings(2000, 8, samples=2048),
}
REFINE = "fast"  # chosen on validation patients
COLUMNS = {
    "dice": "mean ± sd",
    "hd95": "mean ± sd",
    "msd": "mean ± sd",
    "dice LV": "mean",
    "dice RV": "mean",
    "folding": "mean",
    "sd log J": "mean",
    "seconds": "median",
    "seconds_batched": "median",
}


def kinds() -> list[str]:
    """The networks of the zoo for real hearts, the paper's baseline first."""
    names = [name for name in zoo.list_presets() if name.startswith(_PREFIX)]
    found = [name.removeprefix(_PREFIX) for name in names if not name.endswith(_PHANTOM)]
    return sorted(found, key=lambda kind: (kind != "bl", kind))


def contenders(data: str = "acdc") -> list[Contender]:
    """The lines of the table, by networks that were trained on such data."""
    suffix = _PHANTOM * (data == "phantom")
    networks = [Preset(_line(kind), f"{_PREFIX}{kind}{suffix}") for kind in kinds()]
    networks += [
        Preset(f"{_line(kind)} + refine", f"{_PREFIX}{kind}{suffix}", REFINE)
        for kind in ("bl", "plus")
    ]
    return [
        Nothing(),
        *(Elastix(name, settings, in_voxels=True) for name, settings in _ELASTIX.items()),
        greedy(),
        ants(),
        *networks,
        *instances("default"),
    ]


def _line(kind: str) -> str:
    return f"dirnet {kind.replace('-', ' ')}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_pairs(parser)
    declared.add_split(parser, ("train",), "; train: to see what is lost on new patients")
    declared.add_data(parser, tuple(LABELS), "ACDC", "phantom hearts", "; sunnybrook: cavities")


def run(options: argparse.Namespace) -> Table:
    """Registers the same pairs with every method and collects the rows."""
    data = declared.source(options, "acdc", lambda: cine.available(("acdc",)))
    chosen = pick(options.methods, contenders(data))
    labels = LABELS[data]
    pairs = data_sets.cine(options.split, data, options.seed, options.pairs, labels["dice"])
    tissue = _TISSUES[labels["dice"]]
    table = Table(
        name="dirnet-cine",
        data=f"{_ABOUT[data]}, {options.split} split",
        protocol=(
            f"{protocol.registrations(len(pairs), options.pairs)} of "
            f"{len({pair.patient for pair in pairs})} patients: end diastole and end systole of a "
            f"slice that shows the {tissue} in both, each to the other, 128x128; the "
            f"same for every method. {protocol.WARPS} `dice`, {protocol.SURFACES}, in "
            f"{pairs[0].unit}: {tissue}, mean ± SD over registrations; "
            "`dice LV`, `dice RV`: the cavities; `folding`: share of pixels where the map folds; "
            "`sd log J`: SD of the logarithm of the Jacobian determinant. `seconds`: one pair at a "
            f"time, warm, on all cores; `seconds_batched`: per pair in batches of {BATCH}."
        ),
        columns=COLUMNS,
        settings={
            "pairs": len(pairs),
            "seed": options.seed,
            "refine": f"{REFINE} B-spline, NCC and bending energy, from the network's answer",
            "elastix": "NCC, 2 levels, 16 px grid but where said, 2048 new random samples per "
            f"iteration, {protocol.RANDOM}",
            "others": protocol.TOOLS,
        },
    )
    measurement = Measurement(table, pairs, labels=labels, surfaces=True, batch=BATCH)
    fields = measurement.run_all(chosen)
    if not fields:
        return table
    if data != "phantom":
        _add_paper(table)
        table.figures["learning-curves.png"] = _learning_curves
    measurement.pareto("dice")
    measurement.compare("dice", ("elastix *", "greedy"))
    values, patients = measurement.values, [pair.patient for pair in pairs]
    shown = next((m for m in ("dirnet plus", "dirnet bl") if m in fields), list(fields)[-1])
    table.figures["boxes.png"] = lambda path: figures.boxes(
        values, patients, list(labels), shown, tissue, path
    )
    table.figures["cases.png"] = lambda path: figures.cases(
        pairs, labels["dice"], fields[shown], values[shown]["dice"], shown, path
    )
    return table


def _add_paper(table: Table) -> None:
    """The paper's Table 1 beside ours; it was measured on another data set."""
    found = {
        (name if name in ("none", *_ELASTIX) else f"dirnet {name}"): values
        for name, values in PAPER["table"].items()
    }
    for index, row in enumerate(table.rows):
        value = found.get(row.method, {}).get(row.metric)
        if value is not None:
            table.rows[index] = replace(row, paper=value[0], paper_sd=value[1])
    table.notes.append(
        "paper: mean ± SD of Table 1 of the published version, Sunnybrook, 258 registrations of 15 "
        "patients, 256x256 pixels of 1.25 mm, networks on a GPU; its data and ours differ, so the "
        "order of the methods can be compared, not the numbers. Distances are in mm there."
    )


def _learning_curves(path: Path) -> None:
    """The paper's Fig. 3 with ours: NCC on validation pairs while training."""
    panels = [
        figures.Panel(kind.upper(), f"{_PREFIX}{kind}", PAPER["iterations"], ncc)
        for kind, ncc in PAPER["ncc"].items()
    ]
    labels = ("ours, 128x128 about the heart", "paper, 256x256")
    levels = (0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 1.0)
    figures.learning_curves(panels, (1, len(panels)), (0, 5000, 10_000), levels, labels, path)
