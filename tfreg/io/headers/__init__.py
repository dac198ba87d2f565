"""What a file's header promises, held against what the file can hold, before ITK reads it.

ITK believes a header: it allocates what it asks for, and some of its readers fill up silently what
a truncated file lacks. Each module here checks one format and raises an ``InputError`` that says
what is wrong, or answers how many values the header promises where it does; nothing is allocated.
"""

from collections.abc import Callable
from pathlib import Path

from tfreg.io.headers.dicom import check_dicom, has_pixels, is_dicom
from tfreg.io.headers.metaimage import check_metaimage, metaimage_data
from tfreg.io.headers.nifti import check_finite_nifti, check_nifti, nifti_voxels
from tfreg.io.headers.nrrd import check_nrrd, nrrd_data
from tfreg.io.headers.pictures import check_bmp, check_jpeg, check_png, jpeg_orientation
from tfreg.io.headers.tiff import check_tiff

CHECKS: dict[str, Callable[[Path], int | None]] = {
    "BMPImageIO": check_bmp,
    "GDCMImageIO": check_dicom,
    "MetaImageIO": check_metaimage,
    "NiftiImageIO": check_nifti,
    "NrrdImageIO": check_nrrd,
    "PNGImageIO": check_png,
    "JPEGImageIO": check_jpeg,
    "TIFFImageIO": check_tiff,
}

_DATA = {
    ".mha": metaimage_data,
    ".mhd": metaimage_data,
    ".nrrd": nrrd_data,
    ".nhdr": nrrd_data,
}


def files_of(path: Path) -> list[Path]:
    """An image's file, and the one that holds its voxels where that is another.

    Raises:
        InputError: if the header is broken, or names a file that is not there.
    """
    voxels = _DATA.get(path.suffix.lower(), lambda path: path)(path)
    return [path] if voxels == path else [path, voxels]


__all__ = [
    "CHECKS",
    "check_finite_nifti",
    "files_of",
    "has_pixels",
    "is_dicom",
    "jpeg_orientation",
    "nifti_voxels",
]
