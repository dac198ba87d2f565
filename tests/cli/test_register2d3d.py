import argparse
import json

import numpy as np
import pytest

import zoo
from tfreg import Image, io, ops, registration, transforms
from tfreg.cli import register2d3d
from tfreg.geometry import ConeBeam, Geometry, frame_of, matrix_of
from tfreg.registration import register_projection

GRID = Geometry((20, 18, 16), (2.0, 2.0, 2.5), (-30.0, 12.0, 100.0), np.eye(3))
CAMERA = ConeBeam(1000.0, (40, 44), 2.5, translation=(5.0, 6.0, 7.0))
TRUE = np.array([2.0, -3.0, 800.0, 4.0, 6.0, -5.0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A volume with three balls of bone, its X-ray, and the camera."""
    place = tmp_path_factory.mktemp("xray")
    index = np.moveaxis(np.indices(GRID.shape), 0, -1)
    where = GRID.to_physical(index) - GRID.centre
    hounsfield = np.full(GRID.shape, -1000.0)
    for middle, radius in (((8, 2, -5), 6), ((-7, 4, 3), 8), ((0, -6, 8), 5)):
        distance = np.linalg.norm(where - np.array(middle), axis=-1)
        hounsfield = np.maximum(hounsfield, 1200 - 2200 * np.clip((distance - radius) / 2, 0, 1))
    io.write(Image(hounsfield.astype("int16"), GRID), place / "ct.nii.gz")
    source, rays = CAMERA.rays()
    with ops.uncompiled():
        bundle = ops.pose_rays(TRUE[None], frame_of(GRID), source, rays[None])
        image = np.asarray(ops.project(ops.attenuation(hounsfield[None, ..., None]), *bundle))
    picture = image[0, ..., 0].astype("float32")
    io.write(Image(picture, Geometry.of_shape(picture.shape)), place / "xray.mha")
    (place / "camera.json").write_text(json.dumps(CAMERA.to_dict()))
    return place


INITIAL = [*map(str, np.add(TRUE, (1, -1, 8, 2, -5, 4)))]


def words(folder, out, *more):
    start = ("register2d3d", folder / "ct.nii.gz", folder / "xray.mha", "--levels", "1")
    return (*start, "--camera", folder / "camera.json", "-o", out, "--initial", *INITIAL, *more)


@pytest.fixture
def asked(monkeypatch):
    """What is asked of the registration, which takes no step."""
    calls = []

    def register(*arguments, **options):
        calls.append((arguments, options))
        return register_projection(*arguments, steps=0, **options)

    monkeypatch.setattr(registration, "register_projection", register)
    return calls


def test_a_pose_is_found_and_written(folder, tfreg, tmp_path):
    out = tmp_path / "out"
    answer = tfreg(*words(folder, out))
    assert answer.code == 0 and "renderings" in answer.out
    found = json.loads((out / "pose.json").read_text())
    assert "4x4, points of the volume (LPS, mm)" in found["about"]
    np.testing.assert_allclose([*found["pose"].values()], TRUE, atol=1.0)
    assert found["similarity_after"] > 0.98 > found["similarity_before"]
    assert ConeBeam.from_dict(found["cameras"][0]) == CAMERA
    assert {p.name for p in out.iterdir()} == {
        "pose.json",
        "transform.h5",
        "report.html",
        "overlay.png",
    }
    pose = [*found["pose"].values()]
    point = np.add(GRID.centre, (3.0, -4.0, 5.0))
    seen = matrix_of(pose, GRID.centre) @ [*point, 1]
    common = np.linalg.inv(CAMERA.extrinsic) @ seen
    back = transforms.load(out / "transform.h5").apply_points(common[None, :3])
    np.testing.assert_allclose(back[0], point, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--initial", "0", "0", "5", "0", "0", "0"), "behind the source"),
        (("--camera", "camera.xml"), "Received: 2 files, 1 X-rays"),
        (("--mask", "xray.mha", "--mask", "xray.mha"), "--mask takes one image for each X-ray"),
        (("--frame", "2"), "--frame must be one of the 1 images"),
        (("-o", "xray.mha"), "cannot be written to"),
    ],
)
def test_bad_input_is_one_line(folder, tfreg, tmp_path, change, message):
    change = [folder / word if word.endswith("mha") else word for word in change]
    answer = tfreg(*words(folder, tmp_path / "out", *change))
    assert answer.code == 2 and message in answer.err and answer.err.count("\n") == 1


def test_a_start_is_needed_where_no_file_says_how_far_the_detector_is(folder, tfreg, tmp_path):
    matrix = [[400.0, 0, 21.5], [0, 400.0, 19.5], [0, 0, 1]]
    camera = tmp_path / "camera.json"
    camera.write_text(json.dumps({"camera_matrix": matrix, "image_size": [44, 40]}))
    files = folder / "ct.nii.gz", folder / "xray.mha", "--camera", camera
    answer = tfreg("register2d3d", *files, "-o", tmp_path / "out")
    assert answer.code == 2 and "--initial X Y Z THETA ALPHA BETA is needed" in answer.err


def test_where_the_volume_is_to_begin_with(folder, tmp_path):
    def initial(*cameras):
        files = [tmp_path / f"{k}.json" for k in range(len(cameras))]
        for path, values in zip(files, cameras, strict=True):
            path.write_text(json.dumps(values))
        options = argparse.Namespace(camera=files, xray=[])
        return register2d3d._initial(options, [io.read_camera(path) for path in files])

    assert initial(CAMERA.to_dict()) == [0, 0, 800, 0, 0, 0]
    matrix = {"camera_matrix": [[400.0, 0, 21.5], [0, 400.0, 19.5], [0, 0, 1]]}
    place = {"image_size": [44, 40], "rotation": np.eye(3).tolist(), "translation": [5, -6, 700]}
    assert initial({**matrix, **place}) == [5, -6, 700, 0, 0, 0]
    turn = [[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    side = ConeBeam(1000.0, (44, 40), 2.5, None, turn, (800.0, 0.0, 800.0))
    found = initial(ConeBeam(1000.0, (40, 44), 2.5).to_dict(), side.to_dict())
    np.testing.assert_allclose(found, [0, 0, 800, 0, 0, 0], atol=1e-9)


def test_a_camera_is_needed(folder, tfreg, tmp_path):
    answer = tfreg("register2d3d", folder / "ct.nii.gz", folder / "xray.mha", "-o", tmp_path / "o")
    assert answer.code == 2 and "--camera FILE is needed" in answer.err


@pytest.mark.plain
def test_a_run_of_dicom(folder, tfreg, tmp_path, asked):
    """Its tags say how it was taken, and where the patient is; counts become integrals."""
    pydicom = pytest.importorskip("pydicom")
    integrals = io.read(folder / "xray.mha").array
    stored = np.stack([np.full(CAMERA.shape, 7), 4000 * np.exp(-integrals)]).astype("uint16")
    path = tmp_path / "run.dcm"
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    kind = pydicom.uid.XRayAngiographicImageStorage
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = kind
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.SamplesPerPixel, dataset.PixelRepresentation = 15, 1, 0
    dataset.PhotometricInterpretation, dataset.PixelData = "MONOCHROME2", stored.tobytes()
    dataset.ImagerPixelSpacing = [2.5, 2.5]
    dataset.DistanceSourceToDetector, dataset.DistanceSourceToPatient = 1000, 790
    dataset.save_as(path, implicit_vr=False, little_endian=True, enforce_file_format=True)
    files = folder / "ct.nii.gz", path, "--exposure", "--levels", "2,1", "-o", tmp_path / "out"
    answer = tfreg("register2d3d", *files)
    assert answer.code == 2 and "is a run of 2 images: --frame N names one" in answer.err
    answer = tfreg("register2d3d", *files, "--frame", "1")
    assert answer.code == 0 and not answer.err
    (_, xrays, cameras, start, *_, levels), options = asked[0]
    np.testing.assert_array_equal(xrays[0], stored[1])
    assert cameras == [ConeBeam(1000.0, (40, 44), 2.5)] and start == [0, 0, 790, 0, 0, 0]
    assert levels == [2, 1] and options == {"attenuates": False, "exposure": True, "tries": 1}


@pytest.mark.plain
def test_two_cameras_and_masks(folder, tfreg, tmp_path, asked):
    side = ConeBeam(1000.0, CAMERA.shape, 2.5, translation=(30.0, 6.0, 7.0))
    (tmp_path / "side.json").write_text(json.dumps(side.to_dict()))
    mask = tmp_path / "mask.npy"
    np.save(mask, np.eye(*CAMERA.shape) < 1)
    out = tmp_path / "out"
    first = "--camera", folder / "camera.json", "--camera", tmp_path / "side.json"
    masks = "--mask", mask, "--mask", mask
    files = folder / "ct.nii.gz", folder / "xray.mha", folder / "xray.mha"
    initial = "--levels", "1", "--initial", *INITIAL
    answer = tfreg("register2d3d", *first, *masks, *files, *initial, "-o", out)
    assert answer.code == 0 and (out / "overlay-2.png").exists()
    (_, xrays, cameras, start, _, given, _), _ = asked[0]
    assert len(xrays) == 2 and cameras == [CAMERA, side] and start == [*map(float, INITIAL)]
    assert [int(one.sum()) for one in given] == [40 * 44 - 40] * 2
    back = transforms.load(out / "transform.h5").apply_points(np.zeros((1, 3)))[0]
    found = json.loads((out / "pose.json").read_text())
    seen = CAMERA.extrinsic @ [0, 0, 0, 1]
    np.testing.assert_allclose(np.array(found["matrix"]) @ [*back, 1], seen, atol=1e-6)


@pytest.mark.plain
def test_a_network_comes_first(folder, tfreg, tmp_path, asked, monkeypatch):
    class Network:
        attenuates, rigid = False, True

        def beside(self, *others):
            self.others = others
            return self

        def register(self, volume, xray, camera, initial, exposure):
            assert xray.shape == camera.shape == CAMERA.shape and not exposure
            return argparse.Namespace(pose=np.add(initial, (1, 0, 0, 0, 0, 0)))

    made = {"front": Network(), "side": Network(), "bent": Network()}
    made["bent"].rigid = False
    monkeypatch.setattr(zoo, "load", lambda name, task: made[name])
    answer = tfreg(*words(folder, tmp_path / "a", "--model", "front", "--model", "side"))
    assert answer.code == 0 and made["front"].others == (made["side"],)
    found = json.loads((tmp_path / "a" / "pose.json").read_text())
    assert found["given"]["t_x"] + 1 == found["initial"]["t_x"] == float(INITIAL[0]) + 1
    answer = tfreg(*words(folder, tmp_path / "b", "--model", "bent"))
    assert answer.code == 2 and "must find a pose, not a deformation" in answer.err
    made["front"].attenuates = True  # what the network takes, the descent takes as well
    answer = tfreg(*words(folder, tmp_path / "c", "--model", "front"))
    assert answer.code == 2 and "A volume of attenuation holds nothing below 0" in answer.err
