"""The tables of the engine: what they register, what they keep, and the tools beside it."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import evaluate, modalities, volumes
from benchmarks.__main__ import main
from benchmarks.methods import ants, convexadam
from benchmarks.methods.elastix import Settings
from benchmarks.methods.instance import Instance, of_task
from benchmarks.pairs import Pair, noisy
from benchmarks.tables import breathing, engine_choices, multimodal
from tfreg.registration import TASKS
from tfreg.registration.instance.similarity import as_similarity
from tfreg.registration.named import optimisation


def pair_of(image, moving=None, **more):
    return Pair("p", image, image if moving is None else moving, (1.0,) * image.ndim, **more)


# What is registered


def test_noise_is_as_large_as_is_said_and_the_same_again():
    pair = pair_of(np.full((40, 50), 100.0, "float32"))
    found = noisy(pair, 3.0, seed=1)
    for image in (found.fixed, found.moving):
        assert image.dtype == "float32" and image.std() == pytest.approx(3, rel=0.05)
        assert image.mean() == pytest.approx(100, abs=0.3)
    assert np.abs(np.corrcoef(found.fixed.ravel(), found.moving.ravel())[0, 1]) < 0.1
    np.testing.assert_array_equal(noisy(pair, 3.0, seed=1).fixed, found.fixed)
    assert (noisy(pair, 3.0, seed=2).fixed != found.fixed).any()
    cut = noisy(pair, 3.0, 1, (99.0, 101.0)).fixed
    np.testing.assert_array_equal(cut, np.clip(found.fixed, 99, 101))


def explained(values, by, bins=32):
    """Share of variance that a function of another image explains."""
    index = np.clip((bins * (by - by.min()) / np.ptp(by)).astype(int), 0, bins - 1).ravel()
    count = np.bincount(index, minlength=bins)
    means = np.bincount(index, values.ravel(), minlength=bins) / np.maximum(count, 1)
    return 1 - np.var(values.ravel() - means[index]) / np.var(values)


@pytest.mark.parametrize("group", modalities.GROUPS)
def test_the_true_map_brings_two_contrasts_together(group):
    (pair,) = modalities.pairs(group, "validation", real=False, limit=1)
    assert pair.truth.shape == (*pair.fixed.shape, pair.fixed.ndim)
    moved = evaluate.warp(pair.moving, pair.truth)
    # The moving one has the contrast of which the other is a function, but for the heads.
    by, values = (moved, pair.fixed) if group == "ct-mri" else (pair.fixed, moved)
    start = pair.moving if group != "ct-mri" else pair.fixed
    before = explained(start, pair.fixed if group != "ct-mri" else pair.moving)
    assert explained(values, by) > before + 0.05
    again = modalities.pairs(group, "validation", real=False, limit=1)[0]
    np.testing.assert_array_equal(again.moving, pair.moving)
    if group == "ct-mri":
        assert 0.2 < pair.fixed_mask.mean() < 0.95
    else:
        assert np.linalg.norm(pair.truth, axis=-1).max() == pytest.approx(4)


@pytest.mark.long
def test_chests_of_two_splits_differ():
    test, validation = (
        volumes.chests("phantom", limit=1, split=split)[0] for split in ("test", "validation")
    )
    assert test.name != validation.name and (test.fixed != validation.fixed).any()


# The tools


def test_elastix_by_mutual_information():
    for information, metric in ((True, "MattesMutualInformation"), (False, "NormalizedCorrelat")):
        for stage in Settings(affine=True, information=information).parameters(3):
            assert metric in stage["Metric"][0]
            assert ("NumberOfHistogramBins" in stage) == information


def test_ants_by_mutual_information(monkeypatch):
    assert ants.ants(True).name == "ANTs SyN" and ants.ants(True, True).name == "ANTs SyN MI"
    seen = []
    monkeypatch.setattr(ants, "_ants", lambda *given: seen.append(given))
    ants._information("pair", True, 2)
    assert seen == [("pair", True, 2, {"syn_metric": "mattes", "syn_sampling": 32})]


def test_convexadam_gets_even_images_of_one_grid_that_begin_at_the_start(monkeypatch, rng):
    """Its package is not here: what it would be given, and what becomes of its answer."""
    seen = {}

    def convex_adam_pt(fixed, moving, **options):
        import nibabel

        seen.update(fixed=fixed, moving=moving, threads=threads, **options)
        if "use_mask" in options:
            for name in ("fixed", "moving"):
                seen[name + "_mask"] = nibabel.load(options[f"path_{name}_mask"]).get_fdata()
        return np.full((*fixed.shape, 3), (1.0, 2.0, 3.0))

    threads = []
    torch = SimpleNamespace(set_num_threads=threads.append, float32="float32", device=str)
    module = SimpleNamespace(convex_adam_pt=convex_adam_pt)
    for name, fake in (
        ("torch", torch),
        ("convexAdam", SimpleNamespace(convex_adam_MIND=module)),
        ("convexAdam.convex_adam_MIND", module),
    ):
        monkeypatch.setitem(sys.modules, name, fake)
    fixed, moving = rng.random((5, 6, 8)), rng.random((7, 6, 9))
    mask = (rng.random(moving.shape) > 0.5).astype("uint8")
    pair = pair_of(fixed, moving, start=(2.0, 0.0, 1.0))
    displacement, seconds = convexadam._convexadam(pair, False, 3)
    assert displacement.shape == (5, 6, 8, 3) and seconds > 0 and threads == [3]
    np.testing.assert_allclose(displacement, np.broadcast_to((3.0, 2.0, 4.0), (5, 6, 8, 3)))
    assert seen["dtype"] == "float32" and seen["device"] == "cpu" and "use_mask" not in seen
    assert seen["fixed"].shape == seen["moving"].shape == (6, 6, 8)
    np.testing.assert_allclose(seen["moving"][:5], moving[2:, :, 1:], rtol=1e-6)
    masked = pair_of(
        fixed, moving, start=(2.0, 0.0, 1.0), fixed_mask=mask[:5, :, :8], moving_mask=mask
    )
    convexadam._convexadam(masked, False, 1)
    assert seen["use_mask"] is True
    np.testing.assert_array_equal(seen["fixed_mask"][:5], mask[:5, :, :8])
    np.testing.assert_array_equal(seen["moving_mask"][:5], mask[2:, :, 1:])


def test_convexadam_is_skipped_where_it_is_not(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    reason = convexadam.convexadam().unavailable()
    assert reason == "skipped, convexAdam is not installed."


def test_a_task_as_a_contender_gets_both_masks(monkeypatch):
    given = {}

    def register(fixed, moving, **options):
        given.update(options)

    monkeypatch.setattr("tfreg.registration.register", register)
    mask = np.ones((4, 5), "uint8")
    pair = pair_of(np.eye(4, 5), fixed_mask=mask, moving_mask=2 * mask)
    of_task("lung-ct").answer(pair)
    assert given["settings"] == "lung-ct" and (given["moving_mask"] == 2).all()
    given.clear()
    Instance("plain").answer(pair)
    assert "fixed_mask" in given and "moving_mask" not in given


# engine-choices


def test_choices_can_be_registered_and_have_the_task_beside_them():
    assert {*engine_choices.GROUPS} == {*TASKS}
    for group in engine_choices.GROUPS.values():
        assert len(group.choices) >= 8 and group.count >= 2
        for options in group.choices.values():
            weight = options.get("weight")
            assert weight is None or {"pyramid", "transform"} <= {*options}
            optimisation(**{k: v for k, v in options.items() if k != "weight"})
    # What ships is among what it is compared with, but for what masks and speed say.
    for name, task in TASKS.items():
        similarities = [
            as_similarity(options.get("similarity", "ncc"))
            for options in engine_choices.GROUPS[name].choices.values()
        ]
        assert as_similarity(task.similarity) in similarities


@pytest.fixture
def asked(monkeypatch):
    """Counts what is registered, and answers at once."""
    found = []

    def figures(contender, pairs, labels):
        found.append((contender.name, len(pairs)))
        return {"error" if not labels else "dice": [1.0, 2.0], "folding": [0.0], "seconds": [0.1]}

    monkeypatch.setattr(engine_choices, "_figures", figures)
    return found


def test_what_was_registered_is_read_and_what_changed_is_made_again(tmp_path, asked):
    out, runs = tmp_path / "out", tmp_path / "runs"
    words = ["run", "engine-choices", "--data", "phantom", "--pairs", "2", "--groups", "cine"]
    words += ["--runs", str(runs), "--out", str(out)]
    assert main([*words, "--methods", "as shipped,ncc"]) == 0
    assert asked == [("tfreg cine", 2), ("ncc", 2)]
    rows = json.loads((out / "table.json").read_text())["rows"]
    assert {(row["method"], row["group"]) for row in rows} == {
        ("as shipped", "cine"),
        ("ncc", "cine"),
    }
    assert {row["metric"] for row in rows} == {"dice", "folding", "seconds"}
    assert main([*words, "--methods", "as shipped,ncc,mind"]) == 0
    assert asked[2:] == [("mind", 2)]
    assert main([*words, "--methods", "mind", "--seed", "1"]) == 0
    assert asked[3:] == [("mind", 2)]
    changed = runs / "cine" / "as-shipped.json"
    content = json.loads(changed.read_text())
    content["about"]["choice"]["task"]["similarity"] = "mse"
    changed.write_text(json.dumps(content))
    assert main([*words, "--methods", "as shipped"]) == 0  # the task says something else today
    assert asked[4:] == [("tfreg cine", 2)]
    units = {row["metric"]: row["unit"] for row in rows}
    assert units == {"dice": "1", "folding": "%", "seconds": "s"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--groups", "knee"], "--groups takes lung-ct, brain-mr, cine, ct-mr. Received: knee"),
        (["--methods", "best"], "Received: best"),
        (["--pairs", "0"], "--pairs must be positive"),
    ],
)
def test_bad_options_exit_with_2(tmp_path, capsys, words, message):
    assert main(["run", "engine-choices", *words, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


# The tables themselves


@pytest.mark.long
@pytest.mark.parametrize(
    ("table", "words", "method", "metric"),
    [
        (multimodal, ["multimodal", "--pairs", "1"], "tfreg MI", "error voxels"),
        (breathing, ["breathing", "--pairs", "1"], "tfreg lung-ct", "error"),
        (engine_choices, ["engine-choices", "--groups", "cine", "--pairs", "2"], "ncc", "dice"),
    ],
)
def test_tables_on_phantoms(tmp_path, table, words, method, metric):
    runs = ["--runs", str(tmp_path / "runs")] if table is engine_choices else []
    names = method if table is engine_choices else f"none,{method}"
    words = ["run", *words, *runs, "--data", "phantom", "--methods", names]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    rows = json.loads((tmp_path / "out" / "table.json").read_text())["rows"]
    found = {(row["method"], row["group"]): row["mean"] for row in rows if row["metric"] == metric}
    if table is engine_choices:
        assert found["ncc", "cine"] > 0.6
        return
    # Of hippocampi with a bias field MI may lose its way, which is what the table is there to show.
    groups = ("hippocampi", "ct-mri") if table is multimodal else ("all",)
    assert {*groups} <= {*modalities.GROUPS, "all"}
    for group in groups:
        assert found[method, group] < 0.8 * found["none", group]
