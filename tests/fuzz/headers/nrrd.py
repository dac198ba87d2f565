"""NRRD, attached (.nrrd) or with its voxels in another file (.nhdr)."""

import gzip
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
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i1": ("signed char", "int8"),
    "i2": ("short", "int16", "signed short int"),
    "u2": ("ushort", "unsigned short", "uint16"),
    "i4": ("int", "int32", "signed int"),
    "u4": ("uint", "unsigned int"),
    "i8": ("longlong", "int64", "long long"),
    "u8": ("ulonglong", "unsigned long long int"),
    "f4": ("float",),
    "f8": ("double",),
}
_SPACES = (
    ("left-posterior-superior", "LPS"),
    ("right-anterior-superior", "RAS"),
    ("left-anterior-superior", "LAS"),
)


class Header:
    """The fields in order, and the voxels."""

    def __init__(self, rng: np.random.Generator):
        ndim = pick(rng, [2, 3, 3, 3])
        self.size = [int(n) for n in rng.integers(2, 8, ndim)]
        self.dtype = pick(rng, list(_TYPES))
        self.voxels = voxels(rng, self.size[::-1], self.dtype)
        self.detached, self.gzip = chance(rng, 0.3), chance(rng, 0.4)
        self.order, self.newline = pick(rng, ["little", "little", "big"]), "\n"
        self.magic = f"NRRD000{pick(rng, [4, 4, 5])}"
        self.damaged, self.before = False, b""
        self.comments = pick(rng, [(), ("# made at random",), ("owner:=nobody", "key:=a: b")])
        self.map = affine(rng)
        self.fields: dict[str, str] = {
            "type": pick(rng, _TYPES[self.dtype]),
            "dimension": str(ndim),
            "sizes": " ".join(map(str, self.size)),
            "encoding": pick(rng, ["gzip", "gz"]) if self.gzip else "raw",
        }
        if self.voxels.itemsize > 1:
            self.fields["endian"] = self.order
        if ndim == 3 and chance(rng, 0.85):
            self.fields["space"] = pick(rng, pick(rng, _SPACES))
            self.fields["space directions"] = " ".join(map(_vector, self.map[:3, :3].T))
            self.fields["space origin"] = _vector(self.map[:3, 3])
        else:
            self.fields["spacings"] = _words(np.linalg.norm(self.map[:3, :ndim], axis=0))
        if chance(rng, 0.5):
            self.fields["kinds"] = " ".join([pick(rng, ["domain", "space"])] * ndim)
        if "space" in self.fields and chance(rng, 0.3):
            self.fields["space units"] = '"mm" "mm" "mm"'

    def axis(self, rng: np.random.Generator, count: int, kind: str | None, first: bool) -> None:
        """Another axis, of channels or times."""
        where = 0 if first else len(self.size)
        self.size.insert(where, count)
        self.voxels = voxels(rng, self.size[::-1], self.dtype)
        self.fields["sizes"] = " ".join(map(str, self.size))
        self.fields["dimension"] = str(len(self.size))
        for key, word in (("space directions", "none"), ("spacings", "nan"), ("kinds", kind)):
            if key in self.fields or (key == "kinds" and kind):
                words = self.fields.get(key, "domain " * (len(self.size) - 1)).split()
                words.insert(where, word or "???")
                self.fields[key] = " ".join(words)

    def content(self) -> tuple[bytes, bytes]:
        array = self.voxels.astype(self.voxels.dtype.newbyteorder("<>"[self.order == "big"]))
        body = array.tobytes()
        body = self.before + (gzip.compress(body, 1, mtime=0) if self.gzip else body)
        if self.detached:
            self.fields["data file"] = "image.raw.gz" if self.gzip else "image.raw"
        lines = [self.magic, *self.comments, *(f"{k}: {v}" for k, v in self.fields.items())]
        end = "" if self.detached else self.newline
        return (self.newline.join(lines) + self.newline + end).encode("latin-1"), body


def _words(values: np.ndarray) -> str:
    return " ".join(f"{value:.10g}" for value in values)


def _vector(values: np.ndarray) -> str:
    return "(" + ",".join(f"{value:.10g}" for value in values) + ")"


def make(rng: np.random.Generator, folder: Path) -> Draft:
    """Writes a file, or a header with its data beside it."""
    header = Header(rng)
    kind, notes = alter(header, _ALTERATIONS, rng)
    head, body = header.content()
    path = folder / ("image.nhdr" if header.detached else "image.nrrd")
    if header.detached:
        (folder / header.fields["data file"]).write_bytes(body)
    whole = head if header.detached else head + body
    path.write_bytes(damage(whole, rng) if header.damaged else whole)
    return Draft(path, kind, notes)


# Alterations


