"""NIfTI-1 and -2, whole, compressed or as a pair, packed byte by byte."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np

from ..draws import Alteration, Draft, affine, alter, damage, damaged, pick, voxels

_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4"}
_TYPES |= {1024: "i8", 1280: "u8"}
_TWO_TYPES = ("u1", "i2", "f4")

# name: (format, where in NIfTI-1, where in NIfTI-2)
_FIELDS = {
    "dim_info": ("B", 39, 524),
    "dim": ("8h", 40, 16),
    "intent_p": ("3f", 56, 80),
    "intent_code": ("h", 68, 504),
    "datatype": ("h", 70, 12),
    "bitpix": ("h", 72, 14),
    "slice_start": ("h", 74, 224),
    "pixdim": ("8f", 76, 104),
    "vox_offset": ("f", 108, 168),
    "scl": ("2f", 112, 176),
    "slice_end": ("h", 120, 232),
    "slice_code": ("B", 122, 496),
    "xyzt_units": ("B", 123, 500),
    "cal": ("2f", 124, 192),
    "slice_duration": ("f", 132, 208),
    "toffset": ("f", 136, 216),
    "descrip": ("80s", 148, 240),
    "codes": ("2h", 252, 344),
    "quatern": ("3f", 256, 352),
    "qoffset": ("3f", 268, 376),
    "srow": ("12f", 280, 400),
}
_WIDER = {"f": "d", "h": "q"}
_NARROW = ("datatype", "bitpix")  # 16 bits in NIfTI-2 too
_WHOLE = ("intent_code", "slice_code", "xyzt_units", "codes")  # 32 bits there


class Header:
    """The fields of a header, and the voxels after it."""

    def __init__(self, rng: np.random.Generator):
        ndim = pick(rng, [2, 3, 3, 3, 3, 4])
        self.size = [int(n) for n in rng.integers(2, 8, ndim)]
        if ndim == 4:
            self.size[3] = pick(rng, [1, 1, 3])
        kind = pick(rng, list(_TYPES))
        self.voxels = voxels(rng, self.size[::-1], _TYPES[kind])
        self.version, self.suffix = 1, pick(rng, [".nii", ".nii.gz"])
        self.order = pick(rng, "<<<>")
        self.extension = bytes(pick(rng, [0, 0, 0, 8, 56]))
        self.magic: bytes | None = None
        self.length: int | None = None
        self.damaged = False
        self.map = affine(rng)
        if ndim == 2:  # a plane of the patient's axes
            self.map[:3, :3] = np.diag(np.linalg.norm(self.map[:3, :3], axis=0))
            self.map[:2, :2] *= rng.choice([-1, 1], 2)
            self.map[2, 3] = 0
        self.fields: dict[str, Any] = {name: (0,) for name in _FIELDS} | {
            "dim": [ndim, *self.size, *[1] * (7 - ndim)],
            "datatype": (kind,),
            "bitpix": (8 * self.voxels.itemsize,),
            "xyzt_units": (pick(rng, [0, 2, 10]),),
            "scl": pick(rng, [(0, 0), (1, 0), (0.5, -3), (2, 1000)]),
            "cal": pick(rng, [(0, 0), (0, 100)]),
            "descrip": (pick(rng, [b"", b"made by a scanner"]),),
            "dim_info": (pick(rng, [0, 57]),),
            "slice_code": (pick(rng, [0, 0, 1, 3]),),
            "slice_duration": (pick(rng, [0, 0, 0.1]),),
            "toffset": (pick(rng, [0, 0, 4.5]),),
            "intent_code": (pick(rng, [0, 0, 0, 1002]),),
            "intent_p": (0, 0, 0),
        }
        if self.voxels.itemsize == 8 or self.fields["intent_code"] == (1002,):
            self.fields["scl"] = (1, 0)
        self.state(rng)

    def state(self, rng: np.random.Generator) -> None:
        """Writes the map as a qform, an sform, or both."""
        form = pick(rng, ["both", "both", "both", "sform", "qform"])
        codes = {"both": (1, pick(rng, [1, 2, 4])), "sform": (0, 2), "qform": (1, 0)}[form]
        spacing, b, c, d, qfac = quaternion(self.map[:3, :3])
        later = [0, 0, 0, 0] if len(self.size) < 4 else [2.5, 0, 0, 0]
        self.fields |= {
            "codes": list(codes),
            "pixdim": [qfac, *spacing, *later],
            "quatern": [b, c, d],
            "qoffset": list(self.map[:3, 3]),
            "srow": list(self.map[:3].ravel()) if codes[1] else [0] * 12,
        }

    def content(self) -> tuple[bytes, bytes]:
        """The header with what is between it and the voxels, and the voxels."""
        length = self.length or (348 if self.version == 1 else 540)
        head = bytearray(348 if self.version == 1 else 540)
        pair = self.suffix in (".hdr", ".img")
        magic = self.magic or {(1, False): b"n+1\0", (1, True): b"ni1\0"}.get(
            (self.version, pair), b"ni2\0\r\n\x1a\n" if pair else b"n+2\0\r\n\x1a\n"
        )
        between = bytes(4)
        if self.extension:
            size = struct.pack(f"{self.order}ii", len(self.extension) + 8, 6)
            between = b"\1\0\0\0" + size + self.extension
            between += bytes(-(len(head) + len(between)) % 16)
        self.fields.setdefault("offset_is", None)
        offset = self.fields["offset_is"]
        self.fields["vox_offset"] = (
            offset if offset is not None else 0 if pair else len(head) + len(between),
        )
        struct.pack_into(f"{self.order}i", head, 0, length)
        for name, (form, first, second) in _FIELDS.items():
            values = self.fields[name]
            if self.version == 2 and name == "vox_offset":
                form = "q"
            elif self.version == 2 and name in _WHOLE:
                form = form.replace("h", "i").replace("B", "i")
            elif self.version == 2 and name not in _NARROW:
                form = "".join(_WIDER.get(letter, letter) for letter in form)
            with np.errstate(over="ignore"):
                values = [np.float32(v) if form[-1] == "f" else v for v in values]
            if form[-1] not in "fds":
                values = [int(v) for v in values]
            struct.pack_into(
                f"{self.order}{form}", head, first if self.version == 1 else second, *values
            )
        head[slice(344, 348) if self.version == 1 else slice(4, 12)] = magic
        array = self.voxels.astype(self.voxels.dtype.newbyteorder(self.order))
        return bytes(head) + between, array.tobytes()


def quaternion(linear: np.ndarray) -> tuple[list[float], float, float, float, float]:
    """Spacing, b, c, d and qfac of a map without shear, as the standard has it."""
    spacing = np.linalg.norm(linear, axis=0)
    turned = linear / spacing
    qfac = 1.0 if np.linalg.det(turned) > 0 else -1.0
    turned = turned * [1, 1, qfac]
    values, vectors = np.linalg.eigh(_form(turned))
    a, b, c, d = vectors[:, values.argmax()]
    b, c, d = (float(part) * (1.0 if a >= 0 else -1.0) for part in (b, c, d))
    return [float(step) for step in spacing], b, c, d, qfac


def _form(m: np.ndarray) -> np.ndarray:
    """The symmetric matrix whose first eigenvector is a rotation's quaternion (Bar-Itzhack)."""
    return np.array(
        [
            [m.trace(), m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]],
            [m[2, 1] - m[1, 2], m[0, 0] - m[1, 1] - m[2, 2], m[1, 0] + m[0, 1], m[2, 0] + m[0, 2]],
            [m[0, 2] - m[2, 0], m[1, 0] + m[0, 1], m[1, 1] - m[0, 0] - m[2, 2], m[2, 1] + m[1, 2]],
            [m[1, 0] - m[0, 1], m[2, 0] + m[0, 2], m[2, 1] + m[1, 2], m[2, 2] - m[0, 0] - m[1, 1]],
        ]
    )


