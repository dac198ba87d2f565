"""What a search for the initial alignment tells of itself."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class SearchReport:
    """What a search tried.

    Attributes:
        rotations: how many rotations were tried.
        translations: how many translations of each.
        voxels: shape of the grid on which they were scored.
        spacing: the edge of its voxels in mm.
        refined: how many poses were refined.
        scores: of those that were refined twice, the best first: NCC times the square root of the
            share of the smaller image that both show.
        angle: degrees by which the chosen map turns.
        shift: mm by which it takes the middle of the fixed image away.
        contours: whether edges were compared, not intensities.
        seconds: that it took, without compiling.
    """

    rotations: int
    translations: int
    voxels: tuple[int, ...]
    spacing: float
    refined: int
    scores: tuple[float, ...]
    angle: float
    shift: float
    contours: bool
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        rounded = {
            name: round(getattr(self, name), 4) for name in ("spacing", "angle", "shift", "seconds")
        }
        scores = [round(score, 4) for score in self.scores]
        return {**asdict(self), "voxels": list(self.voxels), "scores": scores, **rounded}
