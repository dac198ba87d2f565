import numpy as np
import pytest

from tfreg.data import radiographs
from tfreg.errors import InputError
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
