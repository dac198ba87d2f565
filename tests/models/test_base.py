"""Every model of the zoo, whatever its task, is made again from its configuration."""

import json

import keras
import numpy as np
import pytest

import zoo
from tfreg.models.base import Model
from tfreg.models.registration import RegistrationModel
from zoo import methods

# What the bases take, none of it as it is by default.
BASES = {
    Model: {"intensity_range": (-10.0, 30.0), "percentiles": (1.0, 98.0)},
    RegistrationModel: {
        "refine_learning_rate": 0.25,
        "refine_folding_weight": 3.0,
        "voxel_size": (2.5, 1.25, 1.5),
    },
}


def models():
    """Each class of models that the folders of the zoo name, with its first preset; those that only
    tables use have none."""
    named = {}
    for name in zoo.list_presets():
        named.setdefault(zoo.describe(name).architecture["class"], name)
    found = {}
    for method in methods.find().values():
        for kind, module in method.models.items():
            if kind in named:
                found[kind] = (method, module, named[kind])
    return found


@pytest.fixture(params=models().values(), ids=models().keys())
def model(request):
    method, module, preset = request.param
    kind = getattr(method.module(module), zoo.describe(preset).architecture["class"])
    options = dict(zoo.describe(preset).architecture["config"])
    ndim = zoo.presets.build(zoo.describe(preset)).ndim
    for base, own in BASES.items():
        if issubclass(kind, base):
            options |= {k: v[:ndim] if k == "voxel_size" else v for k, v in own.items()}
    found = kind(**options, name="again", dtype="mixed_bfloat16")
    found.build()
    return found, options


def test_the_configuration_holds_all_arguments(model):
    model, options = model
    config = json.loads(json.dumps(model.get_config()))
    for name, value in json.loads(json.dumps(options)).items():
        assert config[name] == value, name
    assert config["name"] == "again" and config["dtype"] == "mixed_bfloat16"
    again = type(model).from_config(config)
    assert again.get_config() == model.get_config()


def test_saved_and_loaded_by_keras(model, tmp_path, numpy):
    model, _ = model
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is type(model) and again.get_config() == model.get_config()
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(numpy(one), numpy(other))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ndim": 4}, "ndim must be 2 or 3"),
        ({"ndim": 2, "intensity_range": (3.0, 1.0)}, "the lower one first"),
        ({"ndim": 2, "intensity_range": (3.0, float("nan"))}, "two finite numbers"),
        ({"ndim": 3, "voxel_size": (1.0, 1.0)}, "voxel_size must be 3 finite numbers"),
        ({"ndim": 2, "voxel_size": (1.0, 0.0)}, "voxel_size must be positive"),
    ],
)
def test_arguments_that_make_no_model(options, message):
    with pytest.raises(ValueError, match=message):
        RegistrationModel(**options)
