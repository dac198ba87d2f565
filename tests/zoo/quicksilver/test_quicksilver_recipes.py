import functools
import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import zoo
from tfreg import training
from tfreg.data.hippocampus import Subjects
from tfreg.errors import InputError
from tfreg.registration import Level, Pyramid
from tfreg.steps import check_steps
from zoo import methods, presets, recipes, writing
from zoo.quicksilver import (
    brains,
    learning,
    momenta,
    train_brain,
    train_hippocampus,
    train_oasis2d,
)
from zoo.quicksilver.lessons import MomentumPatches, scale_of

pytestmark = pytest.mark.plain

SETTINGS = {
    **{"data": "phantom", "pairs": 3, "width": 1, "dropout": 0.0},
    **{"no_correction": False, "remapped": False, "displacements": False, "bfloat16": False},
    "correction_iterations": None,
    **{"iterations": 4, "batch": 3, "learning_rate": 0.01, "schedule": "cosine", "seed": 0},
    "deterministic": True,
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Tiny images, few evaluations, epochs of two steps."""
    for module in (training, writing):
        monkeypatch.setattr(module, "STEPS_PER_EPOCH", 2)
    monkeypatch.setattr(recipes, "fit", functools.partial(training.fit, steps_per_epoch=2))
    monkeypatch.setattr(learning, "check_steps", functools.partial(check_steps, steps_per_epoch=2))

    def images(shape, count=4):
        rng = np.random.default_rng(0)
        grid = np.moveaxis(np.indices(shape), 0, -1) - (np.array(shape) - 1) / 2
        scales = 1 + 0.2 * rng.normal(size=(count, len(shape)))
        radii = [np.linalg.norm(grid * scale, axis=-1) for scale in scales]
        return np.stack([np.clip(1.5 - radius / 5, 0, 1) for radius in radii])

    def slices(split, source):
        return SimpleNamespace(images=images((20, 18)).astype("float32"))

    def subjects(split, source):
        return Subjects((255 * images((16, 15, 17))).astype("uint8"), None, None)

    def volumes(split, source, fine=False):
        return SimpleNamespace(images=images((16, 15, 17)).astype("float32"), spacing=(2.0,) * 3)

    def aligned(fixed, moving, kind, **_):
        assert kind == "affine"
        return SimpleNamespace(moved=moving)

    monkeypatch.setattr(brains, "register", aligned)
    monkeypatch.setattr(brains.brain_volumes, "volumes", volumes)
    monkeypatch.setattr(train_oasis2d.brain_slices, "slices", slices)
    monkeypatch.setattr(train_hippocampus.hippocampus, "subjects", subjects)
    for module in (train_oasis2d, train_hippocampus, train_brain):
        monkeypatch.setattr(type(module.RECIPE), "validation_pairs", 2)
        monkeypatch.setattr(type(module.RECIPE), "together", 2)
        levels = Pyramid((Level(steps=3, weight=0.08),))
        monkeypatch.setattr(type(module.RECIPE), "lo", levels, raising=False)

    def at_once(fixed, moving, *_, ndim, **__):
        """In the place of LDDMM, which takes long to compile: the force at its start."""
        slopes = np.gradient(moving, axis=tuple(range(1, 1 + ndim)))
        momentum = 0.02 * (moving - fixed)[..., None] * np.stack(slopes, axis=-1)
        return SimpleNamespace(path=SimpleNamespace(momentum=momentum))

    monkeypatch.setattr(momenta, "register", at_once)


@pytest.mark.long
@pytest.mark.parametrize("name", ["quicksilver-oasis2d", "quicksilver-hippocampus"])
def test_a_training_leaves_a_preset_that_registers(tmp_path, name):
    recipe = methods.recipe(name)
    preset = recipe.train({**SETTINGS, "correction_iterations": 2}, tmp_path, verbose=0)
    assert preset.name == f"{name}-phantom" and preset.score["metric"] == "error"
    assert list(preset.training["curve"]) == ["correction", "prediction"]
    curves = preset.training["curve"]
    assert curves["prediction"]["iteration"] == [2, 4] and curves["correction"]["iteration"] == [2]
    assert all(len(curve["error"]) == len(curve["iteration"]) for curve in curves.values())
    config = preset.architecture["config"]
    assert config["corrected"] and config["momentum_scale"] != 1 != config["correction_scale"]
    assert presets.sha256_of(preset.weights_path) == preset.sha256
    model = zoo.load(preset.path)
    assert model.correction_scale == config["correction_scale"]
    spaced = name == "quicksilver-hippocampus"
    assert preset.preprocessing.get("covers") == ("field of view" if spaced else None)


@pytest.mark.long
def test_the_correction_learns_what_is_left(tmp_path):
    recipe = train_oasis2d.RECIPE
    model = recipe.prepare(SETTINGS, tmp_path).model
    parts = recipe.momenta(SETTINGS, tmp_path)["train"]
    examples, kept = parts
    fixed, moving, momenta_left = learning._left(model, *parts, np.asarray, tmp_path / "left")
    for index in range(3):
        images = [image[None, ..., None] for image in examples.pair(index)]
        predicted = model.predicted("prediction", *images)
        np.testing.assert_allclose(momenta_left[index], kept.load(index) - predicted[0], atol=2e-3)
        back = model.pulled_back(predicted, images[0])[0, ..., 0]
        np.testing.assert_allclose(fixed[index], back, atol=1e-3)
        np.testing.assert_array_equal(moving[index], examples.pair(index)[1])
    # Another network leaves something else: what is kept is refused.
    model.prediction.set_weights([w + 0.1 for w in model.prediction.get_weights()])
    with pytest.raises(InputError, match="other settings"):
        learning._left(model, *parts, np.asarray, tmp_path / "left")


@pytest.mark.long
def test_variants_train_beside_each_other_on_the_same_momenta(tmp_path, monkeypatch):
    recipe, settings = train_oasis2d.RECIPE, {**SETTINGS, "iterations": 2}
    recipe.train({**settings, "no_correction": True}, tmp_path, verbose=0)
    monkeypatch.setattr(momenta, "register", None)  # they are there
    found = recipe.train({**settings, "displacements": True}, tmp_path, verbose=0)
    assert found.name == "quicksilver-oasis2d-phantom-displacements"
    model = zoo.load(found.path)
    assert type(model).__name__ == "DisplacementPrediction"
    names = {"quicksilver-oasis2d-phantom", "quicksilver-oasis2d-phantom-displacements"}
    assert {path.stem for path in (tmp_path / "presets").iterdir()} == names


@pytest.mark.long
def test_a_training_goes_on_where_it_was_stopped(tmp_path):
    recipe = train_oasis2d.RECIPE
    first, again = (recipe.train(SETTINGS, tmp_path, verbose=0) for _ in range(2))
    weights = [zoo.load(preset.path).get_weights() for preset in (first, again)]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_displacements_are_learned_in_the_place_of_momenta(tmp_path, monkeypatch):
    settings = {**SETTINGS, "displacements": True}
    recipe = train_oasis2d.RECIPE
    monkeypatch.setattr(type(recipe), "mirrored", ())
    assert recipe.preset_name(settings) == "quicksilver-oasis2d-phantom-displacements"
    training = recipe.prepare(settings, tmp_path)
    model = training.model
    assert not model.corrected and 0.01 < model.momentum_scale < 2
    _, kept = recipe.momenta(settings, tmp_path)["train"]
    expected = np.asarray(model.shooting((20, 18))(kept.load(0)[None]))[0]
    assert np.abs(expected).max() > 0.1
    # Of the first pair there are patches that begin at the first voxel.
    batch = next(
        batch
        for batch in map(training.batches.batch, range(99))
        if (batch["fixed"][0] == training.batches._sides[0][0][:15, :15, None]).all()
        and (batch["moving"][0] == training.batches._sides[1][0][:15, :15, None]).all()
    )
    learned = model.momentum_scale * batch["momentum"][0]
    np.testing.assert_allclose(learned, expected[:15, :15], atol=2e-3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"width": 0}, r"--width must be positive\. Received: 0"),
        ({"pairs": -1}, r"--pairs must be positive\. Received: -1"),
        ({"dropout": 1.0}, r"--dropout must be at least 0 and less than 1\. Received: 1\.0"),
        ({"correction_iterations": 3}, r"must be a multiple of 2\. Received: 3"),
        (
            {"correction_iterations": 4, "displacements": True},
            r"which --no-correction and --displacements leave out\. Received: 4",
        ),
    ],
)
def test_unusable_settings_are_named(changed, message):
    with pytest.raises(InputError, match=message):
        train_oasis2d.RECIPE.check({**SETTINGS, **changed})


def test_brains_are_aligned_before_they_are_paired():
    found = train_brain.RECIPE.examples("train", "phantom", 5, 0)
    assert found.pairs.shape == (5, 2) and found.spacing == (2.0, 2.0, 2.0)
    assert found.images.dtype == np.float32 and found.images.max() == 1


def test_the_probabilistic_version_has_a_name_and_no_correction(tmp_path):
    settings = {**SETTINGS, "dropout": 0.2, "no_correction": True}
    recipe = train_oasis2d.RECIPE
    assert recipe.preset_name(settings) == "quicksilver-oasis2d-phantom-lpp"
    model = recipe.prepare(settings, tmp_path).model
    assert model.dropout == 0.2 and model.correction is None


@pytest.mark.long
def test_mixed_precision_leaves_weights_like_any_others(tmp_path):
    settings = {**SETTINGS, "bfloat16": True, "no_correction": True, "iterations": 2}
    preset = train_oasis2d.RECIPE.train(settings, tmp_path, verbose=0)
    assert keras.config.dtype_policy().name == "float32"
    model = zoo.load(preset.path)
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert {layer.compute_dtype for layer in model.prediction.encoders[0].layers} == {"float32"}
    assert "bfloat16" not in json.dumps(preset.architecture)


def test_of_two_modalities_the_networks_see_another_contrast(tmp_path):
    settings = {**SETTINGS, "remapped": True}
    assert train_oasis2d.RECIPE.preset_name(settings) == "quicksilver-oasis2d-phantom-remapped"
    plain = train_oasis2d.RECIPE.prepare(SETTINGS, tmp_path)
    other = train_oasis2d.RECIPE.prepare(settings, tmp_path)
    one, two = (training.batches.batch(3) for training in (plain, other))
    np.testing.assert_array_equal(one["momentum"], two["momentum"])
    np.testing.assert_array_equal(one["moving"], two["moving"])
    shown = one["fixed"] > 0
    assert (two["fixed"][~shown] == 0).all() and two["fixed"][shown].min() > 0.09
    order = np.argsort(one["fixed"][shown])
    assert (np.diff(two["fixed"][shown][order]) <= 0).all()


def test_momenta_go_on_where_they_were_stopped(tmp_path, monkeypatch, capsys):
    seen, register = [], momenta.register
    monkeypatch.setattr(momenta, "register", lambda *a, **k: seen.append(a) or register(*a, **k))
    words = ["quicksilver-oasis2d", "--data", "phantom", "--pairs", "5", "--out", str(tmp_path)]
    assert momenta.main(words) == 0
    assert "momenta of train: 5 of 5" in capsys.readouterr().out
    assert len(seen) == 1 + 3  # two at a time: of validation, of training
    folder = tmp_path / "momenta" / "train"
    kept = momenta.Kept(folder, json.loads((folder / "identity.json").read_text()))
    before = kept.load(3)
    assert before.shape == (20, 18, 2) and np.abs(before).max() > 0.01
    (folder / "00003.npy").unlink()
    assert kept.missing(5) == [3]
    assert momenta.main(words) == 0 and len(seen) == 5
    np.testing.assert_allclose(kept.load(3), before, atol=2e-3)
    (folder / "00001.npy").write_bytes(b"no array")
    with pytest.raises(InputError, match=r"00001.npy is damaged: .* Delete it."):
        kept.load(1)
    assert momenta.main([*words[:4], "4", *words[5:]]) == 2
    assert "holds what was made with other settings" in capsys.readouterr().err
    assert momenta.main([*words[:4], "0", *words[5:]]) == 2
    assert "--pairs must be positive. Received: 0" in capsys.readouterr().err
    assert momenta.main([words[0], "--data", "brains", "--out", str(tmp_path)]) == 2
    assert "--data takes oasis, phantom, dkt31. Received: brains" in capsys.readouterr().err


def test_pairs_are_of_two_images_each_as_often_the_moving_one():
    pairs = momenta.drawn(7, 21, seed=3)
    assert pairs.shape == (21, 2) and (pairs[:, 0] != pairs[:, 1]).all()
    assert np.bincount(pairs[:, 1]).tolist() == [3] * 7
    assert len({tuple(pair) for pair in pairs.tolist()}) == 21
    assert momenta.drawn(3, 100, seed=0).shape == (6, 2)
    assert (momenta.drawn(7, 21, seed=4) != pairs).any()


def test_patches_are_a_function_of_the_step_and_never_empty(rng):
    images = np.zeros((2, 40, 44))
    images[0, 3:9, 4:8], images[1, 20:30, 30:40] = rng.random((6, 4)), rng.random((10, 10))
    of_images = np.stack([images, images[::-1]], axis=-1)
    sampler = MomentumPatches(images, images[::-1], of_images, 0.5, batch_size=40, seed=1)
    one, same, other = (sampler.batch(step) for step in (7, 7, 8))
    for name, array in one.items():
        np.testing.assert_array_equal(array, same[name])
        assert array.shape == (40, *sampler.arrays[name].shape) and array.dtype == np.float32
    assert (one["fixed"] != other["fixed"]).any()
    shown = (one["fixed"] > 0) | (one["moving"] > 0)
    assert shown.reshape(40, -1).any(axis=1).all()
    mirrored = MomentumPatches(
        images, images[::-1], of_images, 0.5, batch_size=40, seed=1, mirrored=(1,)
    ).batch(7)
    turned = sum((mirrored[name] != one[name]).any(axis=(1, 2, 3)) for name in one) > 0
    assert 5 < turned.sum() < 35
    for name, array in mirrored.items():
        sign = np.array([1, -1] if name == "momentum" else [1])
        np.testing.assert_array_equal(array[~turned], one[name][~turned])
        np.testing.assert_array_equal(array[turned], one[name][turned][:, :, ::-1] * sign)
    # The momentum is that of the same voxels, in units of the scale.
    for component, name in enumerate(("fixed", "moving")):
        np.testing.assert_allclose(one["momentum"][..., component], 2 * one[name][..., 0])


def test_scale_is_the_mean_magnitude_where_there_is_any():
    assert scale_of([np.array([0.0, 2.0]), np.array([-4.0, 0.0])]) == 3.0
    assert scale_of([np.zeros(3)]) == 1.0
