import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from benchmarks import evaluate, volumes
from benchmarks.__main__ import main
from benchmarks.methods import in_space, plastimatch
from benchmarks.methods.apart import Apart
from benchmarks.methods.convexadam import convexadam
from benchmarks.methods.instance import Instance
from benchmarks.methods.nothing import Nothing
from benchmarks.methods.plastimatch import plastimatch as tool_of_plastimatch
from benchmarks.methods.syntx import syntx
from benchmarks.methods.worker import WorkerError
from benchmarks.pairs import Pair
from benchmarks.tables import optimise_brain
from tfreg.data import brain_volumes


@pytest.fixture
def blobs():
    """A volume of anisotropic voxels and the same moved by 1.5, -2 and 3 voxels."""
    rng = np.random.default_rng(4)
    spacing = np.array([2.0, 1.0, 1.0])
    grid = np.moveaxis(np.indices((24, 40, 36)), 0, -1) * spacing
    places = np.array([24, 20, 18]) + rng.normal(0, 6, (14, 3))

    def image(where):
        distance = ((where[..., None, :] - places) ** 2).sum(axis=-1)
        return (100 * np.exp(-distance / 14) * np.arange(1, 15)).sum(axis=-1).astype("float32")

    shift = np.array([1.5, -2.0, 3.0])
    return Pair("blobs", image(grid), image(grid - shift * spacing), tuple(spacing)), shift


def follows(pair, shift, displacement, within):
    bright = pair.fixed > 200
    error = np.linalg.norm(displacement[bright] - shift, axis=1)
    assert np.median(error) < within
    moved = evaluate.warp(pair.moving, displacement)
    assert evaluate.ncc(pair.fixed, moved) > 0.95


@pytest.mark.parametrize("start", [None, (1.0, -1.0, 2.0)])
def test_an_affine_registration_and_its_composition(blobs, start):
    pair, shift = blobs
    pair = replace(pair, start=start)
    transform = in_space.affine(pair, 1)
    nothing = np.zeros((*pair.fixed.shape, 3))
    displacement = in_space.composed(pair, nothing, transform)
    follows(pair, shift, displacement, within=0.5)
    # Resampling by SimpleITK is what the evaluator does with that displacement.
    inner = (slice(4, -4),) * 3
    expected = evaluate.warp(pair.moving, displacement)[inner]
    np.testing.assert_allclose(in_space.moved(pair, transform)[inner], expected, atol=0.1)
    # A field first, then the matrix: A(x + d) = A x + (linear part) d.
    field = np.broadcast_to((1.0, 2.0, -1.0), nothing.shape)
    turn = np.array(transform.GetMatrix()).reshape(3, 3)[::-1, ::-1]
    spacing = np.array(pair.spacing)
    expected = displacement + (turn @ ((1.0, 2.0, -1.0) * spacing)) / spacing
    np.testing.assert_allclose(in_space.composed(pair, field, transform), expected, atol=1e-6)


def test_a_field_in_millimetres_becomes_voxels(blobs):
    pair, _ = blobs
    field = np.broadcast_to((1.0, 2.0, 6.0), (*pair.fixed.shape, 3))  # x, y, z
    found = in_space.displacement(replace(pair, start=(1.0, 0.0, 0.5)), field)
    np.testing.assert_allclose(found[0, 0, 0], (4.0, 2.0, 1.5))


def test_what_plastimatch_is_told():
    text = plastimatch.commands(affine=True, masked=False)
    stages = text.split("[STAGE]")
    assert len(stages) == 5 and "xform=affine" in stages[1] and "fixed_roi" not in text
    spacings = [one.split("grid_spac=")[1].split()[0] for one in stages[2:]]
    assert spacings == ["30", "15", "10"] and stages[-1].rstrip().endswith("res=1 1 1")
    masked = plastimatch.commands(affine=False, masked=True)
    assert "fixed_roi=mask.mha" in masked and "xform=affine" not in masked


@pytest.mark.long
@pytest.mark.parametrize(
    "tool", [lambda: tool_of_plastimatch(True), lambda: convexadam(True), syntx]
)
def test_tools_follow_a_shift(blobs, tool):
    pair, shift = blobs
    tool = tool()
    if tool.unavailable():
        pytest.skip(tool.unavailable())
    try:
        for given in (pair, replace(pair, start=(1.0, -1.0, 2.0))):
            displacement, seconds = tool.register(given)
            follows(given, shift, displacement, within=0.8)
            assert seconds > 0
        assert tool.peak_mib() > 50
        flat = replace(pair, fixed=pair.fixed[0], moving=pair.moving[0], spacing=(1.0, 1.0))
        if tool.name != "syntx SyN":
            with pytest.raises(WorkerError, match="registers volumes"):
                tool.register(flat)
    finally:
        tool.close()


