"""Folders of DICOM whose pictures are not one even volume, or lack their preamble."""

import shutil

import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tfreg import io
from tfreg.errors import InputError, InputWarning


@pytest.fixture
def volume(rng):
    return rng.integers(0, 1000, (6, 5, 7)).astype("uint16")


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
)
@pytest.mark.parametrize("bare", [(4, 5), range(6)], ids=["some", "all"])
def test_files_without_a_preamble_are_part_of_the_series(
    tmp_path, volume, write_series, syntax, bare
):
    each = [{"preamble": number not in bare, "syntax": syntax} for number in range(6)]
    np.testing.assert_array_equal(io.read(write_series(tmp_path, volume, each)).array, volume)
    single = shutil.copy(tmp_path / "85.dcm", tmp_path / "without_suffix")
    np.testing.assert_array_equal(io.read(single).array[0], volume[5])


def test_no_file_named_dicom_is_passed_over(tmp_path, volume, write_series):
    write_series(tmp_path, volume)
    (tmp_path / "._90.dcm").write_bytes(b"\0\5\x16\7")  # what a Mac leaves beside every file
    assert len(io.read(tmp_path).array) == 6
    (tmp_path / "91.IMA").write_bytes(b"something else")
    with pytest.raises(InputError, match=r"91\.IMA is not DICOM"):
        io.read(tmp_path)


def test_a_syntax_that_is_claimed_wrongly_is_seen(tmp_path, volume, write_dicom):
    claim = write_dicom(tmp_path / "a.dcm", volume[0], syntax=ExplicitVRLittleEndian).read_bytes()
    meta = claim[: 132 + 12 + int.from_bytes(claim[140:144], "little")]
    path = write_dicom(tmp_path / "b.dcm", volume[1], syntax=ImplicitVRLittleEndian, preamble=False)
    path.write_bytes(meta + path.read_bytes())
    np.testing.assert_array_equal(io.read(path).array[0], volume[1])


@pytest.mark.parametrize(
    "tags, message",
    [
        ({"Rows": 7, "Columns": 5}, r"several sizes.*\[7, 5\] in .*\[5, 7\]"),
        ({"PixelSpacing": [0.8, 0.71]}, r"several spacings.*\[0.71, 0.8\].*\[0.7, 0.8\]"),
        ({"PixelSpacing": None}, "several spacings"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, 1]}, "several orientations"),
        ({"FrameOfReferenceUID": "1.2.9"}, "several frames of reference"),
        ({"ImagePositionPatient": None}, r"some state no place.*85\.dcm"),
        ({"ImagePositionPatient": [-30, 40, 55]}, r"missing or doubled.*from 1 .* to 2"),
        (
            {"ImagePositionPatient": [-30, 40, 64]},
            r"uneven distances.*4 mm from .*86\.dcm to 85\.d",
        ),
        ({"ImagePositionPatient": [-30, 41, 62.5]}, "tilted"),
        ({"EchoTime": 30}, r"several volumes.*EchoTime \(30.*none\)"),
        ({"DiffusionBValue": 800.0}, r"several volumes.*DiffusionBValue \(800"),
    ],
)
def test_slices_of_something_else_are_refused(tmp_path, volume, write_series, tags, message):
    write_series(tmp_path, volume, [{}] * 5 + [tags])
    with pytest.raises(InputError, match=message) as error:
        io.read(tmp_path)
    assert "\n" not in str(error.value)


def test_one_echo_time_may_be_written_in_two_ways(tmp_path, volume, write_series):
    each = [{"EchoTime": "30" if number % 2 else "30.0"} for number in range(6)]
    folder = write_series(tmp_path, volume, each, SOPInstanceUID="1.2.5")  # nor is that a copy
    np.testing.assert_array_equal(io.read(folder).array, volume)


def test_a_copy_of_a_slice_is_named(tmp_path, volume, write_series):
    write_series(tmp_path, volume)
    shutil.copy(tmp_path / "88.dcm", tmp_path / "88 (1).dcm")
    with pytest.raises(
        InputError, match=r"same picture twice; keep one.*88 \(1\)\.dcm and 88\.dcm"
    ):
        io.read(tmp_path)


def test_volumes_of_one_series_are_never_one_pile(tmp_path, volume, write_series):
    places = [[0, 0, 3 * (number % 3)] for number in range(6)]
    each = [
        {"ImagePositionPatient": where, "EchoTime": 30 if number < 3 else 10}
        for number, where in enumerate(places)
    ]
    write_series(tmp_path, volume, each)
    with pytest.raises(
        InputError, match=r"2 volumes that differ in EchoTime.*folder of its own.*3 slices x 2"
    ):
        io.read(tmp_path)
    with pytest.warns(InputWarning, match="differs not in time alone, but in EchoTime"):
        frames = io.read_frames(tmp_path)
    np.testing.assert_array_equal([f.array for f in frames], [volume[:3], volume[3:]])


def test_times_are_ordered_by_what_is_said_of_them(tmp_path, volume, write_series):
    each = [
        {
            "ImagePositionPatient": [0, 0, 3 * (number % 2)],
            "InstanceNumber": 20 - number,
            "AcquisitionTime": f"1015{(number // 2):02}.5",
        }
        for number in range(6)
    ]
    write_series(tmp_path, volume, each)
    frames = io.read_frames(tmp_path)
    np.testing.assert_array_equal([f.array for f in frames], volume.reshape(3, 2, 5, 7))
    for item in each:
        item["TemporalPositionIdentifier"] = 3 - each.index(item) // 2
    write_series(tmp_path, volume, each)
    frames = io.read_frames(tmp_path)
    np.testing.assert_array_equal([f.array for f in frames], volume.reshape(3, 2, 5, 7)[::-1])


def test_pictures_without_a_place_are_no_volume(tmp_path, volume, write_series):
    write_series(tmp_path, volume, ImagePositionPatient=None, ImageOrientationPatient=None)
    with pytest.raises(InputError, match="pictures that state no place"):
        io.read(tmp_path)


def test_mild_differences_of_slices_are_said(tmp_path, volume, write_series):
    write_series(tmp_path, volume, [{}] * 5 + [{"FlipAngle": 12}], FlipAngle=10)
    with pytest.warns(
        InputWarning, match=r"one volume whose slices differ in FlipAngle \(12, 10\)"
    ):
        found = io.read(tmp_path)
    np.testing.assert_array_equal(found.array, volume)
