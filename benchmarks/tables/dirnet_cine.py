"""DIRNet on cardiac cine MRI (section 3.2 and Table 1 of the paper) beside elastix.

On Sunnybrook, whose myocardium is drawn at one time point only, the left ventricle's cavity is
judged.

Without ACDC the table runs on phantom hearts, with the one network that was trained on those.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import evaluate
from benchmarks import pairs as data_sets
from benchmarks.harness import Table, choose
from benchmarks.methods.elastix import Settings
from benchmarks.pairs import Pair
from benchmarks.tables.optimise import OURS, THREADS, TOOL_SETTINGS, TOOLS, Measurement, pareto
from tfreg.data import cine
from tfreg.errors import InputError
from tfreg.viz import draw_grid, new_figure
from zoo import describe, list_presets
from zoo.dirnet import METHOD
from zoo.dirnet.model import VARIANTS

PAPER = METHOD.numbers["dirnet-cine"]

BATCH = 64
LABELS = {
    "acdc": {"dice": 2, "dice LV": 3, "dice RV": 1},
    "phantom": {"dice": 2, "dice LV": 3, "dice RV": 1},
    # The experts drew the myocardium at the end of diastole only.
    "sunnybrook": {"dice": 3},
}
ELASTIX = {
    "elastix 2x100": Settings(100, 16, samples=2048),
    "elastix 2x2000": Settings(2000, 16, samples=2048),
    "elastix 2x500, 8 px": Settings(500, 8, samples=2048),
    "elastix 2x2000, 8 px": Settings(2000, 8, samples=2048),
}
REFINE = "fast"  # chosen on validation patients
REAL = {
    **{f"dirnet {kind}": (f"dirnet-cine-{kind}", 0) for kind in VARIANTS},
    "dirnet bl cc0": ("dirnet-cine-bl-cc0", 0),
    "dirnet plus": ("dirnet-cine-plus", 0),
    "dirnet bl + refine": ("dirnet-cine-bl", REFINE),
    "dirnet plus + refine": ("dirnet-cine-plus", REFINE),
}
PHANTOM = {
    "dirnet bl": ("dirnet-cine-bl-phantom", 0),
    "dirnet bl + refine": ("dirnet-cine-bl-phantom", REFINE),
}
INSTANCE = {"tfreg default": OURS["tfreg default"]}
METHODS = ("none", *ELASTIX, *TOOLS, *REAL, *INSTANCE)
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    parser.add_argument(
        "--pairs", type=int, default=None, help="registrations at most (default: all)"
    )
    parser.add_argument(
        "--split",
        choices=("test", "validation", "train"),
        default="test",
        help="validation: for choosing settings; train: to see what is lost on new patients "
        "(default: test)",
    )
    parser.add_argument(
        "--data",
        choices=("auto", *LABELS),
        default="auto",
        help="auto: ACDC where it is found, else phantom hearts; sunnybrook: cavities",
    )


def run(options: argparse.Namespace) -> Table:
    """Registers the same pairs with every method and collects the rows."""
    if options.pairs is not None and options.pairs < 1:
        raise InputError(f"--pairs must be positive. Received: {options.pairs}")
    data = options.data
    if data == "auto":
        data = "acdc" if cine.available(("acdc",)) else "phantom"
    networks = PHANTOM if data == "phantom" else REAL
    labels = LABELS[data]
    pairs = data_sets.cine(options.split, data, options.seed, options.pairs, labels["dice"])
    about = {"acdc": "ACDC", "sunnybrook": "Sunnybrook", "phantom": "phantom hearts"}[data]
    tissue = {2: "myocardium", 3: "left ventricle's cavity"}[labels["dice"]]
    table = Table(
        name="dirnet-cine",
        data=f"{about}, {options.split} split",
        protocol=(
            f"{len(pairs)} registrations of {len({pair.patient for pair in pairs})} patients: end "
            f"diastole and end systole of every slice that shows the {tissue} in both, each to "
            "the other, 128x128; the same for every method. Every method hands over a "
            "displacement, one evaluator warps the labels (linear, threshold 1/2). `dice`, `hd95` "
            "(95th percentile of the distances from one surface to the other, the larger of both "
            "directions) and `msd` (their mean, of both directions), in "
            f"{pairs[0].unit}: {tissue}, mean ± SD over registrations; `dice LV`, `dice RV`: the "
            "cavities; `folding`: share of pixels where the map folds; `sd log J`: SD of the "
            "logarithm of the Jacobian determinant. `seconds`: one pair at a time, warm, on all "
            f"cores; `seconds_batched`: per pair in batches of {BATCH}."
        ),
        columns=COLUMNS,
        settings={
            "pairs": len(pairs),
            "seed": options.seed,
            "refine": f"{REFINE} B-spline, NCC and bending energy, from the network's answer",
            "elastix": f"NCC, 2 levels, 16 px grid but where said, 2048 new random samples per "
            f"iteration, {THREADS} threads, RandomSeed 1",
            "others": TOOL_SETTINGS,
        },
    )
    measurement = Measurement(
        *(table, pairs, ELASTIX, INSTANCE, networks),
        labels=labels,
        surfaces=True,
        batch=BATCH,
        in_voxels=True,
    )
    fields = {}
    for method in choose(options.methods, METHODS):
        if method in REAL and method not in networks:
            if options.methods:
                table.notes.append(f"{method}: left out, there is no such network for phantoms.")
            continue
        found = measurement.run(method)
        if found:
            fields[method] = found
    if not fields:
        return table
    if data != "phantom":
        _add_paper(table)
    if len(fields) > 1:
        table.figures["pareto.png"] = lambda path: pareto(table, "dice", path)
    table.figures["boxes.png"] = lambda path: _boxes(measurement, tissue, path)
    shown = next((m for m in ("dirnet plus", "dirnet bl") if m in fields), list(fields)[-1])
    dice = np.array(measurement.values[shown]["dice"])
    table.figures["cases.png"] = lambda path: _cases(
        pairs, labels["dice"], fields[shown], dice, shown, path
    )
    if data != "phantom":
        table.figures["learning-curves.png"] = _learning_curves
    return table


def _add_paper(table: Table) -> None:
    """The paper's Table 1 beside ours; it was measured on another data set."""
    found = {
        (name if name in ("none", *ELASTIX) else f"dirnet {name}"): values
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


def _boxes(measurement: Measurement, tissue: str, path: Path) -> None:
    """Dice per method, and per patient and label for the best network."""
    figure, axes = new_figure(2, 1, 5.0)
    figure.set_size_inches(10, 9)
    upper, lower = axes[:, 0]
    methods = [m for m, found in measurement.values.items() if "dice" in found]
    upper.boxplot([measurement.values[m]["dice"] for m in methods], showfliers=True)
    upper.set_xticks(range(1, len(methods) + 1), methods, rotation=35, ha="right", fontsize=7)
    upper.set_title(f"Dice of the {tissue}, all registrations", fontsize=9)
    patients = list(dict.fromkeys(pair.patient for pair in measurement.pairs))
    ranked = sorted(
        (m for m in methods if m.startswith("dirnet") and "refine" not in m),
        key=lambda m: np.mean(measurement.values[m]["dice"]),
    )
    best = ranked[-1] if ranked else methods[-1]
    for offset, metric in enumerate(measurement.labels):
        found = [
            [
                value
                for pair, value in zip(
                    measurement.pairs, measurement.values[best][metric], strict=True
                )
                if pair.patient == patient and not np.isnan(value)
            ]
            for patient in patients
        ]
        places = np.arange(len(patients)) + 0.25 * (offset - 1)
        boxes = lower.boxplot(found, positions=places, widths=0.2, patch_artist=True)
        for box in boxes["boxes"]:
            box.set_facecolor(f"C{offset}")
        lower.plot([], [], color=f"C{offset}", label=metric)
    lower.set_xticks(range(len(patients)), patients, rotation=35, ha="right", fontsize=7)
    lower.set_title(f"{best}, by patient and label", fontsize=9)
    lower.legend(fontsize=7)
    for axis in (upper, lower):
        axis.set_yticks(np.arange(0, 1.01, 0.2))
        axis.grid(axis="y", alpha=0.3)
    figure.savefig(path, dpi=110)


def _cases(
    pairs: list[Pair],
    label: int,
    fields: list[np.ndarray],
    dice: np.ndarray,
    method: str,
    path: Path,
) -> None:
    """Best, median and the three worst registrations: contours and deformation grids."""
    order = np.argsort(dice)
    chosen = {
        "best": order[-1],
        "median": order[len(order) // 2],
        **{f"worst {k + 1}": order[k] for k in range(min(3, len(order) - 2))},
    }
    figure, axes = new_figure(len(chosen), 4, 2.4)
    for row, (name, index) in enumerate(chosen.items()):
        pair, displacement = pairs[index], fields[index]
        moved = evaluate.warp(pair.moving, displacement)
        mask = (pair.moving_labels == label).astype("float32")
        panels = (
            (pair.moving, mask, "moving"),
            (pair.fixed, (pair.fixed_labels == label).astype("float32"), "fixed"),
            (moved, evaluate.warp(mask, displacement), f"moved, Dice {dice[index]:.3f}"),
        )
        for axis, (image, contour, title) in zip(axes[row], panels, strict=False):
            axis.imshow(image, cmap="gray")
            axis.contour(contour, [0.5], colors="tab:orange", linewidths=0.9)
            axis.set_title(title, fontsize=7)
        axes[row, 2].contour(panels[1][1], [0.5], colors="tab:cyan", linewidths=0.9)
        draw_grid(axes[row, 3], displacement)
        axes[row, 3].set_title(
            f"x + u(x), folded {evaluate.folding(displacement):.2f} %", fontsize=7
        )
        axes[row, 0].set_ylabel(f"{name}\n{pair.name}", fontsize=6)
    figure.suptitle(
        f"{method}: label of the moved (orange) and of the fixed image (blue)", fontsize=9
    )
    figure.savefig(path, dpi=130)


def _learning_curves(path: Path) -> None:
    """The paper's Fig. 3 with ours: NCC on validation pairs while training."""
    figure, axes = new_figure(1, len(VARIANTS), 2.2)
    for axis, kind in zip(axes[0], VARIANTS, strict=True):
        axis.plot(
            PAPER["iterations"],
            [np.nan if value is None else value for value in PAPER["ncc"][kind]],
            *("o",),
            color="black",
            markersize=3,
            label="paper, 256x256",
        )
        if f"dirnet-cine-{kind}" in list_presets():
            curve = describe(f"dirnet-cine-{kind}").training["curve"]
            axis.plot(curve["iteration"], curve["ncc"], label="ours, 128x128 about the heart")
        axis.set_title(kind.upper(), fontsize=9)
        axis.set_xticks([0, 5000, 10_000])
        axis.set_yticks([0.94, 0.95, 0.96, 0.97, 0.98, 0.99])
        axis.set_ylim(0.93, 1.0)
        axis.tick_params(labelsize=6)
        axis.grid(alpha=0.3)
    axes[0, 0].legend(fontsize=5, loc="lower right")
    axes[0, 0].set_ylabel("NCC on validation pairs", fontsize=7)
    figure.savefig(path, dpi=130)
