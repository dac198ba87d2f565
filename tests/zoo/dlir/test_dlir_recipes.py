import functools
import json
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from dlir_cases import smooth

import zoo
from tfreg import training
from tfreg.cli import main
from tfreg.data.hippocampus import Subjects
from tfreg.data.mnist import Digits
from tfreg.errors import InputError
from zoo import presets, recipes, writing
from zoo.dlir import stages, train_chest_ct, train_cine, train_hippocampus, train_mnist
from zoo.dlir.model import DLIR

pytestmark = pytest.mark.plain

RECIPES = {
    "dlir-chest-ct": train_chest_ct,
    "dlir-cine": train_cine,
    "dlir-hippocampus": train_hippocampus,
    "dlir-mnist": train_mnist,
}
STAGES = {name: module.RECIPE.stages for name, module in RECIPES.items()}  # smaller in tests
SETTINGS = {
    **{"data": "phantom", "bending_weight": 0.05, "accumulate": "compose", "joint": False},
    **{"iterations": 4, "batch": 2, "learning_rate": 0.01, "schedule": "cosine", "seed": 0},
    "deterministic": True,  # which here means: without compiling whole steps
}


@pytest.fixture(autouse=True, scope="module")
def quick():
    """Tiny images and networks, epochs of two steps."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        make_small(monkeypatch)
        yield


CHEST = {"motion": "drawn", "vary": False, "similarity": "ncc", "keep": "all"}


def make_small(monkeypatch):
    for module in (training, writing):
        monkeypatch.setattr(module, "STEPS_PER_EPOCH", 2)
    monkeypatch.setattr(recipes, "fit", functools.partial(training.fit, steps_per_epoch=2))

    def volumes(count, shape, seed=0):
        return smooth(np.random.default_rng(seed), shape, count)[..., 0]

    def hearts(split, source, **_):
        return SimpleNamespace(
            **{"diastole": volumes(3, (4, 16, 16)), "systole": volumes(3, (4, 16, 16), 1)},
            **{"names": np.arange(3), "spacing": np.full((3, 3), 1.5), "unit": "mm"},
        )

    def subjects(split, source):
        return Subjects((255 * volumes(4, (8, 12, 10))).astype("uint8"), None, None)

    def digits(split, source):
        return Digits((255 * volumes(40, (28, 28))).astype("uint8"), np.arange(40) % 10)

    def breaths(split, count, source, folder, shape, spacing, motion):
        mask = np.zeros((14, 16, 18), "uint8")
        mask[4:10, 4:12, 4:14] = 1
        names = ("fixed", "moving", "fixed_mask", "moving_mask")
        images = volumes(2 * count, mask.shape, len(motion)).reshape(count, 2, *mask.shape)
        sides = [(*pair, mask, mask) for pair in images]
        return [SimpleNamespace(**dict(zip(names, side, strict=True))) for side in sides]

    monkeypatch.setattr(train_cine.stacks, "hearts", hearts)
    monkeypatch.setattr(train_hippocampus.hippocampus, "subjects", subjects)
    monkeypatch.setattr(train_mnist.digits, "load", digits)
    monkeypatch.setattr(train_chest_ct.breathing, "pairs", breaths)
    monkeypatch.setattr(train_chest_ct, "PATCH", (8, 12, 12))
    monkeypatch.setattr(train_mnist, "VALIDATION_PAIRS", 6)
    for module in RECIPES.values():
        small = {"affine": {"convolutions": 2, "nodes": 3}, "deformable": {"wider": 1}}
        stages = module.RECIPE.stages[:2]  # each takes seconds to trace
        tiny = tuple({**s, "kernels": 2, **small[s["kind"]]} for s in stages)
        monkeypatch.setattr(type(module.RECIPE), "stages", tiny)


def train(name, folder, **settings):
    own = CHEST if name == "dlir-chest-ct" else {}
    return RECIPES[name].RECIPE.train({**SETTINGS, **own, **settings}, folder, name, verbose=0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The preset of a recipe and the folder of its training, which no test changes."""

    @functools.cache
    def once(name):
        folder = tmp_path_factory.mktemp(name)
        return train(name, folder), folder

    return once


def weights_of(preset):
    model = presets.build(preset)
    model.load_weights(preset.weights_path)
    return model.get_weights()


@pytest.mark.parametrize(
    "name",
    [n if n == "dlir-mnist" else pytest.param(n, marks=pytest.mark.long) for n in RECIPES],
)
def test_a_recipe_leaves_a_preset(name, trained):
    preset, _ = trained(name)
    count = len(RECIPES[name].RECIPE.stages)
    curve = preset.training["curve"]
    assert [*curve] == [f"stage {k + 1}" for k in range(count)]
    assert all(len(c["ncc"]) == len(c["iteration"]) == 2 for c in curve.values())
    assert preset.score["value"] == pytest.approx(curve[f"stage {count}"]["ncc"][-1], abs=2e-3)
    assert ", within the mask" in preset.score["data"] or name != "dlir-chest-ct"
    command = preset.training["command"]
    assert command.startswith(f"tfreg train {name} --data phantom --bending-weight 0.05 ")
    assert "--joint" not in command and preset.licence == "Apache-2.0"
    model = zoo.load(preset.path, task="registration")
    assert model.active == count and (model.intensity_range is not None) == (
        name == "dlir-chest-ct"
    )
    shape = (28, 28) if model.ndim == 2 else (8, 16, 16)
    fixed, moving = smooth(np.random.default_rng(1), shape)[..., 0]
    assert model.register(fixed, moving).displacement.shape == (*shape, model.ndim)


