"""NIfTI as nibabel reads it."""

import gzip
import io
import itertools
import struct
from pathlib import Path
from typing import Any

import numpy as np

from ..meaning import Meaning, Truth, frames_of

_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 1e-3}
_TO_LPS = np.diag([-1.0, -1, 1, 1])
_SAME, _OTHER = 0.08, 0.12  # voxels between two statements; around a tenth either will do
_ROUNDING = 1e-5  # of the square of a quaternion that is longer than 1
_STATEMENTS = "qform|sform|pixdim"


def truth(path: Path) -> Truth:
    """The sform where its code is positive, else the qform, else the spacing alone."""
    try:
        image = _load(path)
        array = np.asanyarray(image.dataobj).T
        header = image.header
        size = array.shape[::-1]
        if array.dtype.kind not in "iuf" or array.ndim < 2 or not np.isfinite(array).all():
            return Truth()
        if "sform_code" not in header:
            return Truth(tuple(_analyze(header, array)))
        header["pixdim"][0] = _handedness(image)
        millimetres = _MM.get(int(header["xyzt_units"]) & 7)
        statements = _statements(header)
    except Exception:  # nibabel has many, for whatever it finds in a header
        return Truth()
    if millimetres is None or np.prod(size[4:]) > 1 or not np.isfinite(statements[0]).all():
        return Truth()
    array = array.reshape(array.shape[-4:])
    units = np.diag([millimetres] * 3 + [1.0])
    framed = int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0
    apart = _apart(statements, size[:3])
    meaning = Meaning(
        frames_of(array), _TO_LPS @ units @ statements[0], framed, 0.1 if apart < _OTHER else 1e-3
    )
    return Truth((meaning,), _STATEMENTS if apart > _OTHER else "")


def _load(path: Path) -> Any:
    """The image, its header cleared of what nibabel refuses or drops and others take.

    The quaternion is no longer than 1, the codes are known ones, and there are no extensions.
    """
    import nibabel

    pair = path.suffix in (".hdr", ".img")
    content = bytearray((path.with_suffix(".hdr") if pair else path).read_bytes())
    if path.suffix == ".gz":
        content = bytearray(gzip.decompress(content))
    if pair and b"ni" not in (content[4:6], content[344:346]):
        return nibabel.load(path, mmap=False)
    first = 348 in (int.from_bytes(content[:4], order) for order in ("little", "big"))
    content[348 if first else 540] = 0
    order = "<" if int.from_bytes(content[:4], "little") in (348, 540) else ">"
    form, where = (f"{order}3f", 256) if first else (f"{order}3d", 352)
    parts = np.array(struct.unpack_from(form, content, where))
    if 1 < parts @ parts < 1 + _ROUNDING:  # nibabel takes that for an error
        struct.pack_into(form, content, where, *parts / np.sqrt(parts @ parts) * (1 - 1e-7))
    form, where = (f"{order}2h", 252) if first else (f"{order}2i", 344)
    codes = struct.unpack_from(form, content, where)  # of which any that is positive counts
    struct.pack_into(form, content, where, *(min(max(code, 0), 4) for code in codes))
    if not pair:
        return (nibabel.Nifti1Image if first else nibabel.Nifti2Image).from_bytes(bytes(content))
    holder = nibabel.FileHolder
    files = {
        "header": holder(fileobj=io.BytesIO(content)),
        "image": holder(str(path.with_suffix(".img"))),
    }
    return (nibabel.Nifti1Pair if first else nibabel.Nifti2Pair).from_file_map(files, mmap=False)


def _statements(header: Any) -> list[np.ndarray]:
    """The maps that the header states, the one that counts first; then that of its spacing."""
    spacing = np.abs(np.array(header["pixdim"][1:4], "float64"))
    single = [*header["dim"][1:4], 1, 1, 1][:3] == 1
    single = np.array(single) | (np.arange(3) >= int(header["dim"][0]))
    spacing[single & ~(spacing > 0)] = 1
    found = [header.get_sform(coded=True)[0], _qform(header, spacing)]
    maps = [item for item in found if item is not None]
    return maps or [np.diag([*spacing, 1.0])]


def _qform(header: Any, spacing: np.ndarray) -> np.ndarray | None:
    header = header.copy()
    header["pixdim"][1:4] = spacing
    if int(header["qform_code"]) <= 0:
        return None
    return header.get_qform()


def _handedness(image: Any) -> float:
    """The sign of qfac: the standard takes -2 for -1, and nibabel for 1."""
    part = image.file_map.get("header", image.file_map["image"])
    with part.get_prepare_fileobj("rb") as file:
        header = image.header_class.from_fileobj(file, check=False)
    return -1.0 if header["pixdim"][0] < 0 else 1.0


def _apart(statements: list[np.ndarray], size: tuple[int, ...]) -> float:
    """How far two statements are apart at a corner, in voxels of the first."""
    first, *others = statements
    ends = [(0, n - 1) for n in (*size, 1, 1)[:3]]
    corners = np.array([[*corner, 1.0] for corner in itertools.product(*ends)]).T
    inverse = np.linalg.pinv(first[:3, :3])
    far = [inverse @ ((other - first) @ corners)[:3] for other in others]
    return max((np.linalg.norm(one, axis=0).max() for one in far), default=0.0)


def _analyze(header: Any, array: np.ndarray) -> list[Meaning]:
    """The older format says how long its axes are, and not where they point."""
    spacing = np.array([*header.get_zooms(), 1, 1][:3], "float64")
    if array.ndim > 4 or not (spacing > 0).all():
        return []
    return [Meaning(frames_of(array), np.diag([*spacing, 1.0]), framed=False)]
