"""Pairs and stacks of serial sections with painted deformations, and what they are judged by."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks import evaluate
from benchmarks.pairs import Pair, drawn
from tfreg.data import damage, sections
from tfreg.errors import InputError

# RMS of the painted deformation and length of the shift in px, and the damages.
GROUPS: dict[str, tuple[float, float, tuple[str, ...]]] = {
    "near": (4.0, 0.0, ()),
    "far": (8.0, 10.0, ()),
    "near, dust": (4.0, 0.0, ("dust",)),
    "near, folds": (4.0, 0.0, ("folds",)),
    "near, contrast": (4.0, 0.0, ("contrast",)),
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
    """Neighbouring sections, of each group the same ones.

    Args:
        source, split: of :func:`tfreg.data.sections.stacks`.
        groups: of ``GROUPS``.
        seed: of the deformations, and which pairs are drawn.
        limit: how many of each group at most.

    Raises:
        InputError: where there are no two neighbours.
    """
    neighbours = [
        (stack, k) for stack in sections.stacks(source, split) for k in range(len(stack.images) - 1)
    ]
    if not neighbours:
        raise InputError(f"There are no neighbours. Received: {source}, {split}")
    found = []
    for group in groups:
        rms, shift, damages = GROUPS[group]
        for stack, k in drawn(neighbours, seed, limit):
            moving = stack.images[k + 1]
            cut = damage.cut(moving, rms, shift, damages, (seed, k, list(GROUPS).index(group)))
            name = f"{stack.name}, {k + 1} onto {k}"
            plain = _pair(name, group, stack, k, moving, None)
            found.append(CutPair(plain, _pair(name, group, stack, k, cut.image, cut), cut))
    return found


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
    images: Sequence[np.ndarray], residual: Callable[[int], np.ndarray] | None
) -> dict[str, float]:
    """What an aligned stack is worth.

    Args:
        images: the aligned sections.
        residual: of a stack whose deformation is known, where each aligned section shows its
            original, less the place: ``(height, width, 2)`` px.

    Returns:
        ``ncc`` and ``ncc2`` of first and second neighbours; ``error``: mean distance from the
        original, but for a shift of the whole stack; ``relative_error``: that of neighbours.
    """
    found = {}
    for step, name in ((1, "ncc"), (2, "ncc2")):
        couples = zip(images[:-step], images[step:], strict=True)
        values = [evaluate.ncc(inner(a).astype(float), inner(b).astype(float)) for a, b in couples]
        found[name] = float(np.mean(values))
    if residual is not None:
        left = np.stack([inner(residual(k)) for k in range(len(images))])
        left = left - left.mean(axis=(0, 1, 2))
        found["error"] = float(np.linalg.norm(left, axis=-1).mean())
        found["relative_error"] = float(np.linalg.norm(np.diff(left, axis=0), axis=-1).mean())
    return found
