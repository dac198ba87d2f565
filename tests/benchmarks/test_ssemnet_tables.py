import json

import numpy as np
import pytest

from benchmarks import sections as cut_sections
from benchmarks.__main__ import main
from benchmarks.methods.bidirectional import Bidirectional
from benchmarks.methods.stackreg import StackReg
from benchmarks.pairs import Pair
from tfreg.data import damage, sections, tissue


@pytest.fixture
def small(monkeypatch):
    """Phantom stacks of four sections of 96 px."""
    images, labels = tissue.block(4, (96, 96), seed=8)
    stack = sections.Stack("phantom", images, labels)
    monkeypatch.setattr(sections, "stacks", lambda source, split: [stack])
    return stack


def rows_of(out):
    rows = json.loads((out / "table.json").read_text())["rows"]
    return {(row["method"], row["group"], row["metric"]): row["mean"] for row in rows}


def test_pairs_are_the_same_in_every_group_and_know_what_was_painted(small):
    found = cut_sections.pairs("phantom", "test", ("near", "far"), seed=1, limit=2)
    names = [(one.pair.group, one.pair.name) for one in found]
    assert len(names) == 4 and {n for g, n in names if g == "near"} == {n for _, n in names}
    for one in found:
        rms, shift, *_ = cut_sections.GROUPS[one.pair.group]
        field = one.cut.displacement
        assert np.sqrt((field**2).sum(axis=-1).mean()) == pytest.approx(np.hypot(rms, shift))
        np.testing.assert_array_equal(one.pair.moving, one.cut.image)
        np.testing.assert_array_equal(one.pair.fixed, one.plain.fixed)
        assert one.pair.moving_labels.shape == one.pair.fixed.shape


def test_the_painted_truth_is_consistent_and_a_miss_is_measured(small):
    one = cut_sections.pairs("phantom", "test", ("near",), seed=1, limit=1)[0]
    truth = cut_sections.Painted().displacement(one)
    still = np.zeros_like(truth)
    figures = cut_sections.judged(one, truth, still)
    assert figures["consistency"] < 0.02 and figures["folding"] == 0
    nothing = cut_sections.judged(one, still, still)
    assert 2.0 < nothing["consistency"] < 6.0
    assert figures["ncc"] > nothing["ncc"] + 0.1 and figures["dice"] > nothing["dice"]
    # Whoever is off by the same in both is consistent, up to the slope of what was painted.
    miss = np.array([0.0, 0.5])
    off = cut_sections.consistency(truth + miss, still + miss, one.cut)
    assert off < 0.3


def test_errors_of_a_stack_are_but_for_a_shift_of_the_whole():
    images = tissue.block(4, (64, 64), seed=2).images
    cuts = [damage.cut(image, 0.0) for image in images]
    shift = np.ones((64, 64, 2)) * (3.0, -2.0)
    assert cut_sections.stack_figures(images, lambda k: shift, cuts)["error"] == pytest.approx(0)
    jump = {k: shift * (k % 2) for k in range(4)}
    found = cut_sections.stack_figures(images, jump.get, cuts)
    length = np.hypot(3, 2)
    assert found["error"] == pytest.approx(length / 2)
    assert found["relative_error"] == pytest.approx(length)
    assert found["ncc"] > found["ncc2"] and found["folding"] == 0
    assert "error" not in cut_sections.stack_figures(images, jump.get)


def test_what_lies_beyond_a_section_does_not_count():
    images = tissue.block(1, (64, 64), seed=2).images
    away = np.ones((64, 64, 2)) * (0.0, 20.0)
    spoilt = [images[0].copy() for _ in range(3)]
    expected = cut_sections.stack_figures(spoilt, lambda k: away)["ncc"]
    spoilt[1][:, -20:] = 0
    assert cut_sections.stack_figures(spoilt, lambda k: away)["ncc"] == expected == pytest.approx(1)


@pytest.mark.long
def test_the_table_of_pairs(small, tmp_path, capsys):
    out = tmp_path / "out"
    methods = "none,painted truth,phase correlation,pixel ncc,ncc coarse to fine"
    words = ["--data", "phantom", "--pairs", "1", "--groups", "near,near+dust"]
    assert main(["run", "ssem-pairs", *words, "--methods", methods, "--out", str(out)]) == 0
    found = rows_of(out)
    assert {group for _, group, _ in found} == {"all", "near", "near, dust"}
    for method in ("painted truth", "ncc coarse to fine"):
        assert found[method, "near", "consistency"] < 0.7 * found["none", "near", "consistency"]
    assert found["pixel ncc", "near", "ncc"] > found["none", "near", "ncc"]
    assert {metric for _, _, metric in found} == {
        *("consistency", "ncc", "dice", "folding", "seconds")
    }
    assert main(["run", "ssem-pairs", "--data", "phantom", "--groups", "nearer"]) == 2
    assert "--groups takes near, far, near+dust" in capsys.readouterr().err


@pytest.mark.long
def test_the_table_of_stacks(small, tmp_path):
    out = tmp_path / "out"
    methods = "none,phase correlation,ncc, relaxed"
    words = ["run", "ssem-stack", "--data", "phantom", "--methods", methods, "--out", str(out)]
    assert main(words) == 0
    found = rows_of(out)
    assert {group for _, group, _ in found} == {"deformed 4", "undeformed 4"}
    assert found["none", "undeformed 4", "error"] == 0
    assert found["ncc, relaxed", "deformed 4", "ncc"] > found["none", "deformed 4", "ncc"] + 0.05
    for metric in ("error", "relative_error", "ncc2"):
        assert ("ncc, relaxed", "deformed 4", metric) in found


@pytest.mark.parametrize(
    "method",
    [pytest.param(Bidirectional("both ways"), marks=pytest.mark.long), StackReg("stackreg")],
)
def test_these_methods_agree_on_axes(method):
    if method.unavailable() is not None:
        pytest.skip(method.unavailable())
    section = tissue.block(1, (150, 170), seed=8).images[0].astype("float32")
    fixed, moving = section[8:136, 8:150], section[5:133, 10:152]  # moving(x + (3, -2)) = fixed(x)
    pair = Pair("shifted", fixed, moving, (1.0, 1.0))
    try:
        found = method.register(pair)
    finally:
        method.close()
    middle = found.displacement[30:-30, 30:-30].mean(axis=(0, 1))
    np.testing.assert_allclose(middle, (3, -2), atol=0.3)
    assert found.displacement.shape == (128, 142, 2) and found.seconds > 0


def test_damages_are_those_of_the_library():
    damages = {name for group in cut_sections.GROUPS.values() for name in group.damages}
    assert damages == set(damage.DAMAGES)
