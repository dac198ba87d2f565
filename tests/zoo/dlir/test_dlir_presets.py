import pytest

import zoo
from zoo.dlir import METHOD


@pytest.mark.parametrize("name", [n for n in zoo.list_presets() if n.startswith("dlir")])
def test_networks_in_stages(name):
    """Every preset is of one of the recipes, and each stage improves on those before."""
    preset = zoo.describe(name)
    assert name.startswith(preset.training["command"].split()[2])
    assert any(name.startswith(recipe) for recipe in METHOD.recipes)
    config = preset.architecture["config"]
    stages = config["stages"]
    assert config["ndim"] == len(preset.preprocessing["size"])
    assert stages[0]["kind"] == "affine" and len(stages) > 2
    spacings = [stage["spacing"] for stage in stages[1:]]
    assert spacings == sorted(spacings, reverse=True)
    curve = preset.training["curve"]
    assert [*curve] == [f"stage {k + 1}" for k in range(len(stages))]
    reached = [stage["ncc"][-1] for stage in curve.values()]
    if config.get("similarity", "ncc") == "ncc":
        assert reached == sorted(reached)
    else:  # a finer stage may be better at something else, but not all of them
        assert reached[-1] == max(reached)
