"""MetaImage, whole (.mha) or with its voxels in another file (.mhd)."""

import zlib
from pathlib import Path

import numpy as np

from ..draws import (
    Alteration,
    Draft,
    affine,
    alter,
    chance,
    damage,
    damaged,
    field_missing,
    pick,
    voxels,
)

_TYPES = {
    "u1": "MET_UCHAR",
    "i1": "MET_CHAR",
    "i2": "MET_SHORT",
    "u2": "MET_USHORT",
    "i4": "MET_INT",
    "u4": "MET_UINT",
    "i8": "MET_LONG_LONG",
    "u8": "MET_ULONG_LONG",
    "f4": "MET_FLOAT",
    "f8": "MET_DOUBLE",
}


class Header:
    """The fields in order, and the voxels."""

    def __init__(self, rng: np.random.Generator):
        ndim = pick(rng, [2, 3, 3, 3])
        self.size = [int(n) for n in rng.integers(2, 8, ndim)]
        self.dtype = pick(rng, list(_TYPES))
        self.voxels = voxels(rng, self.size[::-1], self.dtype)
        self.detached, self.packed = chance(rng, 0.3), chance(rng, 0.4)
        self.order, self.damaged, self.before = pick(rng, "<<>"), False, b""
        self.again: tuple[str, str] | None = None
        self.equals, self.newline = pick(rng, [" = ", " = ", "="]), "\n"
        self.map = affine(rng)
        if ndim == 2:
            self.map[:2, :2] = affine(rng)[:2, :2] + np.eye(2) * 8
            self.map[:2, :2] = np.linalg.qr(self.map[:2, :2])[0] * rng.uniform(0.5, 4, 2)
        self.fields: dict[str, str] = {"ObjectType": "Image", "NDims": str(ndim)}
        if chance(rng, 0.5):
            self.fields |= {"BinaryData": "True"}
        msb = pick(rng, ["BinaryDataByteOrderMSB", "ElementByteOrderMSB"])
        if self.order == ">" or chance(rng, 0.7):
            self.fields[msb] = str(self.order == ">")
        if self.packed:
            self.fields["CompressedData"] = "True"
        self.place(
            pick(rng, ["TransformMatrix"] * 3 + ["Orientation", "Rotation"]),
            pick(rng, ["Offset", "Offset", "Position", "Origin"]),
        )
        if ndim == 3 and chance(rng, 0.6):
            self.fields["AnatomicalOrientation"] = pick(rng, [_letters(self.map[:3, :3]), "???"])
        if chance(rng, 0.5):
            self.fields["CenterOfRotation"] = " ".join(["0"] * ndim)
        if chance(rng, 0.2):
            self.fields["Comment"] = "made = at random"
        if chance(rng, 0.2):
            self.fields["DistanceUnits"] = "mm"
        self.fields |= {"DimSize": _words(self.size), "ElementType": _TYPES[self.dtype]}

    def place(self, matrix: str, offset: str) -> None:
        ndim = len(self.size)
        axes = self.map[: min(ndim, 3), : min(ndim, 3)]
        spacing = np.linalg.norm(axes, axis=0)
        whole, steps, origin = np.eye(ndim), np.ones(ndim), np.zeros(ndim)
        whole[: len(axes), : len(axes)] = axes / spacing
        steps[: len(axes)], origin[: len(axes)] = spacing, self.map[: len(axes), 3]
        self.fields[matrix] = _words(whole.T.ravel())  # axis after axis
        self.fields[offset] = _words(origin)
        self.fields["ElementSpacing"] = _words(steps)

    def content(self) -> tuple[bytes, bytes]:
        array = self.voxels.astype(self.voxels.dtype.newbyteorder(self.order))
        body = array.tobytes()
        if self.packed:
            body = zlib.compress(body)
            if "CompressedDataSize" not in self.fields:
                self.fields["CompressedDataSize"] = str(len(body))
        self.fields.setdefault("ElementDataFile", "image.raw" if self.detached else "LOCAL")
        last = self.fields.pop("ElementDataFile")
        lines = [f"{key}{self.equals}{value}" for key, value in self.fields.items()]
        if self.again:
            lines.append(f"{self.again[0]}{self.equals}{self.again[1]}")
        lines.append(f"ElementDataFile{self.equals}{last}")
        return "".join(line + self.newline for line in lines).encode(), self.before + body


def _letters(linear: np.ndarray) -> str:
    """Where each axis comes from; "???" where that is not plain."""
    turned = linear / np.linalg.norm(linear, axis=0)
    nearest = np.abs(turned).argmax(axis=0)
    if np.abs(turned).max(axis=0).min() < 0.85:
        return "???"
    return "".join(("RL", "AP", "IS")[a][int(turned[a, k] < 0)] for k, a in enumerate(nearest))


