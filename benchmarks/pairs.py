"""Image pairs of the tables, real where ``TFREG_DATA`` holds them, phantoms where it does not."""

import itertools
import zlib
from dataclasses import dataclass, replace

import numpy as np

from tfreg.data import PairSampler, bodies, brain_slices, lung_pair
from tfreg.data import cine as data_of_cine
from tfreg.data import digits as data_of_digits
from tfreg.data.volume_pair import VolumePair
from tfreg.errors import InputError


@dataclass(frozen=True)
class Pair:
    """Two images with what a registration of them is judged by.

    Attributes:
        name: what to call it in a note.
        fixed, moving: ``(*spatial)`` float32.
        spacing: size of a voxel per axis.
        fixed_labels, moving_labels: ``(*spatial)`` uint8, or ``None``.
        fixed_points, moving_points: ``(n, ndim)`` in voxels, or ``None``.
        fixed_mask, moving_mask: ``(*spatial)`` uint8, or ``None``.
        start: translation in voxels, fixed to moving, or ``None``.
        patient: whose images they are.
        unit: that of the spacing: ``"mm"``, or ``"px"`` where the source lost it.
        truth: the true displacement ``(*spatial, ndim)`` in voxels, or ``None``.
        group: what rows of a part of the pairs are called; ``""``: there are none.
    """

    name: str
    fixed: np.ndarray
    moving: np.ndarray
    spacing: tuple[float, ...]
    fixed_labels: np.ndarray | None = None
    moving_labels: np.ndarray | None = None
    fixed_points: np.ndarray | None = None
    moving_points: np.ndarray | None = None
    fixed_mask: np.ndarray | None = None
    moving_mask: np.ndarray | None = None
    start: tuple[float, ...] | None = None
    patient: str = ""
    unit: str = "mm"
    truth: np.ndarray | None = None
    group: str = ""

    def at_start(self) -> np.ndarray:
        """The displacement ``(*spatial, ndim)`` from which methods start."""
        start = np.zeros(self.fixed.ndim) if self.start is None else np.array(self.start)
        return np.broadcast_to(start, (*self.fixed.shape, self.fixed.ndim)).copy()

    def bare(self) -> "Pair":
        """The pair without labels, points and the truth, which no method may see."""
        hidden = ("fixed_labels", "moving_labels", "fixed_points", "moving_points", "truth")
        return replace(self, **dict.fromkeys(hidden))

    def small(self) -> "Pair":
        """A quarter of the voxels along each axis, without masks and start."""
        every = (slice(None, None, 4),) * self.fixed.ndim
        return Pair("small", self.fixed[every], self.moving[every], self.spacing)


def confined(pair: Pair) -> Pair:
    """The pair as :func:`tfreg.registration.confine` shows it; with one mask alone, as it is."""
    if pair.fixed_mask is None or pair.moving_mask is None:
        return pair
    from tfreg.registration import confine

    shown = confine(pair.fixed, pair.moving, pair.fixed_mask, pair.moving_mask)
    return replace(pair, fixed=shown.fixed, moving=shown.moving, fixed_mask=shown.fixed_mask)


def noisy(pair: Pair, deviation: float, seed: int, limits: tuple | None = None) -> Pair:
    """A pair with white noise on both images.

    Args:
        pair: without it.
        deviation: standard deviation, in the unit of the images.
        seed: of the noise, together with the name of the pair.
        limits: where the images are cut off afterwards; ``None``: nowhere.
    """
    rng = np.random.default_rng([seed, zlib.crc32(pair.name.encode())])
    images = {
        side: getattr(pair, side) + rng.normal(0, deviation, getattr(pair, side).shape)
        for side in ("fixed", "moving")
    }
    if limits is not None:
        images = {side: np.clip(image, *limits) for side, image in images.items()}
    return replace(pair, **{side: image.astype("float32") for side, image in images.items()})