def make(rng: np.random.Generator, folder: Path) -> Draft:
    """Writes a file, or a pair."""
    header = Header(rng)
    kind, notes = alter(header, _ALTERATIONS, rng)
    head, body = header.content()
    path = folder / f"image{header.suffix}"
    if header.suffix in (".hdr", ".img"):
        path.with_suffix(".hdr").write_bytes(damage(head, rng) if header.damaged else head)
        path.with_suffix(".img").write_bytes(body)
        return Draft(path, kind, notes)
    whole = head + body
    if header.damaged:
        whole = damage(whole, rng)
    path.write_bytes(gzip.compress(whole, 1, mtime=0) if header.suffix == ".nii.gz" else whole)
    return Draft(path, kind, notes)


# Alterations


def _second(header: Header, rng: np.random.Generator) -> None:
    header.version = 2


def _pair(header: Header, rng: np.random.Generator) -> None:
    header.suffix = pick(rng, [".hdr", ".hdr", ".img"])


def _moved(header: Header, rng: np.random.Generator) -> str:
    shift = pick(rng, [1e-3, 0.02, 0.5, 3.0, 70.0]) * rng.choice([-1, 1])
    axis = rng.integers(3)
    header.fields["srow"][4 * axis + 3] += shift * header.fields["pixdim"][1 + axis]
    return f"by {shift} voxels"


def _both(header: Header) -> None:
    header.fields["codes"] = [1, 1]
    if not any(header.fields["srow"]):
        header.fields["srow"] = list(header.map[:3].ravel())


