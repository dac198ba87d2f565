import argparse
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import zoo
from tfreg.data.xrays import Look
from tfreg.errors import InputError
from tfreg.geometry import ConeBeam, zone_of
from zoo.pehl import choice, objects, pairs, train
from zoo.pehl.model import PEHL
from zoo.pehl.pairs import Pairs, Starts, starts, synthetic
from zoo.pehl.paper import OFFSETS
from zoo.presets import Preset

RANGES = [(1.5, 1.5, 3.0), (15.0, 15.0), (15.0,)]
SETTINGS = {
    "data": "phantom",
    "zone": [0, 1],
    "pairs": 100,
    "global_residual": False,
    "together": False,
    "whole_space": False,
    "bfloat16": False,
    "paper_schedule": False,
    "iterations": 100,
    "batch": 4,
    "learning_rate": 1e-3,
    "schedule": "cosine",
    "seed": 0,
    "deterministic": False,
}


@pytest.fixture(scope="module")
def thing():
    return replace(objects.load("phantom"), camera=ConeBeam(1000.0, (48, 48), 4.4))


@pytest.fixture(scope="module")
def model():
    made = PEHL((0, 1), [[10.0, 5.0, 0.0], [-8.0, -9.0, 3.0]], 30.0, RANGES, attenuates=True)
    made.build()
    return made


def test_poses_are_in_their_zone(rng):
    for zone in ((0, 0), (-1, 0), (3, -9)):
        drawn = objects.poses(zone, 50, rng)
        assert {zone_of(pose) for pose in drawn} == {zone}
        assert zone_of(objects.middle_of(zone)) == zone
    anywhere = objects.poses(None, 300, rng)
    assert len({zone_of(pose) for pose in anywhere}) > 150
    np.testing.assert_allclose(np.abs(anywhere[:, 4:]).max(axis=0), 180, atol=10)


def test_the_camera_sees_the_whole_object():
    from tfreg.geometry import matrix_of

    thing = objects.load("phantom")
    assert thing.size == pytest.approx(110, abs=2)
    pose = np.add(objects.middle_of((0, 0)), (10, 10, -40, 45, 10, 10))
    matrix = matrix_of(pose, thing.volume.geometry.centre)
    seen = thing.camera.project(thing.corners @ matrix[:3, :3].T + matrix[:3, 3])
    assert seen.min() > 0 and seen.max() < 191


@pytest.mark.plain
def test_the_points_of_a_zone(thing, monkeypatch):
    for name, value in (("_MOST", 150), ("_LEAST", 40), ("_POSES", 2), ("_OFFSETS", 2)):
        monkeypatch.setattr(choice, name, value)
    points, width, share = choice.points_of(thing, (0, 1), 0)
    again, same, _ = choice.points_of(thing, (0, 1), 0)
    np.testing.assert_array_equal(points, again)
    assert points.shape == (choice.COUNT, 3) and width == same and 0 < share <= 0.9
    assert 0.05 * thing.size < width <= 0.3 * thing.size
    reach = np.linalg.norm(thing.volume.geometry.extent) / 2
    assert (np.linalg.norm(points, axis=1) < reach).all()


@pytest.mark.plain
def test_pairs_hold_what_is_to_be_found(thing, model, tmp_path):
    spans = np.array(OFFSETS[1])
    made = Pairs(model, 1, thing, spans, 100, tmp_path, 4, seed=3)
    residuals, offsets = made.chunk(0, 6)
    assert residuals.shape == (6, 2, 52, 52) and residuals.dtype == "float16"
    assert offsets.shape == (6, 2) and np.abs(offsets).max() <= 1  # of 15 degrees
    again = made.chunk(0, 6)
    np.testing.assert_array_equal(again[1], offsets)
    other = made.chunk(1, 6)[1]
    assert np.abs(other - offsets).max() > 0.1


