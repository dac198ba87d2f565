"""Pictures put in order: every volume of a series, slice by slice."""

import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.errors import InputError
from tfreg.io.dicom import kinds
from tfreg.io.dicom.slices import Slice

EVEN = 0.1  # how far a slice may be from its even place, in the smallest spacing
_SAME_PLACE = 1e-2  # mm
_SAME_AXES = 1e-3
_SAME_SPACING = 1e-3  # of itself

Stack = list[Slice]


def stacks_of(source: Path, slices: Sequence[Slice]) -> tuple[list[Stack], list[str]]:
    """The slices of each volume in order of place, the volumes in order of time.

    Returns:
        The stacks, and the keywords of the tags in which the volumes differ beside time; of a
        single volume, those in which its slices differ mildly.

    Raises:
        InputError: if the slices are no pile: of several sizes, spacings, orientations or frames
            of reference; or some places are held more often than others, or a picture twice.
    """
    _check_alike(source, slices)
    places = _places(source, slices)
    if len(places[0]) == 1:
        keywords = kinds.check_one_kind(source, slices)
        return [[place[0] for place in places]], keywords
    keywords = [
        keyword
        for keyword in kinds.differing(slices)
        if any(keyword in kinds.differing(place) for place in places)
    ]
    kinds.check_same_kinds(source, places, keywords)
    _check_times(source, places)
    ranks: dict[tuple[str, ...], int] = {}
    for item in sorted(slices, key=lambda item: item.times):
        ranks.setdefault(kinds.values_of(item, keywords), len(ranks))
    for place in places:
        place.sort(key=lambda item: (ranks[kinds.values_of(item, keywords)], item.times))
        for one, other in itertools.pairwise(place):
            if one.times == other.times and one.kind == other.kind:
                raise InputError(
                    f"{source} holds two pictures of one place and time; keep one. "
                    f"Received: {one.name} and {other.name}"
                )
    stacks = [list(stack) for stack in zip(*places, strict=True)]
    for stack in stacks:
        kinds.check_one_kind(source, stack)
    return stacks, keywords


def check_even(source: Path, stack: Stack) -> None:
    """Refuses a volume with slices missing or at uneven distances, or of a tilted gantry.

    A slice may be up to ``EVEN`` of the smallest spacing from its place.
    """
    if len(stack) == 1:
        return
    positions = np.array([item.position for item in stack])
    normal = stack[0].normal
    heights = positions @ normal
    step = (heights[-1] - heights[0]) / (len(stack) - 1)
    slack = EVEN * min(step, *(stack[0].spacing or (1.0, 1.0)))
    shifts = positions - positions[0] - np.outer(heights - heights[0], normal)
    shift = np.linalg.norm(shifts, axis=1).max()
    if shift > slack:
        raise InputError(
            f"{source} is tilted: its slices are shifted against each other, as by a tilted "
            "gantry; a converter such as dcm2niix straightens it. "
            f"Received: a shift of {shift:.3g} mm over {len(stack)} slices {step:.4g} mm apart"
        )
    off = np.abs(heights - np.linspace(heights[0], heights[-1], len(stack)))
    if off.max() > slack:
        gaps = np.diff(heights)
        widest = int(gaps.argmax())
        raise InputError(
            f"{source} has slices missing, or at uneven distances. Received: {gaps[widest]:.4g} mm "
            f"from {stack[widest].name} to {stack[widest + 1].name}, {np.median(gaps):.4g} mm from "
            f"most of {len(stack)} slices to the next"
        )


def _check_alike(source: Path, slices: Sequence[Slice]) -> None:
    first = slices[0]
    aspects: list[tuple[str, Callable[[Slice], Any], float]] = [
        ("sizes", lambda item: item.size, 0.0),
        ("orientations", lambda item: item.orientation, _SAME_AXES),
        ("spacings", lambda item: item.spacing or 0.0, _SAME_SPACING * max(first.spacing or (0,))),
    ]
    for other in slices:
        for words, aspect, slack in aspects:
            one, two = np.array(aspect(first)), np.array(aspect(other))
            if one.shape != two.shape or np.abs(one - two).max() > slack:
                raise InputError(
                    f"{source} holds slices of several {words}; take those of another volume out. "
                    f"Received: {one.tolist()} in {first.name} and {two.tolist()} in {other.name}"
                )
        if other.space != first.space:
            raise InputError(
                f"{source} holds slices of several frames of reference, whose positions cannot be "
                f"compared. Received: {first.name} and {other.name}"
            )
        if (other.position is None) != (first.position is None):
            silent = first if first.position is None else other
            raise InputError(
                f"{source} holds slices of which some state no place. Received: {silent.name} "
                "without ImagePositionPatient"
            )


def _places(source: Path, slices: Sequence[Slice]) -> list[Stack]:
    """The slices at each place, places in order along the normal."""
    places: list[Stack] = []
    for item in sorted(slices, key=lambda item: item.height):
        if places and item.height - places[-1][0].height < _SAME_PLACE:
            places[-1].append(item)
        else:
            places.append([item])
    for place in places:
        _check_place(source, place)
    counts = {len(place): place for place in reversed(places)}
    if len(counts) > 1:
        few, many = counts[min(counts)], counts[max(counts)]
        raise InputError(
            f"{source} holds some slices more often than others: slices are missing or doubled. "
            f"Received: from {len(few)} (at {few[0].name}) to {len(many)} (at {many[0].name}) "
            "pictures at one place"
        )
    return places


def _check_place(source: Path, place: Stack) -> None:
    """Refuses copies of a picture, and pictures of one height that lie side by side."""
    first = place[0]
    seen: dict[tuple[Any, ...], Slice] = {}
    for item in place:
        copy = seen.setdefault((item.instance, item.times), item)
        if copy is not item:
            raise InputError(
                f"{source} holds the same picture twice; keep one. "
                f"Received: {copy.name} and {item.name}"
            )
        slack = max(_SAME_PLACE, EVEN * min(first.spacing or (1.0,)))
        if first.position is not None and math.dist(item.position, first.position) > slack:
            raise InputError(
                f"{source} holds slices side by side in one plane. Received: {first.name} at "
                f"{first.position.tolist()} and {item.name} at {item.position.tolist()}"
            )


def _check_times(source: Path, places: Sequence[Stack]) -> None:
    """Refuses a series in time of which one place lacks a moment that another has."""
    moments = [sorted(item.moment for item in place) for place in places]
    for place, other in zip(places, moments, strict=True):
        if other != moments[0]:
            raise InputError(
                f"{source} has frames missing: its places differ in their positions in time. "
                f"Received: {moments[0]} at {places[0][0].name} and {other} at {place[0].name}"
            )
