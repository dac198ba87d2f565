import json

import numpy as np
import pytest

from tfreg.errors import InputError
from tfreg.geometry import ConeBeam
from tfreg.io import read_camera
from tfreg.io.cameras import object_distance

TEXT = """image size
44,40

camera matrix
2000.5,0,20.25
0,1990.25,19.5
0,0,1

rotation
0,-1,0
1,0,0
0,0,1

translation
-16.5
-77.25
901.125
"""


def written(folder, text, name="camera.txt"):
    path = folder / name
    path.write_text(text)
    return path


def test_text_of_autoscoper(tmp_path):
    camera = read_camera(written(tmp_path, TEXT))
    assert camera.shape == (40, 44) and camera.principal == (19.5, 20.25)
    np.testing.assert_allclose(camera.focal, (1990.25, 2000.5))
    np.testing.assert_allclose(camera.extrinsic[:3, 3], (-16.5, -77.25, 901.125))
    np.testing.assert_allclose(camera.extrinsic[:3, 0], (0, 1, 0))


def test_json_of_tfreg_and_of_opencv(tmp_path):
    camera = ConeBeam(1000.0, (40, 44), (0.5, 0.4), (3.0, 4.0))
    path = written(tmp_path, json.dumps(camera.to_dict()), "a.json")
    assert read_camera(path) == camera
    matrix = [[2500.0, 0.0, 4.0], [0.0, 2000.0, 3.0], [0.0, 0.0, 1.0]]
    values = {"camera_matrix": matrix, "image_size": [44, 40]}
    again = read_camera(written(tmp_path, json.dumps(values), "b.json"))
    np.testing.assert_allclose(again.focal, camera.focal)
    assert again.principal == camera.principal and again.shape == camera.shape


def test_tags_of_an_xray(tmp_path):
    pydicom = pytest.importorskip("pydicom")
    path = tmp_path / "xray.dcm"
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.XRayAngiographicImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.Rows, dataset.Columns = 4, 6
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.SamplesPerPixel, dataset.PixelRepresentation = 7, 1, 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = bytes(24)
    dataset.ImagerPixelSpacing = [0.3, 0.2]
    dataset.save_as(path, implicit_vr=False, little_endian=True, enforce_file_format=True)
    with pytest.raises(InputError, match=r"in DistanceSourceToDetector and.*state a camera"):
        read_camera(path)
    dataset.DistanceSourceToDetector = 1100
    dataset.save_as(path, implicit_vr=False, little_endian=True, enforce_file_format=True)
    assert read_camera(path) == ConeBeam(1100.0, (4, 6), (0.3, 0.2))
    assert object_distance(path) == pytest.approx(880)
    dataset.DistanceSourceToPatient = 650
    dataset.save_as(path, implicit_vr=False, little_endian=True, enforce_file_format=True)
    assert object_distance(path) == 650


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT.replace("translation\n", ""), "rotation must be 9 numbers. Received: 12"),
        (TEXT.replace("901.125", ""), "translation must be 3 numbers. Received: 2"),
        (TEXT.replace("image size", "size"), "must begin with image size"),
        (TEXT.replace("20.25", "far"), "numbers are needed below 'camera matrix'"),
        (TEXT.replace("2000.5,0,", "2000.5,7,"), "A camera matrix is"),
        (TEXT.replace("0,-1,0", "0,-2,0"), "rotation must be a rotation"),
        (TEXT.replace("44,40", "44.5,40"), "shape must be two positive integers"),
        (TEXT.replace("2000.5", "nan"), "A camera matrix is"),
        (TEXT + "\nrotation\n1,0,0\n", "each part is there once. Received: rotation twice"),
    ],
)
def test_text_that_is_no_camera(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as error:
        read_camera(written(tmp_path, text))
    assert "camera.txt is not a camera" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "must be an object"),
        ("{", "it is no JSON"),
        ('{"camera_matrix": [[1]]}', "it holds image_size"),
        ('{"camera_matrix": [[1]], "image_size": [1, 2]}', "A camera matrix is"),
        ('{"camera_matrix": [[1]], "image_size": 3}', "image_size must be columns and rows"),
        ('{"focal": 3}', "This is not a camera"),
        ('{"source_detector": 1, "shape": ["a", 2], "pixel": 1}', "two positive integers"),
        ('{"camera_matrix": [["a"]], "image_size": [1, 2]}', "A camera matrix is"),
    ],
)
def test_json_that_is_no_camera(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_camera(written(tmp_path, text, "camera.json"))


def test_whose_files_say_how_far_an_object_is(tmp_path):
    values = {"camera_matrix": np.eye(3).tolist(), "image_size": [4, 4]}
    assert object_distance(written(tmp_path, json.dumps(values), "a.json")) is None
    camera = ConeBeam(1000.0, (4, 4), 1.0).to_dict()
    assert object_distance(written(tmp_path, json.dumps(camera), "b.json")) == 800
    assert object_distance("camera.txt") is None


def test_files_of_other_kinds(tmp_path):
    with pytest.raises(InputError, match="A camera is read from"):
        read_camera(tmp_path / "camera.xml")
    with pytest.raises(InputError, match="cannot be read"):
        read_camera(tmp_path / "absent.txt")