def _channels(header: Header, rng: np.random.Generator) -> str:
    count = pick(rng, [2, 3, 4])
    kind = pick(
        rng, ["vector", "list", "RGB-color", "3-color", "point", "complex", "covariant-vector"]
    )
    header.axis(rng, count, kind, first=chance(rng, 0.7))
    return f"{count} of kind {kind}, {header.fields['kinds']}"


def _time(header: Header, rng: np.random.Generator) -> str:
    header.axis(rng, pick(rng, [1, 2, 5]), pick(rng, ["time", "list", "time"]), chance(rng, 0.2))
    return header.fields["kinds"]


def _fourth(header: Header, rng: np.random.Generator) -> str:
    """An axis of which nothing is said, but that it has no direction."""
    header.axis(rng, pick(rng, [1, 2, 3]), None, first=chance(rng, 0.5))
    if chance(rng, 0.5):
        header.fields.pop("kinds", None)
    return header.fields["sizes"]


def _time_of_slices(header: Header, rng: np.random.Generator) -> str:
    """The last of two or three axes is time."""
    kinds = ["domain"] * len(header.size)
    kinds[-1] = pick(rng, ["time", "list", "vector"])
    header.fields["kinds"] = " ".join(kinds)
    if "space directions" in header.fields and chance(rng, 0.7):
        words = header.fields["space directions"].split()
        header.fields["space directions"] = " ".join([*words[:-1], "none"])
    return header.fields["kinds"]


def _space(header: Header, rng: np.random.Generator) -> str:
    """A frame of reference that is no patient's, or unknown, or has times."""
    name = pick(
        rng,
        [
            "scanner-xyz",
            "3D-right-handed",
            "3D-left-handed",
            "LPST",
            "RAST",
            "RPI",
            "left-posterior-superior-time",
            "nowhere",
            "ras",
            "",
            "scanner-xyz-time",
        ],
    )
    header.fields["space"] = name
    if "space directions" not in header.fields:
        _placed(header)
    return repr(name)


def _placed(header: Header) -> None:
    count = len(header.size)
    header.fields.pop("spacings", None)
    columns = [_vector(header.map[:3, axis]) for axis in range(min(3, count))]
    header.fields["space directions"] = " ".join(columns + ["none"] * (count - len(columns)))
    header.fields["space origin"] = _vector(header.map[:3, 3])


def _space_dimension(header: Header, rng: np.random.Generator) -> None:
    header.fields.pop("space", None)
    header.fields.pop("space directions", None)
    header.fields.pop("space origin", None)
    header.fields["space dimension"] = "3"  # and it has to stand before the fields that use it
    _placed(header)


def _slice_in_space(header: Header, rng: np.random.Generator) -> None:
    """Two axes in a space of three."""
    header.size = header.size[:2]
    header.voxels = voxels(rng, header.size[::-1], header.dtype)
    header.fields = {key: value for key, value in header.fields.items() if key != "kinds"}
    header.fields |= {"dimension": "2", "sizes": " ".join(map(str, header.size)), "space": "LPS"}
    _placed(header)


def _both_spacings(header: Header, rng: np.random.Generator) -> None:
    """Spacings beside directions of other lengths, which the format forbids."""
    header.fields.setdefault("space", "LPS")
    _placed(header)
    header.fields["spacings"] = " ".join(["7.5"] * len(header.size))


def _sheared(header: Header, rng: np.random.Generator) -> str:
    amount = pick(rng, [1e-4, 0.05, 0.4])
    header.map[:3, 2] += amount * header.map[:3, 1]
    header.fields.setdefault("space", "LPS")
    _placed(header)
    return f"by {amount}"


def _no_origin(header: Header, rng: np.random.Generator) -> None:
    header.fields.pop("space origin", None)


def _units(header: Header, rng: np.random.Generator) -> str:
    unit = pick(rng, ["um", "cm", "m", "microns", "mm", "", "mm ", "MM", "millimeter", "???"])
    if "space" in header.fields:
        header.fields["space units"] = " ".join([f'"{unit}"'] * 3)
    else:
        header.fields["units"] = " ".join([f'"{unit}"'] * len(header.size))
    return repr(unit)


def _centred(header: Header, rng: np.random.Generator) -> None:
    header.fields[pick(rng, ["centers", "centerings"])] = " ".join(
        pick(rng, ["cell", "node", "???"]) for _ in header.size
    )


def _axis_limits(header: Header, rng: np.random.Generator) -> None:
    """The least and greatest place along each axis, instead of a spacing."""
    if "space directions" in header.fields:
        return
    header.fields.pop("spacings", None)
    header.fields["axis mins"] = " ".join(["10"] * len(header.size))
    header.fields["axis maxs"] = " ".join(["30"] * len(header.size))


def _frame(header: Header, rng: np.random.Generator) -> None:
    if "space" in header.fields:
        header.fields["measurement frame"] = "(0,1,0) (1,0,0) (0,0,1)"


