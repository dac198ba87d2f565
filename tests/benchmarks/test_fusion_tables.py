import json
import sys

import numpy as np
import pytest
from shipped import FUSER

import zoo
from benchmarks import measurement, misaligned
from benchmarks.__main__ import main
from benchmarks.harness import Table
from benchmarks.tables import _fusion, fusion_brain, fusion_misaligned
from tfreg.data import brain_pairs
from tfreg.metrics import fusion


@pytest.fixture
def small(monkeypatch):
    """Phantom heads at a quarter of their size."""
    monkeypatch.delenv("TFREG_DATA", raising=False)
    whole = brain_pairs.pairs

    def quarter(images):
        blocks = images[:2].reshape(2, 64, 4, 64, 4, -1).mean(axis=(2, 4))
        return np.rint(blocks[..., 0] if images.ndim == 3 else blocks).astype("uint8")

    def pairs(*words):
        found = whole(*words)
        return brain_pairs.Pairs(quarter(found.first), quarter(found.second), found.names[:2])

    monkeypatch.setattr(brain_pairs, "pairs", pairs)
    monkeypatch.setattr(brain_pairs, "GROUPS", ("ct-mri", "pet-mri"))


@pytest.mark.plain
def test_fusion_brain_from_the_command_line(small, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(fusion_brain, "BATCH", 2)
    monkeypatch.setattr(measurement, "REPEATS", 1)
    words = ["run", "fusion-brain", "--pairs", "2", "--model", FUSER]
    methods = ["--methods", "cnn,average,maximum", "--out", str(tmp_path)]
    assert main([*words, *methods]) == 0
    said = capsys.readouterr().out
    assert "phantom heads" in said and "of 3 by mean rank" in said
    rows = json.loads((tmp_path / "table.json").read_text())["rows"]
    found = {(row["method"], row["group"], row["metric"]): row for row in rows}
    for group in brain_pairs.GROUPS:
        ranks = [found[m, group, "rank"]["mean"] for m in ("cnn", "average", "maximum")]
        assert sum(ranks) == pytest.approx(6) and found["cnn", group, "q_mi"]["n"] == 2
    for metric in ("batched", "convolutions", "rest", "bfloat16"):  # of grey pairs alone
        assert found["cnn", "ct-mri", f"seconds_{metric}"]["median"] > 0
        assert ("cnn", "pet-mri", f"seconds_{metric}") not in found
    assert 0 <= found["cnn", "ct-mri", "changed_bfloat16"]["mean"] < 100
    pair = brain_pairs.pairs("ct-mri", "test", "phantom")
    values = []
    for a, b in zip(pair.first[:2], pair.second[:2], strict=True):
        values.append(fusion.q_g(a, b, np.rint((a.astype(float) + b) / 2)))
    assert found["average", "ct-mri", "q_g"]["mean"] == pytest.approx(np.mean(values), rel=1e-2)
    assert (tmp_path / "cases.png").stat().st_size > 10_000


def test_without_wavelets_the_other_rules_are_there(small, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pywt", None)
    words = ["run", "fusion-brain", "--pairs", "1", "--out", str(tmp_path), "--methods"]
    assert main([*words, "average,wavelet"]) == 0
    content = json.loads((tmp_path / "table.json").read_text())
    assert {row["method"] for row in content["rows"]} == {"average"}
    assert content["notes"] == ["wavelet: left out, PyWavelets is not installed."]
    capsys.readouterr()
    assert main([*words, "wavelet"]) == 2
    assert "PyWavelets is not installed" in capsys.readouterr().err


def test_the_rest_takes_no_convolutions(monkeypatch, rng):
    """And gives the same image."""
    model = zoo.load(FUSER, task="fusion")
    first, second = rng.integers(0, 256, (2, 40, 52), dtype="uint8")
    rest = fusion_brain._without_convolutions(model, first, second)
    monkeypatch.setattr(type(rest.column), "call", None)
    found = rest.fuse(first, second, **fusion_brain.WHOLE).fused
    monkeypatch.undo()
    expected = model.fuse(first, second, **fusion_brain.WHOLE).fused
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_places_are_means_over_four_measures():
    one = dict.fromkeys(_fusion.RANKED, 0.5)
    better = {**one, "q_mi": 0.6, "q_g": 0.6}
    found = _fusion.ranks({"a": [one, one], "b": [better, one]})
    np.testing.assert_allclose(found["a"], [1.75, 1.5])
    np.testing.assert_allclose(found["b"], [1.25, 1.5])


def test_colours_are_judged_by_their_light(rng):
    first = rng.integers(0, 256, (40, 50), dtype="uint8")
    colours = rng.integers(0, 256, (40, 50, 3), dtype="uint8")
    keep = _fusion.by_light(lambda a, b: b)
    np.testing.assert_allclose(keep(first, colours), colours / 255, atol=1e-12)
    found = _fusion.judge(first, colours, keep(first, colours))
    light = np.rint(colours @ np.array([0.299, 0.587, 0.114]))
    assert found["q_y"] == pytest.approx(fusion.q_y(first, light, light))
    assert found["entropy"] == pytest.approx(fusion.entropy(light), abs=1e-2)


def test_a_misalignment_is_as_large_as_is_said():
    rng = np.random.default_rng(0)
    u = misaligned.misalignment((100, 120), rng)
    jacobian = np.stack([np.gradient(u[..., axis], axis=(0, 1)) for axis in (0, 1)])
    turn = np.rad2deg((jacobian[1][0] - jacobian[0][1]).mean() / 2)
    assert abs(turn) == pytest.approx(np.rad2deg(np.sin(np.deg2rad(10))), abs=1)
    assert np.linalg.norm(u[45:55, 55:65].mean(axis=(0, 1))) == pytest.approx(10, abs=4.5)
    assert np.abs(u - misaligned.misalignment((100, 120), rng)).max() > 1


def test_an_image_is_displaced_as_far_as_is_said(rng):
    u = np.full((60, 70, 2), [3.0, -2.0])
    image = rng.integers(0, 256, (60, 70), dtype="uint8")
    moved = misaligned.displaced(image, u)
    np.testing.assert_array_equal(moved[:50, 5:], image[3:53, 3:68])


def test_what_is_not_lost_cannot_be_won_back():
    table = Table("t", "d", "p", {})
    found = {method: [{"q_g": 0.55}] for method in fusion_misaligned.METHODS}
    found |= {"aligned": [{"q_g": 0.5}], "misaligned": [{"q_g": 0.6}]}
    fusion_misaligned._win_back(table, "ct-mri", found)
    assert table.rows == [] and table.notes[0].startswith("ct-mri: no Q_G is lost")
    fusion_misaligned._win_back(table, "ct-mri", {**found, "misaligned": [{"q_g": 0.4}]})
    shares = {row.method: row.mean for row in table.rows}
    assert shares == dict.fromkeys(fusion_misaligned.METHODS[2:], pytest.approx(150))
    assert len(table.notes) == 1


@pytest.mark.long
def test_fusion_misaligned_from_the_command_line(small, tmp_path, monkeypatch):
    for name in ("SHIFT", "WARP"):
        monkeypatch.setattr(misaligned, name, getattr(misaligned, name) / 4)
    words = ["run", "fusion-misaligned", "--pairs", "1", "--model", FUSER]
    assert main([*words, "--register", "rigid", "--out", str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "table.json").read_text())["rows"]
    found = {(row["method"], row["group"], row["metric"]): row["mean"] for row in rows}
    for group in ("ct-mri", "pet-mri"):
        assert found["aligned", group, "q_y"] > found["misaligned", group, "q_y"]
        assert found["registered", group, "error"] < found["misaligned", group, "error"]
        rng = np.random.default_rng([0, brain_pairs.GROUPS.index(group)])
        u = misaligned.misalignment((64, 64), rng)
        head = brain_pairs.pairs(group, "test", "phantom").first[0] > 0
        expected = np.linalg.norm(u, axis=-1)[head].mean()
        assert found["misaligned", group, "error"] == pytest.approx(expected, rel=1e-4)
        expected = found["registered", group, "q_g"] - found["misaligned", group, "q_g"]
        expected /= found["aligned", group, "q_g"] - found["misaligned", group, "q_g"]
        assert found["registered", group, "won_back"] == pytest.approx(100 * expected, rel=1e-3)
