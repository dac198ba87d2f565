import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from tfreg import io
from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.image import Image

SERIES = "1.2.826.0.1.3680043.2.1125.1"
TURNED = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
TURNED[:, 2] *= np.linalg.det(TURNED)  # the slices of DICOM are stacked in a right-handed frame


def write_series(folder, image, series=SERIES, trigger=0, start=0):
    """Writes the slices of an image in mixed order of their names, as scanners do."""
    folder.mkdir(exist_ok=True)
    direction = np.array(image.geometry.direction)
    count = len(image.array)
    for position, slab in enumerate(image.array):
        point = image.geometry.to_physical([position, 0, 0])
        one = sitk.GetImageFromArray(slab[None])
        one.SetSpacing(image.geometry.spacing)
        tags = {
            "0008|0060": "CT",
            "0020|000e": series,
            "0020|0032": "\\".join(f"{x:.9g}" for x in point),
            "0020|0037": "\\".join(f"{x:.9g}" for x in direction[:, :2].T.ravel()),
            "0018|1060": str(trigger),
            "0020|0013": str(start + position),
        }
        for key, value in tags.items():
            one.SetMetaData(key, value)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / f"{(7 * position) % count:02}-{start}-{series[-1]}.dcm"))
        writer.Execute(one)


def volume(slices=5, direction=TURNED):
    geometry = Geometry((7, 6, slices), (0.7, 0.8, 2.5), (-30.0, 40.0, 50.0), direction)
    return Image(
        np.random.default_rng(0).integers(-1000, 2000, (slices, 6, 7)).astype("int16"), geometry
    )


@pytest.mark.parametrize("direction", [np.eye(3), TURNED, np.diag([-1, -1, 1])])
def test_a_series_is_sorted_by_place(tmp_path, direction):
    image = volume(direction=direction)
    write_series(tmp_path / "ct", image)
    (tmp_path / "ct" / "notes.txt").write_text("not DICOM")
    found = io.read(tmp_path / "ct")
    np.testing.assert_array_equal(found.array, image.array)
    assert found.geometry.matches(image.geometry, 1e-3)
    np.testing.assert_array_equal(io.read_image(tmp_path / "ct"), image.array)


def test_a_single_file_is_a_slice(tmp_path):
    image = volume(1)
    write_series(tmp_path / "ct", image)
    (path,) = (tmp_path / "ct").iterdir()
    for place in (path, tmp_path / "ct", shutil.copy(path, tmp_path / "without_suffix")):
        found = io.read(place)
        np.testing.assert_array_equal(found.array, image.array)
        assert found.geometry.spacing[:2] == (0.7, 0.8)
    flat = io.flattened(found)
    assert flat.array.shape == (6, 7)


def test_several_series_are_listed_and_can_be_chosen(tmp_path):
    write_series(tmp_path, volume(3), SERIES + ".1")
    write_series(tmp_path, volume(4), SERIES + ".2")
    with pytest.raises(InputError, match=r"several.*\.1 \(3 files\); .*\.2 \(4 files\)") as error:
        io.read(tmp_path)
    assert "\n" not in str(error.value)
    assert io.read(tmp_path, series=SERIES + ".2").array.shape == (4, 6, 7)
    with pytest.raises(InputError, match=r"no series 9\.9"):
        io.read(tmp_path, series="9.9")


def test_a_series_in_time(tmp_path):
    still = volume(1)
    for frame in range(4):  # the files are named against the order of time
        write_series(
            tmp_path / "cine",
            Image(still.array + frame, still.geometry),
            trigger=100 * frame,
            start=9 - frame,
        )
    found = io.read_frames(tmp_path / "cine")
    np.testing.assert_array_equal([f.array for f in found], [still.array[0] + k for k in range(4)])
    with pytest.raises(InputError, match=r"series of 4 frames in time.*1 slices x 4 frames"):
        io.read(tmp_path / "cine")
    beating = volume(3)
    for frame in range(2):
        write_series(
            tmp_path / "4d",
            Image(beating.array + frame, beating.geometry),
            trigger=frame,
            start=10 * frame,
        )
    found = io.read_frames(tmp_path / "4d")
    np.testing.assert_array_equal([f.array for f in found], [beating.array, beating.array + 1])
    assert found[1].geometry.matches(beating.geometry)
    next((tmp_path / "4d").iterdir()).unlink()
    with pytest.raises(InputError, match=r"more often than others.*from 1 .* to 2 "):
        io.read_frames(tmp_path / "4d")


def test_stacks_that_are_not_even_are_refused(tmp_path):
    write_series(tmp_path / "gap", volume(5))
    sorted((tmp_path / "gap").iterdir())[2].unlink()
    with pytest.raises(InputError, match="slices missing"):
        io.read(tmp_path / "gap")
    write_series(tmp_path / "turned", volume(3))
    write_series(tmp_path / "turned", volume(2, np.eye(3)), start=50)
    with pytest.raises(InputError, match="several orientations"):
        io.read(tmp_path / "turned")
    tilted = volume(4, np.eye(3) + 0.3 * np.eye(3)[[2, 2, 1]].T * [[0, 0, 0], [0, 0, 1], [0, 0, 0]])
    write_series(tmp_path / "tilted", tilted)
    with pytest.raises(InputError, match="tilted"):
        io.read(tmp_path / "tilted")


def test_truncated_slices_are_refused(tmp_path):
    write_series(tmp_path, volume(4))
    path = sorted(tmp_path.iterdir())[1]
    whole = path.read_bytes()
    for share in (0.5, 0.9, 0.99):
        path.write_bytes(whole[: int(share * len(whole))])
        for place in (tmp_path, path):
            with pytest.raises(InputError, match=path.name) as error:
                io.read(place)
            assert "\n" not in str(error.value)


def test_an_element_as_long_as_memory_is_refused(tmp_path):
    write_series(tmp_path, volume(1))
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    where = content.index(b"\xe0\x7f\x10\x00") + 4
    content[where : where + 4] = b"\xf0\xff\xff\x7f"
    path.write_bytes(content)
    with pytest.raises(InputError, match="an element asks for 2147483632 bytes"):
        io.read(path)
