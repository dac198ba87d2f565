"""Reads images with all that their headers say."""

import os
from pathlib import Path

import numpy as np

from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.io.dicom import read_dicom
from tfreg.io.formats import PICTURES, existing, format_of, is_dicom_source
from tfreg.io.headers import check_space, nifti_voxels
from tfreg.io.loading import checked, load, load_array


def read(
    path: str | os.PathLike, series: str | None = None, nifti_space: str | None = None
) -> Image:
    """Reads a 2-D or 3-D image and its place in space.

    Args:
        path: NIfTI (``.nii``, ``.nii.gz``), MetaImage (``.mha``, ``.mhd``), NRRD (``.nrrd``,
            ``.nhdr``), PNG, TIFF, JPEG, BMP, one DICOM file, ``.npy``, or a folder of DICOM. Colour
            in PNG, TIFF, JPEG and BMP becomes luminance (Rec. 601); ``.npy`` has voxels of 1 mm.
            Slices of DICOM are put in order of place, each with the scaling of its own; they may
            be a tenth of the smallest spacing from even places.
            Pages of TIFF that the file does not name are slices along z, with a warning.
        series: which series of a DICOM folder, by its UID; needed where there are several.
        nifti_space: "sform", "qform" or "pixdim": which statement counts where those of a NIfTI
            header are more than a tenth of a voxel apart. None takes the sform if its code is
            positive, else the qform, else ``pixdim``, and warns.

    Returns:
        The image, in the dtype of the file after its own scaling, LPS mm.

    Raises:
        InputError: in one line, if the file is missing, empty, damaged or truncated, of an unknown
            format, in colour, complex, a series in time, or holds NaN or infinite voxels.
    """
    check_space(nifti_space)
    path = existing(Path(path))
    if series is not None and not path.is_dir():
        raise InputError(f"Only a folder of DICOM has series. Received: {path}, series={series!r}")
    if is_dicom_source(path):
        return checked(read_dicom(path, series), path)
    if format_of(path) == "npy":
        array = load_array(path)
        _check_axes(path, array.shape)
        return checked(Image(array, Geometry.of_shape(array.shape)), path)
    image = load(path, nifti_space)
    _check_axes(path, image.GetSize()[::-1])
    if image.GetDimension() == 4:
        image = image[..., 0]
    try:
        return checked(Image.from_sitk(image), path)
    except InputError as error:
        raise InputError(f"{path} cannot be used: {error}") from error


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Reads a grey image as a bare array.

    Args:
        path: as for ``read``.

    Returns:
        Array ``(*spatial,)``, rows before columns, in the dtype of the file; voxels that are not
        finite stay, and a fourth axis does.

    Raises:
        InputError: if the file is missing, empty or unreadable; the message names it.
    """
    import SimpleITK as sitk

    path = existing(Path(path))
    if is_dicom_source(path):
        return read_dicom(path).array
    if format_of(path) == "npy":
        return load_array(path)
    if format_of(path) == "NiftiImageIO":
        return nifti_voxels(path)
    return sitk.GetArrayFromImage(load(path))


def read_colours(path: str | os.PathLike) -> np.ndarray | None:
    """Reads a picture in colour.

    Args:
        path: PNG, TIFF, JPEG or BMP; of other formats there are no colours.

    Returns:
        ``(rows, columns, 3)``: red, green and blue in the dtype of the file, which may be the same
        everywhere; ``None`` of a file of one channel.

    Raises:
        InputError: if the file is missing, empty or unreadable, or holds several pages in colour.

    Example:

    >>> import os, tempfile
    >>> import numpy as np
    >>> from tfreg import io
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "orange.png")
    ...     io.write_png(path, np.full((8, 8, 3), [255, 128, 0]), 0, 255)
    ...     io.read_colours(path)[0, 0].tolist()
    [255, 128, 0]
    """
    import SimpleITK as sitk

    path = existing(Path(path))
    if path.is_dir() or format_of(path) not in PICTURES:
        return None
    array = sitk.GetArrayFromImage(image := load(path, colours=True))
    if image.GetNumberOfComponentsPerPixel() == 1:
        return None
    if array.ndim != 3:
        raise InputError(f"{path} must hold one picture. Received: shape={array.shape}")
    return array[..., :3]


def _check_axes(path: Path, shape: tuple[int, ...]) -> None:
    """Refuses a series in time, but for one of a single frame."""
    if len(shape) == 4 and shape[0] > 1:
        raise InputError(
            f"{path} is a series of {shape[0]} frames; a 2-D or 3-D image is needed "
            f"(read_frames answers all). Received: shape={shape}"
        )
    if len(shape) not in (2, 3, 4):
        raise InputError(f"{path} must have 2 or 3 axes. Received: shape={shape}")
