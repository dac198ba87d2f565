"""What cutting and staining do to a section, painted onto one: the truth is known.

A smooth deformation and a shift; folds, into which tissue is lost; dust; another contrast. For
judging registrations where nobody knows the true map: paint a known one onto a real section.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from tfreg.data.shapes import voxels

DAMAGES = ("dust", "folds", "contrast")
# px, about the length over which a painted deformation turns round. Of 8 px RMS it then stretches
# tissue by 19 % RMS; over 90 px by 39 %, and then it folds here and there, as no tissue does.
WAVELENGTH = 200.0
_FOLD = 8.0  # px of tissue that a fold swallows
_REACH = 25.0  # px over which the tissue beside it gives way


class Cut(NamedTuple):
    """A section as it comes from the knife.

    Attributes:
        image: ``(height, width)`` of the dtype of the original.
        displacement: ``(height, width, 2)`` float64 px: ``image(x)`` shows the original at ``x +
            displacement(x)``, which at its border is continued.
        hidden: ``(height, width)`` bool: where dust or a fold hides the tissue.
    """

    image: np.ndarray
    displacement: np.ndarray
    hidden: np.ndarray


def cut(
    image: np.ndarray,
    rms: float,
    shift: float = 0.0,
    damages: Collection[str] = (),
    seed: int | Sequence[int] = 0,
    wavelength: float = WAVELENGTH,
) -> Cut:
    """Deforms and damages a section.

    Args:
        image: ``(height, width)`` uint8.
        rms: of the lengths of the smooth deformation, px.
        shift: length of a translation in a random direction, px.
        damages: of ``"dust"``, ``"folds"`` and ``"contrast"``.
        seed: the same seed gives the same cut, and each part of it whatever the others are.
        wavelength: px, about the length over which the deformation turns round.

    Raises:
        ValueError: on an unknown damage, another image, or a length below zero.

    Example:

    >>> from tfreg.data import damage, tissue
    >>> section = tissue.block(1, (64, 64)).images[0]
    >>> found = damage.cut(section, rms=2.0, damages=("dust",), seed=3)
    >>> round(float((found.displacement**2).sum(axis=-1).mean() ** 0.5), 6)
    2.0
    """
    unknown = [name for name in damages if name not in DAMAGES]
    if unknown:
        raise ValueError(f"damages must be of {DAMAGES}. Received: damages={tuple(damages)}")
    if np.ndim(image) != 2 or image.dtype != np.uint8:
        raise ValueError(
            "image must be (height, width), uint8. "
            f"Received: {image.dtype} of shape {np.shape(image)}"
        )
    if not (rms >= 0 and shift >= 0 and wavelength >= 2):
        raise ValueError(
            "rms and shift must be 0 or more, and wavelength 2 or more. "
            f"Received: rms={rms}, shift={shift}, wavelength={wavelength}"
        )
    seeds = np.random.SeedSequence(seed).spawn(1 + len(DAMAGES))
    bend, *others = map(np.random.default_rng, seeds)
    rngs = dict(zip(DAMAGES, others, strict=True))
    displacement = deformation(image.shape, rms, shift, bend, wavelength)
    hidden = np.zeros(image.shape, bool)
    grey = np.ones(image.shape)
    if "folds" in damages:
        pull, hidden = _fold(image.shape, rngs["folds"])
        displacement = displacement + pull
        grey[hidden] = 0.25
    if "dust" in damages:
        specks = _dust(image.shape, rngs["dust"])
        grey[specks], hidden = 0.1, hidden | specks
    values = grey * painted(image, displacement, order=1).astype("float64") / 255
    if "contrast" in damages:
        values = _contrast(values, rngs["contrast"])
    values = np.rint(255 * np.clip(values, 0, 1)).astype("uint8")
    return Cut(values, displacement, hidden)


def deformation(
    shape: Sequence[int],
    rms: float,
    shift: float,
    rng: np.random.Generator,
    wavelength: float = WAVELENGTH,
) -> np.ndarray:
    """A smooth random displacement ``(*shape, 2)`` in px, its mean the shift.

    Args:
        shape: height and width.
        rms: of the lengths of what is not the shift, px.
        shift: length of the shift, in a random direction, px.
        rng: draws both.
        wavelength: of :func:`cut`.
    """
    from scipy.ndimage import gaussian_filter

    # A Gaussian of sigma L / 2 pi lets waves of length L pass with e^(-1/2) of their height.
    sigma = wavelength / (2 * np.pi)
    margin = int(4 * sigma)
    wide = [n + 2 * margin for n in shape]
    field = np.stack([gaussian_filter(rng.normal(size=wide), sigma) for _ in range(2)], axis=-1)
    field = field[margin:-margin, margin:-margin]
    field -= field.mean(axis=(0, 1))
    field *= rms / np.sqrt((field**2).sum(axis=-1).mean())
    angle = rng.uniform(0, 2 * np.pi)
    return field + shift * np.array([np.sin(angle), np.cos(angle)])


def painted(array: np.ndarray, displacement: np.ndarray, order: int = 0) -> np.ndarray:
    """``array(x + displacement(x))``, the border continued.

    Args:
        array: ``(height, width)``.
        displacement: ``(height, width, 2)`` px.
        order: of interpolation, 0 for labels and 1 for greys.
    """
    from scipy.ndimage import map_coordinates

    where = np.moveaxis(voxels(array.shape) + displacement, -1, 0)
    return map_coordinates(array, where, order=order, mode="nearest")


def _fold(shape: Sequence[int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The pull of a fold across the section, and the band in which it hides what is below."""
    x = voxels(shape)
    angle = rng.uniform(0, np.pi)
    normal = np.array([np.sin(angle), np.cos(angle)])
    along = x @ np.array([normal[1], -normal[0]])
    centre = np.array(shape) * rng.uniform(0.3, 0.7, 2)
    bent = 6 * np.sin(2 * np.pi * along / rng.uniform(150, 400) + rng.uniform(0, 2 * np.pi))
    distance = (x - centre) @ normal + bent
    # On either side the tissue is drawn to the line, so that half of what is lost lies there.
    pull = np.sign(distance) * _FOLD / 2 * np.exp(-np.abs(distance) / _REACH)
    return pull[..., None] * normal, np.abs(distance) < _FOLD / 4


def _dust(shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Specks, 1 % of the section or so."""
    x = voxels(shape)
    found = np.zeros(shape, bool)
    for _ in range(max(1, round(np.prod(shape) / 128**2))):
        centre, radius = rng.uniform(0, 1, 2) * shape, rng.uniform(3, 10)
        offset = x - centre
        turn = np.arctan2(offset[..., 0], offset[..., 1])
        ragged = 1 + 0.3 * np.sin(3 * turn + rng.uniform(0, 2 * np.pi))
        found |= np.linalg.norm(offset, axis=-1) < radius * ragged
    return found


def _contrast(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another stain and another beam: gamma, gain, offset, and a slope across the section."""
    gamma, gain = np.exp(rng.uniform(-0.5, 0.5)), rng.uniform(0.55, 0.95)
    offset = rng.uniform(0, 1) * (1 - gain)
    slope = rng.uniform(-0.08, 0.08, 2)
    x = voxels(values.shape) / np.array(values.shape) - 0.5
    return offset + gain * values**gamma + x @ slope
