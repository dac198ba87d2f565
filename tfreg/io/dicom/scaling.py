"""From the values that a DICOM file stores to those that are meant (the modality LUT)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.errors import InputError
from tfreg.io.dicom.parsing import Tags
from tfreg.io.headers.common import broken

_INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
_TRANSFORMED = "PixelValueTransformationSequence"
_FLOATS = {"FloatPixelData": "float32", "DoubleFloatPixelData": "float64"}


@dataclass(frozen=True, eq=False)
class Scaling:
    """``value = slope * stored + intercept``, or what a table says of the stored value.

    Attributes:
        slope: not 0.
        intercept: in the unit of the values.
        stored: the lowest and the highest value that can be stored; None for floating point.
        floating: the dtype of what is stored where that is floating point.
        table: ``(entries,)`` the values from ``first`` on; None where there is none.
        first: the stored value of the first entry.
    """

    slope: float
    intercept: float
    stored: tuple[int, int] | None
    floating: str | None = None
    table: np.ndarray | None = None
    first: int = 0

    @property
    def reach(self) -> tuple[int, int] | None:
        """The lowest and the highest value where all are whole numbers, else None."""
        if self.table is not None:
            return int(self.table.min()), int(self.table.max())
        whole = float(self.slope).is_integer() and float(self.intercept).is_integer()
        if self.stored is None or not whole:
            return None
        ends = [int(self.slope) * value + int(self.intercept) for value in self.stored]
        return min(ends), max(ends)

    def apply(self, stored: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """The values of an array, in a dtype that ``common_dtype`` found."""
        if self.table is not None:
            last = len(self.table) - 1
            entries = np.clip(stored.astype("int64") - self.first, 0, last)
            return self.table[entries].astype(dtype)
        if dtype.kind == "f":
            return (stored * self.slope + self.intercept).astype(dtype)
        whole = stored.astype(dtype if self.slope == 1 and self.intercept == 0 else "int64")
        return (whole * int(self.slope) + int(self.intercept)).astype(dtype)


def common_dtype(scalings: Sequence[Scaling]) -> np.dtype:
    """The smallest integers that hold every value that the files can mean, else float64."""
    reaches = [scaling.reach for scaling in scalings]
    if None not in reaches:
        low = min(reach[0] for reach in reaches)
        high = max(reach[1] for reach in reaches)
        for name in _INTEGERS:
            if np.iinfo(name).min <= low and high <= np.iinfo(name).max:
                return np.dtype(name)
    as_stored = all(scaling.slope == 1 and scaling.intercept == 0 for scaling in scalings)
    if as_stored and {scaling.floating for scaling in scalings} == {"float32"}:
        return np.dtype("float32")
    return np.dtype("float64")


def scaling_of(path: Path, tags: Tags, dataset: Any) -> Scaling:
    """The scaling of one frame.

    Raises:
        InputError: if the slope is 0, or the stored bits or the table make no sense.
    """
    slope = tags.number("RescaleSlope", _TRANSFORMED)
    intercept = tags.number("RescaleIntercept", _TRANSFORMED) or 0.0
    if "DoseGridScaling" in dataset:  # a dose in Gy
        slope = tags.number("DoseGridScaling")
    slope = 1.0 if slope is None else slope
    if slope == 0:
        raise InputError(
            f"{path} means one value everywhere: its slope must not be 0. Received: 0 * stored + "
            f"{intercept:g}"
        )
    allocated = int(tags.number("BitsAllocated") or 0)
    if allocated in (32, 64) and tags.number("BitsStored") is None:  # as floating point has it
        floating = _FLOATS["FloatPixelData" if allocated == 32 else "DoubleFloatPixelData"]
        return Scaling(slope, intercept, None, floating)
    stored = _stored(path, tags, allocated)
    if "ModalityLUTSequence" in dataset:
        table, first = _table(path, dataset, signed=stored[0] < 0)
        return Scaling(1.0, 0.0, stored, table=table, first=first)
    return Scaling(slope, intercept, stored)


def _stored(path: Path, tags: Tags, allocated: int) -> tuple[int, int]:
    bits = int(tags.number("BitsStored") or allocated)
    high = tags.number("HighBit")
    high = bits - 1 if high is None else int(high)
    if not 1 <= bits <= allocated or high != bits - 1:
        raise broken(
            path,
            "the bits of a value must be the lowest ones of their word. "
            f"Received: {bits} bits of {allocated}, the highest being {high}",
        )
    signed = tags.number("PixelRepresentation") == 1
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)


def _table(path: Path, dataset: Any, signed: bool) -> tuple[np.ndarray, int]:
    item = next(iter(dataset.ModalityLUTSequence), {})
    if "LUTData" not in item or len(item.get("LUTDescriptor") or ()) != 3:
        raise broken(path, "its table of values has no data, or is not described.")
    count, first, bits = (int(number) for number in item.LUTDescriptor)
    count = count % (1 << 16) or 1 << 16
    first = first - (1 << 16) if signed and first >= 1 << 15 else first
    data = item["LUTData"].value
    if isinstance(data, bytes):
        order = "<" if dataset.original_encoding[1] else ">"
        wide = f"{order}u2" if len(data) >= 2 * count else "u1"
        data = np.frombuffer(data, wide)
    table = np.atleast_1d(np.array(data, dtype="int64"))[:count]
    if len(table) != count or not 1 <= bits <= 16:
        raise broken(path, f"its table of values has {len(table)} entries. Received: {count}")
    return table, first