@pytest.mark.long
def test_an_interrupted_training_ends_with_the_same_weights(tmp_path, trained):
    """Killed in the second stage: the first is not learned again, the second goes on."""
    whole, _ = trained("dlir-hippocampus")
    seen = []

    class Interruption(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append(epoch)
            if len(seen) == 4:  # the second epoch of the second stage
                raise KeyboardInterrupt

    settings, recipe = {**SETTINGS}, train_hippocampus.RECIPE
    with pytest.raises(KeyboardInterrupt):
        recipe.train(settings, tmp_path / "x", "dlir-hippocampus", [Interruption()], 0)
    assert seen == [0, 1, 0, 1] and not (tmp_path / "x" / "presets").exists()
    state = json.loads((tmp_path / "x" / "stage-2" / "checkpoint.json").read_text())
    assert state["step"] == 2 and state["recipe"]["stage"] == 2
    continued = recipe.train(settings, tmp_path / "x", "dlir-hippocampus", [Interruption()], 0)
    assert seen[4:] == [1]
    for one, other in zip(weights_of(whole), weights_of(continued), strict=True):
        # On several cores gradients add up in any order, which Adam may make 1e-4 of.
        np.testing.assert_allclose(one, other, atol=1e-4)
    for stage, curve in whole.training["curve"].items():
        found = continued.training["curve"][stage]
        assert found["iteration"] == curve["iteration"]
        assert found["ncc"] == pytest.approx(curve["ncc"], abs=1e-3)


def test_a_folder_of_another_training_is_refused(trained):
    _, folder = trained("dlir-mnist")
    for changes, message in (
        ({"bending_weight": 0.1}, "another bending_weight, network"),
        ({"accumulate": "add"}, "another accumulate, network"),
        ({"seed": 1}, "another seed"),
        ({"joint": True}, "another joint, network"),
    ):
        with pytest.raises(InputError, match=message):
            train("dlir-mnist", folder, **changes)
    # What is finished is not learned again.
    before = (folder / "stage-2" / "log.csv").read_text()
    train("dlir-mnist", folder)
    assert (folder / "stage-2" / "log.csv").read_text() == before


def test_each_stage_learns_after_those_before(trained):
    """The first stage of a whole training is that of a training of one stage, to the bit."""
    preset, folder = trained("dlir-mnist")
    whole = weights_of(preset)
    model = DLIR(2, train_mnist.RECIPE.stages)
    model.build()
    model.load_weights(next((folder / "stage-1").glob("*.weights.h5")))
    first = len(model.networks[0].get_weights())
    for one, other in zip(model.get_weights()[:first], whole[:first], strict=True):
        np.testing.assert_array_equal(one, other)
    assert any((a != b).any() for a, b in zip(model.get_weights(), whole, strict=True))


@pytest.mark.long
def test_joint_training_has_one_curve(tmp_path):
    preset = train("dlir-mnist", tmp_path, joint=True)
    assert [*preset.training["curve"]] == ["stage 2"]
    assert " --accumulate compose --joint --iterations 4 " in preset.training["command"]
    assert preset.architecture["config"]["joint"] is True
    assert [p.name for p in tmp_path.glob("stage-*")] == ["stage-2"]


def test_a_finer_stage_starts_from_the_convolutions_of_the_coarser_one():
    coarse, fine = ({"kind": "deformable", "spacing": [s, s], "kernels": 3} for s in (8, 4))
    model = DLIR(2, [{"kind": "affine"}, coarse, fine])
    model.build()
    rng = np.random.default_rng(0)
    model.networks[1].set_weights([rng.random(w.shape) for w in model.networks[1].get_weights()])
    own = model.networks[2].get_weights()
    stages.inherit(model, 1)  # nothing to take from an affine stage
    stages.inherit(model, 0)
    for one, other in zip(own, model.networks[2].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    stages.inherit(model, 2)
    before, after = ({c.name: c for c in n.convolutions} for n in model.networks[1:])
    # 8 px: three 3x3 with pooling, two without, two 1x1; 4 px: one fewer with pooling.
    assert [*after] == ["conv_1", "conv_2", "conv_3", "conv_4", "conv1_1", "conv1_2"]
    for name, convolution in after.items():
        for one, other in zip(before[name].get_weights(), convolution.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(model.networks[2].outputs.get_weights()[0], 0)


@pytest.mark.parametrize("name", RECIPES)
def test_a_command_reaches_its_recipe(name, tmp_path, monkeypatch):
    seen = {}

    def done(self, settings, folder, name, callbacks):
        seen.update(name=name, folder=folder, settings=settings)
        return SimpleNamespace(score={"metric": "ncc", "value": 0.5})

    monkeypatch.setattr(type(RECIPES[name].RECIPE), "train", done)
    words = ["--data", "phantom", "--joint", "--accumulate", "add", "--bending-weight", "0.1"]
    assert main(["train", name, *words, "--out", str(tmp_path)]) == 0
    assert seen["name"] == f"{name}-phantom" and seen["folder"] == tmp_path
    settings = seen["settings"]
    assert settings["joint"] is True and settings["accumulate"] == "add"
    assert settings["bending_weight"] == 0.1 and settings["learning_rate"] == 3e-3


@pytest.mark.parametrize("name", RECIPES)
def test_the_fidelity_sheet_names_the_stages_of_a_recipe(name):
    sheet = Path(stages.__file__).with_name("README.md").read_text(encoding="utf-8")
    (row,) = (line for line in sheet.splitlines() if line.startswith(f"| `{name}` |"))
    recipe = RECIPES[name].RECIPE
    assert row.endswith(f"| {recipe.iterations:,} | {recipe.batch} |")
    affine, *deformable = STAGES[name]
    assert affine["kind"] == "affine" and " affine; " in row
    spacings = ["×".join(map(str, stage["spacing"])) for stage in deformable]
    assert f" affine; {'; '.join(spacings)} " in row


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--bending-weight", "-1"], "--bending-weight must be 0 or more. Received: -1.0"),
        (["--bending-weight", "nan"], "--bending-weight must be 0 or more. Received: nan"),
        (["--accumulate", "sum"], "invalid choice"),
    ],
)
def test_bad_options_are_refused_before_anything_is_read(monkeypatch, capsys, words, message):
    monkeypatch.setattr(train_cine.Cine, "prepare", None)
    try:
        code = main(["train", "dlir-cine", *words])
    except SystemExit as exit_:
        code = exit_.code
    assert code == 2 and message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ([], "dlir-chest-ct"),
        (["--keep", "better"], "dlir-chest-ct"),  # the same weights
        (["--vary"], "dlir-chest-ct-vary"),
        (["--motion", "copd", "--vary", "--similarity", "lncc"], "dlir-chest-ct-copd-vary-lncc"),
        (["--data", "cts", "--motion", "copd"], "dlir-chest-ct-cts-copd"),
    ],
)
def test_a_chest_preset_is_named_after_what_was_asked(tmp_path, monkeypatch, words, name):
    seen = []

    def done(self, settings, folder, name, callbacks):
        seen.append(name)
        return SimpleNamespace(score={"metric": "ncc", "value": 0.5})

    monkeypatch.setattr(train_chest_ct.ChestCT, "train", done)
    assert main(["train", "dlir-chest-ct", *words, "--out", str(tmp_path)]) == 0
    assert seen == [name]


