"""Displacements as vector images: NIfTI (also ANTs' ``Warp.nii.gz``), MetaImage and NRRD.

The vectors are in LPS mm, as ITK, SimpleITK, elastix, ANTs and Slicer have them.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.transforms.displacement import Displacement

READ = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr")
WRITTEN = (".nii.gz", ".nii", ".mha", ".nrrd")
_RIGHT_ANGLES = 1e-4


def read(path: Path) -> Displacement:
    """Reads a vector image.

    Args:
        path: with one of the suffixes ``READ``.

    Raises:
        InputError: if the file is damaged, or no displacement.
    """
    import SimpleITK as sitk

    from tfreg.io.formats import format_of
    from tfreg.io.headers import CHECKS, check_finite_nifti
    from tfreg.io.silence import quiet

    kind = format_of(path)
    (check_finite_nifti if kind == "NiftiImageIO" else CHECKS[kind])(path)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(kind)
    try:
        with quiet(), _alone(path) as file:
            reader.SetFileName(str(file))
            reader.ReadImageInformation()
            ndim, channels = reader.GetDimension(), reader.GetNumberOfComponents()
            if ndim not in (2, 3) or channels != ndim:
                raise InputError(
                    f"{path} is no displacement: it must have 2 or 3 axes and as many channels. "
                    f"Received: {ndim} axes, {channels} channels"
                )
            image = reader.Execute()
    except RuntimeError as error:
        reason = [line.strip() for line in str(error).splitlines() if line.strip()][-1:]
        raise InputError(f"{path} cannot be read: {' '.join(reason)}") from error
    try:
        return from_sitk(image)
    except InputError as error:
        raise InputError(f"{path} cannot be used: {error}") from error


def write(displacement: Displacement, path: Path) -> None:
    """Writes a vector image of float32.

    Args:
        displacement: what to write.
        path: with one of the suffixes ``WRITTEN``.

    Raises:
        InputError: if it is NIfTI and the axes are not at right angles, which ITK does not read.
    """
    import SimpleITK as sitk

    from tfreg.io.silence import quiet

    direction = np.array(displacement.geometry.direction)
    skew = np.abs(direction.T @ direction - np.eye(displacement.ndim)).max()
    if skew > _RIGHT_ANGLES and path.name.lower().endswith((".nii", ".nii.gz")):
        raise InputError(
            "A NIfTI file as ITK reads it needs unit axes at right angles; .mha and .nrrd do not. "
            f"Received: direction={direction.tolist()}"
        )
    image = to_sitk(displacement)
    with quiet():
        sitk.WriteImage(image, str(path), useCompression=not path.name.lower().endswith(".nii"))


def to_sitk(displacement: Displacement) -> Any:
    """The displacement as a vector image of SimpleITK, float32."""
    import SimpleITK as sitk

    field = np.asarray(displacement.field, dtype="float32")
    image = sitk.GetImageFromArray(field, isVector=True)
    geometry = displacement.geometry
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(np.ravel(geometry.direction).tolist())
    return image


def from_sitk(image: Any) -> Displacement:
    """The displacement of a vector image of SimpleITK.

    Raises:
        InputError: if it does not have as many channels as axes.
    """
    import SimpleITK as sitk

    ndim = image.GetDimension()
    direction = np.reshape(image.GetDirection(), (ndim, ndim)).tolist()
    geometry = Geometry(image.GetSize(), image.GetSpacing(), image.GetOrigin(), direction)
    return Displacement(sitk.GetArrayFromImage(image), geometry)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[Path]:
    """The file, where needed as a copy: beside ``a.nii``, ITK reads its voxels for ``a.nii.gz``."""
    if not (path.name.lower().endswith(".nii.gz") and path.with_suffix("").exists()):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copy(path, Path(folder) / path.name))
