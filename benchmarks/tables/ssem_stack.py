"""Stacks of sections: a real one that nobody aligned, and stacks with painted deformations."""

import argparse
import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import zoo
from benchmarks import options as declared
from benchmarks.harness import Row, Table, choose
from benchmarks.sections import stack_figures
from tfreg.data import damage, sections
from tfreg.data.damage import Cut
from tfreg.serial import Alignment, align, register_sections, sections_by
from tfreg.serial.pairs import FINEST
from zoo.ssemnet import paper
from zoo.ssemnet.turn import align_in_turn

RMS = 4.0  # px, of the painted deformations
COLUMNS = {
    "ncc": "mean",
    "ncc2": "mean",
    "folding": "mean",
    "error": "mean",
    "relative_error": "mean",
    "seconds": "mean",
}
UNITS = {"folding": "%", "error": "px", "relative_error": "px", "seconds": "s"}
# How the stack is aligned, by line: what registers pairs, neighbours, the period of the drift, and
# the start where it is another than that of the stack.
_IN_TURN = "ssemnet, section by section"
_MOST = 20  # sections of a stack that an encoder registers, a pair of which takes it seconds
SCHEMES: dict[str, dict[str, Any]] = {
    "phase correlation": {"by": None, "neighbours": 1, "drift": None},
    "ncc, chain": {"by": "ncc", "neighbours": 1, "drift": None},
    "ncc, relaxed": {"by": "ncc", "neighbours": 2, "drift": None},
    "ncc 32 px, relaxed": {"by": "ncc 32 px", "neighbours": 2, "drift": None},
    "ncc, relaxed, no drift": {"by": "ncc", "neighbours": 2, "drift": 12.0},
    "tfreg align": {"by": "ncc", "neighbours": 2, "drift": 12.0, "start": "translation"},
    _IN_TURN: {"by": "", "neighbours": 2},
    "ssemnet, relaxed": {"by": "", "neighbours": 2, "drift": None},
    "ssemnet, relaxed, no drift": {"by": "", "neighbours": 2, "drift": 12.0},
    "ssemnet plus, relaxed": {"by": "-plus", "neighbours": 2, "drift": None},
    "ssemnet plus, relaxed, no drift": {"by": "-plus", "neighbours": 2, "drift": 12.0},
}


class _Stack(NamedTuple):
    """Sections, where a start by phase correlation is needed, and what was painted, if known."""

    images: list[np.ndarray]
    start: str
    cuts: list[Cut] | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_data(parser, ("real", "phantom"), "lung, Drosophila VNC and ISBI 2012 sections")


def run(options: argparse.Namespace) -> Table:
    """Aligns every stack with every method and collects the rows."""
    wanted = ("lung", "vnc", "isbi2012")
    real = declared.source(options, "real", lambda: all(map(sections.available, wanted))) == "real"
    methods = choose(options.methods, ["none", *SCHEMES])
    table = Table(
        name="ssem-stack",
        data="lung sections, Drosophila VNC stack 2 and ISBI 2012" if real else "phantom sections",
        protocol=(
            f"Stacks with painted deformations of {RMS:g} px RMS, each section another, the same "
            "stack without any, and where real sections are there a series that nobody aligned, "
            "for which phase correlation is the start. `ncc`, `ncc2`: mean of neighbours, and of "
            "second neighbours, where both show tissue of the inner region; `folding`: share of "
            "pixels where a map folds; `error`: mean distance of the aligned sections from where "
            "their publishers put them, but for a shift of the whole stack; `relative_error`: that "
            "of neighbours to each other. Of an undeformed stack, `error` is how far the method "
            "moves what needs no moving; `seconds`: of the whole stack, compiled before. `ncc`: "
            "control points 16 px apart, where not said otherwise; `chain`: neighbours alone; "
            "`relaxed`: two neighbours each, all pairs as one; `no drift`: what changes slowly "
            "along the stack is left to the tissue; `tfreg align`: the command as it comes, which "
            f"begins with phase correlation everywhere; `{_IN_TURN}`: the paper's "
            "way, each onto two that are aligned already. The encoder has seen the 20 sections, "
            "not their deformations. The paper's NCC, of another stack of other tissue: "
            + ", ".join(f"{name} {value:.4f}" for name, value in paper.STACK.items())
            + "."
        ),
        columns=COLUMNS,
        settings={"seed": options.seed},
        layout="groups",
    )
    warm: set[Any] = set()
    for group, stack in _stacks(real, options.seed).items():
        answers: dict[str, dict] = {}  # of pairs, by what registers them
        for method in methods:
            figures = _figures(table, (method, group), stack, answers, real, warm)
            for metric, value in (figures or {}).items():
                told = _paper(method) if metric == "ncc" else None
                unit = UNITS.get(metric, "1")
                table.rows.append(Row.of(method, group, metric, unit, [value], told))
    return table


