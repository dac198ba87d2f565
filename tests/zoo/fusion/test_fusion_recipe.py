import numpy as np
import pytest
from scipy import ndimage

import zoo
from tfreg.cli import main
from tfreg.cli.train import parser_of, settings_of
from tfreg.data import brain_pairs, photographs
from zoo import methods
from zoo.fusion import train_focus
from zoo.fusion.data import LEVELS, Patches, blurred
from zoo.fusion.model import FusionNetwork


def test_each_level_is_the_one_before_blurred_once_more(rng):
    image = rng.integers(0, 256, (30, 41), dtype="uint8")
    levels = blurred(image)
    assert levels.shape == (6, 30, 41) and levels.dtype == np.uint8
    np.testing.assert_array_equal(levels[0], image)
    y, x = np.mgrid[-3:4, -3:4]
    kernel = np.exp(-(x**2 + y**2) / 8)
    for k in range(LEVELS):
        expected = ndimage.convolve(levels[k].astype(float), kernel / kernel.sum(), mode="nearest")
        np.testing.assert_allclose(levels[k + 1], expected, atol=0.5001)


def test_a_pair_is_one_place_at_two_levels():
    images = photographs.load("validation", "phantom")
    patches = Patches(images, 12, seed=4)
    one, again, other = (patches.batch(step) for step in (7, 7, 8))
    for name in ("sharp", "blurred"):
        np.testing.assert_array_equal(one[name], again[name])
        assert one[name].shape == (12, *patches.arrays[name].shape)
        assert one[name].dtype == patches.arrays[name].dtype
    assert np.abs(one["sharp"] - other["sharp"]).max() > 0.1
    sides = [np.rint(255 * one[name][..., 0]).astype("uint8") for name in ("sharp", "blurred")]
    assert min(patch.var() for patch in sides[0].astype(float)) > 25
    used = set()
    for sharp, unsharp in zip(*sides, strict=True):
        for levels in patches.levels:
            windows = np.lib.stride_tricks.sliding_window_view(levels, (16, 16), axis=(1, 2))
            for y, x in np.argwhere((windows[0] == sharp).all(axis=(-1, -2))):
                matches = (windows[1:, y, x] == unsharp).all(axis=(-1, -2))
                used |= set(np.flatnonzero(matches).tolist())
    assert len(used) >= 4  # of five levels


def test_there_must_be_something_to_be_blurred():
    """In one patch at least; a slope from black to white has a small variance in every patch."""
    slope = np.tile(np.arange(256, dtype="uint8"), (20, 1)).repeat(2, axis=1)
    flat = {"flat": np.full((40, 40), 128, "uint8"), "slope": slope}
    with pytest.raises(ValueError, match=r"variance above 25.*Received: 2 images without one"):
        Patches(flat, 4)
    corner = flat["flat"].copy()
    corner[-8:, -8:] = 255
    batch = Patches({**flat, "corner": corner}, 1).batch(0)
    assert batch["sharp"].max() == 1
    with pytest.raises(ValueError, match=r"16 x 16 pixels or more\. Received: small, 15 x 40"):
        Patches({"corner": corner, "small": corner[:15]}, 4)


def test_the_optimiser_is_gradient_descent_with_decay():
    recipe = methods.recipe("fusion")
    settings = settings_of(parser_of(recipe).parse_args(["--schedule", "constant"]))
    assert (settings["batch"], settings["data"]) == (64, "natural")
    model = FusionNetwork()
    recipe.compile(model, settings)
    config = model.optimizer.get_config()
    assert type(model.optimizer).__name__ == "SGD" and config["momentum"] == 0.9
    # Added to the gradient 0.0005 would act as ten times as much beside the step.
    assert config["weight_decay"] == pytest.approx(5e-3)
    assert recipe.preset_name(settings) == "fusion-cnn"
    assert recipe.preset_name({**settings, "data": "phantom"}) == "fusion-cnn-phantom"


@pytest.mark.on_jax
def test_a_training_leaves_a_preset_that_fuses(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(train_focus, "VALIDATION_PAIRS", 64)
    words = ["--data", "phantom", "--iterations", "100", "--batch", "4", "--out", str(tmp_path)]
    assert main(["train", "fusion", *words]) == 0
    assert "fusion-cnn-phantom: validation accuracy " in capsys.readouterr().out
    preset = zoo.describe(tmp_path / "presets" / "fusion-cnn-phantom.json")
    assert preset.training["optimiser"] == "SGD" and preset.score["value"] > 0.6
    assert preset.licence == "Apache-2.0" and "phantom textures" in preset.summary
    pair = brain_pairs.pairs("ct-mri", "test", "phantom")
    some = slice(90, 140)
    answer = zoo.load(preset.path).fuse(pair.first[0, some, some], pair.second[0, some, some])
    assert answer.fused.shape == (50, 50) and 0 < answer.weight.min() < answer.weight.max() < 1
