import numpy as np
import pytest

from tfreg.data import implants


def test_the_prosthesis_has_its_size():
    image = implants.knee()
    metal = np.argwhere(image.array > 0.5 * implants.METAL)
    extent = (metal.max(axis=0) - metal.min(axis=0) + 1) * implants.SPACING
    assert np.linalg.norm(extent) == pytest.approx(110, abs=2.5)
    assert 0.05 < (image.array > 0).mean() < 0.35
    assert image.array.min() == 0 and image.array.max() == pytest.approx(implants.METAL)


def test_it_has_air_about_it():
    array = implants.knee().array
    for axis in range(3):
        for end in ([0, 1], [-1, -2]):
            assert not array.take(end, axis).any()


def test_no_view_is_its_own_mirror_image():
    array = implants.knee().array
    for axis in range(3):
        assert np.abs(array - np.flip(array, axis)).sum() > 0.05 * array.sum()


def test_it_is_in_the_middle_of_its_frame():
    np.testing.assert_allclose(implants.knee().geometry.centre, 0, atol=1e-9)


def test_in_finer_voxels_it_is_the_same():
    coarse, fine = implants.knee(), implants.knee(0.6)
    assert fine.geometry.spacing == (0.6,) * 3
    np.testing.assert_allclose(fine.geometry.centre, 0, atol=1e-9)
    volumes = [one.array.sum() * np.prod(one.geometry.spacing) for one in (coarse, fine)]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.03)
