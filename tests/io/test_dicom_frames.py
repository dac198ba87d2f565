"""Multi-frame DICOM: every frame where and when it says that it is."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import generate_uid

from tfreg import io
from tfreg.errors import InputError, InputWarning

ENHANCED = "1.2.840.10008.5.1.4.1.1.4.1"


def place(number):
    return (10, 20, 30 + 2.0 * number)


@pytest.fixture
def write_enhanced(tmp_path, write_dicom, rng):
    """Writes frames with groups of their own, from a list of positions and of further tags."""

    def write(places, each=None, **tags):
        array = rng.integers(0, 100, (len(places), 5, 6)).astype("uint16")
        frames = [
            {"PlanePositionSequence": {"ImagePositionPatient": list(where)}, **more}
            for where, more in zip(places, each or [{}] * len(places), strict=True)
        ]
        shared = {
            "PixelMeasuresSequence": {"PixelSpacing": [0.7, 1.3], "SliceThickness": 2.0},
            "PlaneOrientationSequence": {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]},
        }
        groups = {
            "PixelSpacing": None,
            "ImagePositionPatient": None,
            "ImageOrientationPatient": None,
            "SOPClassUID": ENHANCED,
            "SharedFunctionalGroupsSequence": shared,
            "PerFrameFunctionalGroupsSequence": frames,
        }
        path = write_dicom(tmp_path / "a.dcm", array, **{**groups, **tags})
        return path, array

    return write


def timed(*indices):
    return [{"FrameContentSequence": {"TemporalPositionIndex": 1 + k}} for k in indices]


def test_frames_are_sorted_by_place_not_by_number(write_enhanced):
    order = [2, 0, 3, 1]
    path, array = write_enhanced([place(k) for k in order])
    found = io.read(path)
    np.testing.assert_array_equal(found.array, array[np.argsort(order)])
    assert (found.geometry.origin, found.geometry.spacing) == (place(0), (1.3, 0.7, 2.0))
    np.testing.assert_array_equal(io.read_image(path), found.array)


def test_places_and_times_are_told_apart(write_enhanced):
    order = [(1, 2), (0, 0), (3, 1), (2, 2), (1, 0), (0, 1), (3, 0), (2, 1), (1, 1), (0, 2)]
    order += [(3, 2), (2, 0)]
    path, array = write_enhanced([place(k) for k, _ in order], timed(*(t for _, t in order)))
    with pytest.raises(InputError, match=r"3 frames in time.*read_frames.*4 slices x 3 frames"):
        io.read(path)
    frames = io.read_frames(path)
    for time, frame in enumerate(frames):
        want = array[[order.index((k, time)) for k in range(4)]]
        np.testing.assert_array_equal(frame.array, want)
        assert frame.geometry.spacing == (1.3, 0.7, 2.0)
    assert len(frames) == 3


def test_a_time_missing_at_one_place_is_refused(write_enhanced):
    path, _ = write_enhanced([place(k // 2) for k in range(4)], timed(0, 1, 0, 2))
    with pytest.raises(InputError, match=r"frames missing.*\[1.0, 2.0\].*\[1.0, 3.0\]"):
        io.read_frames(path)


@pytest.mark.parametrize(
    "places, message",
    [
        (
            [place(k) for k in (0, 1, 2, 5, 6)],
            r"slices missing.*6 mm from a.dcm frame 3 to a.dcm f",
        ),
        ([place(k) for k in (0, 1, 2, 3, 3)], r"slices are missing or doubled.*from 1 .* to 2"),
        ([(10, 20 + k, 30 + 2.0 * k) for k in range(5)], r"tilted.*shift of 4 mm over 5 slices"),
        ([(10 + 50 * k, 20, 30) for k in range(2)], r"side by side in one plane"),
    ],
)
def test_frames_that_are_no_even_pile_are_refused(write_enhanced, places, message):
    path, _ = write_enhanced(places)
    for reader in (io.read, io.read_frames):
        with pytest.raises(InputError, match=message) as error:
            reader(path)
        assert "\n" not in str(error.value)


def test_a_tenth_of_a_spacing_is_even(write_enhanced):
    path, array = write_enhanced([(10, 20, z) for z in (30, 32.06, 34, 36)])
    np.testing.assert_array_equal(io.read(path).array, array)
    path, _ = write_enhanced([(10, 20, z) for z in (30, 32.08, 34, 36)])
    with pytest.raises(InputError, match="uneven distances"):
        io.read(path)


def test_each_frame_has_its_own_scaling(write_enhanced):
    scales = [
        {"PixelValueTransformationSequence": {"RescaleSlope": s, "RescaleIntercept": i}}
        for s, i in ((1, 0), (0.37, -2), (1.61, 0.5))
    ]
    path, array = write_enhanced([place(k) for k in range(3)], scales)
    want = [array[0], 0.37 * array[1] - 2, 1.61 * array[2] + 0.5]
    np.testing.assert_allclose(io.read(path).array, want, rtol=1e-12)


def test_frames_turned_or_scaled_against_each_other_are_refused(write_enhanced):
    turned = [{}, {"PlaneOrientationSequence": {"ImageOrientationPatient": [0, 1, 0, 0, 0, 1]}}]
    with pytest.raises(InputError, match="several orientations"):
        io.read(write_enhanced([place(0), place(1)], turned)[0])
    wider = [{}, {"PixelMeasuresSequence": {"PixelSpacing": [0.7, 1.4]}}]
    with pytest.raises(InputError, match=r"several spacings.*\[1.3, 0.7\].*\[1.4, 0.7\]"):
        io.read(write_enhanced([place(0), place(1)], wider)[0])


def test_a_cine_is_time_not_millimetres(tmp_path, write_dicom, rng):
    array = rng.integers(0, 99, (6, 5, 7)).astype("uint8")
    path = write_dicom(
        tmp_path / "xa.dcm",
        array,
        Modality="XA",
        FrameTime=33.0,
        FrameIncrementPointer=0x00181063,
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
        PixelSpacing=None,
        ImagerPixelSpacing=[0.4, 0.3],
    )
    with pytest.raises(InputError, match=r"6 frames in time.*1 slices x 6 frames"):
        io.read(path)
    frames = io.read_frames(path)
    np.testing.assert_array_equal([frame.array for frame in frames], array)
    assert frames[0].geometry.spacing == (0.3, 0.4)


def test_echoes_and_diffusion_are_volumes_not_slices(write_enhanced):
    echoes = [{"MREchoSequence": {"EffectiveEchoTime": te}} for te in (5.0, 2.5, 5.0, 2.5)]
    path, array = write_enhanced([place(k // 2) for k in range(4)], echoes)
    with pytest.raises(InputError, match=r"2 volumes that differ in EffectiveEchoTime \(5, 2.5\)"):
        io.read(path)
    with pytest.warns(InputWarning, match=r"not in time alone, but in EffectiveEchoTime"):
        frames = io.read_frames(path)
    np.testing.assert_array_equal([f.array for f in frames], [array[[0, 2]], array[[1, 3]]])
    apart = [{"MRDiffusionSequence": {"DiffusionBValue": b}} for b in (0, 800, 0)]
    path, _ = write_enhanced([place(k) for k in range(3)], apart)
    with pytest.raises(InputError, match=r"several volumes.*DiffusionBValue \(0, 800\)"):
        io.read(path)


def test_a_dimension_that_is_not_time_is_named(write_enhanced):
    frames = [
        {"FrameContentSequence": {"DimensionIndexValues": [k // 2 + 1, k % 2 + 1]}}
        for k in range(4)
    ]
    dimensions = [{"DimensionIndexPointer": 0x00200032}, {"DimensionIndexPointer": 0x00180082}]
    path, _ = write_enhanced(
        [place(k // 2) for k in range(4)], frames, DimensionIndexSequence=dimensions
    )
    with pytest.raises(
        InputError, match=r"2 volumes that differ in InversionTime \(index 1, index 2"
    ):
        io.read(path)


def test_slices_of_a_gamma_camera_go_on_by_their_vector(tmp_path, write_dicom, rng):
    array = rng.integers(0, 99, (3, 5, 6)).astype("uint16")
    path = write_dicom(
        tmp_path / "nm.dcm",
        array,
        Modality="NM",
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
        FrameIncrementPointer=0x00540080,
        SliceVector=[3, 1, 2],
        SpacingBetweenSlices=4.0,
        DetectorInformationSequence={
            "ImagePositionPatient": [1, 2, 3],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        },
    )
    found = io.read(path)
    np.testing.assert_array_equal(found.array, array[[1, 2, 0]])
    assert (found.geometry.origin, found.geometry.spacing) == ((1, 2, 3), (0.7, 0.8, 4.0))


def test_the_frames_that_itk_writes_are_a_volume(tmp_path, rng):
    image = sitk.GetImageFromArray(rng.integers(0, 99, (4, 5, 6)).astype("uint16"))
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((1, 2, 3))
    sitk.WriteImage(image, str(tmp_path / "a.dcm"))
    found = io.read(tmp_path / "a.dcm")
    np.testing.assert_array_equal(found.array, sitk.GetArrayFromImage(image))
    assert (found.geometry.origin, found.geometry.spacing) == ((1, 2, 3), (0.7, 0.8, 2.5))


def test_frames_that_are_not_described_are_refused(write_enhanced):
    path, _ = write_enhanced([place(k) for k in range(3)])
    dataset = pydicom.dcmread(path)
    dataset.NumberOfFrames = 2
    dataset.SOPInstanceUID = generate_uid()
    dataset.save_as(path)
    with pytest.raises(InputError, match=r"3 frames are described. Received: 2 frames"):
        io.read(path)
