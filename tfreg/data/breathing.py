"""Pairs of chest CTs that differ by a breath, with the true displacement.

The fixed image is a real chest CT (``ct_chest_drr.npz``: LIDC-IDRI-0001, with machine labels of
the lobes) or a phantom (:mod:`tfreg.data.thorax`), seen through a random affine and smooth map, so
that anatomies differ; the moving one shows it through a map of :mod:`tfreg.data.respiration`, whose
sizes are those of DIR-Lab 4DCT, or of :mod:`tfreg.data.lung_motion`, the motion of real patients.
There is one real CT of a whole chest: pairs made from it for different splits differ in all that is
random, but share the patient. The two CTs of the lung pair (:mod:`tfreg.data.lung_pair`) are an
anatomy as well; what learned from them has seen that pair's patient.
"""

import functools
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tfreg.data import lung_motion, lung_pair, thorax
from tfreg.data.respiration import Respiration, at, breathe
from tfreg.data.slices import SPLITS, read_pack
from tfreg.data.source import Source, phantom
from tfreg.errors import InputError

PACK = "ct_chest_drr.npz"
SOURCES = {
    "ct": Source(
        "LIDC-IDRI-0001",
        "S. G. Armato III et al., The Lung Image Database Consortium (LIDC) and Image Database "
        "Resource Initiative (IDRI), Medical Physics 38(2), 2011",
        "CC BY 3.0",
        "patients",
    ),
    "phantom": phantom("phantoms of tfreg.data.thorax", "patients"),
    "lung pair": lung_pair.SOURCE,  # its place is a part of the seed: further ones come last
}
MOTIONS = ("drawn", "copd")
SHAPE, SPACING = (96, 128, 128), (3.0, 2.5, 2.5)
LOWEST, HIGHEST = -1000.0, 400.0


@dataclass(frozen=True)
class BreathingPair:
    """Two chest CTs of one anatomy, and where each place went.

    Attributes:
        name: source, split and number.
        fixed, moving: ``(z, y, x)`` float32; HU clipped to [-1000, 400], in steps of 1 HU scaled to
            [0, 1]; feet to head, front to back, side to side.
        fixed_mask, moving_mask: ``(z, y, x)`` uint8, 1 in the lungs.
        displacement: ``(z, y, x, 3)`` float32 in voxels on the fixed grid, in steps of 1/1000:
            ``moving(x + u(x))`` shows the tissue that ``fixed(x)`` shows. Exact in the mask; where
            the sliding lung covered other tissue, and beyond the border, nothing shows it.
        spacing: mm per voxel and axis.
        case: case of DIR-Lab 4DCT, from 1, whose sizes the breath follows; of the motion ``"copd"``
            that of DIR-Lab COPDgene.
    """

    name: str
    fixed: np.ndarray
    moving: np.ndarray
    fixed_mask: np.ndarray
    moving_mask: np.ndarray
    displacement: np.ndarray
    spacing: tuple[float, float, float]
    case: int


def available(source: str) -> bool:
    """Whether :func:`make` would find a source."""
    if source == "lung pair":
        return lung_pair.available()
    return source == "phantom" or _file() is not None


def intensity(volume: np.ndarray) -> np.ndarray:
    """HU clipped to [-1000, 400] and scaled to [0, 1], float32."""
    clipped = np.clip(volume, LOWEST, HIGHEST)
    return ((clipped - LOWEST) / (HIGHEST - LOWEST)).astype("float32")


def make(
    split: str,
    number: int = 0,
    source: str = "phantom",
    shape: Sequence[int] = SHAPE,
    spacing: Sequence[float] = SPACING,
    motion: str = "drawn",
) -> BreathingPair:
    """Makes one pair, in seconds; the same for the same arguments.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``, which have different random numbers.
        number: which pair of the split.
        source: ``"ct"``, ``"phantom"`` or ``"lung pair"``: its two CTs in turn.
        shape: voxels per axis; the lungs lie in the middle.
        spacing: mm per voxel and axis.
        motion: ``"drawn"``, or ``"copd"``: that of a real patient of this split.

    Raises:
        ValueError: on an unknown split, source or motion, or a negative number.
        InputError: where the CT or the motion is not found or is not what it should be.
    """
    name = _name(split, number, source, motion)
    seed = [SPLITS.index(split), number, [*SOURCES].index(source), MOTIONS.index(motion)]
    rng = np.random.default_rng(seed[: 3 + (motion != "drawn")])
    origin = _origin(source, number, rng)
    spacing = tuple(map(float, spacing))
    places = _anatomy(origin, tuple(shape), spacing, rng)
    lungs = _read(origin.lungs, places, 1) > 0.5
    if not lungs.any():
        raise InputError(
            f"{name}: no lung lies in a grid of {tuple(shape)} voxels of {spacing} mm."
        )
    inspire = bool(rng.integers(2))
    if motion == "copd":
        lone = source == "lung pair"
        breath = lung_motion.breathe(lungs, spacing, rng, inspire, split, lone)
    else:
        breath = breathe(lungs, spacing, rng, inspire)
    fixed = _read(origin.coefficients, places, 3)
    shown = np.where(breath.inside[..., None], breath.lung, _uncovered(breath, lungs))
    moving = _read(origin.coefficients, at(places, shown), 3)
    moving = _thinned(moving, breath)
    images = [
        np.rint(np.clip(image + rng.normal(0, 8, image.shape), LOWEST, HIGHEST))
        for image in (fixed, moving)
    ]
    return BreathingPair(
        name,
        *map(intensity, images),
        lungs.astype("uint8"),
        breath.inside.astype("uint8"),
        _thousandths(breath.displacement).astype("float32") / 1000,
        spacing,
        breath.case,
    )