def cine(
    split: str, data: str, seed: int = 0, limit: int | None = None, label: int = 2
) -> list[Pair]:
    """End diastole and end systole of every slice that shows a label twice, in both directions.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``; by patient.
        data: a source of :mod:`tfreg.data.cine`.
        seed: which pairs to take where there is a limit.
        limit: how many registrations at most.
        label: 2, the myocardium, or 3, the left ventricle's cavity.

    Raises:
        InputError: where there is no such slice.
    """
    pairs = []
    for one in data_of_cine.slices(split, (data,)):
        ends = (("ED", one.diastole), ("ES", one.systole))
        if not all(label in one.labels.get(frame, ()) for _, frame in ends):
            continue
        sides = [(name, one.images[frame], one.labels[frame]) for name, frame in ends]
        for (name, fixed, labels), (other, moving, moving_labels) in (sides, sides[::-1]):
            pairs.append(
                Pair(
                    f"{one.patient} slice {one.number} {name} <- {other}",
                    fixed,
                    moving,
                    one.spacing or (1.0, 1.0),
                    labels,
                    moving_labels,
                    patient=one.patient,
                    unit="px" if one.spacing is None else "mm",
                )
            )
    if not pairs:
        raise InputError(f"No slice shows the label twice. Received: {data}, label {label}")
    return drawn(pairs, seed, limit)


def brains(split: str, data: str, seed: int = 0, limit: int | None = None) -> list[Pair]:
    """Pairs of slices of the brains of two people, in both directions.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``; by person.
        data: a source of :mod:`tfreg.data.brain_slices`.
        seed: which pairs to take where there is a limit.
        limit: how many at most.
    """
    found = brain_slices.slices(split, data)
    couples = drawn(list(itertools.permutations(range(len(found.names)), 2)), seed, limit)
    return [
        Pair(
            f"{found.names[f]} <- {found.names[m]}",
            *(found.images[k] for k in (f, m)),
            (1.0, 1.0),
            patient=str(found.names[f]),
            unit="px",
        )
        for f, m in couples
    ]


def digits(data: str, count: int, seed: int = 0) -> list[Pair]:
    """Random pairs of two images of the same test digit, each digit a group.

    Args:
        data: ``"mnist"`` or ``"phantom"``.
        count: pairs per digit.
        seed: which ones.
    """
    pairs = []
    for digit in range(10):
        images, labels = data_of_digits.load("test", data, digit)
        batch = PairSampler(images, labels, count, seed, scale=1 / 255).batch(0)
        for index in range(count):
            fixed, moving = (np.asarray(batch[k][index, ..., 0]) for k in ("fixed", "moving"))
            name = f"digit {digit}, pair {index}"
            pairs.append(Pair(name, fixed, moving, (1.0, 1.0), group=str(digit)))
    return pairs


def drawn(items: list, seed: int, limit: int | None) -> list:
    """As many as the limit allows, drawn at random, in their order."""
    if limit is None or limit >= len(items):
        return items
    chosen = np.sort(np.random.default_rng(seed).choice(len(items), limit, replace=False))
    return [items[i] for i in chosen]


def chest(data: str, seed: int = 0) -> list[Pair]:
    """The lung pair of elastix' test data (two CTs of one lung, 26 landmarks), or phantom lungs."""
    if data == "phantom":
        lungs = bodies.lungs(1, seed)
        parts = (lungs.fixed, lungs.moving, lungs.fixed_labels)
        points = (lungs.fixed_points, lungs.moving_points)
        fixed, moving, fixed_mask, p, q = (array[0] for array in (*parts, *points))
        return [
            Pair(
                "phantom lung",
                fixed,
                moving,
                lungs.spacing,
                fixed_points=p,
                moving_points=q,
                fixed_mask=fixed_mask,
            )
        ]
    return [of_lungs(lung_pair.load(), "lung", centred=True)]


def of_lungs(found: VolumePair, name: str, centred: bool = False) -> Pair:
    """A pair of chest CTs, HU from -1000 to 400, within the mask of the fixed lung.

    Args:
        found: as it was read.
        name: what to call it.
        centred: whether methods start where the centroids of both masks coincide.
    """
    return Pair(
        name,
        *(np.clip(image, -1000, 400) for image in (found.fixed, found.moving)),
        found.spacing,
        fixed_points=found.fixed_points,
        moving_points=found.moving_points,
        fixed_mask=found.fixed_mask,
        moving_mask=found.moving_mask,
        start=found.shift if centred else None,
    )