def _paper(method: str) -> float | None:
    told = {"none": "before", _IN_TURN: "ssEMnet"}
    return paper.STACK[told[method]] if method in told else None


def _stacks(real: bool, seed: int) -> dict[str, _Stack]:
    """The stacks of the table by group."""
    found: dict[str, _Stack] = {}
    if real:
        found["lung"] = _Stack([*sections.stacks("lung", "test")[0].images], "translation", None)
        sources = {
            20: sections.stacks("vnc", "train")[1].images,
            30: sections.stacks("isbi2012", "test")[1].images,
        }
    else:
        sources = {20: sections.stacks("phantom", "test")[-1].images}
    for number, images in sources.items():
        for rms in (RMS, 0.0):
            seeds = [(seed, number, k) for k in range(len(images))]
            cuts = [damage.cut(i, rms, seed=s) for i, s in zip(images, seeds, strict=True)]
            name = f"{'deformed' if rms else 'undeformed'} {len(images)}"
            found[name] = _Stack([cut.image for cut in cuts], "none", cuts)
    return found


def _figures(
    table: Table,
    line: tuple[str, str],
    stack: _Stack,
    answers: dict[str, dict],
    real: bool,
    warm: set[Any],
) -> dict[str, float] | None:
    method, group = line
    images, cuts = stack.images, stack.cuts
    if method == "none":
        still = np.zeros((*images[0].shape, 2))
        return stack_figures(images, lambda k: still, cuts)
    options = {"start": stack.start, **SCHEMES[method]}
    by = options.pop("by")
    if by is None and options["start"] == "none":
        return None  # it would be the line above
    if by in ("", "-plus") and len(images) > _MOST:
        table.notes.append(f"{method}: left out of {group}, an encoder takes seconds for a pair.")
        return None
    name = f"ssemnet-{'vnc' if real else 'phantom'}{by}"
    if by in ("", "-plus") and name not in zoo.list_presets():
        table.notes.append(f"{method}: left out, there is no preset {name}.")
        return None
    register = _register(by, name)
    if method == _IN_TURN:
        model, given = zoo.load(name, task="registration"), options["start"]

        def aligned(images: list[np.ndarray], register: Any) -> Alignment:
            return align_in_turn(model, images, options["neighbours"], given)
    else:

        def aligned(images: list[np.ndarray], register: Any) -> Alignment:
            return align(images, register, **options)

    key = (by, method == _IN_TURN, options["start"] == "none", images[0].shape)
    if key not in warm:
        aligned(images[: options["neighbours"] + 2], register)
        warm.add(key)
    remembered = _Remembered(register, answers.setdefault(f"{by} {options['start']}", {}))
    begin = time.perf_counter()
    found = aligned(images, remembered)
    seconds = time.perf_counter() - begin + remembered.saved
    moved = [found.apply(k, image) for k, image in enumerate(images)]
    return {**stack_figures(moved, found.displacement, cuts), "seconds": seconds}


class _Remembered:
    """What registers pairs, and knows the answers that another line asked for.

    Attributes:
        saved: seconds that those took.
    """

    def __init__(self, register: Callable, answers: dict[bytes, tuple[Any, float]]) -> None:
        self.register, self.answers = register, answers
        self.saved = 0.0

    def __call__(self, fixed: np.ndarray, moving: np.ndarray, **masks: Any) -> Any:
        key = hash((fixed.tobytes(), moving.tobytes()))
        if key in self.answers:
            answer, seconds = self.answers[key]
            self.saved += seconds
            return answer
        begin = time.perf_counter()
        answer = self.register(fixed, moving, **masks)
        self.answers[key] = answer, time.perf_counter() - begin
        return answer


def _register(by: str | None, name: str) -> Callable:
    """What registers a pair of sections."""
    if by is None:
        return lambda fixed, moving, **masks: _Still(np.zeros((*fixed.shape, 2)))
    if by.startswith("ncc"):
        return functools.partial(register_sections, finest=32.0 if "32" in by else FINEST)
    return sections_by(zoo.load(name, task="registration"))


class _Still:
    """An answer that moves nothing."""

    def __init__(self, displacement: np.ndarray) -> None:
        self.displacement = displacement
