"""Whose images the agent is trained and tested on: brains, and spines in torsos."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tfreg.data import brain_volumes, cone_beam, torsos
from tfreg.data.source import Source
from tfreg.registration.images import unit_range
from zoo.agent.paper import ALONG_SPINE, RANGE

SPACING = 4.0  # mm of the volumes that training samples
MARGIN = 12  # such voxels of nothing about a brain


@dataclass(frozen=True)
class Kind:
    """What is registered, and how it is looked at.

    Attributes:
        name: ``"brain"`` or ``"spine"``.
        ranges: of the starts per parameter, mm and degrees.
        radius, height: of the field of view of a fixed image, mm, see ``cone_beam.draw``.
        turned: degrees by which the subject is turned in a fixed image, at most.
        shifted: mm by which it is shifted in a fixed image, at most.
        remapped: whether the fixed image has another contrast.
        trimmed: mm per axis that a scan may be cut at either end, at most.
    """

    name: str
    ranges: tuple[float, ...]
    radius: tuple[float, float]
    height: tuple[float, float]
    turned: float
    shifted: float
    remapped: bool
    trimmed: tuple[float, float, float]


BRAIN = Kind(
    "brain",
    (RANGE,) * 6,
    radius=(55.0, 95.0),
    height=(50.0, 95.0),
    turned=30.0,
    shifted=20.0,
    remapped=True,
    trimmed=(MARGIN * SPACING,) * 3,
)
SPINE = Kind(
    "spine",
    (ALONG_SPINE, *(RANGE,) * 5),
    radius=(85.0, 120.0),
    height=(60.0, 100.0),
    turned=15.0,
    shifted=15.0,
    remapped=False,
    trimmed=(60.0, 0.0, 0.0),
)
KINDS = {kind.name: kind for kind in (BRAIN, SPINE)}


@dataclass(frozen=True, eq=False)
class Subjects:
    """Volumes of one size.

    Attributes:
        kind: what they show.
        volumes: ``(n, *spatial)`` float32 in [0, 1].
        labels: ``(n, *spatial)`` uint8.
        spacing: mm per voxel and axis.
        middles: of each, places ``(m, 3)`` in mm from the centre of the volume, about one of which
            a fixed image is.
        names: what to call them.
    """

    kind: Kind
    volumes: np.ndarray
    labels: np.ndarray
    spacing: tuple[float, float, float]
    middles: list[np.ndarray] = field(repr=False)
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.volumes)


def sources_of(kind: str) -> dict[str, Sequence[Source]]:
    """The choices of ``--data``."""
    if kind == "brain":
        return {name: (source,) for name, source in brain_volumes.SOURCES.items()}
    return {"phantom": (torsos.SOURCE,)}


def subjects(
    kind: str, split: str, data: str, spacing: float = SPACING, count: int | None = None
) -> Subjects:
    """The subjects of one split.

    Args:
        kind: of :data:`KINDS`.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        data: of :func:`sources_of`.
        spacing: mm between voxels; of brains 2 or 4.
        count: the first so many; ``None``: all.
    """
    if kind == "brain":
        return _brains(split, data, spacing, count)
    drawn = torsos.torsos(split, spacing, count)
    volumes = unit_range(np.stack([one.volume for one in drawn])[..., None])[..., 0]
    labels = np.stack([one.labels for one in drawn])
    names = tuple(f"torso {split} {k}" for k in range(len(drawn)))
    steps = (spacing,) * 3
    return Subjects(SPINE, volumes, labels, steps, spines(labels, steps), names)


def spines(labels: np.ndarray, spacing: Sequence[float]) -> list[np.ndarray]:
    """The middle of each vertebra that is not near an end of its volume, mm from the centre."""
    found = []
    steps = np.array(spacing)
    for one in labels:
        middle = (np.array(one.shape) - 1) / 2
        places = [np.argwhere(one == k).mean(axis=0) for k in np.unique(one[one > 0])]
        places = (np.array(places) - middle) * steps
        inner = np.abs(places[:, 0]) < middle[0] * steps[0] - 60
        found.append(places[inner] if inner.any() else places)
    return found


def fixed_pose(kind: Kind, middles: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where the subject is in a fixed image: parameters that lead from there to the subject."""
    place = middles[rng.integers(len(middles))]
    shift = rng.uniform(-kind.shifted, kind.shifted, 3)
    return np.concatenate([place + shift, rng.uniform(-kind.turned, kind.turned, 3)])


def remap(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another contrast of a brain without a skull: a curve at random through the intensities of
    tissue; nothing stays nothing."""
    knots = np.array([0, 0.12, 0.35, 0.6, 0.8, 1.0], "float32")
    values = np.concatenate([[0], rng.uniform(0.25, 1.0, 5)])
    return np.interp(image, knots, values).astype("float32")


def _brains(split: str, data: str, spacing: float, count: int | None) -> Subjects:
    found = brain_volumes.volumes(split, data)
    images, labels = found.images[:count], found.labels[:count]
    if spacing not in (found.spacing[0], 2 * found.spacing[0]):
        raise ValueError(f"spacing must be 2 or 4 mm. Received: spacing={spacing}")
    if spacing != found.spacing[0]:
        n, *shape = images.shape
        blocks = [size for m in shape for size in (m // 2, 2)]
        images = images.reshape(n, *blocks).mean(axis=(2, 4, 6))
        labels = labels[:, ::2, ::2, ::2]
    margin = round(MARGIN * SPACING / spacing)
    pads = [(0, 0), *[(margin, margin)] * 3]
    volumes = np.pad(unit_range(images[..., None])[..., 0], pads)
    middles = [np.zeros((1, 3))] * len(volumes)
    names = tuple(map(str, found.names[:count]))
    return Subjects(BRAIN, volumes, np.pad(labels, pads), (spacing,) * 3, middles, names)


def look(kind: Kind, rng: np.random.Generator) -> cone_beam.Look:
    """How a fixed image looks."""
    return cone_beam.draw(rng, kind.radius, kind.height)
