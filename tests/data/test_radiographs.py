import numpy as np
import pytest

from tfreg.data import radiographs
from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.io.cameras import camera_of


def packed(folder, name, **arrays):
    np.savez_compressed(folder / name, **arrays)


def test_volumes_stand_upright(tmp_path, monkeypatch):
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))
    array = np.arange(24, dtype="int16").reshape(2, 3, 4)
    for pack, turns in radiographs._PACKS.values():
        packed(tmp_path, pack, volume=array, spacing_zyx=np.array([3.0, 2.0, 1.0]))
        assert np.prod(turns) == 1  # no mirror
    image = radiographs.volume("cranium")
    np.testing.assert_array_equal(image.array, array)
    assert image.geometry.spacing == (1.0, 2.0, 3.0)
    np.testing.assert_allclose(image.geometry.to_physical([1, 1, 1]), [-1, -2, 3])
    assert radiographs.available("head") and not radiographs.available("wrist")


def test_what_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"ct_chest_drr\.npz was not found"):
        radiographs.volume("chest")
    with pytest.raises(InputError, match=r"xray_wrist\.npz was not found"):
        radiographs.wrist()
    with pytest.raises(ValueError, match="name must be one of"):
        radiographs.volume("foot")


@pytest.mark.real_data
def test_the_face_is_in_front():
    """Of the bone of the head, the thin and broken parts, those of the face, are in front."""
    for name in ("head", "cranium"):
        image = radiographs.volume(name)
        array = np.clip(image.array.astype("float32"), 0, 1500)
        change = np.abs(np.diff(array, axis=2))[:-1, :-1]  # fine structure
        places = image.geometry.to_physical(np.argwhere(change > 400))
        bone = image.geometry.to_physical(np.argwhere(array > 300))
        assert places[:, 1].mean() < bone[:, 1].mean()  # y runs to the back


@pytest.mark.real_data
def test_wrist():
    found = radiographs.wrist()
    assert found.xrays.shape == (3, 2, 1760, 1760) and set(found.bones) == set(radiographs.BONES)
    cameras = [camera_of(text) for text in found.cameras]
    assert all(camera.shape == (1760, 1760) for camera in cameras)
    assert found.bones["radius"].geometry.spacing == (0.39625, 0.39625, 0.625)


@pytest.mark.plain
def test_larger_voxels_and_what_they_attenuate():
    z, y, x = np.meshgrid(*(np.arange(n) for n in (20, 18, 16)), indexing="ij")
    slope = Image(10.0 * x + 20.0 * y - 5.0 * z, Geometry.of_shape((20, 18, 16), (1.0, 1.0, 1.5)))
    small = radiographs.coarse(slope, 2.5, 1.0)
    assert small.geometry.spacing == (2.5, 2.5, 2.5)
    np.testing.assert_allclose(small.geometry.centre, slope.geometry.centre)
    inner = small.array[1:-1, 1:-1, 1:-1]  # smoothing and interpolation leave a slope as it is
    np.testing.assert_allclose(np.diff(inner, axis=1), 50.0, rtol=0.02)
    np.testing.assert_allclose(np.diff(inner, axis=2).mean(), 2.5 * 10 / 1.5, rtol=0.02)
    two = Image(np.array([[[-2000.0, 500.0]]]), Geometry.of_shape((1, 1, 2)))
    lost = radiographs.attenuating(two)
    np.testing.assert_allclose(lost.array, [[[0.0, 0.03]]], rtol=1e-6)
