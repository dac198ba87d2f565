"""Pairs and stacks of serial sections with painted deformations, and what they are judged by."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from benchmarks import evaluate
from benchmarks.pairs import Pair, drawn
from tfreg.data import damage, sections
from tfreg.errors import InputError
from tfreg.serial import lattice


class Group(NamedTuple):
    """What is painted onto the pairs of a group: see :func:`tfreg.data.damage.cut`."""

    rms: float
    shift: float = 0.0
    damages: tuple[str, ...] = ()
    wavelength: float = damage.WAVELENGTH
    most: int | None = None  # pairs of it, for a group that is shown beside "near"


_BESIDE = 8
GROUPS = {
    "near": Group(4.0),
    "far": Group(8.0, 10.0),
    "near, dust": Group(4.0, damages=("dust",), most=_BESIDE),
    "near, folds": Group(4.0, damages=("folds",), most=_BESIDE),
    "near, contrast": Group(4.0, damages=("contrast",), most=_BESIDE),
    "near, short waves": Group(4.0, wavelength=90.0, most=_BESIDE),
}
MARGIN = 32  # px at the border that do not count: there sections show different tissue


@dataclass(frozen=True)
class CutPair:
    """A section, and the next one as it is and as it was cut.

    Attributes:
        plain: both as they are.
        pair: the next one deformed and damaged.
        cut: what was done to it.
    """

    plain: Pair
    pair: Pair
    cut: damage.Cut


def pairs(
    source: str, split: str, groups: Sequence[str], seed: int, limit: int | None
) -> list[CutPair]:
    """Neighbouring sections, of each group the same ones, deformed in the same way.

    Args:
        source, split: of :func:`tfreg.data.sections.stacks`.
        groups: of ``GROUPS``.
        seed: of the deformations, and which pairs are drawn.
        limit: how many of each group at most.

    Raises:
        InputError: where there are no two neighbours.
    """
    neighbours = [
        (number, stack, k)
        for number, stack in enumerate(sections.stacks(source, split))
        for k in range(len(stack.images) - 1)
    ]
    if not neighbours:
        raise InputError(f"There are no neighbours. Received: {source}, {split}")
    found = []
    for group in groups:
        painted = GROUPS[group]
        *what, wavelength, most = painted
        for number, stack, k in _drawn(_drawn(neighbours, seed, limit), seed, most):
            moving = stack.images[k + 1]
            # The same in every group, so that they differ by what is painted beside it.
            cut = damage.cut(moving, *what, (seed, number, k), wavelength)
            name = f"{stack.name}, {k + 1} onto {k}"
            plain = _pair(name, group, stack, k, moving, None)
            found.append(CutPair(plain, _pair(name, group, stack, k, cut.image, cut), cut))
    return found


def _drawn(
    neighbours: list[tuple[int, sections.Stack, int]], seed: int, limit: int | None
) -> list[tuple[int, sections.Stack, int]]:
    """Those with labels, as far as the limit goes, and others drawn at random, in their order."""
    chosen = drawn([one for one in neighbours if one[1].labels is not None], seed, limit)
    others = [one for one in neighbours if one[1].labels is None]
    chosen = chosen + drawn(others, seed, None if limit is None else limit - len(chosen))
    return sorted(chosen, key=lambda one: (one[0], one[2]))


def _pair(
    name: str,
    group: str,
    stack: sections.Stack,
    k: int,
    moving: np.ndarray,
    cut: damage.Cut | None,
) -> Pair:
    labels = (None, None)
    if stack.labels is not None:
        other = stack.labels[k + 1]
        labels = stack.labels[k], other if cut is None else damage.painted(other, cut.displacement)
    images = (image.astype("float32") for image in (stack.images[k], moving))
    return Pair(name, *images, (1.0, 1.0), *labels, patient=stack.name, unit="px", group=group)


def consistency(displacement: np.ndarray, plain: np.ndarray, cut: damage.Cut) -> float:
    """Mean distance in px of an answer, taken back through the painted deformation, to the answer
    of the same method on the pair as it was: nobody knows where sections truly agree.

    Args:
        displacement: the answer on the cut pair.
        plain: that on the pair as it was.
        cut: what was painted.
    """
    back = taken_back(displacement, cut)
    return float(np.linalg.norm(inner(back - plain), axis=-1).mean())


def taken_back(displacement: np.ndarray, cut: damage.Cut) -> np.ndarray:
    """``u(x) + d(x + u(x))``: where the original section has what the answer finds in the cut."""
    parts = (evaluate.warp(cut.displacement[..., c], displacement) for c in (0, 1))
    return displacement + np.stack(list(parts), axis=-1)


def inner(values: np.ndarray) -> np.ndarray:
    """What counts of an image, the first two axes."""
    margin = min(MARGIN, min(values.shape[:2]) // 8)
    return values[margin:-margin, margin:-margin]


def judged(one: CutPair, displacement: np.ndarray, plain: np.ndarray) -> dict[str, float]:
    """The figures of one answer."""
    pair = one.pair
    found = {
        "consistency": consistency(displacement, plain, one.cut),
        "ncc": evaluate.ncc(inner(pair.fixed), inner(evaluate.warp(pair.moving, displacement))),
        "folding": evaluate.folding(displacement),
    }
    if pair.fixed_labels is not None:
        moved = evaluate.warp(pair.moving_labels.astype("int32"), displacement, order=0)
        found["dice"] = _dice(inner(pair.fixed_labels), inner(moved))
    return found


def _dice(one: np.ndarray, other: np.ndarray) -> float:
    """Mean over the labels that both show."""
    labels = np.intersect1d(one, other)
    each = [
        2 * ((one == k) & (other == k)).sum() / ((one == k).sum() + (other == k).sum())
        for k in labels
        if k
    ]
    return float(np.mean(each)) if each else float("nan")


class Painted:
    """The inverse of what was painted: what a method that knew it would answer."""

    name = "painted truth"
    ours = False

    def displacement(self, one: CutPair) -> np.ndarray:
        """``u`` with ``u(x) + d(x + u(x)) = 0``, by fixed-point iteration."""
        found = np.zeros_like(one.cut.displacement)
        for _ in range(30):
            found = 0.5 * found + 0.5 * (found - taken_back(found, one.cut))
        return found


def stack_figures(
    images: Sequence[np.ndarray],
    displacement: Callable[[int], np.ndarray],
    cuts: Sequence[damage.Cut] | None = None,
) -> dict[str, float]:
    """What an aligned stack is worth.

    Args:
        images: the aligned sections.
        displacement: where each shows what: ``(height, width, 2)`` px, by number.
        cuts: what was painted onto each section; ``None``: nobody knows.

    Returns:
        ``ncc`` and ``ncc2`` of first and second neighbours, where both show tissue;
        ``folding``: percentage of pixels where a map folds; ``error``: mean distance from the
        original, but for a shift of the whole stack; ``relative_error``: that of neighbours.
    """
    maps = [displacement(k) for k in range(len(images))]
    shown = [inner(_shown(one)) for one in maps]
    sections_ = [inner(image).astype("float64") for image in images]
    found = {}
    for step, name in ((1, "ncc"), (2, "ncc2")):
        couples = zip(sections_[:-step], sections_[step:], shown[:-step], shown[step:], strict=True)
        values = [evaluate.ncc(a[m & n], b[m & n]) for a, b, m, n in couples]
        found[name] = float(np.mean(values))
    found["folding"] = float(np.mean([evaluate.folding(one) for one in maps]))
    if cuts is not None:
        left = np.stack([inner(taken_back(u, cut)) for u, cut in zip(maps, cuts, strict=True)])
        left = left - left.mean(axis=(0, 1, 2))
        found["error"] = float(np.linalg.norm(left, axis=-1).mean())
        found["relative_error"] = float(np.linalg.norm(np.diff(left, axis=0), axis=-1).mean())
    return found


def _shown(displacement: np.ndarray) -> np.ndarray:
    """Where a moved section shows the section."""
    shape = displacement.shape[:2]
    return lattice.within(lattice.points(shape, 1) + displacement, shape)
