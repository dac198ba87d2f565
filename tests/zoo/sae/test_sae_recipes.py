import numpy as np
import pytest

import zoo
from tfreg.cli import main, train
from tfreg.data import brain_volumes
from tfreg.errors import InputError
from tfreg.registration import Features, Level, Pyramid, demons, match, register
from zoo import methods, patch_recipes


def given(name, words):
    return train.parser_of(methods.recipe(name)).parse_args(words)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Two phantom brains each, and few patches to judge by."""
    for split in ("train", "validation", "test"):
        monkeypatch.setitem(brain_volumes.SOURCES["phantom"].splits, split, 2)
    monkeypatch.setattr(patch_recipes, "HELD_OUT", 64)


@pytest.mark.plain
@pytest.mark.parametrize("name", ["sae", "sae-pca"])
def test_a_training_leaves_a_preset_whose_features_register(tmp_path, capsys, name):
    words = ["--data", "phantom", "--iterations", "100", "--batch", "16", "--out", str(tmp_path)]
    assert main(["train", name, *words]) == 0
    assert f"{name}-phantom: validation ncc " in capsys.readouterr().out
    preset = zoo.describe(tmp_path / "presets" / f"{name}-phantom.json", task="features")
    assert preset.licence == "Apache-2.0" and "phantom brains" in preset.summary
    # That layers learn is shown elsewhere; after 100 iterations they have only begun.
    assert preset.score["value"] > {"sae": 0, "sae-pca": 0.05}[name]
    assert preset.training["iterations"] == 100
    assert preset.preprocessing["spacing"] == [2.0, 2.0, 2.0]
    assert preset.training["optimiser"] == {"sae": "Adam", "sae-pca": "none"}[name]
    model = zoo.load(preset.path, task="features")
    images = brain_volumes.volumes("test", "phantom").images[:, 20:44, 28:54, 20:44]
    described = Features(model.features, name)
    rounds = [(0.1, 2, 1, 3.0)]
    levels = Pyramid((Level(steps=4, grid_spacing=8),))
    for answer in (
        demons(*images, features=described, shrink=(1,), steps=4),
        match(*images, features=described, rounds=rounds),
        register(*images, similarity=described, pyramid=levels),
    ):
        assert answer.similarity == name and answer.similarity_after >= answer.similarity_before
        assert np.abs(answer.displacement).max() > 0.05


def test_components_have_no_optimiser():
    for words in (["--learning-rate", "0.1"], ["--schedule", "constant"]):
        with pytest.raises(InputError, match=f"{words[0]} is that of an optimiser"):
            methods.recipe("sae-pca").check(train.settings_of(given("sae-pca", words)))
    with pytest.raises(InputError, match="--bfloat16 is for layers that learn"):
        methods.recipe("sae-pca").check(train.settings_of(given("sae-pca", ["--bfloat16"])))
    for name in ("sae", "sae-pca"):
        methods.recipe(name).check(train.settings_of(given(name, [])))
    methods.recipe("sae").check(train.settings_of(given("sae", ["--bfloat16"])))


def test_choices_of_data():
    for name in ("sae", "sae-pca"):
        recipe = methods.recipe(name)
        assert list(recipe.sources) == ["hippocampus", "brain", "phantom"]
        assert recipe.preset_name({"data": "brain"}) == f"{name}-brain"


@pytest.mark.real_data
def test_volumes_of_patients():
    for data, shape in (("hippocampus", (48, 64, 48)), ("brain", (76, 92, 72))):
        images, spacing = patch_recipes.volumes("validation", data)
        assert images.shape[1:] == shape and len(spacing) == 3
        assert images.min() >= 0 and images.max() <= 1
