"""Where a NIfTI-1 header puts the voxels: what it says twice or thrice is compared.

The sform is a whole affine map, the qform a rotation of voxels of the sizes in ``pixdim``, and
``pixdim`` says these sizes alone. All are in RAS; the answers here are in LPS.
"""

import itertools
import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfreg.errors import InputError
from tfreg.io.headers.common import broken, check_matrix, check_spacing

_SPACES = ("sform", "qform", "pixdim")  # the first that a header states counts, as in nibabel
_MILLIMETRES = {0: 1.0, 1: 1e3, 2: 1.0, 3: 1e-3}  # per unknown unit, metre, millimetre, micron
_APART = 0.1  # voxels, from which two statements are not the same but for rounding
_ROUNDING = 1e-5  # of the quaternion's length
_IN_PLANE = 1e-3  # of a 2-D image, what its axes may have along z


@dataclass(frozen=True)
class Place:
    """Where the voxels are.

    Attributes:
        affine: ``(3, 4)`` float64, index ``(x, y, z, 1)`` to the point in LPS mm.
        unit: mm per unit of the header's lengths.
        warnings: what the header says twice, or does not say.
    """

    affine: np.ndarray
    unit: float
    warnings: tuple[str, ...]


def check_space(chosen: str | None) -> None:
    """Refuses a name that is none of ``_SPACES``; None stands for no choice."""
    if chosen is not None and chosen not in _SPACES:
        raise InputError(
            f"nifti_space must be {', '.join(_SPACES[:-1])} or {_SPACES[-1]}. Received: {chosen!r}"
        )


def place_of(path: Path, fields: bytes, order: str, chosen: str | None = None) -> Place:
    """Where a header puts the voxels.

    Args:
        path: for the messages.
        fields: the 348 bytes of the header.
        order: of its bytes, "<" or ">".
        chosen: the statement that counts where several differ by more than a tenth of a voxel
            somewhere in the image; None is the sform if its code is positive, else the qform, else
            ``pixdim``. ``pixdim`` are sizes along the axes, and from the first voxel, of the form
            that would count.

    Raises:
        InputError: where a statement is unusable, the chosen one is not made, or the unit unknown.
    """
    ndim, *size = struct.unpack_from(f"{order}8h", fields, 40)
    size = [n if axis < ndim else 1 for axis, n in enumerate(size[:3])]
    unit = _unit(path, fields[123] & 7)
    sform = _sform(path, fields, order, ndim)
    found = {} if sform is None else {"sform": sform}
    try:
        steps, said = _steps(path, fields, order, ndim, size, sform)
        qform = _qform(path, fields, order, steps)
    except InputError as error:
        if sform is None:
            raise
        said = (f"{error}. Its sform is taken",)
    else:
        if qform is not None:
            found["qform"] = qform
        if not found:
            said += (
                f"{path} does not say where it is (the codes of its qform and sform are 0): its "
                "middle is put at 0, its axes to the left, the front and the head, as nibabel does",
            )
            found["pixdim"] = _centred(size, steps)
        else:
            found["pixdim"] = _resized(next(iter(found.values())), steps)
    name, more = _decided(path, found, size, unit, chosen)
    affine = unit * np.array([[-1.0], [-1.0], [1.0]]) * found[name]
    if ndim == 2 and np.abs(affine[2, :2]).max() > _IN_PLANE * np.abs(affine[:2, :2]).max():
        raise InputError(
            f"{path} is 2-D and must lie across the z axis; with a third axis of one voxel it can "
            f"lie anywhere. Received: axes {affine[:, :2].T.tolist()}"
        )
    return Place(affine, unit, said + more)


