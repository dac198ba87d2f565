"""Checks of what is handed in, shared by the measures."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from tfreg.masked import refuse_masked


def as_displacement(displacement: ArrayLike, name: str = "displacement") -> np.ndarray:
    """The displacement as a finite float64 array ``(*spatial, ndim)``, 2-D or 3-D."""
    refuse_masked(displacement, name)
    array = np.asarray(displacement, dtype="float64")
    if array.ndim not in (3, 4) or array.shape[-1] != array.ndim - 1 or array.size == 0:
        raise ValueError(
            f"{name} must be (*spatial, ndim), 2-D or 3-D, without batch axis. "
            f"Received: {name}.shape={array.shape}"
        )
    # A NaN would pass every comparison below as "does not fold".
    finite = np.isfinite(array)
    if not finite.all():
        first = tuple(np.argwhere(~finite)[0].tolist())
        raise ValueError(f"{name} must be finite. Received: {name}{list(first)}={array[first]}")
    return array


def as_spacing(spacing: Sequence[float] | None, ndim: int) -> np.ndarray:
    """The spacing as a float64 array of one positive number per axis; 1 where none is given."""
    if spacing is None:
        return np.ones(ndim)
    array = np.asarray(spacing, dtype="float64")
    if array.shape != (ndim,) or not np.all(np.isfinite(array) & (array > 0)):
        raise ValueError(
            f"spacing must be {ndim} positive numbers, in mm per axis. Received: spacing={spacing}"
        )
    return array


def as_mask(
    mask: ArrayLike, name: str = "mask", shape: tuple[int, ...] | None = None
) -> np.ndarray:
    """The mask as a boolean array: booleans, or numbers that are all 0 or 1."""
    refuse_masked(mask, name)
    array = np.asarray(mask)
    if shape is not None and array.shape != shape:
        raise ValueError(
            f"{name} must have the shape {shape}. Received: {name}.shape={array.shape}"
        )
    if array.dtype != bool:
        inside = array == 1
        # A label map taken for a mask would merge its labels without a word.
        if not np.all(inside | (array == 0)):
            raise ValueError(
                f"{name} must hold 0 and 1 only; compare a label map with one label first. "
                f"Received: {name}.max()={array.max()}"
            )
        array = inside
    return array


def as_domain(mask: ArrayLike | None, shape: tuple[int, ...]) -> np.ndarray:
    """The voxels to look at: those of the mask, or all; at least one."""
    if mask is None:
        return np.ones(shape, dtype=bool)
    domain = as_mask(mask, shape=shape)
    if not domain.any():
        raise ValueError("mask must have a voxel inside. Received: mask.sum()=0")
    return domain


def as_labels(labels: ArrayLike, name: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """The label map as integers; floats are accepted when every one of them is an integer."""
    refuse_masked(labels, name)
    array = np.asarray(labels)
    if shape is not None and array.shape != shape:
        raise ValueError(
            f"{name} must have the shape {shape}. Received: {name}.shape={array.shape}"
        )
    if array.dtype.kind == "u" and array.size and int(array.max()) > np.iinfo("int64").max:
        return array.astype("uint64")
    if array.dtype.kind in "biu":
        return array.astype("int64")
    if array.dtype.kind != "f" or not np.all(array == np.rint(array)) or np.isinf(array).any():
        raise ValueError(
            f"{name} must hold integers: sample label maps with the nearest neighbour. "
            f"Received: {name}.dtype={array.dtype}"
        )
    if array.size and np.abs(array).max() > 2**53:
        raise ValueError(
            f"{name} must hold integers up to 2^53 as floating-point numbers, which round larger "
            f"ones. Received: {name}.max()={array.max():g}, {name}.min()={array.min():g}"
        )
    return array.astype("int64")


def as_label_list(labels: Sequence[int]) -> list[int]:
    """The labels asked for, as integers."""
    chosen = list(labels)
    if not all(isinstance(label, (int, np.integer)) for label in chosen):
        raise ValueError(f"labels must be integers. Received: labels={labels}")
    return [int(label) for label in chosen]


def as_points(points: ArrayLike, name: str, ndim: int, count: int | None = None) -> np.ndarray:
    """The points as a finite float64 array ``(n, ndim)``, as many as ``count`` says."""
    refuse_masked(points, name)
    array = np.asarray(points, dtype="float64")
    if array.ndim != 2 or array.shape[1] != ndim or count not in (None, len(array)):
        wanted = f"({'n' if count is None else count}, {ndim})"
        raise ValueError(f"{name} must be {wanted}. Received: {name}.shape={array.shape}")
    broken = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if broken.size:
        first = int(broken[0])
        raise ValueError(
            f"{name} must be finite. Received: {name}[{first}]={array[first].tolist()}"
        )
    return array
