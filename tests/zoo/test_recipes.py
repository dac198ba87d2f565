import json
from dataclasses import replace

import keras
import numpy as np
import pytest

import zoo
from tfreg.cli import main, train
from tfreg.errors import InputError
from tfreg.registration import Preprocessing
from zoo import methods, recipes, writing

RECIPES = sorted(name for method in methods.find().values() for name in method.recipes)
SETTINGS = {
    **{"data": "phantom", "iterations": 100, "batch": 4, "learning_rate": 0.01},
    **{"schedule": "cosine", "seed": 0, "deterministic": False},
}


@pytest.fixture
def recipe(outside):
    return methods.recipe("trial-digits")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_has_its_options_and_its_sources(name, capsys):
    recipe = methods.recipe(name)
    given = train.parser_of(recipe).parse_args([])
    settings = train.settings_of(given)
    recipe.check(settings)
    assert settings["data"] == next(iter(recipe.sources)) and "phantom" in recipe.sources
    assert settings["iterations"] == recipe.iterations and settings["batch"] == recipe.batch
    assert recipe.preset_name(settings).startswith(recipe.method.name)
    assert "out" not in settings and "tensorboard" not in settings
    with pytest.raises(SystemExit) as exit_:
        main(["train", name, "--help"])
    assert exit_.value.code == 0 and "--learning-rate" in capsys.readouterr().out


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--iterations", "150"], "multiple of 100"),
        (["--batch", "0"], "--batch must be positive. Received: 0"),
        (["--learning-rate", "0"], "--learning-rate must be positive. Received: 0.0"),
        (["--seed", "-1"], "--seed must not be negative. Received: -1"),
        (["--data", "brains"], "invalid choice"),
        (["--devices", "0"], "--devices must be positive. Received: 0"),
        (["--devices", "3", "--batch", "8"], "--batch must be a multiple of --devices"),
    ],
)
def test_bad_options_are_refused_before_anything_is_read(monkeypatch, capsys, name, words, message):
    monkeypatch.setattr(type(methods.recipe(name)), "prepare", None)
    try:
        code = main(["train", name, *words])
    except SystemExit as exit_:
        code = exit_.code
    assert code == 2 and message in capsys.readouterr().err


def test_mixed_precision_is_that_of_the_training_alone(recipe, monkeypatch, tmp_path):
    """Layers learn in it; the score and the preset are of float32, with the weights learned."""
    seen, fit = [], type(recipe).fit

    def watched(self, training, *rest, **more):
        seen.append({layer.compute_dtype for layer in training.model.layers if layer.weights})
        found = fit(self, training, *rest, **more)
        seen.append(training.model)
        return found

    monkeypatch.setattr(type(recipe), "fit", watched)
    preset = recipe.train({**SETTINGS, "bfloat16": True}, tmp_path, verbose=0)
    assert seen[0] == {"bfloat16"} and keras.config.dtype_policy().name == "float32"
    assert "bfloat16" not in json.dumps(preset.architecture)
    assert preset.training["command"].endswith("--bfloat16")
    model = zoo.load(preset.path)
    assert {layer.compute_dtype for layer in model.layers if layer.weights} == {"float32"}
    for one, other in zip(model.get_weights(), seen[1].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_cannot_be_done_is_refused(recipe, monkeypatch, capsys):
    monkeypatch.setattr(type(recipe), "prepare", None)
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    assert main(["train", recipe.name, "--deterministic"]) == 2
    assert "set KERAS_BACKEND=tensorflow. Received: KERAS_BACKEND=jax" in capsys.readouterr().err
    monkeypatch.setattr(train.importlib.util, "find_spec", lambda name: None)
    assert main(["train", recipe.name, "--tensorboard", "logs"]) == 2
    assert 'pip install "tfreg[tensorboard]"' in capsys.readouterr().err


def test_a_command_can_be_typed_again():
    settings = {"variant": "bl", "learning_rate": 0.01, "deterministic": True, "other": False}
    command = writing.command_of("a-recipe", {**settings, "digit": None, "zone": [0, -1]})
    assert command == (
        "tfreg train a-recipe --variant bl --learning-rate 0.01 --deterministic --zone 0 -1"
    )


def test_a_checkpoint_knows_its_network_and_its_images(recipe, monkeypatch, tmp_path):
    known = []
    monkeypatch.setattr(
        recipes, "fit", lambda m, b, i, folder, identity, **_: known.append(identity)
    )
    training = recipe.prepare(SETTINGS, tmp_path)

    def minimise(model=training.model, count=40):
        training.batches.count = count
        recipes.minimise(model, training.batches, training.held_out, SETTINGS, tmp_path)
        return known[-1]

    first = minimise()
    assert first == minimise() == json.loads(json.dumps(first))
    assert first != minimise(count=41) and first["network"]["kernels"] == 8
    other = type(training.model)(training.model.classes, kernels=4)
    assert first != minimise(other)


def test_a_recipe_decides_optimiser_metric_and_score(recipe, monkeypatch, tmp_path):
    """What the model and the recipe say is what is trained with, watched and written."""
    kind = type(recipe)

    def compile_(self, model, settings):
        model.compile(keras.optimizers.SGD(settings["learning_rate"]), jit_compile=False)

    monkeypatch.setattr(kind, "compile", compile_)
    model = type(recipe.prepare(SETTINGS, tmp_path).model)
    monkeypatch.setattr(model, "score", lambda self, x, y, batch_size: np.full(len(y), 0.25))
    preset = recipe.train(SETTINGS, tmp_path, "trial-other", verbose=0)
    assert preset.training["optimiser"] == "SGD" and preset.name == "trial-other"
    assert preset.score == {
        **{"metric": "accuracy", "value": 0.25},
        "data": "500 random images of the validation split",
    }
    assert [*preset.training["curve"]] == ["iteration", "accuracy"]


def test_a_model_and_its_preprocessing_must_agree(recipe, tmp_path):
    training = recipe.prepare(SETTINGS, tmp_path)
    other = replace(training, preprocessing=Preprocessing((28, 28), intensity_range=(0, 9)))
    with pytest.raises(ValueError, match=r"intensity_range of the model must be .*Received: None"):
        writing._unstated(other)


def test_a_folder_of_another_training_is_refused(recipe, tmp_path):
    recipe.train(SETTINGS, tmp_path, verbose=0)
    with pytest.raises(InputError, match="another learning_rate"):
        recipe.train({**SETTINGS, "learning_rate": 1}, tmp_path, verbose=0)
