"""Natural photographs in grey, to learn from what is sharp; or phantoms of such.

The 24 Kodak images, 768x512, and eight large photographs, whose longer side has 1600 pixels.
"""

import os
from pathlib import Path

import numpy as np

from tfreg.data.slices import read_pack
from tfreg.data.source import Source, phantom
from tfreg.errors import InputError

PACK = "natural_grey.npz"
SPLITS = ("train", "validation")
_KODAK = tuple(f"kodim{number:02d}" for number in range(1, 25))
_PHOTOGRAPHS = (
    "cc0_Brown_Architecture",
    "cc0_Jonas_Nilsson_Lee",
    "cc0_Mr_Lee",
    "cc0_Photo_by_SpaceX",
    "cc0_Rob_Bye",
    "cc0_Sunset_by_the_Pier",
    "cc0_william_bout_lighthouse",
    "cc0_Martian_Terrain",
)
VALIDATION = (*_KODAK[20:], "cc0_Martian_Terrain", "cc0_Rob_Bye")
SOURCES = {
    "natural": (
        Source(
            "Kodak Lossless True Color Image Suite",
            "Eastman Kodak Company, 1991",
            "unrestricted use (Eastman Kodak Company)",
            "images",
            {"train": 20, "validation": 4},
        ),
        Source(
            "photographs of elementary OS",
            "github.com/elementary/wallpapers, those that are CC0 or in the public domain",
            "CC0 1.0",
            "images",
            {"train": 6, "validation": 2},
        ),
    ),
    "phantom": (
        phantom(
            "phantom textures of tfreg.data.photographs",
            "images",
            {"train": 12, "validation": 4},
        ),
    ),
}
_SIDE, _LEAVES = 256, 500
_SMALL, _LARGE = 3.0, 90.0  # radii of leaves, in pixels


def available() -> bool:
    """Whether :func:`load` would find the photographs."""
    return _file() is not None


def load(split: str, source: str = "natural") -> dict[str, np.ndarray]:
    """The images of one split by name, from the prepared file in the folder of ``TFREG_DATA``.

    Args:
        split: ``"train"`` (26 images) or ``"validation"`` (6).
        source: ``"natural"``, or ``"phantom"``: leaves of code that hide each other, as objects of
            all sizes do in photographs (12 and 4 images of 256x256).

    Returns:
        uint8 arrays ``(rows, columns)`` of several sizes.

    Raises:
        ValueError: on an unknown split or source.
        InputError: if the file is not there, or not what it should be.

    Example:

    >>> from tfreg.data import photographs
    >>> found = photographs.load("validation", "phantom")
    >>> len(found), found["phantom validation 0"].shape
    (4, (256, 256))
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}. Received: split={split}")
    if source not in SOURCES:
        raise ValueError(f"source must be one of {tuple(SOURCES)}. Received: source={source}")
    if source == "phantom":
        return _phantoms(split)
    path = _file()
    if path is None:
        raise InputError(
            f"The photographs were not found: set TFREG_DATA to a folder with {PACK}, or use "
            "phantom textures, which need no files (--data phantom)."
        )
    held_out = split == "validation"
    names = [name for name in (*_KODAK, *_PHOTOGRAPHS) if (name in VALIDATION) == held_out]
    images = read_pack(path, names)
    for name, image in images.items():
        if image.ndim != 2 or image.dtype != np.uint8:
            raise InputError(
                f"{path} must hold grey images of 8 bits. "
                f"Received: {name} {image.shape}, {image.dtype}"
            )
    return images


def _file() -> Path | None:
    folder = os.environ.get("TFREG_DATA")
    path = Path(folder) / PACK if folder else None
    return path if path is not None and path.is_file() else None


def _phantoms(split: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([13, SPLITS.index(split)])
    (source,) = SOURCES["phantom"]
    return {f"phantom {split} {n}": _leaves(rng) for n in range(source.splits[split])}


def _leaves(rng: np.random.Generator) -> np.ndarray:
    """Discs on top of each other, as many of a size as makes an image alike at every scale."""
    image = np.full((_SIDE, _SIDE), 128.0)
    for _ in range(_LEAVES):
        # Of radii r there are as many as r^-3 says.
        spread = 1 - rng.random() * (1 - (_SMALL / _LARGE) ** 2)
        radius = _SMALL / np.sqrt(spread)
        centre = rng.uniform(-radius, _SIDE + radius, 2)
        low = np.clip(np.floor(centre - radius).astype(int), 0, _SIDE)
        high = np.clip(np.ceil(centre + radius).astype(int) + 1, 0, _SIDE)
        y, x = np.ogrid[low[0] : high[0], low[1] : high[1]]
        grating = rng.normal(0, 0.4, 2)
        waves = rng.uniform(0, 30) * np.sin(grating[0] * y + grating[1] * x)
        shade = rng.normal(0, 40 / radius, 2)  # it is lit from a side
        slope = shade[0] * (y - centre[0]) + shade[1] * (x - centre[1])
        leaf = rng.uniform(20, 235) + waves + slope
        inside = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2
        part = image[low[0] : high[0], low[1] : high[1]]
        part[inside] = leaf[inside]
    return np.rint(np.clip(image + rng.normal(0, 2, image.shape), 0, 255)).astype("uint8")
