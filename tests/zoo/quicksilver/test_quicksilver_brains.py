from types import SimpleNamespace

import numpy as np
import pytest

from zoo.quicksilver import brains

pytestmark = pytest.mark.plain


def images(shape, shift=0.0):
    """Smooth blobs on a grid of any resolution over the same space."""
    places = [(np.arange(n) + 0.5) / n for n in shape]
    z, y, x = np.meshgrid(*places, indexing="ij")
    radius = ((z - 0.5) / 0.3) ** 2 + ((y - 0.5 - shift) / 0.25) ** 2 + ((x - 0.5) / 0.35) ** 2
    return np.exp(-radius).astype("float32")


@pytest.fixture
def shifted(monkeypatch):
    """Two brains, of which the second lies two coarse voxels further along y."""
    coarse, fine = (12, 20, 16), (24, 40, 32)
    asked = []

    def volumes(split, data, fine_too=False, *, fine=False):
        shape = (24, 40, 32) if fine or fine_too else coarse
        found = np.stack([images(shape), images(shape, 0.1)])
        return SimpleNamespace(images=found, spacing=(2.0, 2.0, 2.0))

    def register(fixed, moving, kind, *, spacing, pyramid):
        asked.append((kind, spacing, fixed.shape))
        field = np.zeros((*coarse, 3), "float32")
        field[..., 1] = 2
        return SimpleNamespace(displacement=field, moved=np.roll(moving, -2, axis=1))

    monkeypatch.setattr(brains.brain_volumes, "volumes", volumes)
    monkeypatch.setattr(brains, "register", register)
    return asked, fine


@pytest.mark.parametrize("fine", [False, True])
def test_brains_come_to_lie_where_the_first_one_does(shifted, fine):
    asked, size = shifted
    found = brains.aligned("train", "dkt31", fine)
    assert found.shape == (2, *(size if fine else (12, 20, 16))) and found.dtype == np.float32
    assert asked == [("affine", (2.0, 2.0, 2.0), (12, 20, 16))]  # not the first with itself
    inside = (slice(None), slice(6, -8))
    np.testing.assert_allclose(found[1][inside], found[0][inside], atol=0.011)
    assert found.max() > 0.9 and (found[found > 0] > 0.01).all()
