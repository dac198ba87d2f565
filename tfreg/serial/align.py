"""A stack of sections, pair by pair, and then as a whole."""

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.errors import InputError, InputWarning
from tfreg.geometry import Geometry
from tfreg.serial import lattice
from tfreg.serial.kept import Kept
from tfreg.serial.pairs import register_sections
from tfreg.serial.phase import phase_correlation
from tfreg.serial.relaxation import relax, without_drift
from tfreg.serial.warping import through, warped
from tfreg.transforms import Displacement

STARTS = ("none", "translation", "rigid")
STEP = 8  # px between the points at which displacements are kept
PERIOD = 12.0  # sections
DEGREES = 20.0
_LOST, _CUT = 0.2, 0.8  # shares of a section within the frame, below which it is lost, or cut


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where each section of a stack belongs.

    Attributes:
        shape: height and width of all sections.
        starts: ``(sections, 2, 3)``: from the aligned stack to each section, before it bends.
        maps: ``(sections, rows, columns, 2)`` px on a lattice: how it bends.
        step: px between the points of that lattice.
    """

    shape: tuple[int, int]
    starts: np.ndarray
    maps: np.ndarray
    step: int

    def __len__(self) -> int:
        return len(self.starts)

    def displacement(self, section: int) -> np.ndarray:
        """``u`` with ``aligned(x) = section(x + u(x))``, ``(height, width, 2)`` px."""
        places = lattice.points(self.shape, 1)
        bent = places + lattice.everywhere(self.maps[section], self.shape, self.step)
        return through(self.starts[section], bent) - places

    def apply(self, section: int, image: np.ndarray, order: int = 1) -> np.ndarray:
        """A section as it lies in the aligned stack, in its own dtype; beyond it there is 0.

        Args:
            section: its number.
            image: it, or labels of it, ``(height, width)``.
            order: of interpolation, 1 for intensities, 0 for labels.

        Returns:
            An array of the same shape.

        Raises:
            InputError: on an image of another shape.
        """
        if image.shape != self.shape:
            raise InputError(
                f"The sections of this stack are {self.shape}. Received: shape={image.shape}"
            )
        return warped(image, self.displacement(section), order)

    def transform(self, section: int) -> Displacement:
        """The transform from the aligned stack to a section, px as mm."""
        geometry = Geometry.of_shape(self.shape)
        return Displacement.from_voxels(self.displacement(section), geometry, geometry)


def align(
    sections: Sequence[np.ndarray],
    register: Callable[..., Any] = register_sections,
    *,
    neighbours: int = 2,
    start: str = "translation",
    degrees: float | None = None,
    drift: float | None = PERIOD,
    folder: Path | str | None = None,
    identity: dict[str, Any] | None = None,
    progress: Callable[[str], Any] | None = None,
) -> Alignment:
    """Aligns a stack of serial sections.

    Neighbours are brought onto each other by phase correlation; the next sections are registered
    onto each; all answers together say where each section belongs; and of how they bend, what
    changes slowly along the stack is left to the tissue. The frame of the stack is as large as a
    section.

    Held at once are ``neighbours + 1`` sections, and of each pair its displacement every 8 px:
    about a byte per pixel and section.

    Args:
        sections: arrays ``(height, width)`` of one shape, or anything with a length that gives
            section ``k`` as ``sections[k]``.
        register: registers a pair: ``(fixed, moving, fixed_mask=, moving_mask=)`` to a
            ``tfreg.registration.Registration``, the masks 0 where a start shows what lies outside
            a section, and ``None`` without one; by default
            :func:`tfreg.serial.register_sections`, or :func:`tfreg.serial.sections_by` a model.
        neighbours: how many of the next sections are registered onto each.
        start: ``"translation"`` or ``"rigid"`` by phase correlation, or ``"none"``.
        degrees: the largest rotation from one section to the next, of ``"rigid"``; ``None``: 20.
        drift: sections; what of the bending changes more slowly than that along the stack is no
            deformation of the knife's, see :func:`tfreg.serial.without_drift`; the starts are left
            as they are. ``None``: everything is undone.
        folder: where the answer of each pair is kept; an alignment that was interrupted goes on
            where it was. Pairs of which a section has changed are registered again.
        identity: what decides the answers of the pairs beside the sections, as JSON can hold it;
            those of another are refused. By default the name of ``register``.
        progress: called with a line after each pair.

    Returns:
        The alignment of all sections.

    Raises:
        InputError: on fewer than two sections, sections of several shapes, constant or not finite
            ones, one that the starts take out of the frame, options out of range, or a folder with
            answers of another alignment.

    Warns:
        InputWarning: where the starts leave less than 80 % of a section within the frame.

    Example:

    >>> import numpy as np
    >>> from tfreg.data import tissue
    >>> from tfreg.serial import align
    >>> piece = tissue.block(3, (64, 64)).images
    >>> found = align(piece, drift=None)
    >>> found.displacement(1).shape
    (64, 64, 2)
    """
    count = len(sections)
    _check(count, neighbours, start, degrees, drift)
    largest = 0.0 if start != "rigid" else DEGREES if degrees is None else degrees
    shape = np.shape(sections[0])
    if len(shape) != 2:
        raise InputError(f"Sections are 2-D. Received: shape={shape}")
    settings = {
        "start": start,
        **({"degrees": largest} if start == "rigid" else {}),
        **({"register": _name(register)} if identity is None else identity),
    }
    kept = Kept(None if folder is None else Path(folder), settings)
    digests: dict[int, str] = {}

    @lru_cache(maxsize=neighbours + 1)
    def section(k: int) -> np.ndarray:
        image = np.asarray(sections[k])
        if image.shape != shape:
            raise InputError(
                f"All sections must have one shape, {shape}. Received: section {k} of {image.shape}"
            )
        if not np.isfinite(image).all() or image.min() == image.max():
            raise InputError(
                "Sections must be finite, and no constant. "
                f"Received: section {k} of {image.min():g} to {image.max():g}"
            )
        digests[k] = hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()
        return image

    def of(*numbers: int) -> str:
        """What the answer of a pair was computed from."""
        for k in numbers:
            section(k)
        return " ".join(digests[k] for k in numbers)

    def found_start(k: int) -> np.ndarray:
        fixed, moving = section(k), section(k + 1)
        return phase_correlation(fixed, moving, largest)

    starts = [np.eye(2, 3)]
    for k in range(count - 1):
        if start == "none":
            starts.append(starts[-1])
            continue
        step = kept.get(f"start-{k:04d}", of(k, k + 1), lambda k=k: found_start(k))
        starts.append(_composed(step, starts[-1]))
        if progress is not None:
            progress(f"start of section {k + 1} of {count}")
    placed = _centred(np.stack(starts), shape)
    _check_frame(placed, shape)

    @lru_cache(maxsize=neighbours + 1)
    def shown(k: int) -> tuple[np.ndarray, np.ndarray | None]:
        if start == "none":
            return section(k), None
        places = lattice.points(shape, 1)
        where = through(placed[k], places)
        image = warped(section(k), where - places, 1, "nearest")
        return image, lattice.within(where, shape).astype("float32")

    def registered(k: int, other: int) -> np.ndarray:
        (fixed, fixed_mask), (moving, moving_mask) = shown(k), shown(other)
        found = register(fixed, moving, fixed_mask=fixed_mask, moving_mask=moving_mask)
        return lattice.taken(found.displacement, STEP)

    answers = {}
    for k, other in _pairs(count, neighbours):
        name = f"pair-{k:04d}-{other:04d}"
        # Where a section is shown depends on all starts.
        begun = f"{of(k, other)} {placed[[k, other]].tolist()}"
        answers[k, other] = kept.get(name, begun, lambda k=k, other=other: registered(k, other))
        if progress is not None:
            progress(f"section {other} onto {k} of {count}")
    maps = relax(answers, count, STEP)
    if drift is not None:
        maps = without_drift(maps, drift)
    return Alignment(shape, placed, maps, STEP)


def _pairs(count: int, neighbours: int) -> Iterator[tuple[int, int]]:
    for k in range(count - 1):
        for other in range(k + 1, min(k + neighbours, count - 1) + 1):
            yield k, other


def _name(register: Callable[..., Any]) -> str:
    """What a function is called, with the arguments that it was given beforehand."""
    inner = getattr(register, "func", register)
    given = (getattr(register, "args", ()), getattr(register, "keywords", {}))
    name = getattr(inner, "__qualname__", type(inner).__name__)
    return name if given == ((), {}) else f"{name} {given}"


def _check_frame(placed: np.ndarray, shape: Sequence[int]) -> None:
    """Warns of sections that the starts take out of the frame in part, and refuses lost ones."""
    places = lattice.points(shape, STEP)
    places = places[lattice.within(places, shape)]
    shares = [lattice.within(through(matrix, places), shape).mean() for matrix in placed]
    worst = int(np.argmin(shares))
    if shares[worst] < _LOST:
        raise InputError(
            f"The starts take section {worst} out of the frame, but for {shares[worst]:.0%}: align "
            "parts of the stack, or begin with start='none' (--start none)."
        )
    if shares[worst] < _CUT:
        warnings.warn(
            InputWarning(f"the frame of the stack shows {shares[worst]:.0%} of section {worst}"),
            stacklevel=3,
        )


def _check(
    count: int, neighbours: int, start: str, degrees: float | None, drift: float | None
) -> None:
    if count < 2:
        raise InputError(f"A stack has two sections or more. Received: {count}")
    if isinstance(neighbours, bool) or not isinstance(neighbours, int) or neighbours < 1:
        raise InputError(
            f"neighbours must be a positive integer. Received: neighbours={neighbours}"
        )
    if start not in STARTS:
        raise InputError(f"start must be one of {STARTS}. Received: start={start}")
    if degrees is not None and start != "rigid":
        raise InputError(
            f"degrees have no effect without start='rigid'. Received: degrees={degrees}, "
            f"start={start}"
        )
    if degrees is not None and not 0 < degrees <= 180:
        raise InputError(f"degrees must be above 0, up to 180. Received: degrees={degrees}")
    if drift is not None and not (drift > 0 and np.isfinite(drift)):
        raise InputError(f"drift must be positive, or None. Received: drift={drift}")


def _composed(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """First ``before``, then ``after``."""
    linear = after[:, :2] @ before[:, :2]
    return np.concatenate([linear, (after[:, :2] @ before[:, 2] + after[:, 2])[:, None]], axis=1)


def _centred(starts: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """The same, the frame of the stack moved so that the sections lie about its middle."""
    centre = (np.array(shape) - 1) / 2
    shift = np.mean([through(matrix, centre) - centre for matrix in starts], axis=0)
    frame = np.concatenate([np.eye(2), -shift[:, None]], axis=1)
    return np.stack([_composed(matrix, frame) for matrix in starts])
