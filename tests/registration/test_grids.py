import numpy as np
import pytest
from physical_cases import image, rotation

from tfreg.geometry import Geometry
from tfreg.image import Image
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


def test_turned_images_have_boxes_of_few_sizes_for_each_of_which_it_is_compiled():
    grid, sizes = about_zero(0, (1.0, 1.2)), set()
    step, shape = np.ceil(0.25 * np.array(grid.shape)), np.array(grid.shape)
    for angle in np.linspace(0.4, 1.2, 12):
        inner = prepare(image(grid), image(about_zero(angle)), "geometry").inner
        low = np.rint(grid.to_index(inner.moving_grid.to_physical(np.zeros(2))))
        beyond = (-low / step, (low + inner.moving.shape - shape) / step)
        np.testing.assert_array_equal(beyond, np.clip(np.rint(beyond), None, 1))
        seen = shown(inner.moving_grid, about_zero(angle))
        np.testing.assert_array_equal(inner.moving_mask > 0, seen)
        sizes.add(inner.moving.shape)
    assert len(sizes) <= 3
