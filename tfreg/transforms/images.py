"""Displacements as vector images: NIfTI (also ANTs' ``Warp.nii.gz``), MetaImage and NRRD.

The vectors are in LPS mm, as ITK, SimpleITK, elastix, ANTs and Slicer have them.
"""

from pathlib import Path
from typing import Any

import numpy as np

from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.transforms.displacement import Displacement

READ = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr")
WRITTEN = (".nii.gz", ".nii", ".mha", ".nrrd")


def read(path: Path, nifti_space: str | None = None) -> Displacement:
    """Reads a vector image.

    Args:
        path: with one of the suffixes ``READ``.
        nifti_space: as for ``tfreg.io.read``.

    Raises:
        InputError: if the file is damaged, or no displacement in mm of LPS.
    """
    from tfreg.io.formats import format_of

    kind = format_of(path)
    try:
        return _nifti(path, nifti_space) if kind == "NiftiImageIO" else _by_itk(path, kind)
    except InputError as error:
        if str(path) in str(error):
            raise
        raise InputError(f"{path} cannot be used: {error}") from error


def _nifti(path: Path, space: str | None) -> Displacement:
    from tfreg.image import geometry_of
    from tfreg.io.headers import nifti_place, nifti_vectors
    from tfreg.io.placing import placed, say

    field = nifti_vectors(path)
    place = nifti_place(path, space)
    _check_unit(path, place.unit)
    say(place.warnings)
    return Displacement(field, geometry_of(placed(field[..., 0], place.affine)))


def _by_itk(path: Path, kind: str) -> Displacement:
    import SimpleITK as sitk

    from tfreg.io.headers import CHECKS, check_vectors_nrrd
    from tfreg.io.placing import stated
    from tfreg.io.silence import quiet

    CHECKS[kind](path)
    found = stated(path, kind)
    _check_unit(path, *found.scale)
    if found.values != (1, 0):
        slope, intercept = found.values
        raise InputError(
            f"{path} must store its vectors in mm. Received: {slope} * stored + {intercept}"
        )
    if kind == "NrrdImageIO":
        check_vectors_nrrd(path)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(kind)
    reader.SetFileName(str(path))
    try:
        with quiet():
            reader.ReadImageInformation()
            ndim, channels = reader.GetDimension(), reader.GetNumberOfComponents()
            if ndim not in (2, 3) or channels != ndim or found.time:
                raise InputError(
                    f"{path} is no displacement: it must have 2 or 3 axes and as many channels. "
                    f"Received: {ndim} axes, {channels} channels"
                )
            image = reader.Execute()
    except RuntimeError as error:
        reason = [line.strip() for line in str(error).splitlines() if line.strip()][-1:]
        raise InputError(f"{path} cannot be read: {' '.join(reason)}") from error
    return from_sitk(image)


def _check_unit(path: Path, *units: float) -> None:
    """Refuses lengths in other units: nothing says in which the vectors are."""
    if any(unit != 1 for unit in units):
        raise InputError(f"{path} must hold a displacement in mm. Received: units of {units} mm")


def write(displacement: Displacement, path: Path) -> None:
    """Writes a vector image of float32.

    Args:
        displacement: what to write.
        path: with one of the suffixes ``WRITTEN``.
    """
    import SimpleITK as sitk

    from tfreg.io.nifti_sheared import needs_sform, write_sheared
    from tfreg.io.silence import quiet

    geometry = displacement.geometry
    if path.name.lower().endswith((".nii", ".nii.gz")) and needs_sform(geometry):
        write_sheared(np.asarray(displacement.field, dtype="float32"), geometry, path)
        return
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
