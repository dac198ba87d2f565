import itertools

import numpy as np
import pytest

from tfreg.geometry import Geometry
from tfreg.report.planes import orientation, planes


def oriented(order, signs, size=(7, 9, 11), spacing=(1.0, 2.0, 3.0)):
    """A grid whose axis k leads along the world axis ``order[k]``, in the sense of ``signs[k]``."""
    direction = np.zeros((3, 3))
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        direction[world, axis] = sign
    return Geometry(size, spacing, (5.0, -3.0, 8.0), direction.tolist())


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", list(itertools.product((1, -1), repeat=3)))
def test_slices_lie_as_the_letters_say(order, signs):
    grid = oriented(order, signs)
    points = grid.to_physical(np.moveaxis(np.indices(grid.shape), 0, -1))
    rising = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}
    expected = {"axial": "RLAP", "coronal": "RLSI", "sagittal": "APSI"}
    across = {"axial": 2, "coronal": 1, "sagittal": 0}
    for plane in planes(grid):
        left, right, top, bottom = plane.letters
        assert "".join(plane.letters) == expected[plane.name]
        stack = plane.stack(points)
        world, sign = rising[right]
        assert (np.diff(stack[..., world], axis=2) * sign > 0).all()
        world, sign = rising[bottom]
        assert (np.diff(stack[..., world], axis=1) * sign > 0).all()
        assert (np.diff(stack[..., across[plane.name]], axis=0) > 0).all()
        assert {left, right} in ({"R", "L"}, {"A", "P"}) and {top, bottom} != {left, right}


def test_extent_is_in_millimetres():
    axial, coronal, sagittal = planes(oriented((0, 1, 2), (1, 1, -1)))
    assert axial.extent == (7.0, 18.0)
    assert coronal.extent == (7.0, 33.0) and sagittal.extent == (18.0, 33.0)


def test_oblique_axes_have_two_letters():
    angle = np.deg2rad(40)
    turn = [[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]]
    grid = Geometry((4, 5, 6), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), turn)
    assert orientation(grid) == "LS, P, SR"
    assert planes(grid)[0].letters == ("RI", "LS", "A", "P")
    assert orientation(oriented((1, 2, 0), (-1, 1, 1))) == "A, S, L"


def test_a_picture_lies_as_it_is_stored():
    grid = Geometry((4, 3), (1.0, 2.0), (0.0, 0.0), [[-1.0, 0.0], [0.0, 1.0]])
    (plane,) = planes(grid)
    assert plane.letters == ("+x", "-x", "-y", "+y") and plane.extent == (4.0, 6.0)
    image = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(plane.stack(image), image[None])


@pytest.mark.parametrize(("size", "count"), [(1, 1), (16, 16), (17, 16), (300, 16)])
def test_slices_are_few_and_evenly_spaced(size, count):
    plane = planes(Geometry.of_shape((size, 5, 6)))[0]
    assert len(plane.slices) == count and len(set(plane.slices)) == count
    assert min(plane.slices) >= 0 and max(plane.slices) < size
    assert abs(min(plane.slices) - (size - 1 - max(plane.slices))) <= 1
