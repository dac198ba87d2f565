import importlib
import subprocess
import sys

import pytest

import tfreg

HEAVY = {"tensorflow", "keras", "jax", "matplotlib", "SimpleITK", "numpy", "scipy", "zoo"}


@pytest.mark.parametrize("module", ["tfreg", "tfreg.cli", "tfreg.errors"])
def test_nothing_heavy_is_loaded(module):
    code = f"import sys, {module}; print(*sorted({HEAVY} & {{*sys.modules}}))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == ""


def test_every_submodule_loads_on_first_use():
    for name in tfreg._SUBMODULES:
        assert getattr(tfreg, name) is importlib.import_module(f"tfreg.{name}")
    assert {*tfreg._SUBMODULES, "__version__"} <= {*dir(tfreg)}


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="'nothing'"):
        tfreg.nothing  # noqa: B018


def test_version_is_that_of_the_package():
    from importlib.metadata import version

    assert tfreg.__version__ == version("tfreg")