@pytest.mark.plain
def test_residuals_grow_with_the_offset(thing, model, tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.pehl.pairs.Look", lambda: Look((1, 1), (0, 0), (0, 0), (0, 0)))
    sizes = []
    for share in (0.0, 1.0):
        pairs = Pairs(model, 0, thing, share * np.array(OFFSETS[0]), 100, tmp_path, 4, seed=3)
        sizes.append(np.abs(pairs.chunk(0, 4)[0].astype("float32")).mean())
    assert sizes[0] < 0.6 * sizes[1]


def test_files_of_pairs_are_made_once(thing, model, tmp_path, monkeypatch):
    pairs = Pairs(model, 2, thing, OFFSETS[2], 200, tmp_path / "pairs", 5, seed=0)
    made = []

    def chunk(number, count):
        made.append(number)
        return np.full((count, 2, 52, 52), number, "float16"), np.full(
            (count, 1), number, "float32"
        )

    monkeypatch.setattr(pairs, "chunk", chunk)
    pairs.prepare()
    pairs.prepare()
    assert made == [0, 1]
    batch = pairs.batch(0)
    assert batch["residuals"].shape == (5, 2, 52, 52) and batch["residuals"].dtype == "float32"
    np.testing.assert_array_equal(batch["residuals"][:, 0, 0, 0], batch["offsets"][:, 0])
    np.testing.assert_array_equal(pairs.batch(0)["offsets"], batch["offsets"])
    pairs.discard()
    assert not (tmp_path / "pairs").exists()


@pytest.mark.plain
def test_starts_are_off_by_the_papers_perturbation(thing, model):
    found = starts(model, thing, 40, seed=1)
    off = (found["start"] - found["true"]).std(axis=0) / (1, 1, 10, 2, 10, 10)
    assert (off > 0.6).all() and (off < 1.5).all()
    assert found["xray"].shape == (40, 48, 48, 1) and found["volume"].shape[0] == 1
    inputs, true = Starts(found, 4, 0).split(found)
    assert true.shape == (40, 6) and set(inputs) == set(found) - {"true"}


@pytest.mark.plain
def test_xrays_differ_in_background_and_noise(thing, rng):
    poses = np.repeat(objects.middle_of((0, 0))[None], 2, axis=0)
    one, other = synthetic(thing, poses, rng)
    assert np.abs(one - other).mean() > 0.01


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"zone": [9, 0]}, "--zone must be pairs of numbers from -9 to 8"),
        ({"zone": [0, 0, 1]}, "--zone must be pairs of numbers from -9 to 8"),
        ({"zone": [0, 0, 1, 0, 0, 0]}, "--zone must name each zone once"),
        ({"whole_space": True}, "--whole-space takes neither --zone nor --together"),
        ({"pairs": 150}, "--pairs must be a positive multiple of 100"),
    ],
)
def test_options_are_checked(change, message):
    with pytest.raises(InputError, match=message):
        train.RECIPE.check({**SETTINGS, **change})


def test_names_of_presets():
    name = train.RECIPE.preset_name
    assert name(SETTINGS) == "pehl-phantom-0-1"
    assert name({**SETTINGS, "zone": [-1, -2]}) == "pehl-phantom-m1-m2"
    assert name({**SETTINGS, "zone": [0, 0, 1, 0]}) == "pehl-phantom"
    assert name({**SETTINGS, "paper_schedule": True}) == "pehl-phantom-0-1-paper"
    whole = {**SETTINGS, "zone": [0, 0], "whole_space": True}
    assert name(whole) == "pehl-phantom-all-without-psp"
    train.RECIPE.check(whole)
    assert name({**SETTINGS, "together": True}) == "pehl-phantom-0-1-without-hpr"
    assert name({**SETTINGS, "global_residual": True}) == "pehl-phantom-0-1-without-lir"
    parser = argparse.ArgumentParser()
    train.RECIPE.add_arguments(parser)
    zone = ["-1", "2", "0", "-3"]
    assert parser.parse_args(["--zone", *zone]).zone == [-1, 2, 0, -3]
    assert train.zones_of({"zone": [-1, 2, 0, -3]}) == [(-1, 2), (0, -3)]


