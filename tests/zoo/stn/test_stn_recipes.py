import json

import h5py
import keras
import numpy as np
import pytest

import zoo
from tfreg.cli import main
from tfreg.cli.train import parser_of, settings_of
from tfreg.errors import InputError
from zoo import methods
from zoo.stn.data import held_out
from zoo.stn.networks import network
from zoo.stn.optimiser import SteadyAdam, papers, steady
from zoo.stn.scheme import Candidates


def settings(recipe, *words):
    found = settings_of(parser_of(methods.recipe(recipe)).parse_args(words))
    methods.recipe(recipe).check(found)
    return found


def small(rng):
    """A network whose first kernel is slow, with a gradient for each weight."""
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2, name="slow"), keras.layers.Dense(1)]
    )
    gradients = [rng.normal(size=v.shape).astype("float32") for v in model.trainable_variables]
    return model, gradients


@pytest.mark.on_jax
def test_a_step_is_that_of_adamw_with_slow_parts_and_a_cut_gradient(rng):
    """Written down again in NumPy; the gradient of the third step is a hundred times the first."""
    model, gradients = small(rng)
    slow = model.layers[0].trainable_variables
    optimiser = SteadyAdam(0.01, slow=[v.path for v in slow])
    variables = model.trainable_variables
    weights = [keras.ops.convert_to_numpy(v).astype("float64") for v in variables]
    m, v2, usual = [0.0] * 4, [0.0] * 4, 0.0
    for t, scale in enumerate((1.0, 2.0, 100.0), 1):
        scaled = [scale * g for g in gradients]
        optimiser.apply([keras.ops.convert_to_tensor(g) for g in scaled], variables)
        norm = np.sqrt(sum((g.astype("float64") ** 2).sum() for g in scaled))
        limit = 5 * usual if usual else norm
        cut = min(1.0, limit / norm)
        usual = 0.99 * usual + 0.01 * min(norm, limit) if usual else norm
        for k, g in enumerate(scaled):
            m[k] = 0.9 * m[k] + 0.1 * cut * g
            v2[k] = 0.999 * v2[k] + 0.001 * (cut * g) ** 2
            step = m[k] / (1 - 0.9**t) / (np.sqrt(v2[k] / (1 - 0.999**t)) + 1e-7)
            step = step + (0.05 * weights[k] if k % 2 == 0 else 0)
            weights[k] = weights[k] - 0.01 * (0.5 if k < 2 else 1) * step
    assert cut < 0.2
    own = 2 * len(variables) + 3  # both moments; the number of steps, the rate and the norm
    assert len(optimiser.variables) == own
    for variable, expected in zip(variables, weights, strict=True):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(variable), expected, atol=2e-6)


def test_a_gradient_that_is_not_finite_is_left_out(rng):
    model, gradients = small(rng)
    optimiser, variables = SteadyAdam(0.01), model.trainable_variables
    optimiser.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
    gradients[0][0, 0] = np.nan
    optimiser.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
    assert all(np.isfinite(keras.ops.convert_to_numpy(v)).all() for v in variables)
    assert np.isfinite(float(optimiser.norm))


def test_rates_over_a_training():
    schedule = steady(4e-3, 20_500, "cosine", []).get_config()["learning_rate"]["config"]
    assert schedule["warmup_steps"] == 500 and schedule["decay_steps"] == 20_000
    assert schedule["warmup_target"] == 4e-3 and schedule["alpha"] == 0
    config = papers(0.01, 150_000).get_config()["learning_rate"]["config"]
    assert config["boundaries"] == [50_000, 100_000]
    np.testing.assert_allclose(config["values"], [0.01, 0.001, 0.0001])


def test_fully_connected_networks_and_transformers_learn_more_slowly():
    recipe = methods.recipe("stn-mnist")
    for model, rate in (("st-cnn", 4e-3), ("st-fcn", 2e-3)):
        net = network("r", model, "affine")
        recipe.compile(net, settings("stn-mnist", "--model", model))
        found = net.optimizer.get_config()
        assert found["learning_rate"]["config"]["warmup_target"] == rate
        slow = [v.path for v in net.trainable_variables if "transformer_0" in v.path]
        assert list(net.optimizer.slow) == slow and len(slow) in (6, 8)