def _more_fields(header: Header, rng: np.random.Generator) -> None:
    header.fields |= pick(
        rng,
        [
            {"content": "a head"},
            {"thicknesses": " ".join("3" * len(header.size))},
            {"labels": " ".join(['"x: 1"'] * len(header.size))},
            {"sample units": '"HU"'},
            {"min": "0", "max": "255"},
            {"old min": "0", "old max": "1"},
            {"byte skip": "0"},
        ],
    )


def _sloppy(header: Header, rng: np.random.Generator) -> str:
    how = pick(rng, ["CRLF", "upper case", "blanks", "an old magic", "twice"])
    if how == "CRLF":
        header.newline = "\r\n"
    elif how == "upper case":
        header.fields = {key.title(): value for key, value in header.fields.items()}
        header.detached = False
    elif how == "blanks":
        header.fields = {key: f"  {value} " for key, value in header.fields.items()}
    elif how == "an old magic":
        header.magic = pick(rng, ["NRRD0001", "NRRD0002", "NRRD0003", "NRRD00.01"])
    else:
        header.fields["content"] = "a\ntype: double"
    return how


def _skip(header: Header, rng: np.random.Generator) -> str:
    how = pick(rng, ["line", "byte", "-1"])
    if how == "line":
        header.before, header.fields["line skip"] = b"one\ntwo\n", "2"
    elif how == "byte":
        header.before, header.fields["byte skip"] = b"12345678", "8"
    else:
        header.before, header.fields["byte skip"] = b"12345678", "-1"
    return how


def _encoding(header: Header, rng: np.random.Generator) -> str:
    header.fields["encoding"] = pick(
        rng, ["ascii", "hex", "bzip2", "text", "RAW", "raw", "gzip", ""]
    )
    return header.fields["encoding"]


def _endian(header: Header, rng: np.random.Generator) -> str:
    how = pick(rng, ["missing", "middle", "LITTLE"])
    header.fields.pop("endian", None)
    if how != "missing":
        header.fields["endian"] = how
    return how


def _type(header: Header, rng: np.random.Generator) -> str:
    header.fields["type"] = pick(
        rng, ["block", "float16", "half", "long", "complex", "u1", "double"]
    )
    return header.fields["type"]


def _numbers(header: Header, rng: np.random.Generator) -> str:
    """A number of the geometry that is none, or has no sense."""
    keys = [key for key in ("spacings", "space directions", "space origin") if key in header.fields]
    if not keys:
        return "none"
    key, value = pick(rng, keys), pick(rng, ["nan", "-2", "0", "inf", "1e30", "x", "1e-30", ""])
    words = header.fields[key].replace("(", " ( ").replace(")", " ) ").replace(",", " , ").split()
    places = [index for index, word in enumerate(words) if word not in "(,)" and word != "none"]
    words[pick(rng, places)] = value
    text = " ".join(words).replace(" , ", ",").replace("( ", "(").replace(" )", ")")
    header.fields[key] = text
    return f"{key} {value!r}"


def _sizes(header: Header, rng: np.random.Generator) -> str:
    key = pick(rng, ["sizes", "dimension"])
    if key == "sizes":
        words = header.fields["sizes"].split()
        words[rng.integers(len(words))] = pick(rng, ["0", "-3", "100000", "1", "x", "2.5"])
        header.fields["sizes"] = " ".join(words)
    else:
        header.fields["dimension"] = pick(rng, ["0", "1", "4", "16", "x"])
    return f"{key} {header.fields[key]}"


_ALTERATIONS = [
    Alteration("ordinary", "a field more", _more_fields),
    Alteration("odd", "channels", _channels),
    Alteration("odd", "times", _time),
    Alteration("odd", "an axis of no kind", _fourth),
    Alteration("odd", "its last axis no space", _time_of_slices),
    Alteration("odd", "another space", _space),
    Alteration("odd", "a space without a name", _space_dimension),
    Alteration("odd", "a slice in space", _slice_in_space),
    Alteration("odd", "spacings beside directions", _both_spacings),
    Alteration("odd", "sheared", _sheared),
    Alteration("odd", "no origin", _no_origin),
    Alteration("odd", "units", _units),
    Alteration("odd", "centres", _centred),
    Alteration("odd", "axis limits", _axis_limits),
    Alteration("odd", "a measurement frame", _frame),
    Alteration("odd", "written otherwise", _sloppy),
    Alteration("odd", "bytes skipped", _skip),
    Alteration("odd", "endian", _endian),
    Alteration("damaged", "encoding", _encoding),
    Alteration("damaged", "type", _type),
    Alteration("damaged", "numbers", _numbers),
    Alteration("damaged", "sizes", _sizes),
    Alteration("damaged", "a field less", field_missing),
    Alteration("damaged", "bytes", damaged),
]
