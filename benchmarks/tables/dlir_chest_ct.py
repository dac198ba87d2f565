"""DLIR on chest CT: a lung pair, phantoms with the truth, or DIR-Lab; beside elastix and others."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import evaluate, volumes
from benchmarks.harness import Table
from benchmarks.methods.elastix import Settings
from benchmarks.pairs import Pair
from benchmarks.tables import dlir
from benchmarks.tables import optimise_chest_ct as without
from benchmarks.tables.optimise import TOOLS, Measurement
from tfreg.data import lung_pair
from tfreg.viz import new_figure
from zoo.dlir import METHOD
from zoo.dlir.train_chest_ct import RECIPE

PAPER = METHOD.numbers["dlir-chest-ct"]

PRESET = "dlir-chest-ct"
# The preset refines within both masks, on local NCC. That it is better here than NCC was chosen on
# validation pairs of `tfreg.data.breathing`: the density of a lung changes as it breathes.
SIMILARITY = "lncc"
ROWS = dlir.stages(len(RECIPE.stages) - 1)
LAST = list(ROWS)[-2]  # all stages, without refinement: what the paper's numbers are of
ROWS |= {
    "dlir + refine fast": ("fast", *ROWS["dlir + refine"][1:]),
    "dlir + refine NCC": (*ROWS["dlir + refine"], "ncc"),
}
ELASTIX = {
    f"elastix {spacing} mm x{iterations}": Settings(
        iterations, spacing, levels=levels, samples=5000, affine=True
    )
    # From far a fifth level helps the coarse grid (lung pair).
    for spacing, iterations, levels in ((20, 500, 5), (20, 2000, 5), (10, 500, 4), (10, 2000, 4))
} | dlir.DEFAULT
ELASTIX |= {"elastix 10 mm x2000 confined": ELASTIX["elastix 10 mm x2000"]}
# Chosen on validation pairs of `tfreg.data.breathing`: less, and the lung's border is off.
WEIGHT = 0.3
OURS = {name: given for name, given in without.OURS.items() if "accurate" not in name} | {
    f"tfreg {setting}{' LNCC' * (similarity == 'lncc')} confined": {
        "transform": ("affine", "bspline"),
        "pyramid": setting,
        "similarity": similarity,
        "weight": WEIGHT,
        "confine": True,
    }
    for similarity in ("ncc", "lncc")
    for setting in ("fast", "default")
}
CONFINED = {method for method in ELASTIX if method.endswith("confined")}
METHODS = ("none", *ELASTIX, *TOOLS, *ROWS, *OURS)
COLUMNS = {
    "tre": "mean ± sd",
    "tre p95": "mean",
    "error": "mean ± sd",
    "error p95": "mean",
    "error voxels": "mean",
    "error p95 voxels": "mean",
    "folding": "mean",
    "seconds": "median",
    "compile": "median",
}
_ABOUT = {
    "ct": "lung CT, baseline and follow-up",
    "phantom": "phantom thoraxes that breathe, true displacements",
    "deformed": "a real chest CT made to breathe, true displacements",
    "dirlab": "DIR-Lab 4DCT, extreme phases",
}
# There is one real CT with labels: what breathes for the test has breathed for the training.
_SEEN = (
    " The network was trained on other breaths of this very patient's CT, so its rows are no test "
    "on a new patient."
)
_MEASURES = {
    "tre": "`tre`: distance of the landmarks in mm, mean ± SD over all of them, and its 95th "
    "percentile, mean over pairs",
    "error": "`error`: distance from the true displacement over the voxels of the lung, its mean "
    "and 95th percentile, in mm and in voxels, mean over pairs",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    dlir.add_arguments(parser, tuple(_ABOUT), "the lung pair")


def run(options: argparse.Namespace) -> Table:
    """Registers the same pairs with every method and collects the rows."""
    dlir.check(options)
    data = options.data
    if data == "auto":
        data = "ct" if lung_pair.available() else "phantom"
    pairs = volumes.chests(data, options.seed, options.pairs)
    measures = [text for metric, text in _MEASURES.items() if _has(pairs[0], metric)]
    masked = " gets the mask of the fixed lung" * (pairs[0].fixed_mask is not None)
    centred = " starts where the centroids of the lung masks coincide" * (data == "ct")
    given = [text for text in (masked, centred) if text]
    table = Table(
        name="dlir-chest-ct",
        data=_ABOUT[data],
        protocol=(
            f"{len(pairs)} pair{'s' * (len(pairs) > 1)}, the first "
            f"{'x'.join(map(str, pairs[0].fixed.shape))} voxels of "
            f"{' x '.join(f'{s:.4g}' for s in pairs[0].spacing)} mm"
            + (f"; every method{' and'.join(given)}" if given else "")
            + " (`none` is the start). `confined`, and the refinement of the network: with the "
            "masks of both lungs, outside of which all has one intensity; without a network with "
            f"weight {WEIGHT:g} of the bending energy. `dlir + refine` is on local NCC, as "
            "validation pairs asked (`fast`: by the fast schedule), `dlir + refine NCC` on NCC as "
            "elastix. The network alone takes no mask, and sees voxels of the size that it was "
            "trained on; `seconds` has the way there and back. All but `none` register affinely "
            "first. "
            f"{'; '.join(measures)}; `folding`: share of the voxels of the lung "
            f"where the map folds. {dlir.SECONDS}{_SEEN * (data == 'deformed')}"
        ),
        columns=COLUMNS,
        settings=dlir.settings(options, pairs, "4 or (20 mm) 5 levels, 5000", SIMILARITY),
    )
    measurement = Measurement(
        *(table, pairs, ELASTIX, OURS),
        affine=True,
        by_pair=len(pairs) > 1,
        confined=CONFINED,
        keep=1,
    )
    fields = dlir.run(options, measurement, METHODS, dlir.preset_for(PRESET, data), ROWS)
    if data == "dirlab":
        add_paper(table)
    shown = {method: found[0] for method, found in fields.items() if _shown(method)}
    if shown:
        table.figures["coronal.png"] = lambda path: coronal(pairs[0], shown, path)
    return table


def _has(pair: Pair, metric: str) -> bool:
    return {"tre": pair.fixed_points, "error": pair.truth}[metric] is not None


def _shown(method: str) -> bool:
    others = ("none", "elastix 10 mm x2000", "tfreg default")
    return method in others or (method in ROWS and "refine " not in method)


def add_paper(table: Table) -> None:
    """What was printed of the paper, case by case: before, and of all stages."""
    before = {"none": 0, LAST: 1}
    for index, row in enumerate(table.rows):
        known = PAPER["error"].get(row.group)
        # By case the table has one column for the paper, which is of the network.
        if known is None or row.metric != "tre" or row.method not in before:
            continue
        if row.method == LAST or row.group == "all":
            mean, sd = known[before[row.method]]
            table.rows[index] = replace(row, paper=mean, paper_sd=sd)
    table.notes.append(
        "paper: mean ± SD of DLIR as two later papers print it [S] (Hering et al., MedIA 72, 2021, "
        "Table 5), 300 landmarks per case; the paper itself was not at hand."
    )


def coronal(pair: Pair, fields: dict[str, np.ndarray], path: Path) -> None:
    """Before and after: a coronal slice of both images and, below, how far each is off."""
    figure, axes = new_figure(2, len(fields), 3.0)
    inside = np.ones(pair.fixed.shape) if pair.fixed_mask is None else pair.fixed_mask
    middle = round(float(np.argwhere(inside)[:, 1].mean()))
    aspect = pair.spacing[0] / pair.spacing[2]
    low, high = pair.fixed.min(), pair.fixed.max()
    for column, (method, displacement) in enumerate(fields.items()):
        moved = evaluate.warp(pair.moving, displacement)
        sides = [(image[:, middle] - low) / (high - low) for image in (moved, pair.fixed)]
        axis = axes[0, column]
        # Moved in orange, fixed in blue: grey where they agree.
        picture = np.stack([sides[0], sum(sides) / 2, sides[1]], axis=-1)
        axis.imshow(np.clip(picture, 0, 1), aspect=aspect, origin="lower")
        axis.set_title(method, fontsize=8)
        axis = axes[1, column]
        if pair.truth is not None:
            off = np.linalg.norm((displacement - pair.truth) * np.array(pair.spacing), axis=-1)
            off = np.where(inside > 0, off, np.nan)
            axis.imshow(off[:, middle], aspect=aspect, origin="lower", vmin=0, vmax=10)
            axis.set_title(f"mean {np.nanmean(off):.2f} mm (yellow: 10)", fontsize=8)
        else:
            _near(axes[0, column], pair, displacement, middle)
            without.landmark_bars(axis, pair, displacement)
    axes[0, 0].set_ylabel("moved (orange) on fixed (blue)", fontsize=7)
    axes[1, 0].set_ylabel(
        "error (mm)" if pair.truth is not None else "landmark error (mm)", fontsize=7
    )
    figure.savefig(path, dpi=130)


def _near(axis: Any, pair: Pair, displacement: np.ndarray, middle: int) -> None:
    """Draws what is left of the way of landmarks near the slice."""
    near = np.abs(pair.fixed_points[:, 1] - middle) * pair.spacing[1] < 15
    places = pair.fixed_points[near]
    index = tuple(np.rint(places).astype(int).T)
    for place, rest in zip(
        places, pair.moving_points[near] - places - displacement[index], strict=True
    ):
        ends = np.stack([place, place + rest])[:, [2, 0]]
        axis.plot(*ends.T, color="lime", linewidth=1)
        axis.plot(*ends[0], ".", color="lime", markersize=3)
