import functools
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage

import zoo
from benchmarks import pairs, volumes
from benchmarks.__main__ import main
from benchmarks.harness import Row, Table
from benchmarks.judge import judge
from benchmarks.methods import networks
from benchmarks.tables import dlir_chest_ct, dlir_cost
from tfreg.data import stacks
from tfreg.errors import InputError
from tfreg.registration import Preprocessing
from zoo.dlir import train_chest_ct
from zoo.dlir.model import DLIR
from zoo.dlir.paper import DIRLAB

pytestmark = pytest.mark.plain


@pytest.fixture
def presets(monkeypatch):
    """Puts a small network in the place of a preset; its affine stage shifts, the others rest."""
    for name in ("_models", "_loaded"):
        monkeypatch.setattr(networks, name, {})
    monkeypatch.setattr(networks, "_warm", set())

    def put(name, deformable, shift=(0.0, 0.0, 0.0), **preprocessing):
        small = {"kernels": 2}
        stages = [{"kind": "affine", "nodes": 3, "convolutions": 2, **small}]
        stages += [{"kind": "deformable", "spacing": (4, 8, 8), **small}] * deformable
        model = DLIR(3, stages)
        model.build()
        plain = model.parameters

        def parameters(fixed, moving, **options):
            row = plain(fixed, moving, **options)
            own = np.zeros((1, row.shape[1]), "float32")
            own[0, :3] = shift
            return row + own

        monkeypatch.setattr(model, "parameters", parameters)
        curve = {f"stage {k + 1}": {"ncc": [0.5, 0.6 + 0.1 * k]} for k in range(deformable + 1)}
        preset = SimpleNamespace(
            architecture={"class": "DLIR", "config": {"name": name, "stages": stages}},
            training={"curve": curve},
            provenance={"data": "nothing"},
        )
        monkeypatch.setattr(zoo, "list_presets", lambda: [name])
        monkeypatch.setattr(zoo, "describe", lambda _: preset)
        monkeypatch.setattr(zoo, "load", lambda _: model)
        if preprocessing:
            model.preprocessing = Preprocessing(**preprocessing)
        return model

    return put


def run(out, *words):
    """Content and cells of a table that was run."""
    assert main(["run", *words, "--out", str(out)]) == 0
    content = json.loads((out / "table.json").read_text())
    return content, {
        (row["method"], row["metric"]): row for row in content["rows"] if row["group"] == "all"
    }


@pytest.mark.long
def test_hearts_on_phantoms(tmp_path, monkeypatch, presets):
    monkeypatch.setattr(stacks, "hearts", functools.partial(stacks.hearts, depth=14, size=48))
    presets("dlir-cine", 3)
    words = ["--data", "phantom", "--pairs", "2", "--methods"]
    methods = ["none", "dlir affine", "dlir + stage 2", "dlir + refine"]
    content, cells = run(tmp_path, "dlir-cine", *words, ",".join(methods))
    assert [m for m, metric in cells if metric == "dice"] == methods
    assert cells["dlir + stage 2", "dice"]["mean"] == cells["none", "dice"]["mean"]
    assert cells["dlir + refine", "dice"]["mean"] > cells["none", "dice"]["mean"] + 0.02
    for metric in ("dice", "hd95", "msd", "dice LV", "dice RV", "folding", "seconds"):
        assert cells["dlir + refine", metric]["n"] == 2
    assert cells["none", "hd95"]["unit"] == "mm"
    (note,) = (note for note in content["notes"] if note.startswith("dlir: "))
    assert "affine 0.6000, + stage 1 0.7000, + stage 2 0.8000" in note
    for name in ("pareto.png", "outlines.png"):
        assert (tmp_path / name).stat().st_size > 5000


