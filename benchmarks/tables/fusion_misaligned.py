"""Fusion of brain images that are not aligned: as they are, registered before, and aligned."""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

import zoo
from benchmarks import options as declared
from benchmarks.harness import Row, Table, choose
from benchmarks.misaligned import displaced, misalignment
from benchmarks.tables import _fusion
from benchmarks.tables.fusion_brain import PRESET, WHOLE
from tfreg import Geometry, Image
from tfreg.cli.alignment import Source, aligned
from tfreg.data import brain_pairs
from tfreg.errors import InputError
from tfreg.metrics import inverse_consistency_error

METHODS = ("aligned", "misaligned", "registered", "half a pixel", "aligned + registered")
COLUMNS = {
    **dict.fromkeys(_fusion.UNITS, "mean ± sd"),
    "error": "mean ± sd",
    "won_back": "mean",
}
PROTOCOL = (
    "The second image of each aligned pair is displaced by a known map: 10 px in a random "
    "direction, 10 degrees either way about the middle, and a smooth warp of 4 px at most. "
    "`misaligned` is fused as it is, `registered` after `tfreg fuse --register rigid` (or what the "
    "settings say), `aligned` before the map; all are judged against the aligned pair. What that "
    "asks for: `half a pixel` is the aligned pair, its second image moved by half a pixel along "
    "both axes, and `aligned + registered` the aligned pair, registered. "
    "`error`: mean distance in px of where pixels of the head were brought to from where they "
    "belong; `won_back`: of the mean Q_G that misalignment costs, the share that is not lost."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_pairs(parser, what="pairs of each group at most")
    declared.add_data(parser, ("harvard", "phantom"), "The Whole Brain Atlas", "phantom heads")
    declared.add_split(parser)
    parser.add_argument("--model", default=PRESET, help=f"a preset (default: {PRESET})")
    parser.add_argument("--register", default="rigid", help="default: rigid")
    parser.add_argument("--similarity", choices=("mi", "ngf"), default="mi", help="default: mi")


def run(options: argparse.Namespace) -> Table:
    """Displaces, registers, fuses and judges the pairs of every group."""
    data = declared.source(options, "harvard", brain_pairs.available)
    chosen = choose(options.methods, METHODS)
    table = Table(
        name="fusion-misaligned",
        data=f"{brain_pairs.SOURCES[data]}, {options.split} pairs",
        protocol=PROTOCOL,
        columns=COLUMNS,
        settings={
            "pairs": options.pairs or "all",
            "seed": options.seed,
            "model": options.model,
            "register": options.register,
            "similarity": options.similarity,
        },
        layout="groups",
    )
    model = zoo.load(options.model, task="fusion")
    how = argparse.Namespace(register=options.register, similarity=options.similarity, init=None)
    lines = {}
    for group in brain_pairs.GROUPS:
        try:
            pairs = brain_pairs.pairs(group, options.split, data)
        except InputError as error:  # not every group has validation pairs
            table.notes.append(f"{group}: left out. {error}")
            continue
        rng = np.random.default_rng([options.seed, brain_pairs.GROUPS.index(group)])
        found: dict[str, list] = {method: [] for method in chosen}
        errors: dict[str, list] = {}
        for first, second, _ in zip(*(part[: options.pairs] for part in pairs), strict=True):
            displacement = misalignment(first.shape, rng)
            shown, ways = _shown(first, second, displacement, chosen, how)
            fused = {m: model.fuse(first, shown[m], **WHOLE).fused for m in chosen}
            for method in chosen:
                found[method].append(_fusion.judge(first, second, fused[method]))
                if method in ways:
                    error = inverse_consistency_error(*ways[method], mask=first > 0).error
                    errors.setdefault(method, []).append(error)
            lines.setdefault(group, [first / 255, shown["misaligned"] / 255, *fused.values()])
        for method in chosen:
            table.rows += _fusion.rows(method, group, found[method])
        table.rows += [Row.of(m, group, "error", "px", values) for m, values in errors.items()]
        if len(chosen) == len(METHODS):
            _win_back(table, group, found)
    columns = ["first", "second, displaced", *chosen]
    table.figures["cases.png"] = lambda path: _fusion.cases(columns, lines, path)
    return table


def _shown(
    first: np.ndarray,
    second: np.ndarray,
    displacement: np.ndarray,
    chosen: Sequence[str],
    how: Any,
) -> tuple[dict[str, np.ndarray], dict[str, tuple[np.ndarray, np.ndarray]]]:
    """The second image as each method fuses it, and the way of its pixels.

    What is shown at x comes from y = x + v(x), and belongs to y + u(y): the way is v and u.
    """
    nothing, half = np.zeros_like(displacement), np.full_like(displacement, 0.5)
    away = displaced(second, displacement)
    shown = {"aligned": second, "misaligned": away, "half a pixel": displaced(second, half)}
    ways = {"misaligned": (nothing, displacement), "half a pixel": (half, nothing)}
    starts = {"registered": (away, displacement), "aligned + registered": (second, nothing)}
    for method, (image, known) in starts.items():
        if method in chosen:
            shown[method], move = _registered(first, image, how)
            ways[method] = move, known
    return shown, ways


def _registered(first: np.ndarray, second: np.ndarray, how: Any) -> tuple[np.ndarray, np.ndarray]:
    """The second image as ``tfreg fuse --register`` brings it to the first, and by what."""
    grid = Geometry.of_shape(first.shape)
    colours = None if second.ndim == 2 else second
    grey = np.rint(255 * _fusion.light(second)).astype("uint8")
    sources = (
        Source(Image(first, grid), None, grid, False),
        Source(Image(grey, grid), colours, grid, False),
    )
    moved, answer = aligned(*sources, how)
    # In mm, x before y: of voxels of 1 mm on one grid those of pixels, rows last.
    return moved, answer.displacement.field[..., ::-1]


def _win_back(table: Table, group: str, found: dict[str, list]) -> None:
    """Adds the share of what is lost that each method wins back, or a note that nothing is."""
    means = {method: np.nanmean([one["q_g"] for one in found[method]]) for method in METHODS}
    lost = means["aligned"] - means["misaligned"]
    if lost <= 0:
        table.notes.append(f"{group}: no Q_G is lost by misalignment, and none can be won back.")
        return
    for method in METHODS[2:]:
        share = 100 * (means[method] - means["misaligned"]) / lost
        table.rows.append(Row.of(method, group, "won_back", "%", [share]))