def test_the_papers_schedule_and_what_is_given_beside_it():
    found = settings("stn-mnist", "--paper-schedule", "--model", "cnn")
    assert (found["iterations"], found["learning_rate"], found["batch"]) == (150_000, 0.01, 256)
    found = settings("stn-mnist", "--iterations", "300", "--paper-schedule")
    assert found["iterations"] == 300 and found["schedule"] == "constant"
    assert settings("stn-mnist")["iterations"] == 20_000
    net = network("r", "cnn", None)
    methods.recipe("stn-mnist").compile(net, found)
    assert type(net.optimizer).__name__ == "SGD"


@pytest.mark.parametrize(
    ("recipe", "words", "message"),
    [
        ("stn-mnist", ["--model", "cnn", "--transform", "tps"], "cnn has no transformer"),
        ("stn-mnist", ["--transform", "attention"], "affine, projective, tps"),
        ("stn-mnist-clutter", ["--transform", "tps"], "one of attention. Received: tps"),
        ("stn-mnist", ["--paper-schedule", "--schedule", "cosine"], "a schedule of its own"),
    ],
)
def test_bad_options_are_refused(recipe, words, message):
    with pytest.raises(InputError, match=message):
        settings(recipe, *words)


@pytest.mark.parametrize(
    ("recipe", "words", "name"),
    [
        ("stn-mnist", [], "stn-mnist-st-cnn-affine-r"),
        ("stn-mnist", ["--distortion", "e", "--transform", "tps"], "stn-mnist-st-cnn-tps-e"),
        ("stn-mnist", ["--model", "fcn", "--data", "phantom"], "stn-phantom-fcn-r"),
        ("stn-mnist-clutter", [], "stn-mnist-clutter-st-cnn-attention"),
        ("stn-mnist-addition", ["--transform", "tps"], "stn-mnist-addition-2xst-fcn-tps"),
    ],
)
def test_presets_are_called_after_their_networks(recipe, words, name):
    assert methods.recipe(recipe).preset_name(settings(recipe, *words)) == name


def test_the_best_weights_of_the_last_quarter_are_kept(tmp_path):
    """After 4,100 iterations: those of 4,000 and 4,100 are candidates, of equals the last."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    candidates = Candidates(tmp_path, 4100)
    candidates.set_model(model)
    for epoch in range(41):
        model.layers[0].bias.assign([epoch])
        candidates.on_epoch_end(epoch)
    assert len(list(tmp_path.rglob("*.h5"))) == 2
    for accuracy, kept in ((0.9, 39), (0.8, 40), (0.7, 40)):
        candidates.restore_best(model, {3000: 1.0, 4000: accuracy, 4100: 0.8})
        assert float(model.layers[0].bias[0]) == kept


@pytest.mark.long
@pytest.mark.on_jax
def test_a_recipe_trains_and_writes_half_precision(tmp_path, capsys):
    words = ["--data", "phantom", "--model", "st-fcn", "--transform", "tps", "--distortion", "e"]
    words += ["--iterations", "100", "--batch", "64", "--out", str(tmp_path)]
    assert main(["train", "stn-mnist", *words]) == 0
    assert "stn-phantom-st-fcn-tps-e: validation accuracy 0." in capsys.readouterr().out
    preset = zoo.describe(tmp_path / "presets" / "stn-phantom-st-fcn-tps-e.json")
    assert preset.training["optimiser"] == "SteadyAdam" and preset.score["value"] > 0.6
    assert preset.summary.startswith("ST-FCN (tps) for digits under distortion E, trained on ")
    dtypes = set()
    with h5py.File(preset.weights_path) as file:
        file.visititems(lambda _, item: dtypes.add(str(getattr(item, "dtype", "group"))))
    assert dtypes == {"float16", "group"}
    images, labels = held_out("e", "test", "phantom", 200)
    answer = zoo.load(preset.path).classify(images[..., 0])
    assert (answer.labels == labels).mean() > 0.6
    assert json.loads(preset.path.read_text())["training"]["command"].startswith(
        "tfreg train stn-mnist --data phantom --model st-fcn --transform tps --distortion e "
    )
