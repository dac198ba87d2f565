import json

import numpy as np
import pytest
import SimpleITK as sitk

from tfreg.errors import InputError
from tfreg.geometry import Geometry


def random_geometry(rng, ndim):
    """Any spacing, origin and oblique or flipped direction."""
    direction = np.linalg.qr(rng.normal(size=(ndim, ndim)))[0]
    if rng.random() < 0.3:
        direction = np.eye(ndim)[rng.permutation(ndim)] * rng.choice([-1, 1], ndim)
    size = rng.integers(2, 12, ndim)
    spacing = np.exp(rng.uniform(np.log(0.2), np.log(6), ndim))
    return Geometry(tuple(size), tuple(spacing), tuple(rng.uniform(-300, 300, ndim)), direction)


def as_sitk(geometry):
    image = sitk.Image(list(geometry.size), sitk.sitkUInt8)
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(np.ravel(geometry.direction).tolist())
    return image


@pytest.mark.parametrize("ndim", [2, 3])
def test_points_and_indices_are_those_of_sitk(ndim):
    rng = np.random.default_rng(ndim)
    for _ in range(200):
        geometry = random_geometry(rng, ndim)
        image = as_sitk(geometry)
        index = rng.uniform(-5, 20, (4, ndim))
        found = geometry.to_physical(index)
        to_point = image.TransformContinuousIndexToPhysicalPoint
        expected = [to_point(row[::-1].tolist()) for row in index]
        np.testing.assert_allclose(found, expected, atol=1e-9)
        np.testing.assert_allclose(geometry.to_index(found), index, atol=1e-9)
        whole = geometry.to_physical(np.array(geometry.shape) - 1)
        expected = image.TransformIndexToPhysicalPoint([n - 1 for n in geometry.size])
        np.testing.assert_allclose(whole, expected, atol=1e-9)
        homogeneous = np.concatenate([index, np.ones((4, 1))], axis=1)
        np.testing.assert_allclose(homogeneous @ geometry.matrix.T, found, atol=1e-9)
        assert Geometry.from_dict(json.loads(json.dumps(geometry.to_dict()))) == geometry


def test_axes_of_an_anisotropic_grid():
    turned = ((0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, -1.0))
    geometry = Geometry((4, 5, 6), (1.0, 2.0, 3.0), (10.0, 20.0, 30.0), turned)
    assert geometry.shape == (6, 5, 4) and geometry.ndim == 3
    assert geometry.extent == (4.0, 10.0, 18.0)
    # One voxel on along the last axis of the array is one along y here.
    assert geometry.to_physical([0, 0, 1]).tolist() == [10, 21, 30]
    assert geometry.to_physical([1, 2, 0]).tolist() == [14, 20, 27]
    assert geometry.centre.tolist() == [14, 21.5, 22.5]
    assert geometry.to_physical(np.zeros((2, 5, 3))).shape == (2, 5, 3)


def test_of_shape_takes_spacing_in_the_order_of_the_array():
    geometry = Geometry.of_shape((2, 3, 4), (3.0, 2.0, 1.0))
    assert geometry.size == (4, 3, 2) and geometry.spacing == (1.0, 2.0, 3.0)
    assert Geometry.of_shape((2, 3)).spacing == (1.0, 1.0)
    assert Geometry.of_shape((2, 3), 0.5).spacing == (0.5, 0.5)


def test_matches_within_a_share_of_a_voxel():
    rng = np.random.default_rng(0)
    for _ in range(50):
        one = random_geometry(rng, 3)
        shift = np.array(one.direction) @ (np.array(one.spacing) * [1, 0, 0])
        for share, same in ((0.9e-3, True), (1.2e-3, False)):
            origin = tuple(np.array(one.origin) + share * shift)
            assert one.matches(Geometry(one.size, one.spacing, origin, one.direction)) is same
    noise = np.array(one.direction) + 1e-11  # as headers written by different tools have it
    assert one.matches(Geometry(one.size, one.spacing, one.origin, noise))
    longer = Geometry.of_shape((4, 100)), Geometry.of_shape((4, 100), (1, 1.0001))
    assert not longer[0].matches(longer[1])  # adds up over a hundred voxels
    assert longer[0].matches(longer[1], tolerance=0.1)
    assert not longer[0].matches(Geometry.of_shape((4, 99)))
    assert not longer[0].matches(Geometry.of_shape((4, 4, 100)))


