"""What MetaImage says of its values and says twice; ITK passes over it."""

import zlib

import numpy as np
import pytest
from test_reading import metaimage, write_raw

from tfreg import io, transforms
from tfreg.errors import InputError

SIZE, BYTES = "4 3 2", bytes(range(24))
TWICE = b"DimSize = 4 3\nDimSize = 4 3\n"


def read(folder, content):
    write_raw(folder / "a.mha", "", content)
    return io.read(folder / "a.mha")


@pytest.mark.parametrize(
    ("slope", "intercept", "dtype"), [("0.5", "-1000", "float32"), ("1e-6", "1000", "float64")]
)
def test_values_are_those_that_are_meant(tmp_path, slope, intercept, dtype):
    fields = {
        "ElementToIntensityFunctionSlope": slope,
        "ElementToIntensityFunctionOffset": intercept,
    }
    found = read(tmp_path, metaimage(SIZE, BYTES, **fields)).array
    expected = np.arange(24).reshape(2, 3, 4) * float(slope) + float(intercept)
    np.testing.assert_allclose(found, expected, rtol=1e-12 if dtype == "float64" else 1e-6)
    assert found.dtype == dtype


def test_vectors_are_stored_as_they_are_meant(tmp_path):
    fields = {"ElementNumberOfChannels": 2, "ElementType": "MET_FLOAT"}
    slope = {"ElementToIntensityFunctionSlope": 2}
    write_raw(tmp_path / "u.mha", "", metaimage("4 3", bytes(96), **fields, **slope))
    with pytest.raises(InputError, match=r"store its vectors in mm. Received: 2\.0 \* stored"):
        transforms.load(tmp_path / "u.mha")


def test_values_that_are_meant_as_they_are_stored_keep_their_type(tmp_path):
    fields = {"ElementToIntensityFunctionSlope": 1, "ElementToIntensityFunctionOffset": 0}
    assert read(tmp_path, metaimage(SIZE, BYTES, **fields)).array.dtype == "uint8"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (metaimage(ElementToIntensityFunctionSlope=0), r"cannot be scaled.*0\.0 \* stored"),
        (metaimage(ElementToIntensityFunctionOffset="nan"), "cannot be scaled.*nan"),
        (
            metaimage(BinaryDataByteOrderMSB=True, ElementByteOrderMSB=False),
            "BinaryDataByteOrderMSB and ElementByteOrderMSB differ",
        ),
        (b"DimSize = 2 2\n" + metaimage(), "DimSize is there twice. Received: '2 2' and '4 3'"),
    ],
)
def test_contradictions_are_refused(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, content)


def test_a_field_may_be_repeated_as_it_is(tmp_path):
    content = metaimage().replace(b"DimSize = 4 3\n", TWICE)
    assert content.count(TWICE) == 1 and read(tmp_path, content).array.shape == (3, 4)


@pytest.mark.parametrize(
    ("size", "message"),
    [(0, "must be positive"), (-5, "must be positive"), (9, "truncated"), (999, "truncated")],
)
def test_the_size_of_compressed_voxels_must_hold(tmp_path, size, message):
    packed = zlib.compress(np.random.default_rng(0).bytes(24))
    fields = {"CompressedData": True, "CompressedDataSize": len(packed)}
    assert read(tmp_path, metaimage(SIZE, packed, **fields)).array.shape == (2, 3, 4)
    with pytest.raises(InputError, match=message):
        read(tmp_path, metaimage(SIZE, packed, **fields | {"CompressedDataSize": size}))
