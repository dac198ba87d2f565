import json

import numpy as np
import pytest

import zoo
from benchmarks.__main__ import main
from benchmarks.methods import demons_simpleitk, described, feature_cost
from benchmarks.methods.described import Described, affine_of
from benchmarks.methods.instance import Instance
from benchmarks.pairs import Pair
from benchmarks.tables import sae_features
from tfreg.registration.described.demons import Demons
from tfreg.registration.instance.optimisation import Optimisation
from zoo.sae.model import StackedAutoencoder

METHODS = "none,affine,demons,demons simpleitk,demons sae,matching hand-made,matching sae,tfreg sae"


@pytest.fixture
def quick(monkeypatch):
    """Small volumes, few steps, and a network that has learned nothing."""
    model = StackedAutoencoder(units=(6, 4))
    model.build()
    monkeypatch.setattr(zoo, "list_presets", lambda *task: ["sae-phantom"])
    monkeypatch.setattr(zoo, "load", lambda name, task=None: model)
    monkeypatch.setattr(sae_features, "SHRINK", (2, 1))
    monkeypatch.setattr(sae_features, "STEPS", (4, 2))
    real = sae_features.pairs_of

    def small(*arguments):
        found, labels = real(*arguments)
        box = tuple(slice(n // 2 - 12, n // 2 + 12) for n in found[0].fixed.shape)
        for pair in found:
            for name in ("fixed", "moving", "fixed_labels", "moving_labels"):
                object.__setattr__(pair, name, np.ascontiguousarray(getattr(pair, name)[box]))
        return found, labels

    monkeypatch.setattr(sae_features, "pairs_of", small)


@pytest.mark.long
def test_table_on_phantoms(tmp_path, quick):
    words = ["--data", "phantom", "--pairs", "2", "--methods", METHODS, "--out", str(tmp_path)]
    assert main(["run", "sae-features", *words]) == 0
    content = json.loads((tmp_path / "table.json").read_text())
    cells = {(row["group"], row["method"], row["metric"]): row for row in content["rows"]}
    for group in sae_features.GROUPS:
        dice = [method for g, method, metric in cells if (g, metric) == (group, "dice")]
        assert dice == METHODS.split(",")
        assert cells[group, "demons", "dice"]["n"] == 2
        assert cells[group, "matching sae", "seconds_features"]["mean"] > 0
        assert (group, "demons", "seconds_features") not in cells
        assert (group, "affine", "seconds") in cells and (group, "none", "seconds") not in cells
    assert {row["group"] for row in content["rows"]} == {*sae_features.GROUPS}


@pytest.mark.parametrize("data", ["real", "phantom"])
@pytest.mark.parametrize("group", sae_features.GROUPS)
def test_the_options_of_every_line_are_valid(group, data):
    """A mistake would end the table when its line comes, and all before it were lost."""
    found = sae_features.contenders(group, data)
    names = [line.name for line in found]
    assert len({*names}) == len(names)
    # One committed table holds both groups.
    assert names == [line.name for line in sae_features.contenders(data=data)]
    stated = [
        "none",
        "affine",
        "demons",
        "demons simpleitk",
        *(f"demons {kind}" for kind in ("pca", "sae", "isa")),
        *(f"matching {kind}" for kind in ("hand-made", "raw", "pca", "sae", "isa")),
        "tfreg default",
    ]
    assert {*stated} <= {*names}
    assert (sae_features.ELSEWHERE in names) == (data == "real")
    presets = set()
    for line in found:
        if isinstance(line, Instance):
            Optimisation(**line.options)
        if isinstance(line, Described):
            if line.how == "demons":
                Demons(**line.options)
            if isinstance(line.features, str):
                presets.add(line.features)
    suffix = "phantom" if data == "phantom" else group
    assert {name for name in presets if name.endswith(suffix)} >= {f"sae-{suffix}"}
    assert len(presets) == (4 if data == "real" else 3)


def test_every_volume_is_fixed_once_and_moving_once():
    found, labels = sae_features.pairs_of("hippocampus", "phantom", "test", None, 3)
    sides = [pair.name.split(" <- ") for pair in found]
    fixed, moving = ([side[k] for side in sides] for k in (0, 1))
    assert len(found) == 10 and sorted(fixed) == sorted(moving) and len({*fixed}) == 10
    assert all(a != b for a, b in sides) and labels == {"dice": (1, 2)}
    assert not np.array_equal(found[0].fixed, found[0].moving)
    brains, labels = sae_features.pairs_of("brain", "phantom", "test", None, 0)
    assert len(brains) == 6 and labels == {"dice": tuple(range(1, 9))}


def test_an_affine_registration_is_shared(monkeypatch):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:24, :24]
    image = np.exp(-((y - 11) ** 2 + (x - 12) ** 2) / 30).astype("float32")
    pair = Pair("one", image, np.roll(image, 2, axis=1), (1.0, 1.0))
    first = affine_of(pair)
    assert np.abs(first[12, 12] - [0, 2]).max() < 0.3
    monkeypatch.setattr("tfreg.registration.register", lambda *a, **k: 1 / 0)
    np.testing.assert_array_equal(affine_of(pair), first)
    with pytest.raises(ZeroDivisionError):
        affine_of(Pair("one", image + rng.random((24, 24)).astype("float32"), image, (1.0, 1.0)))


def test_simpleitk_goes_on_from_the_affine_registration(monkeypatch):
    y, x = np.mgrid[:48, :48]
    image = np.exp(-((y - 23) ** 2 + 2 * (x - 24) ** 2) / 90).astype("float32")
    pair = Pair("two", image, np.roll(image, 6, axis=1), (2.0, 2.0))
    start = np.zeros((48, 48, 2))
    start[..., 1] = 4
    monkeypatch.setattr(demons_simpleitk, "affine_of", lambda pair: start)
    line = demons_simpleitk.DemonsSimpleITK("demons simpleitk", (2, 1), (40, 40))
    answer = line.register(pair)
    assert np.abs(answer.displacement[23, 15:33] - [0, 6]).max() < 0.6 and answer.seconds > 0
    shift = np.tile([1.0, 0.0], (8, 8, 1))
    both = demons_simpleitk.composed(shift, 2 * shift)
    np.testing.assert_allclose(both, 3 * shift)


def test_a_line_without_its_preset_is_left_out(monkeypatch):
    monkeypatch.setattr(zoo, "list_presets", lambda *task: [])
    line = Described("matching sae", "match", "sae-brain")
    assert line.unavailable() == "left out, there is no preset sae-brain."
    assert Described("demons", "demons", None).unavailable() is None
    with pytest.raises(ValueError, match="how=guess"):
        Described("x", "guess", None)


def test_features_are_timed_apart(monkeypatch):
    import time

    def slow(image):
        time.sleep(0.05)
        return np.stack([image, *np.gradient(image)], axis=-1)

    y, x = np.mgrid[:24, :24]
    image = np.exp(-((y - 11) ** 2 + (x - 12) ** 2) / 30).astype("float32")
    pair = Pair("three", image, np.roll(image, 1, axis=1), (1.0, 1.0))
    monkeypatch.setattr(described, "affine_of", lambda pair: np.zeros((24, 24, 2)))
    line = Described("matching slopes", "match", slow, rounds=[(0.2, 2, 1, 2.0)])
    line.warm(pair)
    answer = line.register(pair)
    assert len(line.seconds_features) == 1 and 0.1 <= line.seconds_features[0] < 2
    assert 0 < answer.seconds < 5


@pytest.mark.long
def test_the_cost_of_features(tmp_path):
    from tfreg.cli import main as command

    words = ["--data", "phantom", "--iterations", "100", "--batch", "8", "--out", str(tmp_path)]
    assert command(["train", "sae-pca", *words]) == 0
    path = str(tmp_path / "presets" / "sae-pca-phantom.json")
    seconds, peak = feature_cost.cost(path, np.random.default_rng(0).random((20, 20, 20)))
    assert len(seconds) == 3 and max(seconds) < 5 and 100 < peak < 4000
