"""What presets and models of every task must fulfil."""

import json

import h5py
import keras
import numpy as np
import pytest

from tfreg.errors import InputError
from zoo import methods, presets
from zoo.tasks import TASKS

BFLOAT16 = "mixed_bfloat16"


def check_preset(case):
    """It says what it is, and its weights are those of its file."""
    preset = case.preset
    assert preset.name.startswith(case.method.name) and preset.task == case.method.task
    assert preset.licence and preset.provenance["paper"] and preset.provenance["data"]
    command = preset.training["command"].split()
    assert command[:2] == ["tfreg", "train"] and command[2] in case.method.recipes
    assert methods.recipe(command[2]).name == command[2]
    assert presets.sha256_of(preset.weights_path) == preset.sha256
    curves = preset.training["curve"]
    curves = list(curves.values()) if isinstance(next(iter(curves.values())), dict) else [curves]
    metric = preset.score["metric"]
    # A part of a model may have a number of its own, such as correction_iterations.
    ends = {value for name, value in preset.training.items() if name.endswith("iterations")}
    for curve in curves:
        assert len(curve[metric]) == len(curve["iteration"])
        assert curve["iteration"][-1] in ends
    assert curves[-1]["iteration"][-1] == preset.training["iterations"]
    assert preset.score["value"] == pytest.approx(curves[-1][metric][-1], abs=2e-3)


def check_weights(case):
    """The model holds the numbers of the file, each."""
    expected = []

    def visit(_, item):
        if isinstance(item, h5py.Dataset):
            expected.append(float(np.abs(item[()].astype("float32")).sum()))  # which may be halves

    with h5py.File(case.preset.weights_path) as file:
        file.visititems(visit)
    model = case.load()
    found = [float(np.abs(array).sum()) for array in arrays_of(model)]
    np.testing.assert_allclose(sorted(found), sorted(expected), rtol=1e-6)
    assert model.task == case.preset.task and callable(getattr(model, TASKS[model.task].call))
    size = model.preprocessing.size
    assert len(size) == model.ndim and model.intensity_range == model.preprocessing.intensity_range
    model.check_size(size)


def check_configuration(case, folder):
    """The model is made again from its configuration, by itself and by Keras."""
    model = case.load()
    config = json.loads(json.dumps(model.get_config()))
    stated = dict(case.preset.architecture["config"])
    assert {name: config[name] for name in stated} == stated
    again = type(model).from_config(config)
    assert again.get_config() == model.get_config()
    again.build()
    model.save_weights(folder / "again.weights.h5")
    again.load_weights(folder / "again.weights.h5")
    same_weights(again, model)
    model.save(folder / "again.keras")
    saved = keras.saving.load_model(folder / "again.keras")
    assert type(saved) is type(model) and saved.get_config() == model.get_config()
    same_weights(saved, model)


def in_bfloat16(case):
    """The model with half of the bits in its layers."""
    model = case.load()
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(BFLOAT16)
        half = type(model).from_config({**model.get_config(), "name": "half"})
        half.build()
    finally:
        keras.config.set_dtype_policy(before)
    half.set_weights(model.get_weights())
    assert half.dtype_policy.name == BFLOAT16
    assert {array.dtype.name for array in arrays_of(half)} <= {"float32", "uint32", "int32"}
    return half


def check_refusals(model, example, image):
    """What is no image, or not finite, or unknown is refused in one line that says so.

    Args:
        model: the model.
        example: arguments of its call.
        image: the name of an argument that is an image.
    """
    call = getattr(model, TASKS[model.task].call)
    wrong = np.array(example[image], "float32")
    wrong.flat[3] = np.nan
    for values, words in (
        (wrong, "finite"),
        (np.zeros((2,) * (model.ndim + 3)), "shape"),
        (np.asarray(example[image]).astype(complex), "real numbers"),
        (np.zeros((0,) * model.ndim), "shape|empty"),
    ):
        refused(call, words, {**example, image: values})
    refused(call, "does not take this option", {**example, "no_such_option": 1})


def refused(call, words, arguments):
    """The call ends in a line with these words."""
    with pytest.raises(InputError, match=words) as error:
        call(**arguments)
    assert "\n" not in str(error.value)


def same_weights(one, other):
    """Two models hold the same numbers, to the bit."""
    for first, second in zip(arrays_of(one), arrays_of(other), strict=True):
        np.testing.assert_array_equal(first, second)


def arrays_of(model):
    """The weights as arrays."""
    return [keras.ops.convert_to_numpy(weight) for weight in model.weights]
