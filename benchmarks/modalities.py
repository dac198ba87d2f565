"""Pairs of images of two contrasts, of which it is known where every voxel went."""

from collections.abc import Callable

import numpy as np

from benchmarks.misaligned import displaced, misalignment
from benchmarks.pairs import Pair, drawn, noisy
from tfreg.data import brain_pairs, hippocampus

GROUPS = ("hippocampi", "hippocampi, bias", "ct-mri")
NOISE = 0.02  # standard deviation, of the range of an image
_WARP, _SMOOTH = 4.0, 8.0  # voxels of a hippocampus' warp at most, and its smoothness
_KNOTS = 7  # of a remapping, which is neither rising nor falling
_HEAD, _ABOUT = 20, 4  # grey from which it is a head, and pixels about it that count


def pairs(
    group: str, split: str, real: bool = True, seed: int = 0, limit: int | None = None
) -> list[Pair]:
    """Pairs of one group, with noise, within the true displacement.

    ``fixed(x)`` shows what ``moving(x + u(x))`` shows, in another contrast. Of hippocampi the
    contrast of one image is remapped by a random function with several turns, with a bias field of
    a factor of 2 on each in the second group; of heads it is CT and MRI, shifted by 10 px, turned
    by 10 degrees and warped.

    Args:
        group: one of ``GROUPS``.
        split: ``"test"`` or ``"validation"``.
        real: whether real images are shown, or phantoms.
        seed: of the maps, the remappings and the noise.
        limit: how many at most; drawn at random.
    """
    rng = np.random.default_rng([seed, GROUPS.index(group), split == "test"])
    if group == "ct-mri":
        found = _heads(split, "harvard" if real else "phantom", rng)
    else:
        source = "decathlon" if real else "phantom"
        found = _hippocampi(split, source, rng, group != "hippocampi", seed, limit)
    return [noisy(pair, NOISE, seed) for pair in drawn(found, seed, limit)]


def _hippocampi(
    split: str,
    source: str,
    rng: np.random.Generator,
    biased: bool,
    seed: int,
    limit: int | None,
) -> list[Pair]:
    from scipy import ndimage

    subjects, pairs = hippocampus.subjects(split, source), []
    for index in drawn(list(range(len(subjects.names))), seed, limit):
        image = subjects.images[index].astype("float64") / 255
        displacement = _smooth(image.shape, rng)
        places = np.moveaxis(displacement, -1, 0) + np.indices(image.shape)
        fixed = ndimage.map_coordinates(image, places, order=3, mode="nearest")
        sides = [fixed, remapping(rng)(image)]
        if biased:
            sides = [side * _bias(side.shape, rng) for side in sides]
        pairs.append(
            Pair(
                str(subjects.names[index]),
                *(side.astype("float32") for side in sides),
                subjects.spacing,
                truth=displacement,
            )
        )
    return pairs


def _heads(split: str, source: str, rng: np.random.Generator) -> list[Pair]:
    from scipy import ndimage

    found, pairs = brain_pairs.pairs("ct-mri", split, source), []
    for ct, mri, name in zip(*found, strict=True):
        displacement = misalignment(ct.shape, rng)
        fixed, other = displaced(ct, displacement), displaced(mri, displacement)
        head = ndimage.binary_fill_holes(np.maximum(fixed, other) > _HEAD)
        pairs.append(
            Pair(
                str(name),
                *(side.astype("float32") / 255 for side in (fixed, mri)),
                (1.0, 1.0),
                fixed_mask=ndimage.binary_dilation(head, iterations=_ABOUT).astype("uint8"),
                unit="px",
                truth=displacement,
            )
        )
    return pairs


def remapping(rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """A random function from [0, 1] to [0, 1], smooth, with three turns or more.

    Example:

    >>> import numpy as np
    >>> from benchmarks.modalities import remapping
    >>> values = remapping(np.random.default_rng(0))(np.linspace(0, 1, 100))
    >>> int((np.diff(np.sign(np.diff(values))) != 0).sum()) >= 3
    True
    """
    from scipy.interpolate import PchipInterpolator

    while True:
        values = rng.uniform(0, 1, _KNOTS)
        turns = np.diff(np.sign(np.diff(values))) != 0
        if turns.sum() >= 3 and np.abs(np.diff(values)).min() > 0.1:
            break
    curve = PchipInterpolator(np.linspace(0, 1, _KNOTS), values)
    return lambda image: curve(np.clip(image, 0, 1))


def _smooth(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A displacement ``(*shape, ndim)`` in voxels, smooth."""
    from scipy.ndimage import gaussian_filter

    ndim = len(shape)
    noise = gaussian_filter(rng.normal(size=(*shape, ndim)), (_SMOOTH,) * ndim + (0,))
    return _WARP * noise / np.linalg.norm(noise, axis=-1).max()


def _bias(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A field about 1 that grows by a factor of 2 across the image, in a random direction."""
    direction = rng.normal(size=len(shape))
    places = np.moveaxis(np.indices(shape), 0, -1) / (np.array(shape) - 1)
    along = places @ direction
    along -= along.mean()
    return 2.0 ** (along / np.ptp(along))
