"""A stack of sections, pair by pair, and then as a whole."""

import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.serial import lattice
from tfreg.serial.pairs import register_sections
from tfreg.serial.phase import phase_correlation
from tfreg.serial.relaxation import relax, without_drift
from tfreg.transforms import Displacement

STARTS = ("none", "translation", "rigid")
STEP = 8  # px between the points at which displacements are kept
PERIOD = 12.0  # sections


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
        return _through(self.starts[section], bent) - places

    def apply(self, section: int, image: np.ndarray, order: int = 1) -> np.ndarray:
        """A section as it lies in the aligned stack, in its own dtype; beyond it there is 0.

        Args:
            section: its number.
            image: it, or labels of it, ``(height, width)``.
            order: of interpolation, 1 for intensities, 0 for labels.
        """
        return _warped(image, self.displacement(section), order)

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
    degrees: float = 20.0,
    drift: float | None = PERIOD,
    folder: Path | str | None = None,
    identity: dict[str, Any] | None = None,
    progress: Callable[[str], Any] | None = None,
) -> Alignment:
    """Aligns a stack of serial sections.

    Neighbours are brought onto each other by phase correlation; each section is registered onto
    the next ones; all answers together say where each section belongs; and what changes slowly
    along the stack is left to the tissue.

    Args:
        sections: arrays ``(height, width)`` of one shape, or anything with a length that gives
            section ``k`` as ``sections[k]``; no more than ``neighbours + 1`` are held.
        register: registers a pair: ``(fixed, moving, fixed_mask=, moving_mask=)`` to a
            ``tfreg.registration.Registration``, the masks 0 where a start shows what lies outside
            a section, and ``None`` without one; by default
            :func:`tfreg.serial.register_sections`, or :func:`tfreg.serial.sections_by` a model.
        neighbours: onto how many of the next sections each is registered.
        start: ``"translation"`` or ``"rigid"`` by phase correlation, or ``"none"``.
        degrees: the largest rotation from one section to the next, of ``"rigid"``.
        drift: sections; what changes more slowly than that along the stack is no deformation of
            the knife's, see :func:`tfreg.serial.without_drift`. ``None``: everything is undone.
        folder: where the answer of each pair is kept; an alignment that was interrupted goes on
            where it was.
        identity: what decides the answers of the pairs beside the sections; those of another are
            refused.
        progress: called with a line after each pair.

    Returns:
        The alignment of all sections.

    Raises:
        InputError: on fewer than two sections, sections of several shapes, options out of range,
            or a folder with answers of another alignment.

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
    _check(count, neighbours, start, drift)
    shape = np.shape(sections[0])
    if len(shape) != 2:
        raise InputError(f"Sections are 2-D. Received: shape={shape}")
    settings = {
        **{"sections": count, "shape": list(shape), "start": start},
        **({"degrees": degrees} if start == "rigid" else {}),
        **(identity or {}),
    }
    kept = _Kept(None if folder is None else Path(folder), settings)

    @lru_cache(maxsize=neighbours + 1)
    def section(k: int) -> np.ndarray:
        image = np.asarray(sections[k])
        if image.shape != shape:
            raise InputError(
                f"All sections must have one shape, {shape}. Received: section {k} of {image.shape}"
            )
        return image

    def found_start(k: int) -> np.ndarray:
        fixed, moving = section(k), section(k + 1)
        return phase_correlation(fixed, moving, degrees if start == "rigid" else 0.0)

    starts = [np.eye(2, 3)]
    for k in range(count - 1):
        if start == "none":
            starts.append(starts[-1])
            continue
        step = kept.get(f"start-{k:04d}", lambda k=k: found_start(k))
        starts.append(_composed(step, starts[-1]))
    placed = _centred(np.stack(starts), shape)

    @lru_cache(maxsize=neighbours + 1)
    def shown(k: int) -> tuple[np.ndarray, np.ndarray | None]:
        if start == "none":
            return section(k), None
        places = lattice.points(shape, 1)
        where = _through(placed[k], places)
        image = _warped(section(k), where - places, 1, "nearest")
        return image, lattice.within(where, shape).astype("float32")

    def registered(k: int, other: int) -> np.ndarray:
        (fixed, fixed_mask), (moving, moving_mask) = shown(k), shown(other)
        found = register(fixed, moving, fixed_mask=fixed_mask, moving_mask=moving_mask)
        return lattice.taken(found.displacement, STEP)

    answers = {}
    for k, other in _pairs(count, neighbours):
        name = f"pair-{k:04d}-{other:04d}"
        answers[k, other] = kept.get(name, lambda k=k, other=other: registered(k, other))
        if progress is not None:
            progress(f"section {k} onto {other} of {count}")
    maps = relax(answers, count, STEP)
    if drift is not None:
        maps = without_drift(maps, drift)
    return Alignment(shape, placed, maps, STEP)


def _pairs(count: int, neighbours: int) -> Iterator[tuple[int, int]]:
    for k in range(count - 1):
        for other in range(k + 1, min(k + neighbours, count - 1) + 1):
            yield k, other


def _check(count: int, neighbours: int, start: str, drift: float | None) -> None:
    if count < 2:
        raise InputError(f"A stack has two sections or more. Received: {count}")
    if isinstance(neighbours, bool) or not isinstance(neighbours, int) or neighbours < 1:
        raise InputError(
            f"neighbours must be a positive integer. Received: neighbours={neighbours}"
        )
    if start not in STARTS:
        raise InputError(f"start must be one of {STARTS}. Received: start={start}")
    if drift is not None and not drift > 0:
        raise InputError(f"drift must be positive, or None. Received: drift={drift}")


class _Kept:
    """Arrays that are computed once, and kept in a folder if there is one."""

    def __init__(self, folder: Path | None, settings: dict[str, Any]) -> None:
        self.folder = folder
        if folder is None:
            return
        path = folder / "settings.json"
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))
            changed = [k for k in {*found, *settings} if found.get(k) != settings.get(k)]
            if changed:
                raise InputError(
                    f"{folder} holds an alignment with another {', '.join(sorted(changed))}; "
                    "choose another folder, or delete it to start anew."
                )
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    def get(self, name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """What is kept by this name, or is made now."""
        if self.folder is None:
            return make()
        path = self.folder / f"{name}.npz"
        if path.exists():
            try:
                with np.load(path, allow_pickle=False) as file:
                    return file["values"]
            except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
                path.unlink()  # of a process that was killed while it wrote
        values = make()
        partial = path.with_suffix(".partial.npz")
        np.savez_compressed(partial, values=values)
        partial.replace(path)
        return values


def _through(matrix: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Points ``(..., 2)`` through ``[A | b]``."""
    return places @ matrix[:, :2].T + matrix[:, 2]


def _composed(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """First ``before``, then ``after``."""
    linear = after[:, :2] @ before[:, :2]
    return np.concatenate([linear, (after[:, :2] @ before[:, 2] + after[:, 2])[:, None]], axis=1)


def _centred(starts: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """The same, the frame of the stack moved so that the sections lie about its middle."""
    centre = (np.array(shape) - 1) / 2
    shift = np.mean([_through(matrix, centre) - centre for matrix in starts], axis=0)
    frame = np.concatenate([np.eye(2), -shift[:, None]], axis=1)
    return np.stack([_composed(matrix, frame) for matrix in starts])


def _warped(
    image: np.ndarray, displacement: np.ndarray, order: int, mode: str = "constant"
) -> np.ndarray:
    """``image(x + u(x))`` in the dtype of the image."""
    from scipy.ndimage import map_coordinates

    where = np.moveaxis(lattice.points(image.shape, 1) + displacement, -1, 0)
    values = map_coordinates(image, where, "float64", order, mode=mode)
    whole = np.issubdtype(image.dtype, np.integer)
    return (np.rint(values) if whole else values).astype(image.dtype)
