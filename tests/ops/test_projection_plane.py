import numpy as np
import pytest

from tfreg import ops


def case(rng, batch=2):
    volume = rng.uniform(size=(1, 8, 7, 9, 1))
    source = rng.uniform((-60, 1, 2), (-40, 4, 5), (batch, 3))
    plane = rng.uniform(12, 20, batch)
    first, second = (np.sort(rng.uniform(-2, n + 1, (batch, n))) for n in (7, 9))
    return volume, source, plane, first, second


def test_it_is_josephs_sum_along_the_rays_to_the_grid(rng, numpy):
    volume, source, plane, first, second = case(rng)
    target = np.empty((2, 7, 9, 3))
    for b in range(2):
        target[b] = np.stack(
            [np.full((7, 9), plane[b]), *np.meshgrid(first[b], second[b], indexing="ij")], axis=-1
        )
    direction = target - source[:, None, None]
    direction = direction / direction[..., :1]  # one slice
    found = numpy(ops.project_plane(volume, source, plane, first, second))
    np.testing.assert_allclose(found, numpy(ops.project(volume, source, direction)), atol=1e-9)
    assert found.max() > 2


def test_gradients(rng, check_gradient):
    volume, source, plane, first, second = case(rng)
    check_gradient(lambda v: ops.project_plane(v, source, plane, first, second) ** 2, volume)
    check_gradient(
        lambda s: ops.project_plane(volume, s, plane, first, second) ** 2, source, 1e-7, 1e-4
    )


def test_bad_input_is_named(rng):
    volume, source, plane, first, second = case(rng)
    with pytest.raises(ValueError, match="of one batch"):
        ops.project_plane(volume, source[:1], plane, first, second)
    with pytest.raises(ValueError, match="of one batch"):
        ops.project_plane(volume, source, plane[:, None], first, second)
    with pytest.raises(ValueError, match="volume must be"):
        ops.project_plane(volume[0], source, plane, first, second)