def pairs(
    split: str,
    count: int,
    source: str = "phantom",
    cache: Path | str | None = None,
    shape: Sequence[int] = SHAPE,
    spacing: Sequence[float] = SPACING,
    motion: str = "drawn",
) -> list[BreathingPair]:
    """Pairs 0 to ``count - 1`` of a split.

    Args:
        split, source, shape, spacing, motion: as in :func:`make`.
        count: how many.
        cache: folder in which pairs are kept, and looked for first.

    Raises:
        ValueError, InputError: as :func:`make`; or where a file of the cache is of another grid.
    """
    found = []
    for number in range(count):
        name = _name(split, number, source, motion)
        path = None if cache is None else Path(cache) / f"{name}.npz"
        if path is not None and path.is_file():
            pair = load(path)
            if pair.fixed.shape != tuple(shape) or pair.spacing != tuple(map(float, spacing)):
                raise InputError(
                    f"{path} is of another grid, {pair.fixed.shape} voxels of {pair.spacing} mm."
                )
        else:
            pair = make(split, number, source, shape, spacing, motion)
            if path is not None:
                save(pair, path)
        found.append(pair)
    return found


def save(pair: BreathingPair, path: Path | str) -> None:
    """Writes a pair as npz, without loss: images as HU, the displacement in 1/1000 voxels."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = asdict(pair)
    for key in ("fixed", "moving"):
        hounsfield = np.rint(content[key] * (HIGHEST - LOWEST) + LOWEST)
        content[key] = hounsfield.astype("int16")
    content["displacement"] = _thousandths(pair.displacement)
    # Whole files only: a cache is shared, and may be interrupted.
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, **content)
    partial.replace(path)


def load(path: Path | str) -> BreathingPair:
    """Reads what :func:`save` wrote.

    Raises:
        InputError: if it is damaged or another file.
    """
    content = read_pack(Path(path), tuple(BreathingPair.__dataclass_fields__))
    for key in ("fixed", "moving"):
        content[key] = intensity(content[key].astype("float32"))
    content["displacement"] = content["displacement"].astype("float32") / 1000
    content["spacing"] = tuple(map(float, content["spacing"]))
    return BreathingPair(**{**content, "name": str(content["name"]), "case": int(content["case"])})


@dataclass(frozen=True)
class _Origin:
    """A volume as coefficients of cubic splines, its lungs as 0 and 1, its spacing in mm."""

    coefficients: np.ndarray
    lungs: np.ndarray
    spacing: np.ndarray


def _origin(source: str, number: int, rng: np.random.Generator) -> _Origin:
    if source == "phantom":
        return _prepared(thorax.draw(rng))
    return _chest() if source == "ct" else _lung(number % 2)


def _prepared(anatomy: thorax.Anatomy) -> _Origin:
    from scipy.ndimage import spline_filter

    coefficients = spline_filter(anatomy.volume, order=3, output="float32", mode="nearest")
    return _Origin(coefficients, anatomy.lungs.astype("float32"), np.array(anatomy.spacing))


@functools.lru_cache(maxsize=1)
def _chest() -> _Origin:
    from scipy.ndimage import gaussian_filter

    path = _file()
    if path is None:
        raise InputError(
            f"The chest CT was not found: set TFREG_DATA to a folder with {PACK}, or use the "
            "phantom thorax, which needs no files (--data phantom)."
        )
    pack = read_pack(path, ("volume", "labels", "spacing_zyx"))
    volume, labels = pack["volume"].astype("float32"), pack["labels"]
    lungs = (labels >= 10) & (labels <= 14)
    if volume.ndim != 3 or labels.shape != volume.shape or not lungs.any():
        raise InputError(f"{path} must hold a CT with labelled lobes. Received: {volume.shape}")
    # Its pixels are smaller than those of the pairs: without this their noise would alias.
    volume = gaussian_filter(np.clip(volume, -1024, 1500), (0.4, 0.7, 0.7))
    return _prepared(thorax.Anatomy(volume, lungs, tuple(pack["spacing_zyx"])))


@functools.lru_cache(maxsize=2)
def _lung(side: int) -> _Origin:
    from scipy.ndimage import gaussian_filter

    pair = lung_pair.load()
    volume, mask = ((pair.fixed, pair.fixed_mask), (pair.moving, pair.moving_mask))[side]
    volume = gaussian_filter(np.clip(volume, -1024, 1500), (0.4, 0.7, 0.7))
    # Beyond what was reconstructed there is air, as where the network sees an image end.
    margin = [(2, 2)] * 3
    volume = np.pad(volume, margin, constant_values=-1024)
    return _prepared(thorax.Anatomy(volume, np.pad(mask, margin) > 0, pair.spacing))


def _file() -> Path | None:
    folder = os.environ.get("TFREG_DATA")
    path = Path(folder) / PACK if folder else None
    return path if path is not None and path.is_file() else None


def _name(split: str, number: int, source: str, motion: str) -> str:
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}. Received: split={split}")
    if source not in SOURCES:
        raise ValueError(f"source must be one of {tuple(SOURCES)}. Received: source={source}")
    if motion not in MOTIONS:
        raise ValueError(f"motion must be one of {MOTIONS}. Received: motion={motion}")
    if number < 0:
        raise ValueError(f"number must not be negative. Received: number={number}")
    kind = source.replace(" ", "-") + (f"-{motion}" if motion != "drawn" else "")
    return f"{kind}-{split}-{number:04d}"


def _anatomy(
    origin: _Origin, shape: tuple[int, ...], spacing: tuple[float, ...], rng: np.random.Generator
) -> np.ndarray:
    """Where each voxel of the fixed image lies in the origin, in voxels of that, float32."""
    inside = np.argwhere(origin.lungs > 0.5)
    middle = (inside.min(axis=0) + inside.max(axis=0)) / 2
    x = np.moveaxis(np.indices(shape, dtype="float32"), 0, -1)
    x = (x - (np.array(shape, "float32") - 1) / 2) * np.array(spacing, "float32")
    linear = np.eye(3) + rng.normal(0, 0.02, (3, 3))
    linear[np.diag_indices(3)] *= np.exp(rng.normal(0.02, 0.05, 3))
    if rng.integers(2):
        linear[:, 2] *= -1  # mirrored, side to side
    y = x @ linear.T.astype("float32")
    for _ in range(4):  # waves of 100 to 250 mm
        direction = rng.normal(size=3)
        direction *= 2 * np.pi / rng.uniform(100, 250) / np.linalg.norm(direction)
        wave = np.sin(x @ direction.astype("float32") + np.float32(rng.uniform(0, 2 * np.pi)))
        y = y + wave[..., None] * rng.normal(0, 1.5, 3).astype("float32")
    return (y / origin.spacing + middle).astype("float32")


def _read(volume: np.ndarray, places: np.ndarray, order: int) -> np.ndarray:
    from scipy.ndimage import map_coordinates

    where = np.moveaxis(places, -1, 0)
    return map_coordinates(
        volume, where, output="float32", order=order, mode="nearest", prefilter=False
    )


def _uncovered(breath: Respiration, lungs: np.ndarray) -> np.ndarray:
    """Where tissue outside the lungs comes from; what parted is filled with what is next to it."""
    from scipy.ndimage import distance_transform_edt

    outside = breath.outside.copy()
    nearest = distance_transform_edt(lungs, return_distances=False, return_indices=True)
    index = np.rint(outside[breath.gap]).astype(int)
    index = np.clip(index, 0, np.array(lungs.shape) - 1)
    outside[breath.gap] = nearest[:, index[:, 0], index[:, 1], index[:, 2]].T
    return outside


def _thinned(image: np.ndarray, breath: Respiration) -> np.ndarray:
    """Air-filled lung keeps its mass: its density (HU + 1000) goes as one over its volume."""
    rows = np.gradient(breath.lung, axis=(0, 1, 2))
    density = np.maximum((rows[0] * np.cross(rows[1], rows[2])).sum(axis=-1), 0.1)
    filled = np.clip((-300 - image) / 400, 0, 1)  # vessels are full of blood and do not thin
    thinned = (image + 1000) * density**filled - 1000
    return np.where(breath.inside, thinned, image)


def _thousandths(displacement: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(displacement * 1000), -32767, 32767).astype("int16")
