"""Stationary velocities: both directions, the inverse, the path."""

from dataclasses import replace

import numpy as np
import pytest
from physical_cases import grids, image

from tfreg.errors import InputError
from tfreg.registration import FlowPath, Level, Pyramid, register
from tfreg.registration.instance import level
from tfreg.registration.instance.level import Problem
from tfreg.registration.instance.maps import Grid, transform_of
from tfreg.registration.instance.seen import Seen
from tfreg.registration.instance.similarity import as_similarity

SHORT = Pyramid((Level(shrink=2, steps=40), Level(steps=40)))


@pytest.fixture(scope="module")
def pair():
    """Two pictures, one bent along a sine, on anisotropic pixels."""
    y, x = np.mgrid[:40, :56].astype("float64")

    def picture(y, x):
        return (
            np.exp(-((y - 20) ** 2 / 60 + (x - 20) ** 2 / 90))
            + 0.7 * np.exp(-((y - 14) ** 2 + (x - 40) ** 2) / 30)
            + 0.5 * np.exp(-((y - 29) ** 2 + (x - 38) ** 2) / 20)
        )

    u = 2.5 * np.sin(2 * np.pi * x / 56) * np.sin(np.pi * y / 39)
    return picture(y + u, x - u / 2), picture(y, x)


def residual(path, numpy):
    from tfreg import ops

    there, back = path.at(1)[None], path.forward()[None]
    return np.abs(numpy(ops.compose(there, back)))[0, 4:-4, 4:-4].max()


@pytest.mark.on_jax
def test_the_answer_holds_its_inverse(pair, numpy):
    answer = register(*pair, "velocity", spacing=(1.0, 1.5), pyramid=SHORT)
    assert answer.similarity_after > 0.98 > answer.similarity_before
    assert answer.check().folding == 0
    path = answer.path
    assert isinstance(path, FlowPath)
    np.testing.assert_allclose(path.at(1), answer.displacement, atol=1e-5)
    np.testing.assert_array_equal(answer.at(0), 0)
    assert np.abs(answer.displacement).max() > 1.5 and residual(path, numpy) < 0.1
    # A batch of one, and an item of it.
    batch = register(
        pair[0][None], pair[1][None], "velocity", ndim=2, pyramid=SHORT, spacing=(1.0, 1.5)
    )
    np.testing.assert_allclose(batch.item(0).path.forward(), path.forward(), atol=1e-3)


@pytest.mark.on_jax
@pytest.mark.plain
@pytest.mark.parametrize("similarity", ["ncc", "mind", {"lncc5": 1, "mind": 0.5}])
def test_symmetric_values_know_no_first_image(pair, rng, numpy, similarity):
    """Both exchanged, with their masks and descriptors, and the velocity reversed: one value."""
    given = as_similarity(similarity)
    grid = Grid((40, 56), (1, 1), (1.0, 1.5))
    transform = transform_of("velocity", grid, 8)
    problem = Problem(transform, given, "bending", True, True, False, False, symmetric=True)
    images = [(image / np.ptp(image))[None, ..., None].astype("float32") for image in pair]
    masks = [*(rng.random((2, 1, *grid.shape, 1)) > 0.2).astype("float32")]
    parameters = rng.normal(size=transform.start(1).shape).astype("float32")

    def value(problem, sign):
        arrays = (*images[::sign], *masks[::sign])
        names = ("fixed", "moving", "fixed_mask", "moving_mask")
        data = Seen.of(given, dict(zip(names, arrays, strict=True)), [(1, 1)]).on((1, 1))
        rest = (sign * parameters, np.float32(0.1), *data.values())
        settings = np.int32(0), np.float32(1), np.float32(1), np.float32(0)
        _, _, before, _ = level.descent(problem, tuple(data))(*settings, *rest)
        return float(numpy(before)[0])

    assert value(problem, 1) == pytest.approx(value(problem, -1), abs=1e-4)
    alone = replace(problem, symmetric=False)
    assert abs(value(alone, 1) - value(alone, -1)) > 1e-3
    assert value(problem, 1) == pytest.approx((value(alone, 1) + value(alone, -1)) / 2, abs=1e-4)


@pytest.mark.parametrize(
    "similarity",
    [
        "ncc",
        *(pytest.param(one, marks=pytest.mark.long) for one in ("mind", {"lncc": 1, "mind": 0.5})),
    ],
)
def test_symmetric_prefers_neither_image(pair, similarity):
    """With both exchanged, the velocity changes its sign; of one direction it does not so well."""
    misses = {}
    for symmetric in (True, False):
        options = {"pyramid": SHORT, "symmetric": symmetric, "similarity": similarity}
        there, back = (register(*images, "velocity", **options) for images in (pair, pair[::-1]))
        assert there.accepted and there.check().folding == 0
        assert similarity != "ncc" or there.similarity_after > 0.98
        sums = there.path.velocity + back.path.velocity
        misses[symmetric] = np.abs(sums)[4:-4, 4:-4].max() / np.abs(there.path.velocity).max()
    assert misses[True] < 0.02 and misses[True] < 0.2 * misses[False], misses


@pytest.mark.long
def test_symmetric_with_masks_and_a_start(pair):
    """The masks go with their images: what lies outside them says nothing in either direction."""
    fixed, moving = (image.astype("float32").copy() for image in pair)
    shift = np.zeros((2, 3))
    shift[:, :2] = np.eye(2)
    shift[:, 2] = (5, 3)
    moved = np.pad(moving, ((5, 0), (3, 0)))
    mask, other = np.ones_like(fixed), np.ones_like(moved)
    mask[:, 50:], other[:, 53:] = 0, 0
    spoilt = fixed.copy()
    spoilt[:, 51:] = 3.0
    options = {"pyramid": SHORT, "symmetric": True, "start": shift}
    masks = {"fixed_mask": mask, "moving_mask": other}
    found = [register(one, moved, "velocity", **options, **masks) for one in (fixed, spoilt)]
    assert found[0].similarity_after > 0.98 and found[0].accepted
    np.testing.assert_allclose(
        found[1].displacement[:, :44], found[0].displacement[:, :44], atol=0.15
    )
    with pytest.raises(InputError, match="without a start"):
        found[0].path.forward()


@pytest.mark.long
def test_the_inverse_in_physical_space():
    fixed, moving = image(grids(2)[0]), image(grids(2)[1], np.array([2.0, -1.5]))
    answer = register(fixed, moving, ["rigid", "velocity"], pyramid="fast")
    points = fixed.geometry.to_physical(np.array([[15.0, 20.0], [18.0, 25.0], [22.0, 18.0]]))
    there = answer.warp_points(points)
    assert np.abs(there - points).max() > 1
    np.testing.assert_allclose(answer.inverse().apply_points(there), points, atol=0.1)
    with pytest.raises(InputError, match="has a momentum"):
        answer.momentum  # noqa: B018


def test_what_symmetric_cannot_be(pair):
    with pytest.raises(InputError, match="symmetric is of a velocity"):
        register(*pair, "bspline", symmetric=True)
    with pytest.raises(InputError, match="all voxels"):
        register(*pair, "velocity", symmetric=True, samples=100)
    with pytest.raises(InputError, match="symmetric='yes'"):
        register(*pair, "velocity", symmetric="yes")
    with pytest.raises(InputError, match="time=nan"):
        FlowPath(np.zeros((4, 4, 2), "float32")).at(float("nan"))
