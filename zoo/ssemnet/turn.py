"""The paper's way with a stack: section by section onto those that are aligned already."""

from collections import deque
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from tfreg.serial import Alignment, align, lattice
from tfreg.serial.align import STEP
from tfreg.serial.warping import through, warped
from zoo.ssemnet.model import SsEMnet


def align_in_turn(
    model: SsEMnet, sections: Sequence[np.ndarray], neighbours: int = 2, start: str = "translation"
) -> Alignment:
    """Equation (5) along a stack; the first section stays where the start puts it.

    Args:
        model: of :mod:`zoo.ssemnet.model`.
        sections: of :func:`tfreg.serial.align`.
        neighbours: onto how many of the aligned sections before it each is registered; they count
            alike.
        start: of :func:`tfreg.serial.align`.

    Returns:
        The alignment of all sections.

    Raises:
        InputError: as :func:`tfreg.serial.align` does.

    Example:

    >>> import numpy as np
    >>> from tfreg.data import tissue
    >>> from zoo.ssemnet.model import SsEMnet
    >>> from zoo.ssemnet.scheme import SCHEMES
    >>> from zoo.ssemnet.turn import align_in_turn
    >>> from dataclasses import replace
    >>> quick = SsEMnet(scheme=replace(SCHEMES["paper"], steps=2, drop=0.0))
    >>> len(align_in_turn(quick, tissue.block(3, (64, 64)).images))
    3
    """
    begun = align(sections, _still, neighbours=1, start=start, drift=None)
    shape, places = begun.shape, lattice.points(begun.shape, 1)
    maps = np.zeros_like(begun.maps)
    aligned: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=neighbours)
    for k, matrix in enumerate(begun.starts):
        section = np.asarray(sections[k])
        where = through(matrix, places)
        image = warped(section, where - places, mode="nearest")
        shown = lattice.within(where, shape).astype("float32")
        if aligned:
            images, masks = zip(*aligned, strict=True)
            both = {"fixed_mask": np.min(masks, axis=0), "moving_mask": shown}
            maps[k] = lattice.taken(model.align_to(np.stack(images), image, **both), STEP)
            bent = places + lattice.everywhere(maps[k], shape, STEP)
            where = through(matrix, bent)
            image = warped(section, where - places, mode="nearest")
            shown = lattice.within(where, shape).astype("float32")
        aligned.append((image, shown))
    return Alignment(shape, begun.starts, maps, STEP)


def _still(fixed: np.ndarray, moving: np.ndarray, **masks: Any) -> Any:
    """An answer that leaves the start as it is."""
    return SimpleNamespace(displacement=np.zeros((*fixed.shape, 2)))