def _decided(
    path: Path, found: dict[str, np.ndarray], size: list[int], unit: float, chosen: str | None
) -> tuple[str, tuple[str, ...]]:
    """The name of the statement that counts, and what to say of the others."""
    first = next(iter(found))
    ends = itertools.product(*((0, n - 1) for n in size))
    corners = np.array([(*corner, 1.0) for corner in ends]).T
    inverse = np.linalg.inv(found[first][:, :3])
    apart = {}
    for name, matrix in found.items():
        difference = (matrix - found[first]) @ corners
        if np.linalg.norm(inverse @ difference, axis=0).max() > _APART:
            apart[name] = unit * np.linalg.norm(difference, axis=0).max()
    if not apart:
        return first, ()
    if chosen is not None:
        if chosen not in found:
            raise InputError(f"{path} states no {chosen}. Received: nifti_space={chosen!r}")
        return chosen, ()
    others = " and ".join(f"its {name} up to {far:.3g} mm" for name, far in apart.items())
    return first, (
        f"{path} states its place more than once: its {first} is taken, {others} from it; "
        f"--nifti-space {' or '.join(apart)} (in Python nifti_space=) takes that instead",
    )


def _steps(
    path: Path, fields: bytes, order: str, ndim: int, size: list[int], sform: np.ndarray | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The voxel sizes of ``pixdim``, and what to say of them."""
    steps = list(struct.unpack_from(f"{order}8f", fields, 76)[1:4])
    said = ()
    for axis in range(3):
        if size[axis] > 1 or (axis < ndim and steps[axis] != 0):
            continue
        steps[axis] = 1.0 if sform is None else float(np.linalg.norm(sform[:, axis]))
        if axis < ndim and sform is None:
            said += (f"{path} has a single voxel along {'xyz'[axis]}, of size 0: taken for 1",)
    check_spacing(path, steps)
    return np.array(steps), said


def _sform(path: Path, fields: bytes, order: str, ndim: int) -> np.ndarray | None:
    if struct.unpack_from(f"{order}h", fields, 254)[0] <= 0:
        return None
    values = struct.unpack_from(f"{order}12f", fields, 280)
    if not all(map(math.isfinite, values)):
        raise broken(path, f"the rows of the sform must be finite. Received: {values}")
    matrix = np.reshape(values, (3, 4)).astype("float64")
    if ndim == 2:  # its third column says nothing
        matrix[:, 2] = np.cross(*(matrix[:, :2] / np.linalg.norm(matrix[:, :2], axis=0)).T)
    check_matrix(path, matrix[:, :3].T)
    return matrix


def _qform(path: Path, fields: bytes, order: str, steps: np.ndarray) -> np.ndarray | None:
    if struct.unpack_from(f"{order}h", fields, 252)[0] <= 0:
        return None
    values = struct.unpack_from(f"{order}6f", fields, 256)
    if not all(map(math.isfinite, values)):
        raise broken(path, f"the quaternion must be finite. Received: {values}")
    square = sum(value * value for value in values[:3])
    if square > 1 + _ROUNDING:
        raise broken(path, f"the quaternion must not be longer than 1. Received: {values[:3]}")
    a = math.sqrt(max(1 - square, 0.0))
    b, c, d = (value / math.sqrt(max(square, 1.0)) for value in values[:3])
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    left_handed = struct.unpack_from(f"{order}f", fields, 76)[0] < 0
    signs = np.array([1, 1, -1 if left_handed else 1])
    return np.column_stack([rotation * steps * signs, values[3:]])


def _resized(matrix: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """A map with the same axes and first voxel, and voxels of other sizes."""
    axes = matrix[:, :3] / np.linalg.norm(matrix[:, :3], axis=0)
    return np.column_stack([axes * steps, matrix[:, 3]])


def _centred(size: list[int], steps: np.ndarray) -> np.ndarray:
    linear = np.diag(steps * [-1, 1, 1])
    return np.column_stack([linear, -linear @ (np.array(size) - 1) / 2])


def _unit(path: Path, code: int) -> float:
    if code not in _MILLIMETRES:
        raise broken(path, f"lengths must be in m, mm or microns. Received: xyzt_units {code}")
    return _MILLIMETRES[code]
