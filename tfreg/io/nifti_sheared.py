"""NIfTI files of images whose axes are not at right angles, which ITK does not write."""

import gzip
import struct
import warnings
from pathlib import Path

import numpy as np

from tfreg.errors import InputWarning
from tfreg.geometry import Geometry
from tfreg.io.headers import NIFTI_TYPES

_RIGHT_ANGLES = 1e-4  # what ITK takes for a right angle, about
_VECTOR = 1007
_MILLIMETRES = 2


def needs_sform(geometry: Geometry) -> bool:
    """Whether NIfTI holds a geometry in an sform alone: its axes are sheared, or no unit vectors.

    Example:
        >>> needs_sform(Geometry.of_shape((3, 4)))
        False
    """
    direction = np.array(geometry.direction)
    skew = direction.T @ direction - np.eye(geometry.ndim)
    return bool(np.abs(skew).max() > _RIGHT_ANGLES)


def write_sheared(array: np.ndarray, geometry: Geometry, path: Path) -> None:
    """Writes a NIfTI file with an sform and no qform, which cannot hold shear.

    nibabel, FSL and SPM read it as it is; ITK and what is built on it refuse it, of which an
    ``InputWarning`` tells.

    Args:
        array: ``(*spatial,)``, or ``(*spatial, channels)`` for vectors in LPS.
        geometry: of the same spatial shape.
        path: ``.nii`` or ``.nii.gz``.
    """
    ndim, size = geometry.ndim, geometry.size
    vectors = array.ndim > ndim
    if vectors:
        size = (*size, *(1,) * (4 - ndim), array.shape[-1])
        array = np.moveaxis(array, -1, 0)
    codes = {np.dtype(name): code for code, name in NIFTI_TYPES.items()}
    dtype = array.dtype.newbyteorder("=")
    matrix = np.zeros((3, 4))
    matrix[2, 2] = 1
    matrix[:ndim, :ndim] = np.array(geometry.direction) * np.array(geometry.spacing)
    matrix[:ndim, 3] = geometry.origin
    matrix[:2] *= -1  # RAS
    steps = np.linalg.norm(matrix[:, :3], axis=0)
    head = bytearray(352)
    struct.pack_into("=i", head, 0, 348)
    struct.pack_into(f"={1 + len(size)}h", head, 40, len(size), *size)
    struct.pack_into("=3h", head, 68, _VECTOR if vectors else 0, codes[dtype], 8 * dtype.itemsize)
    struct.pack_into("=8f", head, 76, 1, *steps, 1, 1, 1, 1)
    struct.pack_into("=3f", head, 108, len(head), 1, 0)
    head[123] = _MILLIMETRES
    struct.pack_into("=2h", head, 252, 0, 1)
    struct.pack_into("=12f", head, 280, *matrix.ravel())
    head[344:348] = b"n+1\0"
    packed = path.name.lower().endswith(".gz")
    with gzip.GzipFile(path, "wb", mtime=0) if packed else open(path, "wb") as file:
        file.write(head)
        file.write(np.ascontiguousarray(array, dtype).data)
    warnings.warn(
        f"{path.name} has axes that are not at right angles: nibabel, FSL and SPM read that from "
        "NIfTI, ITK, ANTs and Slicer do not; .mha and .nrrd are for these",
        InputWarning,
        stacklevel=3,
    )
