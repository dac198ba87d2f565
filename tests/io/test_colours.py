import numpy as np
import pytest

from tfreg import Geometry, Image, io


def test_colours_as_they_are_stored(tmp_path, rng):
    picture = rng.integers(0, 256, (5, 7, 3), dtype="uint8")
    io.write_png(tmp_path / "a.png", picture, 0, 255)
    found = io.read_colours(tmp_path / "a.png")
    np.testing.assert_array_equal(found, picture)
    assert found.dtype == np.uint8
    light = picture @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(io.read_image(tmp_path / "a.png"), light, atol=1e-9)


def test_grey_of_one_channel_has_no_colours(tmp_path, rng):
    grey = rng.integers(0, 256, (5, 7), dtype="uint8")
    io.write_png(tmp_path / "a.png", grey, 0, 255)
    io.write_png(tmp_path / "b.png", np.stack([grey] * 3, axis=-1), 0, 255)
    io.write(Image(grey, Geometry.of_shape(grey.shape)), tmp_path / "c.nii.gz")
    for name in ("a.png", "c.nii.gz"):
        assert io.read_colours(tmp_path / name) is None
    np.testing.assert_array_equal(
        io.read_colours(tmp_path / "b.png"), np.stack([grey] * 3, axis=-1)
    )


def test_colours_of_a_tiff(tmp_path, rng):
    tifffile = pytest.importorskip("tifffile")
    picture = rng.integers(0, 65536, (5, 7, 3), dtype="uint16")
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric="rgb")
    np.testing.assert_array_equal(io.read_colours(tmp_path / "a.tif"), picture)
