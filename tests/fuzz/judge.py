"""Holds what was read against what the file means."""

import itertools
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfreg import io
from tfreg.errors import InputError, InputWarning
from tfreg.image import Image

from .draws import Draft
from .meaning import Meaning, Truth

_RELATIVE = 1e-5  # of the largest coordinate, and of the largest value
_CONTRAST = 1e-3  # how far a value may be off, in the range of all values


@dataclass(frozen=True)
class Verdict:
    """What became of a case; ``text`` is what the reader said, or how it differs."""

    name: str
    fault: bool
    text: str = ""


@dataclass(frozen=True)
class _Outcome:
    frames: tuple[Image, ...] = ()
    refusal: str = ""
    unexpected: str = ""
    warned: tuple[str, ...] = ()


def judge(draft: Draft, truth: Truth) -> Verdict:
    """Reads the file of a draft, and compares."""
    found = _attempt(lambda: (io.read(draft.path),))
    series = truth.meanings and len(truth.meanings[0].frames) > 1
    if series and found.refusal:  # as it must be: then its frames are what counts
        found = _attempt(lambda: tuple(io.read_frames(draft.path)))
    return _verdict(draft, truth, found)


def _attempt(reader: Callable[[], tuple[Image, ...]]) -> _Outcome:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            frames, refusal, unexpected = reader(), "", ""
        except InputError as error:
            frames, refusal, unexpected = (), str(error), ""
        except Exception as error:  # any other is what is looked for
            frames, refusal, unexpected = (), "", f"{type(error).__name__}: {error}"
    said = tuple(str(item.message) for item in caught if issubclass(item.category, InputWarning))
    others = [item for item in caught if not issubclass(item.category, InputWarning)]
    if others and not unexpected:
        unexpected = f"{others[0].category.__name__}: {others[0].message}"
    return _Outcome(frames, refusal, unexpected, said)


def _verdict(draft: Draft, truth: Truth, found: _Outcome) -> Verdict:
    ordinary = draft.kind == "ordinary"
    if found.unexpected:
        return Verdict("unexpected exception or warning", True, found.unexpected)
    if found.refusal:
        if "\n" in found.refusal or draft.path.name not in found.refusal:
            return Verdict("refused without its name, or in several lines", True, found.refusal)
        return Verdict("refuses the ordinary" if ordinary else "refused", ordinary, found.refusal)
    said = "; ".join(found.warned)
    if not truth.meanings:
        if said:
            return Verdict("answered with a warning", ordinary, said)
        return Verdict("answers what means nothing", True, str(found.frames[0]))
    differences = [_difference(found.frames, meaning) for meaning in truth.meanings]
    if all(differences):
        return Verdict(
            "differs and says so" if said else "differs in silence",
            not said or ordinary,
            f"{differences[0]} {said}",
        )
    if truth.matter and not re.search(truth.matter, said):
        return Verdict("silent about a contradiction", True, said)
    if said:
        return Verdict(
            "warns of the ordinary" if ordinary else "right, with a warning", ordinary, said
        )
    return Verdict("right", False)


def _difference(found: tuple[Image, ...], meaning: Meaning) -> str:
    """How the images differ from a meaning; "" where they do not."""
    if len(found) != len(meaning.frames):
        return f"{len(found)} frames for {len(meaning.frames)}"
    for image, frame in zip(found, meaning.frames, strict=True):
        text = _unlike(image.array, frame)
        if text:
            return text
        if meaning.affine is not None:
            text = _elsewhere(image, meaning)
            if text:
                return text
    return ""


def _unlike(found: np.ndarray, right: np.ndarray) -> str:
    found, right = _without_leading_ones(found), _without_leading_ones(right)
    if found.shape != right.shape:
        return f"shape {found.shape} for {right.shape}"
    if found.dtype.kind in "iub" and right.dtype.kind in "iub":
        bad = found != right
    else:
        right, exact = right.astype("float64"), found.astype("float64")
        largest, range_ = np.abs(right).max(), np.ptp(right)
        allowed = min(_RELATIVE * largest, _CONTRAST * range_) if range_ else _RELATIVE * largest
        bad = ~(np.abs(exact - right) <= allowed)
    if bad.any():
        first = tuple(np.argwhere(bad)[0].tolist())
        return f"{bad.sum()} of {bad.size} voxels: {found[first]} for {right[first]} at {first}"
    return ""


def _without_leading_ones(array: np.ndarray) -> np.ndarray:
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    return array


def _elsewhere(image: Image, meaning: Meaning) -> str:
    """How far the corners are from their place, or their distances from what they should be."""
    grid = image.geometry
    size = np.array([*grid.size, 1][:3]) - 1
    corners = np.array(list(itertools.product(*((0, n) for n in size))), dtype="float64")
    linear, right = meaning.affine[:3, :3], corners @ meaning.affine[:3, :3].T
    found = grid.to_physical(corners[:, ::-1][:, 3 - grid.ndim :])
    flat = grid.ndim == 2
    lengths = np.linalg.norm(linear[:, size > 0], axis=0)
    step = lengths.min() if lengths.size else 1.0
    axial = np.abs(linear[2, :2]).max() <= 1e-4 * np.abs(linear[:, :2]).max()
    if meaning.framed and not (flat and not axial):
        right = (right + meaning.affine[:3, 3])[:, : grid.ndim]
    else:
        found, right = _distances(found), _distances(right)
    allowed = meaning.slack * step + _RELATIVE * np.abs(right).max()
    off = np.abs(found - right).max()
    if not off <= allowed:
        what = "a corner" if meaning.framed else "a distance"
        place = np.argmax(np.abs(found - right).max(axis=-1))
        return f"{what} is {off:.3g} mm off: {_short(found[place])} for {_short(right[place])}"
    return ""


def _distances(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def _short(values: Any) -> list[float]:
    return [round(float(value), 3) for value in np.atleast_1d(values)]
