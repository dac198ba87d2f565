"""Pairs and short schedules that the tests of registration share."""

import pytest

from tfreg.data import bodies
from tfreg.registration import Level, Pyramid


@pytest.fixture(scope="session")
def hearts():
    return bodies.hearts(3, seed=5, size=64)


@pytest.fixture
def one_level():
    return Pyramid((Level(grid_spacing=6, steps=30),))


@pytest.fixture
def two_levels():
    return Pyramid((Level(shrink=2, grid_spacing=8, steps=20), Level(grid_spacing=4, steps=20)))
