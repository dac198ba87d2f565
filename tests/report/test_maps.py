import numpy as np
import pytest

from tfreg import transforms
from tfreg.geometry import Geometry
from tfreg.report import maps as module
from tfreg.report.maps import maps

TURN = [[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, -1.0]]
GRID = Geometry((8, 6, 5), (1.5, 1.5, 4.0), (10.0, -20.0, 30.0), TURN)


def test_what_comes_after_the_alignment():
    """A shift by 3 mm along x before a stretched, turned alignment, in voxels of the grid."""
    initial = transforms.Affine(2 * np.array(TURN), [35.0, 0.0, 3.0])
    shift = transforms.Affine(np.eye(3), [3.0, 0.0, 0.0])
    found = maps(GRID, transforms.compose(shift, initial), initial)
    index = np.moveaxis(np.indices(GRID.shape), 0, -1)
    expected = GRID.to_index(GRID.to_physical(index) + np.array([3.0, 0.0, 0.0]))
    np.testing.assert_allclose(found.positions, expected, atol=1e-9)
    np.testing.assert_allclose(found.jacobian, -8, rtol=1e-9)
    np.testing.assert_allclose(found.initial_jacobian, -8, rtol=1e-9)
    assert found.folding == 100 and found.initial_folding == 100


def test_a_bent_alignment(rng):
    field = 0.05 * rng.normal(size=(*GRID.shape, 3))
    initial = transforms.Displacement(field, GRID)
    shift = transforms.Affine(np.eye(3), [0.0, 1e-3, 0.0])
    found = maps(GRID, transforms.compose(shift, initial), initial)
    inner = (slice(1, -1),) * 3
    index = np.moveaxis(np.indices(GRID.shape), 0, -1)
    expected = GRID.to_index(GRID.to_physical(index) + np.array([0.0, 1e-3, 0.0]))
    np.testing.assert_allclose(found.positions[inner], expected[inner], atol=1e-3)


def test_folds_are_where_they_are():
    field = np.zeros((*GRID.shape, 3))
    field[:, 3:, :, :2] = -4.5 * np.array(TURN)[:2, 1]  # the rows from the fourth step back by 3
    identity = transforms.Affine.identity(3)
    found = maps(GRID, transforms.Displacement(field, GRID), identity)
    np.testing.assert_array_equal((found.jacobian <= 0)[2].any(axis=1), [0, 0, 1, 1, 0, 0])
    assert found.folding == pytest.approx(100 / 3)


def test_large_images_have_a_coarser_grid(monkeypatch):
    monkeypatch.setattr(module, "VOXELS", 60)
    identity = transforms.Affine.identity(3)
    found = maps(GRID, identity, identity)
    assert np.prod(found.geometry.size) <= 60
    assert found.geometry.extent == pytest.approx(GRID.extent)
    np.testing.assert_allclose(found.jacobian, 1)


def test_one_slice():
    grid = Geometry((4, 5, 1), (1.0, 1.0, 1.0), (0.0,) * 3, np.eye(3).tolist())
    identity = transforms.Affine.identity(3)
    assert maps(grid, identity, identity).folding == 0
