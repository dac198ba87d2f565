"""What the stored values of DICOM mean; pydicom is the other witness."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.pixels import apply_modality_lut
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from tfreg import io
from tfreg.errors import InputError, InputWarning


@pytest.fixture
def stored(rng):
    return rng.integers(0, 4096, (4, 5, 6)).astype("uint16")


def oracle(path):
    dataset = pydicom.dcmread(path, force=True)
    return apply_modality_lut(dataset.pixel_array, dataset)


def oracle_of_series(folder):
    datasets = sorted(map(pydicom.dcmread, folder.iterdir()), key=lambda d: d.InstanceNumber)
    return np.stack([apply_modality_lut(d.pixel_array, d) for d in datasets])


@pytest.mark.parametrize(
    "slopes, intercepts, dtype",
    [
        ((1, 0.37, 1.61, 0.25), (0, 0, 0, 0), "float64"),
        ((1, 0.004, 0.005, 0.003), (0, 0, 0, -0.5), "float64"),
        ((1, 1, 1, 1), (0, -1024, -1024, -1024), "int32"),
        ((2, 1, 1, 1), (0, 0, 0, 0), "uint32"),
        ((1, 1, 1, 1), (0, 0, 0, 0), "uint16"),
        (("1.0", "-1", "1", "1"), ("0", "5", "0", "0"), "int32"),
    ],
)
def test_each_slice_has_its_own_slope_and_intercept(
    tmp_path, stored, write_series, slopes, intercepts, dtype
):
    each = [
        {"RescaleSlope": slope, "RescaleIntercept": intercept}
        for slope, intercept in zip(slopes, intercepts, strict=True)
    ]
    folder = write_series(tmp_path / "pet", stored, each)
    found = io.read(folder).array
    np.testing.assert_allclose(found, oracle_of_series(folder), rtol=1e-12)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, io.read_image(folder))


def test_ct_of_twelve_bits_stays_as_small_as_it_can_be(tmp_path, stored, write_series):
    folder = write_series(tmp_path / "ct", stored, bits=12, RescaleSlope=1, RescaleIntercept=-1024)
    found = io.read(folder).array
    assert found.dtype == "int16"
    np.testing.assert_array_equal(found, stored.astype("int16") - 1024)


def test_slices_may_differ_in_stored_type(tmp_path, stored, write_dicom):
    types = ("uint16", "int16", "uint8", "uint16")
    volume = [plane.astype(kind) for plane, kind in zip(stored + 30000, types, strict=True)]
    for number, plane in enumerate(volume):
        place = [-30, 40, 50 + 2.5 * number]
        write_dicom(tmp_path / f"{number}.dcm", plane, ImagePositionPatient=place)
    found = io.read(tmp_path).array
    assert found.dtype == "int32"
    np.testing.assert_array_equal(found, [plane.astype("int32") for plane in volume])


@pytest.mark.parametrize("dtype, bits", [("int16", 12), ("uint16", 12), ("int16", 10), ("int8", 8)])
def test_bits_above_those_stored_mean_nothing(tmp_path, rng, write_dicom, dtype, bits):
    words = np.frombuffer(rng.bytes(30 * np.dtype(dtype).itemsize), dtype).reshape(5, 6)
    path = write_dicom(tmp_path / "a.dcm", words, bits=bits)
    found = io.read(path).array[0]
    np.testing.assert_array_equal(found, oracle(path))
    assert np.abs(found.astype("int32")).max() < 1 << bits


def test_a_table_of_values_is_applied(tmp_path, rng, write_dicom):
    stored = rng.integers(90, 150, (5, 6)).astype("uint16")
    stored[0, :2] = 90, 150  # below the table and beyond it
    table = {
        "LUTDescriptor": [40, 100, 16],
        "ModalityLUTType": "US",
        "LUTData": np.array([7 * k * k for k in range(40)], "<u2").tobytes(),
    }
    for syntax in (pydicom.uid.ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        path = write_dicom(tmp_path / "a.dcm", stored, ModalityLUTSequence=table, syntax=syntax)
        found = io.read(path).array[0]
        np.testing.assert_array_equal(found, oracle(path))
        assert found.min() == 0 and found.max() == 7 * 39 * 39


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_every_native_syntax_is_read(tmp_path, stored, write_dicom, syntax):
    path = write_dicom(tmp_path / "a.dcm", stored[0], syntax=syntax)
    np.testing.assert_array_equal(io.read(path).array[0], stored[0])


@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000"])
def test_compressed_slices_have_their_own_scaling(tmp_path, stored, compressor):
    smooth = np.sort(stored.astype("int16") - 2048, axis=None).reshape(4, 5, 6)
    for number, plane in enumerate(smooth):
        path = tmp_path / f"{number}.dcm"
        writer = sitk.ImageFileWriter()
        writer.UseCompressionOn()
        writer.SetCompressor(compressor)
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(path))
        image = sitk.GetImageFromArray(np.tile(plane, (1, 4, 4)))
        for key, value in {
            "0008|0060": "CT",
            "0020|000e": "1.2.3",
            "0020|0032": f"0\\0\\{number}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
        }.items():
            image.SetMetaData(key, value)
        writer.Execute(image)
        dataset = pydicom.dcmread(path)
        assert dataset.file_meta.TransferSyntaxUID.is_compressed
        dataset.RescaleSlope, dataset.RescaleIntercept = 0.5 + number, -10
        dataset.save_as(path)
    want = [np.tile((0.5 + k) * plane - 10, (4, 4)) for k, plane in enumerate(smooth)]
    np.testing.assert_allclose(io.read(tmp_path).array, want, rtol=1e-12)


def test_run_lengths_of_several_frames_are_read(tmp_path, stored, write_dicom):
    path = write_dicom(tmp_path / "a.dcm", stored, FrameTime=33)
    dataset = pydicom.dcmread(path)
    dataset.compress(pydicom.uid.RLELossless)
    dataset.save_as(path)
    np.testing.assert_array_equal([frame.array for frame in io.read_frames(path)], stored)


def test_compression_that_cannot_be_read_is_named(tmp_path, stored, write_dicom):
    path = write_dicom(tmp_path / "a.dcm", stored[0])
    dataset = pydicom.dcmread(path)
    dataset.PixelData = pydicom.encaps.encapsulate([b"\0" * 20])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.HTJ2KLossless
    dataset.save_as(path)
    with pytest.raises(InputError, match=r"a\.dcm is compressed.*decompress.*High-Throughput JPEG"):
        io.read(path)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
    dataset.save_as(path)
    with pytest.raises(InputError, match=r"a\.dcm cannot be decompressed") as error:
        io.read(path)
    assert "\n" not in str(error.value)


@pytest.mark.filterwarnings("ignore:Invalid value for VR")  # that pydicom writes
@pytest.mark.parametrize(
    "tags, message",
    [
        (
            {"PhotometricInterpretation": "PALETTE COLOR"},
            "one grey value.*1 channel, PALETTE COLOR",
        ),
        (
            {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3, "Columns": 2},
            "one grey value per voxel; turn colours into grey first.*3 channels, RGB",
        ),
        ({"PhotometricInterpretation": "MONO\nCHROME2"}, r"1 channel, MONO\?CHROME2$"),
        ({"RescaleSlope": 0, "RescaleIntercept": 3}, "must not be 0. Received: 0 . stored . 3"),
        ({"RescaleSlope": "nan"}, "RescaleSlope must be 1 finite number. Received: 'nan'"),
        ({"ModalityLUTSequence": {"LUTDescriptor": [4, 0, 16]}}, "table of values has no data"),
        ({"HighBit": 14}, "16 bits of 16, the highest being 14"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, "mosaic.*dcm2niix"),
        ({"Rows": 2}, r"1 frames of 2 x 6 take 24 bytes. Received: 60 bytes"),
        ({"PixelSpacing": [0, 1]}, r"must be positive. Received: PixelSpacing=\(0.0, 1.0\)"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "at a right angle"),
        ({"ImagePositionPatient": [1, 2]}, "ImagePositionPatient must be 3 finite numbers"),
    ],
)
def test_pictures_without_a_clear_meaning_are_refused(tmp_path, stored, write_dicom, tags, message):
    path = write_dicom(tmp_path / "a.dcm", stored[0], **tags)
    with pytest.raises(InputError, match=message) as error:
        io.read(path)
    assert "\n" not in str(error.value) and "a.dcm" in str(error.value)


def test_frames_that_the_file_cannot_hold_are_refused(tmp_path, stored, write_dicom):
    for count in (40, 2000000000):
        path = write_dicom(tmp_path / "a.dcm", stored[0], NumberOfFrames=count)
        with pytest.raises(InputError, match=rf"asks for {count} frames of 5 x 6"):
            io.read_frames(path)
    path = write_dicom(tmp_path / "a.dcm", stored[0], NumberOfFrames=2)
    with pytest.raises(InputError, match=r"2 frames of 5 x 6 take 120 bytes. Received: 60 bytes"):
        io.read_frames(path)


def test_what_stands_behind_the_values_is_said(tmp_path, stored, write_dicom):
    path = write_dicom(tmp_path / "a.dcm", stored[0], Rows=4)
    with pytest.warns(InputWarning, match=r"12 bytes beyond its 1 frames of 4 x 6"):
        found = io.read(path)
    np.testing.assert_array_equal(found.array[0], stored[0, :4])


def test_values_shown_inversely_stay_and_are_said(tmp_path, stored, write_dicom):
    path = write_dicom(
        tmp_path / "a.dcm", stored[0], PhotometricInterpretation="MONOCHROME1", PixelSpacing=None
    )
    with pytest.warns(InputWarning) as said:
        found = io.read(path)
    lines = [str(warning.message) for warning in said]
    assert "MONOCHROME1: low values are shown white" in lines[0]
    assert "states no distance of its pixels" in lines[1]
    np.testing.assert_array_equal(found.array[0], oracle(path))
    assert found.geometry.spacing == (1, 1, 2.5)


def test_floating_point_stays(tmp_path, write_dicom):
    values = np.linspace(-1.5, 2e4, 60, dtype="float32").reshape(2, 5, 6)
    path = write_dicom(
        tmp_path / "a.dcm",
        values.view("uint32"),
        BitsStored=None,
        HighBit=None,
        PixelRepresentation=None,
        FrameTime=20,
    )
    dataset = pydicom.dcmread(path)
    dataset.FloatPixelData = dataset.PixelData
    del dataset.PixelData
    dataset.save_as(path)
    found = [frame.array for frame in io.read_frames(path)]
    np.testing.assert_array_equal(found, values)
    assert found[0].dtype == "float32"


def test_a_dose_is_in_gray_and_its_planes_are_where_it_says(tmp_path, stored, write_dicom):
    path = write_dicom(
        tmp_path / "dose.dcm",
        stored,
        Modality="RTDOSE",
        DoseGridScaling=0.002,
        FrameIncrementPointer=0x3004000C,
        GridFrameOffsetVector=[0, 3, 6, 9],
        ImageOrientationPatient=[1, 0, 0, 0, -1, 0],
    )
    found = io.read(path)
    np.testing.assert_allclose(found.array, stored * 0.002)
    assert found.geometry.spacing == (0.7, 0.8, 3.0)
    np.testing.assert_allclose(np.array(found.geometry.direction)[:, 2], [0, 0, -1])


def test_pixels_measured_at_the_detector_are_said(tmp_path, stored, write_dicom):
    path = write_dicom(
        tmp_path / "a.dcm", stored[0], PixelSpacing=None, ImagerPixelSpacing=[0.4, 0.3]
    )
    with pytest.warns(InputWarning, match=r"at the detector alone \(ImagerPixelSpacing\)"):
        assert io.read(path).geometry.spacing[:2] == (0.3, 0.4)


def test_a_highest_bit_of_0_is_no_silence(tmp_path, stored, write_dicom):
    path = write_dicom(tmp_path / "a.dcm", stored[0], HighBit=0)
    with pytest.raises(InputError, match="the highest being 0"):
        io.read(path)


def test_a_place_without_an_orientation_is_said(tmp_path, stored, write_dicom):
    path = write_dicom(tmp_path / "a.dcm", stored[0], ImageOrientationPatient=None)
    with pytest.warns(InputWarning, match="a place and no orientation; its slices are taken"):
        found = io.read(path)
    np.testing.assert_array_equal(found.geometry.direction, np.eye(3))
