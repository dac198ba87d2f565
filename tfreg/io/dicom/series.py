"""The pictures of one series in a folder of DICOM."""

from pathlib import Path

from tfreg.errors import InputError
from tfreg.io.dicom.slices import Slice, slices_of
from tfreg.io.headers import has_pixels, is_dicom

_NAMED_DICOM = (".dcm", ".dicom", ".ima")


def slices_in(source: Path, series: str | None = None) -> list[Slice]:
    """Every picture of a file, or of the one series of a folder.

    Raises:
        InputError: if there is no series or several, or a file cannot be read.
    """
    if source.is_file():
        return slices_of(source)
    found: dict[str, list[Slice]] = {}
    for path in _files(source):
        if has_pixels(path):
            for item in slices_of(path):
                found.setdefault(item.series, []).append(item)
    if not found:
        raise InputError(
            f"An image file is needed, not a folder without DICOM images. Received: {source}"
        )
    if series is not None and series not in found:
        raise InputError(f"{source} has no series {series}. Received: {', '.join(found)}")
    if series is None and len(found) > 1:
        counts = {uid: len({item.path for item in items}) for uid, items in found.items()}
        listed = "; ".join(f"{uid} ({count} files)" for uid, count in [*counts.items()][:8])
        more = f"; and {len(found) - 8} more" if len(found) > 8 else ""
        raise InputError(
            f"{source} holds several DICOM series; one must be named, or have a folder of its own. "
            f"Received: {listed}{more}"
        )
    return found[series] if series is not None else next(iter(found.values()))


def _files(folder: Path) -> list[Path]:
    """The DICOM files of a folder, with a preamble or without; no file named so is passed over."""
    found = []
    try:
        for path in sorted(folder.iterdir()):
            if not path.is_file() or path.name.startswith("."):
                continue
            if is_dicom(path):
                found.append(path)
            elif path.suffix.lower() in _NAMED_DICOM:
                raise InputError(
                    f"{path} is not DICOM, with a preamble or without; take it out of the folder "
                    "or put the whole file there."
                )
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from error
    return found