@pytest.mark.parametrize("ndim", [2, 3])
def test_resampled_keeps_the_field_of_view(ndim):
    rng = np.random.default_rng(1)
    for _ in range(50):
        one = random_geometry(rng, ndim)
        new = one.resampled(size=tuple(int(n) for n in rng.integers(1, 20, ndim)))
        for corner in np.ndindex(*[2] * ndim):
            edge = [(n * c - 0.5) for n, c in zip(one.shape, corner, strict=True)]
            other = [(n * c - 0.5) for n, c in zip(new.shape, corner, strict=True)]
            np.testing.assert_allclose(one.to_physical(edge), new.to_physical(other), atol=1e-9)
        steps = rng.uniform(0.5, 5, ndim)
        new = one.resampled(spacing=tuple(steps))
        np.testing.assert_array_equal(new.spacing, steps)
        np.testing.assert_allclose(new.centre, one.centre, atol=1e-9)
        change = np.abs(np.subtract(new.extent, one.extent))
        assert (change <= np.maximum(steps / 2, steps - one.extent) + 1e-9).all()
    both = Geometry.of_shape((10, 10)).resampled(spacing=2.0, size=(3, 4))
    assert both.size == (3, 4) and both.spacing == (2, 2) and both.centre.tolist() == [4.5, 4.5]


def make(**change):
    parts = {"size": (3, 4), "spacing": (1, 1), "origin": (0, 0), "direction": ((1, 0), (0, 1))}
    return Geometry(**{**parts, **change})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make(size=(3, 0)), "at least one voxel.*Received: size=.3, 0"),
        (lambda: make(size=(3,)), "2 or 3 axes"),
        (lambda: make(size=(3, 4, 5, 6)), "2 or 3 axes"),
        (lambda: make(size=(3, 4.5)), "made of numbers"),
        (lambda: make(spacing=(1, 0)), "spacing must be positive"),
        (lambda: make(spacing=(1, -1)), "spacing must be positive"),
        (lambda: make(spacing=(1, np.nan)), "2 finite numbers"),
        (lambda: make(spacing=(1, 1, 1)), "2 finite numbers"),
        (lambda: make(origin=(np.inf, 1)), "origin must be 2 finite"),
        (lambda: make(origin=None), "made of numbers"),
        (lambda: make(direction=((1, 2), (2, 4))), "invertible"),
        (lambda: make(direction=((1, 0), (1, 0))), "invertible"),
        (lambda: make(direction=((1, 0), (0, np.nan))), "2 x 2 numbers"),
        (lambda: make(direction=(1, 0, 0, 1)), "made of numbers"),
        (lambda: make(direction=((1, 0, 0), (0, 1, 0), (0, 0, 1))), "2 x 2 numbers"),
        (lambda: make().to_physical([1, 2, 3]), r"last dimension of 2.*\(3,\)"),
        (lambda: make().to_index(3), "last dimension of 2"),
        (lambda: make().resampled(), "spacing or a size"),
        (lambda: make().resampled(spacing=(1, 0)), "positive"),
        (lambda: make().resampled(spacing=(1, 1, 1)), "2 numbers"),
        (lambda: make().resampled(size=(0, 3)), "at least one voxel"),
        (lambda: make().resampled(size=(5,)), "2 numbers"),
        (lambda: Geometry.from_dict({"size": (3, 4)}), "not a geometry"),
    ],
)
def test_unusable_parts_are_refused_in_one_line(call, message):
    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