def test_several_zones_are_trained_one_after_the_other(tmp_path, monkeypatch):
    calls = []

    def trained(self, settings, folder, name, callbacks, verbose):
        calls.append((settings["zone"], folder, name))
        score = {"metric": "error", "value": float(len(calls)), "data": "starts"}
        empty = {key: {} for key in ("architecture", "preprocessing", "provenance")}
        (folder / "presets").mkdir(parents=True)
        made = Preset(
            name, 2, "pose", "", **empty, licence="", training=settings, score=score, sha256="",
            path=folder / "presets" / f"{name}.json",
        )  # fmt: skip
        made.write()
        return made

    monkeypatch.setattr(train.recipes.Recipe, "train", trained)
    monkeypatch.setattr(train, "halve", lambda preset: preset)
    monkeypatch.setattr(
        train, "describe", lambda path: Preset(**json.loads(path.read_text()), path=path)
    )
    settings = {**SETTINGS, "zone": [0, 0, 0, -1]}
    preset = train.RECIPE.train(settings, tmp_path)
    names = ["pehl-phantom-0-0", "pehl-phantom-0-m1"]
    zones = [[0, 0], [0, -1]]
    assert calls == [(z, tmp_path / n, n) for z, n in zip(zones, names, strict=True)]
    assert preset.score["value"] == 2.0 and preset.name == names[1]
    # Those that are done are left alone; a third is added.
    train.RECIPE.train({**settings, "zone": [0, 0, 0, -1, 1, 0]}, tmp_path)
    assert len(calls) == 3 and calls[2][0] == [1, 0]
    # One alone is where it is asked for; with other settings it is not the one that is done.
    train.RECIPE.train({**settings, "zone": [0, 0]}, tmp_path / "alone", "mine")
    assert calls[3] == ([0, 0], tmp_path / "alone", "mine")


def test_the_sheet_says_how_presets_were_trained():
    sheet = Path(train.__file__).with_name("README.md").read_text(encoding="utf-8")
    trained = [{"pairs": train.PAIRS, "iterations": train.Zone.iterations}]
    names = [name for name in zoo.list_presets("pose") if name.startswith("pehl-")]
    for settings in [*trained, *(zoo.describe(name).training for name in names)]:
        assert f"{settings['pairs']:,}" in sheet and f"{settings['iterations']:,} iter" in sheet


def test_a_folder_is_of_one_training(tmp_path):
    train._claim(tmp_path, SETTINGS)
    train._claim(tmp_path, dict(SETTINGS))
    with pytest.raises(InputError, match="holds a training with another pairs, seed; choose"):
        train._claim(tmp_path, {**SETTINGS, "seed": 1, "pairs": 200})


def test_what_is_costly_is_made_once(tmp_path):
    path, made = tmp_path / "a" / "left.json", []
    for _ in range(2):
        assert train._kept(path, lambda: made.append(1) or [0.5]) == [0.5]
    assert made == [1]


def test_the_papers_learning_rate():
    rate = train.Inverse(0.0025)
    assert float(rate(0)) == pytest.approx(0.0025)
    assert float(rate(10_000)) == pytest.approx(0.0025 * 2**-0.75)


def test_half_of_the_bits_and_the_same_weights(model, rng, numpy):
    regressor = model.regressors[1]
    twin = train.in_bfloat16(regressor)
    assert twin.dtype_policy.name == "mixed_bfloat16"
    assert regressor.dtype_policy.name == "float32"
    residuals = rng.normal(size=(2, 2, 52, 52)).astype("float32")
    found, expected = numpy(twin(residuals)), numpy(regressor(residuals))
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, expected, atol=0.05 * np.abs(expected).max())


@pytest.mark.long
def test_a_training_leaves_a_preset_and_goes_on(tmp_path, thing, monkeypatch):
    for place, name, value in (
        (choice, "_POSES", 2),
        (choice, "_OFFSETS", 2),
        (pairs, "CHUNK", 4),
        (train, "CHUNK", 4),
        (train, "HELD_OUT", 4),
        (train, "STARTS", 2),
        (train, "load", lambda name: thing),
    ):
        monkeypatch.setattr(place, name, value)
    settings = {**SETTINGS, "pairs": 8, "batch": 2}
    preset = train.RECIPE.train(dict(settings), tmp_path, verbose=0)
    assert set(preset.training["curve"]) == {"group 1", "group 2", "group 3", "registration"}
    model = zoo.load(preset.path, task="pose")
    assert model.zone == (0, 1) and len(model.points) == 18
    assert model.preprocessing.spacing == (1.2, 1.2, 1.2)
    assert re.search(r"points of which [1-9]0% is of one depth", preset.provenance["data"])
    assert not (tmp_path / "group-1" / "pairs").exists()
    shutil.rmtree(tmp_path / "presets")  # else it would be done
    monkeypatch.setattr(Pairs, "prepare", None)
    again = train.RECIPE.train(dict(settings), tmp_path, verbose=0)
    assert again.score == preset.score
    others = zoo.load(again.path, task="pose").get_weights()
    for one, other in zip(model.get_weights(), others, strict=True):
        np.testing.assert_array_equal(one, other)