def _sform_moved(header: Header, rng: np.random.Generator) -> str:
    _both(header)
    return _moved(header, rng)


def _sform_turned(header: Header, rng: np.random.Generator) -> None:
    _both(header)
    turned = header.map[:3].copy()
    turned[:, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0] @ turned[:, :3]
    header.fields["srow"] = list(turned.ravel())


def _sform_mirrored(header: Header, rng: np.random.Generator) -> None:
    _both(header)
    for row in range(3):
        header.fields["srow"][4 * row + rng.integers(3)] *= -1


def _pixdim_other(header: Header, rng: np.random.Generator) -> str:
    """The spacing of pixdim is not that of the sform."""
    header.fields["codes"] = [0, 1]
    header.fields["srow"] = list(header.map[:3].ravel())
    other = pick(rng, [[1, 1, 1], [2, 3, 4], [1.25, 1.25, 10]])
    header.fields["pixdim"][1:4] = other
    return f"{other}"


def _sheared(header: Header, rng: np.random.Generator) -> str:
    amount = pick(rng, [1e-6, 1e-4, 1e-3, 0.05, 0.4])
    sheared = header.map[:3].copy()
    sheared[:, 1] += amount * sheared[:, 0]
    header.fields["srow"] = list(sheared.ravel())
    header.fields["codes"] = [pick(rng, [0, 1]), 1]
    return f"by {amount}"


def _no_codes(header: Header, rng: np.random.Generator) -> None:
    header.fields["codes"] = [0, 0]


def _negative_codes(header: Header, rng: np.random.Generator) -> None:
    header.fields["codes"] = pick(rng, [[-1, -1], [1, -1], [-1, 1], [99, 0], [0, 99]])


def _units(header: Header, rng: np.random.Generator) -> str:
    units = pick(rng, [1, 3, 1, 3, 4, 5, 7, 8, 16, 24, 11, 64, 255])
    header.fields["xyzt_units"] = (units,)
    return str(units)


def _single(header: Header, rng: np.random.Generator) -> str:
    """A single slice, whose thickness may be 0."""
    if len(header.size) < 3:
        return "of two axes"
    header.size[2] = header.fields["dim"][3] = 1
    header.voxels = np.ascontiguousarray(header.voxels[..., :1, :, :])
    header.fields["pixdim"][3] = step = pick(rng, [0, 0, 1, 8])
    return f"with pixdim {step}"


def _pixdim_zero(header: Header, rng: np.random.Generator) -> None:
    header.fields["pixdim"][rng.integers(1, 4)] = pick(rng, [0, 0, -2.5, np.nan, np.inf, 1e-30])


def _qfac(header: Header, rng: np.random.Generator) -> None:
    header.fields["pixdim"][0] = pick(rng, [0, 0, 0, 0.5, 2, np.nan])


def _quaternion(header: Header, rng: np.random.Generator) -> None:
    header.fields["codes"] = [1, pick(rng, [0, 1])]
    parts = header.fields["quatern"]
    how = pick(rng, ["long", "slightly long", "nan", "infinite"])
    if how == "long":
        parts[:] = [value * 3 + 1 for value in parts]
    elif how == "slightly long":
        length = np.linalg.norm(parts) or 1.0
        parts[:] = [value / length * (1 + 2e-7) for value in parts]
    else:
        parts[rng.integers(3)] = np.nan if how == "nan" else np.inf


def _sform_broken(header: Header, rng: np.random.Generator) -> str:
    header.fields["codes"] = [pick(rng, [0, 1]), 1]
    rows = np.array(header.map[:3])
    how = pick(rng, ["zero", "nan", "singular", "infinite", "tiny", "a zero column"])
    if how == "zero":
        rows[:] = 0
    elif how == "singular":
        rows[:, 1] = 2 * rows[:, 0]
    elif how == "tiny":
        rows[:, :3] *= 1e-20
    elif how == "a zero column":
        rows[:, 2] = 0
    else:
        rows[rng.integers(3), rng.integers(4)] = np.nan if how == "nan" else np.inf
    header.fields["srow"] = list(rows.ravel())
    return how


def _far(header: Header, rng: np.random.Generator) -> None:
    header.map[:3, 3] *= pick(rng, [1e3, 1e5])
    header.state(rng)


def _scaling(header: Header, rng: np.random.Generator) -> str:
    scl = pick(rng, [(-1, 0), (1e-6, 1000), (1e-30, 0), (3, 1e6), (0, 7), (1e-3, -1024), (1e10, 0)])
    header.fields["scl"] = scl
    return str(scl)