def test_hippocampi_on_phantoms(tmp_path, presets):
    presets("dlir-hippocampus-phantom", 2)  # trained on phantoms: that is taken
    words = ["--data", "phantom", "--pairs", "1", "--methods", "none,dlir + stage 1"]
    content, cells = run(tmp_path, "dlir-hippocampus", *words)
    for method in ("none", "dlir + stage 1"):
        dice = cells[method, "dice"]["mean"]
        parts = [cells[method, f"dice {part}"]["mean"] for part in ("anterior", "posterior")]
        assert dice == pytest.approx(np.mean(parts), abs=1e-4) and 0 < dice < 1
    assert any("dlir-hippocampus-phantom" in note for note in content["notes"])
    assert (tmp_path / "outlines.png").stat().st_size > 5000


def test_a_preset_that_is_not_there_is_said(tmp_path, monkeypatch, presets):
    monkeypatch.setattr(zoo, "list_presets", list)
    words = ["--data", "phantom", "--pairs", "1", "--methods", "none,dlir affine"]
    content, cells = run(tmp_path, "dlir-hippocampus", *words)
    assert {method for method, _ in cells} == {"none"}
    assert "dlir affine: left out, there is no preset dlir-hippocampus." in content["notes"]


@pytest.fixture
def centred():
    """A pair of different sizes, with a start and a mask."""
    rng = np.random.default_rng(0)
    fixed = ndimage.gaussian_filter(rng.random((16, 20, 24)), 1.5).astype("float32")
    moving = np.pad(fixed, ((3, 2), (0, 0), (0, 5)), mode="edge")
    mask = np.zeros(fixed.shape, "uint8")
    mask[4:12, 4:16, 4:20] = 1
    points = np.argwhere(mask)[::100].astype(float)
    return pairs.Pair(
        *("centred", fixed, moving, (2.0, 1.0, 1.0)),
        fixed_points=points,
        moving_points=points + np.array([3, 0, 0]),
        fixed_mask=mask,
        start=(2.6, 0.0, 0.4),
        truth=np.broadcast_to((3.0, 0.0, 0.0), (*fixed.shape, 3)),
    )


