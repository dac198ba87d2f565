"""Pairs of chest CTs from files: the lung pair of elastix' test data, and anyone's own.

The lung pair is one lung of one patient at two times, with masks and 26 landmarks.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.data.slices import read_pack
from tfreg.data.source import Source
from tfreg.data.volume_pair import VolumePair
from tfreg.errors import InputError

SOURCE = Source(
    "lung pair of elastix",
    "S. Klein et al., elastix: a toolbox for intensity-based medical image registration, IEEE TMI "
    "29(1), 2010",
    "Apache-2.0",
    "pairs",
    {"test": 1},
)
PACK = "ct_lung_pair.npz"


def available() -> bool:
    """Whether :func:`load` would find the lung pair."""
    return _file() is not None


def load() -> VolumePair:
    """The lung pair, from the prepared file in the folder that ``TFREG_DATA`` names.

    What the scanner did not reconstruct is -1024 HU. The two volumes differ in size.

    Raises:
        InputError: if the file is not there, or not what it should be.
    """
    path = _file()
    if path is None:
        raise InputError(f"The lung pair was not found: set TFREG_DATA to a folder with {PACK}.")
    sides = ("fixed", "moving")
    keys = [f"{s}{part}" for s in sides for part in ("", "_mask")]
    keys += [f"{part}_{s}_xyz" for s in sides for part in ("origin", "landmarks")]
    pack = read_pack(path, (*keys, "spacing_xyz"))
    spacing = pack["spacing_xyz"][::-1]
    images = [np.maximum(pack[side], -1024).astype("float32") for side in sides]
    points = [
        (pack[f"landmarks_{side}_xyz"] - pack[f"origin_{side}_xyz"])[:, ::-1] / spacing
        for side in sides
    ]
    masks = [pack[f"{side}_mask"] for side in sides]
    return VolumePair("lung pair", *images, tuple(map(float, spacing)), *masks, *points)


def read(
    fixed: Path | str,
    moving: Path | str,
    fixed_mask: Path | str | None = None,
    moving_mask: Path | str | None = None,
    fixed_points: Path | str | None = None,
    moving_points: Path | str | None = None,
) -> VolumePair:
    """Anyone's own pair.

    Args:
        fixed, moving: volumes of one spacing that SimpleITK reads, in HU, their axes along those of
            the patient (an identity direction).
        fixed_mask, moving_mask: volumes of the same size, not 0 in the lungs.
        fixed_points, moving_points: text with a line ``x y z`` per landmark in physical mm (LPS); a
            heading ``point`` and a number of landmarks, as elastix has them, may come first.

    Raises:
        InputError: if a file is missing, or one does not fit the other.
    """
    first, second = _image(fixed), _image(moving)
    if not np.allclose(first.GetSpacing(), second.GetSpacing(), rtol=1e-4):
        raise InputError(
            f"{fixed} and {moving} must have one spacing. "
            f"Received: {first.GetSpacing()} and {second.GetSpacing()}"
        )
    if (fixed_points is None) != (moving_points is None):
        raise InputError("Landmarks must be given for both volumes, or for none.")
    found = []
    for image, path, mask, points in (
        (first, fixed, fixed_mask, fixed_points),
        (second, moving, moving_mask, moving_points),
    ):
        volume = _array(image).astype("float32")
        label = None if mask is None else (_array(_image(mask)) != 0).astype("uint8")
        if label is not None and label.shape != volume.shape:
            raise InputError(f"{mask} must be of the size of {path}, {volume.shape}.")
        found.append((volume, label, None if points is None else _points(Path(points), image)))
    (a, a_mask, a_points), (b, b_mask, b_points) = found
    if a_points is not None and a_points.shape != b_points.shape:
        raise InputError(
            "There must be as many fixed as moving landmarks. "
            f"Received: {len(a_points)} and {len(b_points)}"
        )
    spacing = tuple(first.GetSpacing()[::-1])
    return VolumePair(Path(fixed).name, a, b, spacing, a_mask, b_mask, a_points, b_points)


def _file() -> Path | None:
    folder = os.environ.get("TFREG_DATA")
    path = Path(folder) / PACK if folder else None
    return path if path is not None and path.is_file() else None


def _image(path: Path | str) -> Any:
    import SimpleITK as sitk

    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(f"{path} is missing or cannot be read.") from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(f"{path} must be a volume. Received: {image.GetSize()}")
    if not np.allclose(image.GetDirection(), np.eye(3).ravel(), atol=1e-3):
        raise InputError(
            f"{path} must have its axes along those of the patient; resample it first. "
            f"Received: direction {tuple(np.round(image.GetDirection(), 3).tolist())}"
        )
    return image


def _array(image: Any) -> np.ndarray:
    import SimpleITK as sitk

    return sitk.GetArrayFromImage(image)


def _points(path: Path, image: Any) -> np.ndarray:
    try:
        rows = [row.split() for row in path.read_text(encoding="ascii").splitlines() if row.strip()]
        if rows and rows[0] == ["point"]:
            rows = rows[2:]
        points = np.array(rows, float)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a list of landmarks: {error}") from error
    if not len(points) or points.shape != (len(points), 3):
        raise InputError(f"{path} must hold lines of x y z. Received: {points.shape}")
    return ((points - image.GetOrigin()) / image.GetSpacing())[:, ::-1]