def _scaling_broken(header: Header, rng: np.random.Generator) -> str:
    scl = pick(rng, [(np.nan, 0), (np.nan, 5), (2, np.nan), (np.inf, 0), (2, np.inf), (1e38, 0)])
    header.fields["scl"] = scl
    return str(scl)


def _not_finite(header: Header, rng: np.random.Generator) -> None:
    if header.voxels.dtype.kind == "f":
        header.voxels.reshape(-1)[rng.integers(header.voxels.size)] = pick(rng, [np.nan, np.inf])


def _more_axes(header: Header, rng: np.random.Generator) -> str:
    """Times, and channels on the fifth axis."""
    more = pick(rng, [(3,), (1, 3), (1, 1), (2, 3), (1, 1, 2), (1, 6), (2, 1), (1, 1, 1, 1)])
    size = [*header.size[:3], *[1] * (3 - len(header.size[:3])), *more]
    header.voxels = voxels(rng, size[::-1], pick(rng, _TWO_TYPES))
    code = {"u1": 2, "i2": 4, "f4": 16}[header.voxels.dtype.str[1:]]
    header.size = size
    header.fields |= {
        "dim": [len(size), *size, *[1] * (7 - len(size))],
        "datatype": (code,),
        "bitpix": (8 * header.voxels.itemsize,),
        "intent_code": (pick(rng, [0, 1005, 1006, 1007]),),
    }
    return str(more)


def _rest_of_dim(header: Header, rng: np.random.Generator) -> None:
    ndim = header.fields["dim"][0]
    header.fields["dim"][ndim + 1 :] = [pick(rng, [0, 5, -1, 30000]) for _ in range(7 - ndim)]


def _dim_broken(header: Header, rng: np.random.Generator) -> str:
    where = int(rng.integers(0, 1 + header.fields["dim"][0]))
    header.fields["dim"][where] = value = pick(rng, [0, -1, 8, 1, 32767, -32768, 2])
    return f"[{where}] = {value}"


def _datatype(header: Header, rng: np.random.Generator) -> str:
    header.fields["datatype"] = (pick(rng, [0, 1, 32, 128, 1536, 1792, 2048, 2304, 99, 255]),)
    return str(header.fields["datatype"][0])


def _bitpix(header: Header, rng: np.random.Generator) -> None:
    header.fields["bitpix"] = (pick(rng, [0, 8, 16, 64, 12]),)


def _offset(header: Header, rng: np.random.Generator) -> str:
    header.fields["offset_is"] = offset = pick(rng, [348, 344, 16, 1e9, -8])
    return str(offset)


def _offset_fraction(header: Header, rng: np.random.Generator) -> None:
    if header.version == 1:
        header.fields["offset_is"] = pick(rng, [352.5, np.nan, np.inf])


def _magic(header: Header, rng: np.random.Generator) -> None:
    header.magic = pick(rng, [b"ni1\0", b"n+1\0", b"n+3\0", b"\0\0\0\0", b"n+2\0"])


def _length(header: Header, rng: np.random.Generator) -> None:
    header.length = pick(rng, [0, 540, 349, 348, 1543569408])


_ALTERATIONS = [
    Alteration("odd", "NIfTI-2", _second),
    Alteration("odd", "a pair", _pair),
    Alteration("odd", "sform moved", _sform_moved),
    Alteration("odd", "sform turned", _sform_turned),
    Alteration("odd", "sform mirrored", _sform_mirrored),
    Alteration("odd", "pixdim of its own", _pixdim_other),
    Alteration("odd", "sform sheared", _sheared),
    Alteration("odd", "no codes", _no_codes),
    Alteration("odd", "codes beyond their range", _negative_codes),
    Alteration("odd", "units", _units),
    Alteration("odd", "a single slice", _single),
    Alteration("odd", "pixdim not positive", _pixdim_zero),
    Alteration("odd", "qfac neither 1 nor -1", _qfac),
    Alteration("odd", "far from the origin", _far),
    Alteration("odd", "scaling", _scaling),
    Alteration("odd", "voxels not finite", _not_finite),
    Alteration("odd", "more axes", _more_axes),
    Alteration("odd", "the rest of dim", _rest_of_dim),
    Alteration("odd", "bitpix", _bitpix),
    Alteration("damaged", "quaternion", _quaternion),
    Alteration("damaged", "sform", _sform_broken),
    Alteration("damaged", "scaling broken", _scaling_broken),
    Alteration("damaged", "dim", _dim_broken),
    Alteration("damaged", "datatype", _datatype),
    Alteration("damaged", "vox_offset", _offset),
    Alteration("damaged", "vox_offset no whole number", _offset_fraction),
    Alteration("damaged", "magic", _magic),
    Alteration("damaged", "sizeof_hdr", _length),
    Alteration("damaged", "bytes", damaged),
]
