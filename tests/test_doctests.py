"""The examples in the docstrings run."""

import doctest
import importlib
import pkgutil

import pytest

import benchmarks
import tfreg
import zoo


def modules():
    for package in (benchmarks, tfreg, zoo):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                yield module.name


@pytest.mark.parametrize("name", sorted(modules()))
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
