import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import zoo
from tfreg.errors import InputError
from zoo import presets
from zoo.dirnet.model import VARIANTS

_spec = importlib.util.spec_from_file_location(
    "make_golden", Path(__file__).parent / "make_golden.py"
)
make_golden = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_golden)


def test_every_network_of_the_papers_is_there():
    digits = {f"dirnet-mnist-{digit}" for digit in range(10)}
    hearts = {f"dirnet-cine-{name}" for name in (*VARIANTS, "plus", "bl-cc0", "bl-phantom")}
    expected = {*digits, *hearts, "dirnet-phantom"}
    assert expected == {name for name in zoo.list_presets() if name.startswith("dirnet")}


DLIR = {"dlir-mnist": 2, "dlir-cine": 3, "dlir-hippocampus": 3, "dlir-chest-ct": 3}


@pytest.mark.parametrize("name", [n for n in zoo.list_presets() if n.startswith("dlir")])
def test_networks_in_stages(name):
    """Every preset of DLIR is one of the four recipes, and each stage improves on those before."""
    recipe = name.removesuffix("-phantom")
    preset = zoo.describe(name)
    stages = preset.architecture["config"]["stages"]
    assert preset.architecture["config"]["ndim"] == DLIR[recipe]
    assert stages[0]["kind"] == "affine" and len(stages) > 2
    spacings = [stage["spacing"] for stage in stages[1:]]
    assert spacings == sorted(spacings, reverse=True)
    reached = [curve["ncc"][-1] for curve in preset.training["curve"].values()]
    assert len(reached) == len(stages) and reached == sorted(reached)


def recipe_of(name):
    """The recipe that a preset's name begins with."""
    if name.startswith("dlir"):
        return name.removesuffix("-phantom")
    return "dirnet-cine" if name.startswith("dirnet-cine") else "dirnet-mnist"


@pytest.mark.parametrize("name", zoo.list_presets())
def test_golden_output(name):
    path = make_golden.GOLDEN
    golden = json.loads(path.read_text()) if path.exists() else {}
    if name not in golden:
        pytest.fail(f"{path} has no values for {name}: run tests/zoo/make_golden.py")
    found = make_golden.answer(name)
    assert found.keys() == golden[name].keys()
    for key, expected in golden[name].items():
        # Convolutions may add up in another order on another processor.
        assert found[key]["ncc"] == pytest.approx(expected["ncc"], abs=2e-3)
        np.testing.assert_allclose(found[key]["displacement"], expected["displacement"], atol=0.05)


@pytest.mark.parametrize("name", zoo.list_presets())
def test_preset_says_what_it_is(name):
    preset = zoo.describe(name)
    assert preset.licence and preset.provenance["paper"] and preset.provenance["data"]
    recipe = recipe_of(name)
    assert preset.training["command"].startswith(f"tfreg train {recipe} ")
    iterations, curve = preset.training["iterations"], preset.training["curve"]
    if recipe.startswith("dirnet"):
        hearts = {"bl": 10_000, "plus": 10_000, "bl-phantom": 1000}
        expected = 5000 if recipe == "dirnet-mnist" else hearts.get(name[len(recipe) + 1 :], 1500)
        assert iterations == expected
        curve = {"stage 1": curve}
    # A curve per stage, each of all iterations.
    assert [*curve] == [f"stage {k + 1}" for k in range(len(curve))]
    assert {stage["iteration"][-1] for stage in curve.values()} == {iterations}
    last = curve[f"stage {len(curve)}"]
    assert preset.score["value"] == pytest.approx(last["ncc"][-1], abs=2e-3)
    assert presets.sha256_of(preset.weights_path) == preset.sha256


@pytest.fixture
def copy(tmp_path, monkeypatch):
    for part in ("presets", "weights"):
        shutil.copytree(presets._ROOT / "dirnet" / part, tmp_path / "dirnet" / part)
    monkeypatch.setattr(presets, "_ROOT", tmp_path)
    return tmp_path / "dirnet"


def test_corrupted_weights_name_file_and_hash(copy):
    path = copy / "weights" / "dirnet-phantom.weights.h5"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    expected = zoo.describe("dirnet-phantom").sha256
    with pytest.raises(InputError, match=rf"dirnet-phantom\.weights\.h5 is damaged.*{expected}"):
        zoo.load("dirnet-phantom")


def test_missing_weights_name_file_and_hash(copy):
    (copy / "weights" / "dirnet-phantom.weights.h5").unlink()
    expected = zoo.describe("dirnet-phantom").sha256
    with pytest.raises(InputError, match=rf"dirnet-phantom\.weights\.h5 is missing.*{expected}"):
        zoo.load("dirnet-phantom")


@pytest.mark.parametrize("text", ["", "{", '{"name": "dirnet-phantom"}'])
def test_damaged_json_is_named(copy, text):
    (copy / "presets" / "dirnet-phantom.json").write_text(text)
    with pytest.raises(InputError, match=r"dirnet-phantom\.json"):
        zoo.load("dirnet-phantom")


def test_a_later_format_is_refused(copy):
    path = copy / "presets" / "dirnet-phantom.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(InputError, match="format 2"):
        zoo.load("dirnet-phantom")


def test_an_unknown_preset_gets_the_nearest_names():
    for name, nearest in (
        ("dirnet-mnist77", "; the nearest are dirnet-mnist-7,"),
        ("dlir-hipocampus", "; the nearest are dlir-hippocampus,"),
        ("voxelmorph", " (zoo.list_presets()"),
    ):
        with pytest.raises(InputError) as error:
            zoo.load(name)
        said = str(error.value)
        assert said.startswith(f"There is no preset of this name{nearest}"), said
        assert said.endswith(f"`tfreg models` list all). Received: {name}")
        assert len(said) < 220


@pytest.mark.parametrize("name", zoo.list_presets())
def test_loaded_weights_are_those_of_the_file(name, numpy):
    import h5py

    found = sorted(float(np.abs(numpy(w)).sum()) for w in zoo.load(name).weights)
    expected = []
    with h5py.File(zoo.describe(name).weights_path) as file:
        file.visititems(
            lambda _, item: (
                expected.append(float(np.abs(item[()]).sum()))
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    np.testing.assert_allclose(found, sorted(expected), rtol=1e-6)