def _words(values) -> str:
    return " ".join(f"{value:.10g}" for value in values)


def make(rng: np.random.Generator, folder: Path) -> Draft:
    """Writes a file, or a header with its voxels beside it."""
    header = Header(rng)
    kind, notes = alter(header, _ALTERATIONS, rng)
    head, body = header.content()
    path = folder / ("image.mhd" if header.detached else "image.mha")
    if header.detached:
        (folder / "image.raw").write_bytes(body)
    whole = head if header.detached else head + body
    path.write_bytes(damage(whole, rng) if header.damaged else whole)
    return Draft(path, kind, notes)


# Alterations


def _more_fields(header: Header, rng: np.random.Generator) -> None:
    header.fields |= pick(
        rng,
        [
            {"Modality": "MET_MOD_CT"},
            {"ElementMin": "0", "ElementMax": "9"},
            {"Name": "x"},
            {"PatientID": "17"},
            {"0008|0060": "MR"},
            {"ITK_InputFilterName": "MetaImageIO"},
            {"HeaderSize": "0"},
            {"ElementNumberOfChannels": "1"},
            {"Color": "1 0 0 1"},
        ],
    )


def _channels(header: Header, rng: np.random.Generator) -> str:
    count = pick(rng, [2, 3, 4])
    header.voxels = voxels(rng, [*header.size[::-1], count], header.dtype)
    if chance(rng, 0.8):
        header.fields["ElementNumberOfChannels"] = str(count)
    else:
        header.fields["ElementType"] += "_ARRAY"
    return str(count)


def _fourth(header: Header, rng: np.random.Generator) -> str:
    count = pick(rng, [1, 2, 3])
    header.size = [*header.size, *[2] * (3 - len(header.size)), count]
    header.voxels = voxels(rng, header.size[::-1], header.dtype)
    header.fields |= {"NDims": "4", "DimSize": _words(header.size)}
    for key in ("Orientation", "Rotation", "Offset", "Position", "Origin", "CenterOfRotation"):
        header.fields.pop(key, None)
    header.place("TransformMatrix", "Offset")
    return str(count)


def _two_offsets(header: Header, rng: np.random.Generator) -> str:
    here = [key for key in ("Offset", "Position", "Origin") if key in header.fields]
    other = pick(rng, [key for key in ("Offset", "Position", "Origin") if key not in here])
    there = [float(word) + 5 for word in header.fields[here[0]].split()]
    header.fields[other] = _words(there)
    return f"{here[0]} and {other}"


def _two_matrices(header: Header, rng: np.random.Generator) -> str:
    names = ("TransformMatrix", "Orientation", "Rotation")
    here = next(name for name in names if name in header.fields)
    other = pick(rng, [name for name in names if name != here])
    header.fields[other] = _words(np.eye(len(header.size))[::-1].ravel())
    return f"{here} and {other}"


def _element_size(header: Header, rng: np.random.Generator) -> str:
    """The size of voxels beside their distance, or alone."""
    header.fields["ElementSize"] = _words([3.5] * len(header.size))
    if chance(rng, 0.5):
        header.fields.pop("ElementSpacing", None)
        return "alone"
    return "beside ElementSpacing"


def _intensity(header: Header, rng: np.random.Generator) -> str:
    slope = pick(rng, ["2", "0.5", "1"])
    header.fields["ElementToIntensityFunctionSlope"] = slope
    header.fields["ElementToIntensityFunctionOffset"] = offset = pick(rng, ["-1000", "0"])
    return f"{slope}, {offset}"


def _units(header: Header, rng: np.random.Generator) -> str:
    header.fields["DistanceUnits"] = unit = pick(rng, ["um", "cm", "m", "?", "MM", "inch", ""])
    return repr(unit)


def _sheared(header: Header, rng: np.random.Generator) -> str:
    amount = pick(rng, [1e-4, 0.05, 0.4])
    header.map[:2, 1] += amount * header.map[:2, 0]
    for key in ("Orientation", "Rotation", "TransformMatrix", "Offset", "Position", "Origin"):
        header.fields.pop(key, None)
    header.place("TransformMatrix", "Offset")
    return f"by {amount}"


def _left_out(header: Header, rng: np.random.Generator) -> str:
    keys = ["ElementSpacing", "TransformMatrix", "Offset", "ObjectType", "BinaryData"]
    key = pick(rng, [key for key in keys if key in header.fields] or ["none"])
    header.fields.pop(key, None)
    return key


def _header_size(header: Header, rng: np.random.Generator) -> str:
    size = pick(rng, ["-1", "16"])
    header.fields["HeaderSize"] = size
    header.before = b"0123456789abcdef"
    if header.detached is False and size == "16":
        header.before = b""
        return "16, that is not there"
    return size


