"""Stacks of sections: a real one that nobody aligned, and stacks with painted deformations."""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import options as declared
from benchmarks.harness import Row, Table, choose
from benchmarks.sections import stack_figures, taken_back
from tfreg.data import damage, sections
from tfreg.data.damage import Cut
from zoo.ssemnet import paper

RMS = 4.0  # px, of the painted deformations
COLUMNS = {
    "ncc": "mean",
    "ncc2": "mean",
    "error": "mean",
    "relative_error": "mean",
    "seconds": "mean",
}
UNITS = {"error": "px", "relative_error": "px", "seconds": "s"}
# How the stack is aligned, by line: a start, neighbours, and the period of the drift.
SCHEMES: dict[str, dict[str, Any]] = {
    "phase correlation": {"neighbours": 1, "drift": None, "still": True},
    "ncc, chain": {"neighbours": 1, "drift": None},
    "ncc, relaxed": {"neighbours": 2, "drift": None},
    "ncc, relaxed, no drift": {"neighbours": 2, "drift": 12.0},
    "ssemnet, relaxed, no drift": {"neighbours": 2, "drift": 12.0, "preset": ""},
    "ssemnet plus, relaxed, no drift": {"neighbours": 2, "drift": 12.0, "preset": "-plus"},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_data(parser, ("real", "phantom"), "lung sections and ISBI 2012")


def run(options: argparse.Namespace) -> Table:
    """Aligns every stack with every method and collects the rows."""
    wanted = ("lung", "isbi2012")
    real = declared.source(options, "real", lambda: all(map(sections.available, wanted))) == "real"
    methods = choose(options.methods, ["none", *SCHEMES])
    table = Table(
        name="ssem-stack",
        data="lung sections and ISBI 2012" if real else "phantom sections",
        protocol=(
            f"Stacks with painted deformations of {RMS:g} px RMS, each section another, the same "
            "stack without any, and where real sections are there a series that nobody aligned. "
            "`ncc`, `ncc2`: mean of neighbours, and of second neighbours, of the inner region; "
            "`error`: mean distance of the aligned sections from where they were before "
            "deformations were painted, but for a shift of the whole stack; `relative_error`: that "
            "of neighbours to each other. Of the undeformed stack, `error` is how far the method "
            "moves what needs no moving. The paper's NCC are those of another stack."
        ),
        columns=COLUMNS,
        settings={"seed": options.seed},
        layout="groups",
    )
    for group, (images, cuts) in _stacks(real, options.seed).items():
        for method in methods:
            figures = _figures(table, method, images, cuts, real)
            for metric, value in (figures or {}).items():
                told = _paper(method) if metric == "ncc" else None
                unit = UNITS.get(metric, "1")
                table.rows.append(Row.of(method, group, metric, unit, [value], told))
    return table


def _paper(method: str) -> float | None:
    told = {"none": "before", "ssemnet, relaxed, no drift": "ssEMnet"}
    return paper.STACK[told[method]] if method in told else None


def _stacks(real: bool, seed: int) -> dict[str, tuple[Sequence[np.ndarray], list[Cut] | None]]:
    """Sections by group, with what was painted; ``None``: nobody knows."""
    found: dict[str, tuple[Sequence[np.ndarray], list[Cut] | None]] = {}
    if real:
        found["lung"] = sections.stacks("lung", "test")[0].images, None
    source = sections.stacks("isbi2012" if real else "phantom", "test")[-1].images
    for count, rms in ((20, RMS), (30, RMS), (20, 0.0)):
        count = min(count, len(source))
        cuts = [damage.cut(source[k], rms, seed=(seed, k)) for k in range(count)]
        name = f"deformed {count}" if rms else f"undeformed {count}"
        found[name] = [cut.image for cut in cuts], cuts
    return found


def _figures(
    table: Table,
    method: str,
    images: Sequence[np.ndarray],
    cuts: list[Cut] | None,
    real: bool,
) -> dict[str, float] | None:
    from tfreg.serial import align

    if method == "none":
        still = np.zeros((*images[0].shape, 2))
        return stack_figures(images, _residual(cuts, lambda k: still))
    options = dict(SCHEMES[method])
    register = _register(options, real)
    if register is None:
        table.notes.append(f"{method}: left out, there is no such preset.")
        return None
    begin = time.perf_counter()
    found = align(images, register, **options)
    seconds = time.perf_counter() - begin
    moved = [found.apply(k, image) for k, image in enumerate(images)]
    figures = stack_figures(moved, _residual(cuts, found.displacement))
    return {**figures, "seconds": seconds}


def _residual(
    cuts: list[Cut] | None, displacement: Callable[[int], np.ndarray]
) -> Callable[[int], np.ndarray] | None:
    if cuts is None:
        return None
    return lambda k: taken_back(displacement(k), cuts[k])


def _register(options: dict[str, Any], real: bool) -> Callable | None:
    """What registers a pair; takes its own words out of the options of ``align``."""
    import zoo
    from tfreg.serial import register_sections

    if options.pop("still", False):
        return lambda fixed, moving: _Still(np.zeros((*fixed.shape, 2)))
    suffix = options.pop("preset", None)
    if suffix is None:
        return register_sections
    name = f"ssemnet-{'vnc' if real else 'phantom'}{suffix}"
    return zoo.load(name).register if name in zoo.list_presets() else None


class _Still:
    """An answer that moves nothing."""

    def __init__(self, displacement: np.ndarray) -> None:
        self.displacement = displacement
