import json
from pathlib import Path

import h5py
import numpy as np
import pytest

import zoo
from tfreg.cli.train import parser_of, settings_of
from zoo import methods
from zoo.stn import METHOD
from zoo.stn.networks import DISTORTIONS, TRANSFORMS, architecture, name_of

NAMES = [name for name in zoo.list_presets() if name.startswith("stn-")]
CELLS = [
    name_of("mnist", kind, model, transform)
    for kind in DISTORTIONS
    for model in ("st-fcn", "st-cnn")
    for transform in TRANSFORMS
]


def test_every_cell_of_the_table_is_there():
    sums = [name_of("mnist", "addition", "2xst-fcn", transform) for transform in TRANSFORMS]
    assert {*CELLS, *sums, "stn-mnist-clutter-st-cnn-attention"} <= {*NAMES} and len(CELLS) == 24


def test_all_weights_together_are_small_and_in_half_precision():
    files = list(METHOD.folder.glob("weights/*.h5"))
    assert sum(path.stat().st_size for path in files) < 25e6
    dtypes = set()
    for path in files:
        with h5py.File(path) as file:
            file.visititems(lambda _, item: dtypes.add(getattr(item, "dtype", None)))
    assert dtypes == {np.dtype("float16"), None}


@pytest.mark.parametrize("name", NAMES)
def test_the_command_makes_this_network(name):
    """But for its iterations, which are a multiple of 100 there."""
    preset = zoo.describe(name)
    words = preset.training["command"].split()[2:]
    recipe = methods.recipe(words[0])
    settings = settings_of(parser_of(recipe).parse_args(words[1:]))
    recipe.check(settings)
    assert recipe.preset_name(settings) == name
    made = architecture(recipe.kind(settings), settings["model"], recipe.transform(settings))
    config = preset.architecture["config"]
    assert json.loads(json.dumps(made)).items() <= config.items()
    assert 0 <= settings["iterations"] - preset.training["iterations"] < 100
    for key in ("batch", "learning_rate", "schedule", "seed", "paper_schedule"):
        assert settings[key] == preset.training[key]


def test_a_preset_is_the_best_of_its_seeds_on_the_validation_split():
    for name in NAMES:
        training = zoo.describe(name).training
        if "seeds" in training:
            seeds = training["seeds"]
            known = seeds["validation_error"][seeds["seed"].index(training["seed"])]
            assert known == min(seeds["validation_error"])


def test_the_sheet_names_no_preset_that_is_not_there():
    text = Path(METHOD.folder, "README.md").read_text(encoding="utf-8")
    named = {word.strip("`,.;:()") for word in text.split() if word.startswith("`stn-mnist-")}
    recipes = {*METHOD.recipes}
    assert {word for word in named if "*" not in word} <= {*NAMES, *recipes}
