"""The formats of images by the ends of their names."""

from pathlib import Path

from tfreg.errors import InputError
from tfreg.io.headers import is_dicom

_SUFFIXES = {
    ".nii": "NiftiImageIO",
    ".nii.gz": "NiftiImageIO",
    ".hdr": "NiftiImageIO",
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
    ".nrrd": "NrrdImageIO",
    ".nhdr": "NrrdImageIO",
    ".png": "PNGImageIO",
    ".tif": "TIFFImageIO",
    ".tiff": "TIFFImageIO",
    ".jpg": "JPEGImageIO",
    ".jpeg": "JPEGImageIO",
    ".bmp": "BMPImageIO",
    ".dcm": "GDCMImageIO",
    ".npy": "npy",
}
PICTURES = ("PNGImageIO", "TIFFImageIO", "JPEGImageIO", "BMPImageIO")
WITHOUT_PLACE = (*PICTURES, "npy")  # these hold voxels and no geometry, or only a spacing
_PAIRED = ".hdr"  # with .img; read, and not written
_NOT_WRITTEN = ("JPEGImageIO", "BMPImageIO", "GDCMImageIO")


def format_of(path: Path, writing: bool = False) -> str:
    """The name of the format: SimpleITK's name of its reader, or "npy".

    Args:
        path: a file; its suffix decides. A file without a known one is DICOM where it says so.
        writing: whether the file is to be written.

    Raises:
        InputError: if the format is unknown, or cannot be written.
    """
    name = path.name.lower()
    found = _SUFFIXES.get(".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower())
    if found is None and not writing and path.is_file():
        found = "GDCMImageIO" if is_dicom(path) else None
    if found is None or (writing and (found in _NOT_WRITTEN or path.suffix.lower() == _PAIRED)):
        left_out = (*_NOT_WRITTEN, _PAIRED) if writing else ()
        known = [end for end, name in _SUFFIXES.items() if not {end, name} & set(left_out)]
        what = "written" if writing else "read"
        raise InputError(f"An image can be {what} as {', '.join(known)}. Received: {path}")
    return found


def is_dicom_source(path: Path) -> bool:
    """Whether an existing path is a DICOM file or a folder, which can only hold DICOM."""
    return path.is_dir() or format_of(path) == "GDCMImageIO"


def existing(path: Path) -> Path:
    """Refuses a path that is neither a file with content nor a folder."""
    try:
        if not path.exists():
            raise InputError(f"There is no such file. Received: {path}")
        if not (path.is_file() or path.is_dir()):
            raise InputError(f"An image must be a file or a folder. Received: {path}")
        if path.is_file() and path.stat().st_size == 0:
            raise InputError(f"The file is empty. Received: {path}")
    except (OSError, ValueError) as error:  # the name is too long, or holds a null character
        raise InputError(f"{path!s:.200} cannot be read: {error}") from error
    return path
