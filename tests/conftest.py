"""Shared pieces of the tests."""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["TFREG_CACHE"] = "off"  # commands leave nothing in the user's cache

import keras
import numpy as np
import pytest


def pytest_addoption(parser):
    parser.addoption("--record", action="store_true", help="write golden.json anew")


# These start large processes of their own: first of all, while the workers are small.
FIRST = ("test_jax.py", "test_notebooks.py")


def pytest_collection_modifyitems(items):
    """Skips what cannot run here, or takes long, and says so."""
    items.sort(key=lambda item: item.path.name not in FIRST)
    needs = {
        "real_data": ("TFREG_DATA", "needs real data"),
        "long": ("TFREG_LONG_TESTS", "takes a minute or more"),
    }
    for mark, (variable, reason) in needs.items():
        if os.environ.get(variable):
            continue
        skip = pytest.mark.skip(reason=f"{reason}: {variable} is not set")
        for item in items:
            if mark in item.keywords:
                item.add_marker(skip)


@pytest.fixture(autouse=True)
def plain(request):
    """Small calculations run as they are written: compiling each would take most of the time.

    Tests marked ``compiled`` keep TensorFlow's islands, as most tests of the networks do; those
    marked ``plain`` do without.
    """
    path = Path(str(request.node.fspath))
    small = path.parent.name in ("ops", "layers", "losses")
    small = small or request.node.get_closest_marker("plain")
    if not small or request.node.get_closest_marker("compiled"):
        yield
        return
    from tfreg import ops

    with ops.uncompiled():
        yield


@pytest.fixture(autouse=True, scope="module")
def forgetful():
    """What one module compiles no other needs: kept, it would fill gigabytes."""
    yield
    level = sys.modules.get("tfreg.registration.instance.level")
    if level is not None:
        level.forget()


@pytest.fixture
def outside(monkeypatch):
    """The folder of another package that has a method, as if pip had installed it."""
    folder = Path(__file__).parent / "outside"
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def numpy():
    """A tensor of either backend as a NumPy array."""
    return keras.ops.convert_to_numpy


@pytest.fixture
def check_gradient():
    """Compares the gradient of ``function`` at ``argument`` with central differences (float64)."""
    from tfreg import ops

    def check(function, argument, step=1e-5, tolerance=1e-6, samples=40):
        def scalar(tensor):
            return keras.ops.reshape(keras.ops.sum(function(tensor)), (1,))

        tensor = keras.ops.convert_to_tensor(argument, "float64")
        if keras.backend.standardize_dtype(tensor.dtype) != "float64":
            pytest.skip("float64 is switched off on this backend")
        found = keras.ops.convert_to_numpy(ops.value_and_gradient(scalar, tensor)[1])
        traced = ops.graph(scalar)
        picks = np.random.default_rng(1).choice(argument.size, min(samples, argument.size), False)
        for flat in picks:
            index = np.unravel_index(flat, argument.shape)
            values = []
            for sign in (1, -1):
                moved = argument.astype("float64").copy()
                moved[index] += sign * step
                moved = keras.ops.convert_to_tensor(moved, "float64")
                values.append(float(keras.ops.convert_to_numpy(traced(moved))[0]))
            expected = (values[0] - values[1]) / (2 * step)
            assert abs(found[index] - expected) <= tolerance * max(1.0, abs(expected)), index
        return found

    return check
