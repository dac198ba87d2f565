import numpy as np
import pytest
from shipped import STACKS

import zoo
from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.registration import Preprocessing
from tfreg.registration.images import without_outliers


def oblique(size, spacing, angle=0.4):
    c, s = np.cos(angle), np.sin(angle)
    return Geometry(size, spacing, (5.0, -7.0), ((c, -s), (s, c)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": [20]}, r"size must be 2 or 3 positive integers. Received: size=\[20\]"),
        ({"size": [20, 0]}, r"size=\[20, 0\]"),
        ({"size": [20, 30.5]}, r"size=\[20, 30\.5\]"),
        (
            {"spacing": [1, 1, 1]},
            r"spacing must be 2 positive numbers.*=\[1, 1, 1\]",
        ),
        ({"spacing": [1, -1]}, r"spacing=\[1, -1\]"),
        ({"proportions": [1, 0]}, r"proportions=\[1, 0\]"),
        ({"spacing": [1, 2], "proportions": [1, 2]}, "no effect beside a spacing"),
        ({"intensity_range": [3, 1]}, r"lower one first. Received: intensity_range=\[3, 1\]"),
        ({"intensity_range": "clipped to [0, 1]"}, "intensity_range=clipped"),
        ({"intensity_range": [0, float("inf")]}, "intensity_range"),
        ({"intensity_range": [0, 1, 2]}, "intensity_range"),
    ],
)
def test_what_cannot_be_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        Preprocessing(**{"size": [20, 30], **change})


def test_the_size_of_a_voxel_is_its_spacing_or_its_proportions():
    assert Preprocessing([20, 30], [1, 2.5]).voxel_size == (1.0, 2.5)
    assert Preprocessing([20, 30], proportions=[3, 1]).voxel_size == (3.0, 1.0)
    assert Preprocessing([20, 30]).voxel_size is None


def test_without_a_spacing_the_field_of_view_just_fits():
    grid = oblique((90, 40), (1.0, 1.0))  # 90 mm along x, 40 along y
    found = Preprocessing((20, 30)).grid(grid)
    assert found.shape == (20, 30) and found.spacing == (3.0, 3.0)
    np.testing.assert_allclose(found.centre, grid.centre)
    assert found.direction == grid.direction
    edges = [[19.5, 29.5], [-0.5, -0.5]]
    index = grid.to_index(found.to_physical(edges))
    np.testing.assert_allclose(index[:, 1], [89.5, -0.5], atol=1e-9)  # x: exactly
    assert index[0, 0] > 39.5 and index[1, 0] < -0.5  # y: with a margin


def test_with_a_spacing_the_grid_lies_about_a_centre():
    grid = oblique((90, 40), (1.0, 1.0))
    preprocessing = Preprocessing((20, 30), (0.5, 0.8))
    found = preprocessing.grid(grid)
    assert found.spacing == (0.8, 0.5) and found.size == (30, 20)
    np.testing.assert_allclose(found.centre, grid.centre)
    centre = np.array([11.0, 3.0])
    np.testing.assert_allclose(preprocessing.grid(grid, centre).centre, centre)


def test_a_grid_like_the_trained_one_is_kept():
    grid = oblique((30, 20), (0.8, 0.5))
    assert Preprocessing((20, 30), (0.5, 0.8)).grid(grid) is grid
    same = oblique((30, 20), (0.7, 0.7))
    assert Preprocessing((20, 30)).grid(same) is same


def test_other_axes_are_refused():
    with pytest.raises(InputError, match="2-D images"):
        Preprocessing((20, 30)).grid(Geometry.of_shape((4, 20, 30)))


def test_warnings(rng):
    image = rng.random((20, 30))
    unknown = Preprocessing((20, 30))
    grid = oblique((30, 20), (1.0, 1.0))
    assert "states no voxel size" in unknown.warnings("fixed", image, grid)[0]
    assert unknown.warnings("moving", image, grid) == ()
    known = Preprocessing((20, 30), (1.0, 1.0))
    assert known.warnings("fixed", image, grid) == ()
    voxels, view = known.warnings("moving", image, oblique((30, 20), (1.0, 3.0)))
    assert "moving has voxels of 3 x 1 mm" in voxels and "60 x 30 mm" in view
    image[3, 4] = 1e3  # a hot voxel is cut off
    assert known.warnings("fixed", image, grid) == ()
    image[3, :5] = 1e3
    assert "little contrast" in known.warnings("fixed", image, grid)[0]


def test_the_shape_of_the_voxels_is_kept_where_their_size_is_unknown():
    stack = Geometry((110, 100, 12), (1.5, 1.5, 10.0), (0.0,) * 3, np.eye(3).tolist())
    found = Preprocessing((16, 128, 128), proportions=(20 / 3, 1, 1)).grid(stack)
    np.testing.assert_allclose(found.spacing, np.array([1, 1, 20 / 3]) * 165 / 128)
    np.testing.assert_allclose(found.centre, stack.centre)
    assert zoo.load(STACKS).preprocessing.grid(stack).matches(found)


def test_intensities_in_other_units_are_said(rng):
    lung = Preprocessing((20, 30), (1.0, 1.0), (-1000, 400))
    assert lung.intensity_range == (-1000.0, 400.0)
    grid, unit = oblique((30, 20), (1.0, 1.0)), rng.random((20, 30))
    assert lung.warnings("fixed", 1400 * unit - 1000, grid) == ()
    for image in (unit, 3000 * unit + 10, -1000 - 30 * unit):
        assert "in other units" in lung.warnings("fixed", image, grid)[0]


def test_a_grid_over_the_whole_field_of_view():
    geometry = Geometry((30, 21, 13), (1.8, 2.0, 3.0), (5.0, 6.0, 7.0), np.eye(3).tolist())
    known = Preprocessing((8, 8, 8), (2.5, 2.5, 2.5), covers="field of view")
    grid = known.grid(geometry)
    assert grid.size == (22, 17, 16) and grid.spacing == (2.5, 2.5, 2.5)
    np.testing.assert_allclose(grid.centre, geometry.centre)
    assert not known.centred
    assert not [line for line in known.warnings("fixed", np.zeros(geometry.shape), geometry)]
    with pytest.raises(InputError, match=r"covers must be one of .*Received: covers='all'"):
        Preprocessing((8, 8), (1.0, 1.0), covers="all")
    with pytest.raises(InputError, match="with a spacing"):
        Preprocessing((8, 8), covers="field of view")


@pytest.mark.parametrize("percentiles", [(1,), (5, 5), (-1, 99), (0, 101), "all", (0, None)])
def test_percentiles_that_cannot_be(percentiles):
    with pytest.raises(InputError, match="percentiles must be two numbers within 0 and 100"):
        Preprocessing((8, 8), percentiles=percentiles)


def test_percentiles_say_what_an_outlier_is():
    image = np.append(np.arange(99.0), 500.0)
    assert without_outliers(image).max() == 98
    assert without_outliers(image, (0, 100)) is image
    assert without_outliers(image, (0, 98.5)).max() == 98 and without_outliers(image).min() == 0