def _sloppy(header: Header, rng: np.random.Generator) -> str:
    how = pick(rng, ["CRLF", "blanks", "lower case", "other order", "true", "commas"])
    fields = header.fields
    if how == "CRLF":
        header.newline = "\r\n"
    elif how == "blanks":
        header.fields = {key: f"  {value}  " for key, value in fields.items()}
    elif how == "lower case":
        header.fields = {key.lower(): value for key, value in fields.items()}
    elif how == "other order":
        keys = [list(fields)[index] for index in rng.permutation(len(fields))]
        header.fields = {key: fields[key] for key in keys}
    elif how == "true":
        header.fields = {k: {"True": "T", "False": "F"}.get(v, v) for k, v in fields.items()}
    else:
        header.fields["ElementSpacing"] = fields["ElementSpacing"].replace(" ", ", ")
    return how


def _two_orders(header: Header, rng: np.random.Generator) -> None:
    header.fields["BinaryDataByteOrderMSB"] = "True"
    header.fields["ElementByteOrderMSB"] = "False"


def _rotated_about(header: Header, rng: np.random.Generator) -> None:
    header.fields["CenterOfRotation"] = _words([7.0] * len(header.size))


def _letters_differ(header: Header, rng: np.random.Generator) -> None:
    if "AnatomicalOrientation" in header.fields:
        header.fields["AnatomicalOrientation"] = pick(rng, ["RAI", "LPS", "ASL", "XYZ", ""])


def _twice(header: Header, rng: np.random.Generator) -> str:
    """A field is there once more, and says something else."""
    others = {
        "ElementSpacing": _words([9.5] * len(header.size)),
        "DimSize": _words([2] * len(header.size)),
        "ElementType": "MET_SHORT",
        "Offset": _words([1.5] * len(header.size)),
        "CompressedData": "True",
    }
    key = pick(rng, [key for key in others if key in header.fields] or list(others))
    header.again = (key, others[key])
    return key


def _data_file(header: Header, rng: np.random.Generator) -> str:
    header.fields["ElementDataFile"] = name = pick(
        rng, ["LIST", "slice%02d.raw 1 4 1", "gone.raw", "local", "Local", ".", "/dev/zero", ""]
    )
    return name


def _text(header: Header, rng: np.random.Generator) -> None:
    header.fields["BinaryData"] = "False"


def _type(header: Header, rng: np.random.Generator) -> str:
    kind = pick(rng, ["MET_LONG", "MET_ULONG", "MET_OTHER", "MET_STRING", "float", "MET_NONE"])
    header.fields["ElementType"] = kind
    return kind


def _numbers(header: Header, rng: np.random.Generator) -> str:
    keys = [
        key for key in header.fields if key.startswith(("Element", "Transf", "Offs", "Dim", "ND"))
    ]
    key, value = (
        pick(rng, keys),
        pick(rng, ["nan", "-2", "0", "inf", "1e30", "x", "1e-30", "", "3"]),
    )
    words = header.fields[key].split()
    words[rng.integers(len(words))] = value
    header.fields[key] = " ".join(words)
    return f"{key} {value!r}"


def _packed_size(header: Header, rng: np.random.Generator) -> None:
    header.packed = True
    header.fields |= {"CompressedData": "True"}
    header.fields["CompressedDataSize"] = pick(rng, ["0", "1", "-5", "999999", "20"])


_ALTERATIONS = [
    Alteration("ordinary", "a field more", _more_fields),
    Alteration("odd", "channels", _channels),
    Alteration("odd", "a fourth axis", _fourth),
    Alteration("odd", "two offsets", _two_offsets),
    Alteration("odd", "two matrices", _two_matrices),
    Alteration("odd", "ElementSize", _element_size),
    Alteration("odd", "intensity", _intensity),
    Alteration("odd", "units", _units),
    Alteration("odd", "sheared", _sheared),
    Alteration("odd", "left out", _left_out),
    Alteration("odd", "HeaderSize", _header_size),
    Alteration("odd", "written otherwise", _sloppy),
    Alteration("odd", "two byte orders", _two_orders),
    Alteration("odd", "a centre of rotation", _rotated_about),
    Alteration("odd", "letters of another orientation", _letters_differ),
    Alteration("damaged", "a field twice", _twice),
    Alteration("damaged", "data file", _data_file),
    Alteration("damaged", "text", _text),
    Alteration("damaged", "type", _type),
    Alteration("damaged", "numbers", _numbers),
    Alteration("damaged", "compressed size", _packed_size),
    Alteration("damaged", "a field less", field_missing),
    Alteration("damaged", "bytes", damaged),
]
