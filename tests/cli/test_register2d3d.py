import argparse
import json

import numpy as np
import pytest

from tfreg import Image, io, ops, transforms
from tfreg.cli import register2d3d
from tfreg.geometry import ConeBeam, Geometry, frame_of, matrix_of

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


def words(folder, out, *more):
    initial = [*map(str, np.add(TRUE, (1, -1, 8, 2, -5, 4)))]
    start = ("register2d3d", folder / "ct.nii.gz", folder / "xray.mha", "--levels", "1")
    return (*start, "--camera", folder / "camera.json", "-o", out, "--initial", *initial, *more)


def test_a_pose_is_found_and_written(folder, tfreg, tmp_path):
    out = tmp_path / "out"
    answer = tfreg(*words(folder, out))
    assert answer.code == 0 and "renderings" in answer.out
    found = json.loads((out / "pose.json").read_text())
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
        (("--camera", "camera.xml"), "A camera is read from"),
        (("--mask", "xray.mha", "xray.mha"), "--mask takes one image for each X-ray"),
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
