import numpy as np
import pytest
from physical_cases import image, rotation

from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.registration import Preprocessing
from tfreg.registration.space.physical import prepare


def about_zero(angle, spacing=(1.1, 1.3)):
    """A grid of 50 x 40 pixels about the origin, turned."""
    size, direction = (50, 40), rotation(2, angle)
    half = direction @ (np.array(spacing) * (np.array(size) - 1) / 2)
    return Geometry(size, spacing, tuple(-half), tuple(map(tuple, direction)))


def shown(grid, geometry):
    """Where on a grid an image of this geometry has voxels."""
    points = grid.to_physical(np.moveaxis(np.indices(grid.shape, "float64"), 0, -1))
    index = geometry.to_index(points)
    return ((index >= -0.5) & (index < np.array(geometry.shape) - 0.5)).all(axis=-1)


def test_a_turned_moving_image_counts_where_it_is_and_not_in_the_corners_of_its_box():
    fixed, moving = image(about_zero(0, (1.0, 1.2))), image(about_zero(0.6))
    inner = prepare(fixed, moving, "geometry").inner
    expected = shown(inner.moving_grid, moving.geometry)
    assert 0.5 < expected.mean() < 0.9
    np.testing.assert_array_equal(inner.moving_mask > 0, expected)
    assert inner.fixed_mask is None


@pytest.mark.parametrize("angle", [0, np.pi / 2])
def test_one_along_the_axes_fills_its_box_and_has_no_mask(angle):
    fixed, moving = image(about_zero(0, (1.0, 1.2))), image(about_zero(angle))
    assert prepare(fixed, moving, "geometry").inner.moving_mask is None


def test_a_mask_of_its_own_is_turned_with_it():
    fixed, moving = image(about_zero(0, (1.0, 1.2))), image(about_zero(0.6))
    own = np.zeros(moving.array.shape, "uint8")
    own[5:20, 8:40] = 1
    own = Image(own, moving.geometry)
    inner = prepare(fixed, moving, "geometry", moving_mask=own).inner
    low = moving.geometry.to_physical(np.array([5.0, 8.0]))
    part = Geometry((32, 15), own.geometry.spacing, tuple(low), own.geometry.direction)
    np.testing.assert_array_equal(inner.moving_mask > 0, shown(inner.moving_grid, part))


class Whole:
    """What a model says that looks at all of the moving image."""

    ndim, intensity_range, sees_all_moving = 2, None, True
    preprocessing = Preprocessing((40, 50), (1.0, 1.0), covers="field of view")


class Cut(Whole):
    sees_all_moving = False


def test_a_network_may_see_all_of_the_moving_image_and_a_mask_of_where_it_is():
    fixed = image(Geometry((20, 16), (1.0, 1.0), (-3.0, -5.0), ((1.0, 0.0), (0.0, 1.0))))
    moving = image(about_zero(0.6))
    cut, whole = (prepare(fixed, moving, "geometry", model=m).inner for m in (Cut, Whole))
    assert cut.moving.shape == cut.fixed.shape == (16, 20) and cut.moving_mask is None
    assert whole.fixed.shape == (16, 20) and min(whole.moving.shape) > 50
    # Voxels of one size that lie in one lattice, of which some are those of the fixed image.
    offset = whole.moving_grid.to_index(np.array(whole.grid.origin))
    np.testing.assert_allclose(offset, np.rint(offset), atol=1e-6)
    np.testing.assert_allclose(whole.start[:, 2], offset, atol=1e-6)
    low = np.rint(offset).astype(int)
    part = whole.moving[low[0] : low[0] + 16, low[1] : low[1] + 20]
    np.testing.assert_allclose(part, cut.moving, atol=1e-4)
    share = whole.moving_mask.sum() / np.prod([50 * 1.1, 40 * 1.3])
    assert share == pytest.approx(1, abs=0.03)  # of a millimetre each


def test_the_mask_of_a_moving_image_seen_whole_is_its_own_where_it_has_one():
    fixed, moving = image(about_zero(0, (1.0, 1.2))), image(about_zero(0.6))
    own = np.zeros(moving.array.shape, "uint8")
    own[5:20, 8:40] = 1
    own = Image(own, moving.geometry)
    inner = prepare(fixed, moving, "geometry", moving_mask=own, model=Whole).inner
    assert inner.moving_mask.sum() == pytest.approx(15 * 1.3 * 32 * 1.1, rel=0.05)
