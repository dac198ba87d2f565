"""What a file means, in words that every format shares."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Meaning:
    """One way to understand a file.

    Args:
        frames: one array ``([z,] y, x)`` for each time.
        affine: ``(4, 4)`` from index x, y, z to LPS mm; None where the file states none.
        framed: False where spacings are stated but no place: then only the lengths of the axes and
            the angles between them count.
        slack: how far a corner may be off, in voxels, beside rounding.
    """

    frames: tuple[np.ndarray, ...]
    affine: np.ndarray | None = None
    framed: bool = True
    slack: float = 1e-3


@dataclass(frozen=True)
class Truth:
    """All that may be answered.

    Args:
        meanings: any of them is right; where there is none, the file must be refused.
        matter: a regular expression that a warning must match, since the file contradicts itself.
    """

    meanings: tuple[Meaning, ...] = ()
    matter: str = ""


def frames_of(array: np.ndarray) -> tuple[np.ndarray, ...]:
    """The frames of an array ``([t, z,] y, x)``."""
    return tuple(array) if array.ndim == 4 else (array,)
