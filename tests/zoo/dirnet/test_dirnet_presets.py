import pytest

import zoo
from zoo.dirnet import METHOD
from zoo.dirnet.model import VARIANTS
from zoo.dirnet.paper import CINE_NCC

NAMES = [name for name in zoo.list_presets() if name.startswith("dirnet")]


def test_every_network_of_the_paper_is_there():
    digits = {f"dirnet-mnist-{digit}" for digit in range(10)}
    hearts = {f"dirnet-cine-{name}" for name in (*VARIANTS, "plus", "bl-cc0", "bl-phantom")}
    assert {*digits, *hearts, "dirnet-phantom"} == {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_the_iterations_are_those_of_the_sheet(name):
    training = zoo.describe(name).training
    recipe = training["command"].split()[2]
    hearts = {"bl": 10_000, "plus": 10_000, "bl-phantom": 1000}
    expected = 5000 if recipe == "dirnet-mnist" else hearts.get(name[len(recipe) + 1 :], 1500)
    assert training["iterations"] == expected


def test_the_paper_has_numbers_for_each_variant():
    assert set(METHOD.numbers["dirnet-cine"]["ncc"]) == set(VARIANTS) == set(CINE_NCC)