def test_a_summary_tells_trainings_apart():
    usual = {"motion": "drawn", "vary": False, "similarity": "ncc"}
    changes = ({}, {"vary": True}, {"motion": "copd"}, {"similarity": "mind"}, {"data": "ct"})
    said = [train_chest_ct.harder({**usual, **change}) for change in changes]
    assert said == [
        "",
        "; trained on varied scans",
        "; trained on motion of patients",
        "; mind in the loss",
        "",
    ]


def test_a_chest_training_reads_what_it_is_asked_for(tmp_path):
    recipe = train_chest_ct.RECIPE
    settings = {**SETTINGS, **CHEST, "data": "cts"}
    plain = recipe.prepare(settings, tmp_path)
    more = recipe.prepare({**settings, "motion": "copd", "vary": True}, tmp_path)
    assert (plain.batches.count, more.batches.count) == (24, 48)
    assert more.counts.endswith("noise, densities and fields of view varied")
    assert not np.array_equal(more.batches.batch(3)["fixed"], more.batches.plain.batch(3)["fixed"])
    np.testing.assert_array_equal(more.batches.batch(3)["mask"], more.batches.batch(3)["mask"])
    names = [source.name for source in recipe.sources_of({**settings, "motion": "copd"})]
    assert names[-1] == "correspondences of DIR-Lab COPDgene" and "lung pair of elastix" in names
    # Nobody is validated on the pair that the table is about.
    assert "lung pair" not in train_chest_ct.PAIRS["cts"]["validation"]


@pytest.mark.long
def test_a_chest_training_by_lncc_that_keeps_what_is_better(tmp_path):
    given = {"motion": "copd", "vary": True, "similarity": "lncc", "keep": "better"}
    preset = train("dlir-chest-ct", tmp_path, **given)
    config = preset.architecture["config"]
    assert config["similarity"] == "lncc" and config["keep"] == "better"
    assert preset.licence == "Apache-2.0" and "COPDgene" in preset.provenance["data"]
    command = preset.training["command"].split()
    assert {"--motion", "copd", "--vary", "--similarity", "lncc", "--keep", "better"} <= {*command}
    assert zoo.load(preset.path).keep == "better"
