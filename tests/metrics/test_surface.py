import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from shapes import SPACING, box, ellipsoid

from tfreg import metrics
from tfreg.metrics import surface


def test_faces_of_one_voxel():
    mask = box((3, 4, 5), (1, 2), (2, 3), (3, 4))
    found = metrics.surface_distances(mask, mask, SPACING)
    assert sorted(found.fixed_areas) == [1.0, 1.0, 1.5, 1.5, 6.0, 6.0]
    assert not found.fixed_to_moved.any()


def test_the_border_of_the_array_is_a_surface():
    full = np.ones((2, 3, 4), bool)
    areas = metrics.surface_distances(full, full, SPACING).fixed_areas
    assert areas.sum() == 2 * (3 * 4 * 6.0 + 2 * 4 * 1.5 + 2 * 3 * 1.0)
    assert len(areas) == 2 * (3 * 4 + 2 * 4 + 2 * 3)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shift", [1, 2])
def test_boxes_shifted_along_one_axis(axis, shift):
    """The far end of either box is ``shift`` away, its near end lies inside the other."""
    shape, bounds = (20, 18, 19), [(4, 9), (3, 10), (5, 11)]
    fixed = box(shape, *bounds)
    bounds[axis] = (bounds[axis][0] + shift, bounds[axis][1] + shift)
    moved = box(shape, *bounds)
    side_mm = np.array([b - a for a, b in bounds]) * SPACING
    found = metrics.surface_distances(fixed, moved, SPACING)
    away = shift * SPACING[axis]
    assert found.fixed_to_moved.max() == pytest.approx(away)
    assert found.moved_to_fixed.max() == pytest.approx(away)
    assert found.fixed_areas.sum() == pytest.approx(
        2 * sum(side_mm[i] * side_mm[j] for i, j in itertools.combinations(range(3), 2))
    )
    # the end that sticks out is more than 5 % of the surface
    assert metrics.hausdorff95(fixed, moved, SPACING) == pytest.approx(away)


def test_slabs_by_hand():
    """Slabs through the array, 1 row against 3, that share their first face."""
    fixed, moved = box((9, 2), (2, 3), (0, 2)), box((9, 2), (2, 5), (0, 2))
    found = metrics.surface_distances(fixed, moved, (2.0, 10.0))
    # faces across the rows first, 10 mm each, then the ends of the rows, 2 mm each
    assert found.fixed_to_moved.tolist() == [0, 0, 2, 2, 0, 0]
    assert found.fixed_areas.tolist() == [10, 10, 10, 10, 2, 2]
    assert found.moved_to_fixed.tolist() == [0, 0, 4, 4, 0, 0, 2, 2, 4, 4]
    assert found.moved_areas.tolist() == [10, 10, 10, 10, 2, 2, 2, 2, 2, 2]
    assert metrics.hausdorff95(fixed, moved, (2.0, 10.0)) == 4.0
    expected = (20 * 2 / 44 + (20 * 4 + 4 * 2 + 4 * 4) / 52) / 2
    assert metrics.mean_surface_distance(fixed, moved, (2.0, 10.0)) == pytest.approx(expected)


@pytest.mark.parametrize(
    "width, spacing, expected",
    [
        (
            5,
            (1.0, 20.0),
            np.hypot(50, 0.5),
        ),  # the top 60 mm up is 5 of 353 mm; it would be 5 of 87 faces
        (4, (20.0, 1.0), 3.0),  # the top 3 mm up is 80 of 1454 mm; it would be 4 of 86 faces
    ],
)
def test_the_percentile_is_weighted_by_area(width, spacing, expected):
    """A bump of 3 columns on a bar; whether its top counts depends on its length in mm."""
    fixed = box((40, 12), (2, 38), (2, 6))
    moved = fixed | box((40, 12), (10, 10 + width), (6, 9))
    assert metrics.hausdorff95(fixed, moved, spacing) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("spacing", [0.1, 0.7, 0.9])
@pytest.mark.parametrize("length", [9, 29, 49, 99])
def test_percentile_reached_exactly(length, spacing):
    """Exactly 95 % of the edges at distance 0 are enough, however the sum of areas rounds."""
    edges = 2 * (length + 1)
    off = edges // 20
    distances = np.repeat([0.0, 1.0], [edges - off, off])
    areas = np.full(edges, spacing)
    assert surface._percentile(distances, areas, 0.95) == 0
    assert surface._percentile(distances[1:], areas[1:], 0.95) == 1


def test_spheres_differ_by_their_radii():
    shape, spacing = (56, 38, 30), (1.0, 1.5, 2.0)
    centre = (np.array(shape) - 1) / 2 * spacing
    small = ellipsoid(shape, centre, (14.0,) * 3, spacing)
    large = ellipsoid(shape, centre, (20.0,) * 3, spacing)
    assert metrics.mean_surface_distance(small, large, spacing) == pytest.approx(6, abs=0.35)
    assert metrics.hausdorff95(small, large, spacing) == pytest.approx(6, abs=1.25)


@pytest.mark.parametrize("measure", [metrics.hausdorff95, metrics.mean_surface_distance])
def test_axes_may_be_permuted(measure, rng):
    fixed, moved = rng.random((2, 5, 6, 7)) < 0.3
    expected = measure(fixed, moved, SPACING)
    assert expected > 0
    for order in itertools.permutations(range(3)):
        permuted = measure(
            fixed.transpose(order), moved.transpose(order), [SPACING[i] for i in order]
        )
        assert permuted == pytest.approx(expected)


@pytest.mark.parametrize("measure", [metrics.hausdorff95, metrics.mean_surface_distance])
def test_distances_scale_with_the_spacing(measure, rng):
    fixed, moved = rng.random((2, 5, 6, 7)) < 0.3
    doubled = measure(fixed, moved, [2 * s for s in SPACING])
    assert doubled == pytest.approx(2 * measure(fixed, moved, SPACING))


MASKS = hnp.arrays(bool, (4, 5))


@given(MASKS, MASKS)
@settings(max_examples=60, deadline=None)
def test_surface_measures_are_symmetric(fixed, moved):
    for measure in (metrics.hausdorff95, metrics.mean_surface_distance):
        there, back = (measure(*pair, (1.0, 2.5)) for pair in ((fixed, moved), (moved, fixed)))
        if fixed.any() and moved.any():
            assert there == pytest.approx(back)
            assert 0 <= there <= np.hypot(4, 5 * 2.5)
            assert measure(fixed, fixed) == 0
        else:
            assert np.isnan(there)
            assert np.isnan(back)


def test_distances_to_an_empty_mask():
    empty, full = np.zeros((2, 2), bool), np.ones((2, 2), bool)
    found = metrics.surface_distances(full, empty)
    assert np.isnan(found.fixed_to_moved).all()
    assert found.fixed_to_moved.shape == (8,)
    assert found.moved_to_fixed.shape == found.moved_areas.shape == (0,)
