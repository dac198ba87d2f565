import io
import re

import numpy as np
import pytest
import SimpleITK as sitk

from tfreg.report.png import data_uri, png


def read(content, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (37, 53), (1, 1, 3), (37, 53, 3)])
def test_greys_and_colours_come_back(tmp_path, rng, shape):
    image = rng.integers(0, 256, shape, dtype="uint8")
    np.testing.assert_array_equal(read(png(image), tmp_path), image)


def test_colours_of_a_palette_come_back(tmp_path, rng):
    palette = rng.integers(0, 256, (200, 3), dtype="uint8")
    image = rng.integers(0, 200, (9, 14), dtype="uint8")
    np.testing.assert_array_equal(read(png(image, palette), tmp_path), palette[image])


def test_neighbours_alike_pack_well():
    ramp = np.broadcast_to(np.arange(256, dtype="uint8"), (256, 256))
    assert len(png(np.ascontiguousarray(ramp))) < 2000


@pytest.mark.parametrize("shape", [(2, 3, 4), (3, 2, 3, 3), (3,), (0, 3), (0, 3, 3)])
def test_what_is_no_picture(shape):
    with pytest.raises(ValueError, match=re.escape(f"Received: dtype=uint8, shape={shape}")):
        png(np.zeros(shape, "uint8"))


def test_what_is_not_in_8_bits_and_what_has_two_sets_of_colours():
    with pytest.raises(ValueError, match=r"Received: dtype=float64, shape=\(3, 3\)"):
        png(np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"without a palette.*shape=\(2, 2, 3\)"):
        png(np.zeros((2, 2, 3), "uint8"), np.zeros((5, 3), "uint8"))


def test_uri():
    assert data_uri(b"abc") == "data:image/png;base64,YWJj"
    assert io.BytesIO(png(np.zeros((2, 2), "uint8"))).read(8) == b"\x89PNG\r\n\x1a\n"