def test_what_is_not_installed_is_said(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    said = [one().unavailable() for one in (tool_of_plastimatch, convexadam, syntx)]
    assert said == [
        "skipped, plastimatch is not installed.",
        "skipped, convexAdam is not installed.",
        "skipped, syntx is not installed.",
    ]


def test_ours_in_a_process_of_its_own_answers_as_here(blobs):
    pair, _ = blobs
    apart = Apart(Nothing())
    assert apart.name == "none" and apart.unavailable() is None and apart.peak_mib() is None
    try:
        assert apart.warm(pair) is None
        displacement, seconds = apart.register(replace(pair, fixed_labels=pair.fixed > 0))
        np.testing.assert_array_equal(displacement, pair.at_start())
        assert seconds is None and 10 < apart.peak_mib() < 4000
    finally:
        apart.close()


@pytest.mark.long
def test_ours_registers_there(blobs):
    pair, shift = blobs
    apart = Apart(Instance("tfreg", transform=("affine", "bspline"), pyramid="fast"))
    try:
        assert apart.warm(pair) > 0 and apart.ours
        displacement, seconds = apart.register(pair)
        follows(pair, shift, displacement, within=0.5)
        assert 0 < seconds < 60 and apart.peak_mib() > 100
    finally:
        apart.close()


@pytest.mark.parametrize("shape", [(9, 13), (6, 9, 7)])
def test_labels_warped_at_once_are_those_warped_one_by_one(rng, shape):
    labels = ndimage.zoom(rng.integers(0, 6, [-(-n // 3) for n in shape]), 3, order=0)
    labels = labels[tuple(slice(n) for n in shape)].astype("uint8")
    displacement = 2.5 * rng.normal(size=(*shape, len(shape)))
    found = evaluate.warp_labels(labels, displacement)
    assert found.dtype == np.uint8 and found.any()
    for label in range(1, 6):
        alone = evaluate.warp((labels == label).astype("float32"), displacement) > 0.5
        np.testing.assert_array_equal(found == label, alone)
    moving = labels[1:, 2:]  # of another size
    found = evaluate.warp_labels(moving, displacement)
    alone = evaluate.warp((moving == 3).astype("float32"), displacement) > 0.5
    np.testing.assert_array_equal(found == 3, alone)


def test_every_pair_has_its_reverse():
    pairs = volumes.whole_brains("test", "phantom")
    names = [pair.name for pair in pairs]
    assert len(set(names)) == 6 and {len({*n.split(" <- ")}) for n in names} == {2}
    assert {" <- ".join(reversed(name.split(" <- "))) for name in names} == set(names)
    (one,) = volumes.whole_brains("test", "phantom", limit=1)
    assert one.name in names
    assert len(volumes.whole_brains("test", "phantom", limit=3)) == 3
    np.testing.assert_array_equal(pairs[0].fixed, pairs[1].moving)


def test_maps_that_undo_each_other_are_consistent():
    image = np.ones((8, 9, 10), "float32")
    pairs = [Pair(name, image, image, (1.0, 2.0, 1.0)) for name in ("a <- b", "b <- a")]
    there = np.zeros((8, 9, 10, 3))
    there[..., 1] = 1.5
    spread, inverse = optimise_brain.smoothness("x", pairs, [there, -there])
    assert (spread.metric, inverse.metric) == ("sd log J", "inverse")
    assert spread.mean == inverse.mean == 0 and inverse.n == 2 and inverse.unit == "mm"
    _, inverse = optimise_brain.smoothness("x", pairs, [there, 0 * there])
    assert inverse.mean == pytest.approx((3 + 3) / 2)
    assert len(optimise_brain.smoothness("x", pairs[:1], [there])) == 1


def test_a_table_of_phantoms(tmp_path, monkeypatch, capsys):
    grid = (24, 28, 22)
    monkeypatch.setattr(brain_volumes, "SHAPE", grid)
    words = ["run", "optimise-brain", "--data", "phantom", "--pairs", "2"]
    assert main([*words, "--methods", "none", "--out", str(tmp_path)]) == 0
    content = json.loads((tmp_path / "table.json").read_text())
    found = {row["metric"]: row for row in content["rows"] if row["group"] == "all"}
    assert 0.2 < found["dice"]["mean"] < 1 and found["inverse"]["mean"] == 0
    assert found["sd log J"]["mean"] == found["folding"]["mean"] == 0
    assert (
        "mean of those of 8 regions" in content["protocol"]
        and "| none |" in capsys.readouterr().out
    )


def test_rows_of_both_splits():
    names = [line.name for line in optimise_brain.contenders()]
    assert names == [
        *("none", "tfreg affine", "elastix 10 mm x500", "elastix 5 mm x2000", "greedy"),
        *("ANTs SyN", "plastimatch B-spline", "convexAdam", "syntx SyN"),
        *("tfreg fast", "tfreg default", "tfreg accurate", "tfreg brain-mr"),
    ]
    assert len({line.name for line in optimise_brain.candidates()}) == 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--pairs", "0"], "--pairs must be positive"),
        (["--methods", "demons"], "Received: demons"),
        (["--split", "validation", "--methods", "greedy"], "Received: greedy"),
    ],
)
def test_bad_options_exit_with_2(tmp_path, capsys, words, message):
    assert main(["run", "optimise-brain", *words, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