@pytest.mark.parametrize("refine", [0, pytest.param("fast", marks=pytest.mark.long)])
def test_a_network_starts_where_the_pair_says(presets, centred, refine):
    presets("dlir-chest-ct", 1, shift=(0.0, 1.0, 0.0))
    network = networks.Network("dlir-chest-ct", refine, 1)
    displacement, seconds = network.pair(centred)
    assert displacement.shape == (16, 20, 24, 3) and seconds > 0
    if refine:
        found = judge(centred, displacement, {})
        assert np.mean(found["tre"]) < 0.3 and found["error"][0] < 0.5
    else:  # the start, and what the network adds
        expected = np.broadcast_to((2.6, 1, 0.4), displacement.shape)
        np.testing.assert_allclose(displacement, expected, atol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("plain", [False, True])
def test_a_refinement_looks_at_the_similarity_that_it_is_given(presets, centred, plain):
    presets("dlir-chest-ct", 1, shift=(0.0, 1.0, 0.0))
    if plain:  # nothing but two images of one size
        centred = pairs.Pair("plain", centred.fixed, centred.fixed, centred.spacing)
    found = {}
    for similarity in (None, "ncc", "lncc"):
        network = networks.Network("dlir-chest-ct", "fast", 1, similarity)
        found[similarity], _ = network.pair(centred)
        truth = (0, 0, 0) if plain else (3, 0, 0)
        assert np.abs(found[similarity] - truth)[4:12, 4:16, 4:20].mean() < 0.25
    assert np.abs(found["lncc"] - found["ncc"]).max() > 0.05
    np.testing.assert_array_equal(found[None], found["ncc"])
    with pytest.raises(ValueError, match="similarity"):
        networks.Network("dlir-chest-ct", 10, 1, "lncc")


def test_a_network_sees_voxels_of_its_own_size(presets, centred):
    known = {"size": (16, 10, 23), "spacing": (2.0, 2.0, 1.05), "covers": "field of view"}
    model = presets("dlir-chest-ct", 1, shift=(1.0, 1.0, -0.5), **known)
    displacement, _ = networks.Network("dlir-chest-ct", 0, 1).pair(centred)
    expected = np.add(centred.start, (1, 2, -0.525))  # in voxels of 2, 1 and 1
    expected = np.broadcast_to(expected, displacement.shape)
    np.testing.assert_allclose(displacement, expected, atol=1e-5)
    plain = pairs.Pair("plain", centred.fixed, centred.fixed, centred.spacing)
    model.preprocessing = replace(model.preprocessing, spacing=(2.05, 1.0, 0.95))
    displacement, _ = networks.Network("dlir-chest-ct", 0, 1).pair(plain)  # about the same
    np.testing.assert_allclose(displacement, np.broadcast_to((1, 1, -0.5), displacement.shape))


def test_errors_are_those_within_the_mask(centred):
    off = np.array(centred.truth)
    off[centred.fixed_mask == 0] += 50
    off[centred.fixed_mask > 0] += (1.5, 0, 0)
    found = judge(centred, off, {})
    assert found["error"] == [3.0] and found["error p95 voxels"] == [1.5]
    assert found["error p95"] == [3.0] and found["error voxels"] == [1.5]
    np.testing.assert_allclose(found["tre"], 3.0)


@pytest.mark.long
def test_chest_on_phantoms(tmp_path, monkeypatch, presets):
    monkeypatch.setattr(train_chest_ct, "SHAPE", (28, 36, 36))
    monkeypatch.setattr(train_chest_ct, "SPACING", (10.0, 9.0, 9.0))
    presets("dlir-chest-ct", 3)
    words = ["--data", "phantom", "--pairs", "1", "--methods"]
    content, cells = run(tmp_path, "dlir-chest-ct", *words, "none,dlir affine,tfreg fast")
    assert "this very patient" not in content["protocol"]
    for metric in ("error", "error p95", "error voxels", "error p95 voxels", "folding"):
        assert cells["none", metric]["n"] == 1
    assert cells["tfreg fast", "error"]["mean"] < 0.8 * cells["none", "error"]["mean"]
    for name in ("pareto.png", "coronal.png"):
        assert (tmp_path / name).stat().st_size > 5000


def test_a_patient_that_was_trained_on_is_said(tmp_path, monkeypatch):
    def chests(data, seed, limit):
        (pair,) = pairs.chest("phantom")
        return [pair]

    monkeypatch.setattr(volumes, "chests", chests)
    words = ["--data", "deformed", "--methods", "none"]
    content, _ = run(tmp_path, "dlir-chest-ct", *words)
    assert "other breaths of this very patient" in content["protocol"]
    assert "`dlir + refine` is on local NCC" in content["protocol"]


def test_further_trainings_have_rows_of_their_own_but_not_on_what_they_have_seen(
    tmp_path, monkeypatch
):
    lung = dlir_chest_ct.lung_pair.SOURCE.name
    config = {"stages": [{"kind": "affine"}, {"kind": "deformable", "spacing": [4, 4, 4]}]}

    def describe(name):
        trained = f"LIDC and {lung}" if "cts" in name else "LIDC"
        return SimpleNamespace(
            architecture={"config": config}, training={}, provenance={"data": trained}
        )

    names = ["dlir-chest-ct", "dlir-chest-ct-copd-vary", "dlir-chest-ct-cts-copd-vary-lncc"]
    monkeypatch.setattr(zoo, "list_presets", lambda: names)
    monkeypatch.setattr(zoo, "describe", describe)
    monkeypatch.setattr(volumes, "chests", lambda data, *_: pairs.chest("phantom"))
    found = [one.name for one in dlir_chest_ct.contenders("ct")]
    own = [name for name in found if name.startswith("dlir copd-vary")]
    assert own == [f"dlir copd-vary {row}" for row in ("affine", "+ stage 1", "+ refine")]
    assert dlir_chest_ct.seen(names[2], "ct") and not dlir_chest_ct.seen(names[2], "dirlab")
    assert not dlir_chest_ct.seen(names[1], "ct")
    words = ["--data", "ct", "--methods", "none,dlir cts-copd-vary-lncc + stage 1"]
    content, cells = run(tmp_path, "dlir-chest-ct", *words)
    assert {method for method, _ in cells} == {"none"}
    name = "dlir cts-copd-vary-lncc + stage 1"
    assert f"{name}: left out, its network has seen this pair." in content["notes"]


def test_the_papers_cases_stand_in_their_rows():
    table = Table("t", "d", "p", dlir_chest_ct.COLUMNS)
    groups = [*DIRLAB]
    table.rows = [
        Row.of(method, group, "tre", "mm", [2.0, 3.0])
        for group in groups
        for method in ("none", "tfreg default", "dlir + stage 3")
    ]
    assert dlir_chest_ct.last("dirlab") == "dlir + stage 3"
    dlir_chest_ct.add_paper(table, "dlir + stage 3")
    assert len(groups) == 11
    shown = table.markdown()
    assert "| case 8 | 2.500 ± 0.707 | 2.500 ± 0.707 | 2.500 ± 0.707 | 6.48 ± 5.37 |" in shown
    assert "| none | 2.500 ± 0.707 | 8.46 ± 6.58 |" in shown and "[S]" in table.notes[-1]
    means = [DIRLAB[f"case {k}"][1][0] for k in range(1, 11)]
    assert np.mean(means) == pytest.approx(DIRLAB["all"][1][0], abs=0.06)
    starts = [DIRLAB[f"case {k}"][0][0] for k in range(1, 11)]
    assert np.mean(starts) == pytest.approx(DIRLAB["all"][0][0], abs=0.006)


@pytest.mark.long
def test_cost_of_one_row_from_the_command_line(tmp_path):
    words = ["--shape", "16,24,16", "--patch", "16", "--methods", "inference"]
    _, cells = run(tmp_path, "dlir-cost", *words)
    assert cells["inference", "seconds"]["n"] == 3
    first = cells["inference", "first"]["median"]
    assert first > cells["inference", "seconds"]["median"] > 0
    assert cells["inference", "peak"]["median"] > cells["inference", "beyond"]["median"] > 0


@pytest.mark.long
def test_cost_of_the_others():
    small = {"shape": (16, 24, 16), "seed": 0}
    found = dlir_cost._inference(refine=0, memory=0.2, **small)
    assert min(found["seconds"]) > 0 and found["peak"][0] > 0.1
    with pytest.raises(InputError, match="GiB"):
        dlir_cost._inference(refine=0, memory=1e-4, **small)
    assert len(dlir_cost._training(16, 0, 2)["seconds"]) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dlir-cine", "--pairs", "0"], "--pairs"),
        (["dlir-hippocampus", "--methods", "demons"], "demons"),
        (["dlir-chest-ct", "--pairs", "-1"], "--pairs"),
        (["dlir-cost", "--shape", "8,8"], "--shape"),
        (["dlir-cost", "--patch", "4"], "--patch"),
        (["dlir-cost", "--memory-gib", "nan"], "--memory-gib"),
    ],
)
def test_bad_options_exit_with_2(tmp_path, capsys, words, message):
    assert main(["run", *words, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_the_refinement_is_the_presets_own_but_where_it_is_named():
    found = {one.name: one for one in dlir_chest_ct.contenders("ct")}
    kinds = {
        name: (one.refine, one.similarity) for name, one in found.items() if "dlir + refine" in name
    }
    assert kinds == {
        "dlir + refine": ("default", None),
        "dlir + refine fast": ("fast", None),
        "dlir + refine NCC": ("default", "ncc"),
    }
    weights = {name: one.weight for name, one in found.items() if name.startswith("tfreg")}
    assert {name for name, weight in weights.items() if weight == 0.3} == {
        name for name in weights if name.endswith("confined")
    }
    assert len(weights) == 10 and found["elastix 10 mm x2000 confined"].confined
