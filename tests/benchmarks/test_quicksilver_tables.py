import json
from types import SimpleNamespace

import numpy as np
import pytest

import zoo
from benchmarks import geodesics, pairs, volumes
from benchmarks.__main__ import main
from benchmarks.harness import Table
from benchmarks.methods import networks
from benchmarks.methods.instance import Instance
from benchmarks.methods.preset import Preset
from benchmarks.tables import lddmm_oasis2d, quicksilver_hippocampus
from tfreg.registration import Level, Pyramid
from tfreg.registration.instance.optimisation import Optimisation
from zoo import methods
from zoo.quicksilver.model import Quicksilver

pytestmark = pytest.mark.plain

METHODS = "none,lo,lo 50 iterations,lp,lpc,lpp,lp + refine"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Small images, few evaluations, and a network that has learned nothing."""
    for name in ("_models", "_loaded"):
        monkeypatch.setattr(networks, name, {})
    monkeypatch.setattr(networks, "_warm", set())
    levels = Pyramid((Level(steps=2, weight=0.08),))
    for recipe in ("quicksilver-oasis2d", "quicksilver-hippocampus"):
        monkeypatch.setattr(methods.recipe(recipe), "lo", levels, raising=False)
    for name, count in (("SAMPLES", 2), ("FIXED_STEPS", 1), ("REFINE", 1)):
        monkeypatch.setattr(geodesics, name, count)
    models = {}

    def load(name):
        ndim = 2 if "oasis2d" in name else 3
        if name not in models:
            model = models[name] = Quicksilver(
                ndim, width=1, dropout=0.2, corrected=True, momentum_scale=1e-3
            )
            model.build()
        return models[name]

    names = [
        f"quicksilver-{data}-phantom{suffix}"
        for data in ("oasis2d", "hippocampus")
        for suffix in ("", "-lpp")
    ]
    monkeypatch.setattr(zoo, "list_presets", lambda: names)
    monkeypatch.setattr(zoo, "load", load)
    monkeypatch.setattr(zoo, "describe", lambda name: SimpleNamespace(architecture={"of": name}))
    brains, hippocampi = pairs.brains, volumes.hippocampi
    of_slices = (slice(40, 72), slice(40, 70))
    of_volumes = (slice(14, 34), slice(20, 44), slice(14, 34))

    def cropped(found, box):
        names = ("fixed", "moving", "fixed_labels", "moving_labels")
        for pair in found:
            for name in names:
                if getattr(pair, name) is not None:
                    object.__setattr__(pair, name, getattr(pair, name)[box])
        return found

    monkeypatch.setattr(
        "benchmarks.tables.lddmm_oasis2d.brains", lambda *a: cropped(brains(*a), of_slices)
    )
    monkeypatch.setattr(volumes, "hippocampi", lambda *a: cropped(hippocampi(*a), of_volumes))


@pytest.mark.long
@pytest.mark.parametrize("name", ["lddmm-oasis2d", "quicksilver-hippocampus"])
def test_table_on_phantoms(tmp_path, name):
    words = ["--data", "phantom", "--pairs", "2", "--methods", METHODS, "--out", str(tmp_path)]
    assert main(["run", name, *words]) == 0
    content = json.loads((tmp_path / "table.json").read_text())
    cells = {(row["method"], row["metric"]): row for row in content["rows"]}
    methods = METHODS.split(",")
    assert [m for m, metric in cells if metric == "mse_ratio"] == methods
    assert cells["none", "mse_ratio"]["mean"] == 1
    assert cells["lo", "mse_ratio"]["mean"] < 0.95
    assert cells["lo", "diffeomorphic"]["mean"] == 100
    assert cells["lo", "least_determinant"]["mean"] > 0.1
    assert ("lo", "error_to_lo") not in cells
    error = cells["lp", "error_to_lo"]
    assert error["mean"] > 0 and error["unit"] == ("px" if name == "lddmm-oasis2d" else "mm")
    assert cells["lpc", "gap_closed"]["unit"] == "%"
    assert -1 <= cells["lpp", "uncertainty"]["mean"] <= 1 and cells["lpp", "uncertainty"]["n"] == 2
    counts = {"lo": 3, "lo 50 iterations": 2, "lp": 0, "lp + refine": 2}
    assert {method: cells[method, "evaluations"]["mean"] for method in counts} == counts
    assert (tmp_path / "uncertainty.png").stat().st_size > 10_000
    assert ("lo", "dice") in cells or name == "lddmm-oasis2d"
    for figure in ("grids.png", "momenta.png"):
        assert (tmp_path / figure).stat().st_size > 5_000
    assert ("lo", "target_overlap") in cells or ("lo", "dice") not in cells
    assert any("percentiles of the distance to `lo`" in note for note in content["notes"])
    assert "0.702" in " ".join(content["notes"]) or name == "lddmm-oasis2d"


@pytest.mark.parametrize("table", [lddmm_oasis2d, quicksilver_hippocampus])
@pytest.mark.parametrize("data", ["phantom", ""])
def test_the_options_of_every_line_are_valid(table, data):
    """A mistake would end the table when its line comes, and all before it were lost."""
    lines = table.contenders(data, None)
    assert len({line.name for line in lines}) == len(lines)
    lines = [getattr(line, "_contender", line) for line in lines]
    found = [line for line in lines if isinstance(line, Instance)]
    assert len(found) >= 4
    for line in found:
        Optimisation(**line.options)
    of_networks = [line for line in lines if isinstance(line, Preset)]
    assert all(set(line.options) <= set(Quicksilver.options) for line in of_networks)


def test_overlap_is_that_of_the_target(shifts):
    found, fields = shifts
    for pair in found:
        labels = np.zeros((20, 24), int)
        labels[4:10, 4:8], labels[12:16, 4:8] = 1, 2
        pair.__dict__.update(fixed_labels=labels, moving_labels=labels)
    table = Table("x", "y", "z", {})
    geodesics.add_target_overlap(table, found, {"none": fields["none"], "lo": fields["lo"]}, (1, 2))
    means = {row.method: row.mean for row in table.rows}
    # By one row: five sixths of the first are covered, three quarters of the second.
    assert means == {"none": 1, "lo": pytest.approx((5 / 6 + 3 / 4) / 2)}


@pytest.fixture
def shifts(rng):
    """Two pairs of images, and displacements of them by known distances."""
    found = [
        pairs.Pair(name, *rng.random((2, 20, 24)).astype("float32"), (1.0, 2.0), unit="mm")
        for name in "ab"
    ]
    for pair in found:
        pair.fixed[:, 12:] = pair.moving[:, 12:] = 0  # nothing is shown there
    lo = np.zeros((2, 20, 24, 2))
    lo[..., 0] = 1.0
    lp = lo.copy()
    lp[0, :, :12, 1] += 0.5  # 1 mm
    lp[1, :, :12, 0] += 3.0
    lp[1, :, 12:] -= 100.0
    return found, {"none": np.zeros_like(lo), "lo": lo, "lp": lp}


def test_rows_are_those_of_the_displacements(shifts):
    found, fields = shifts
    table = Table("x", "y", "z", {})
    ratios = geodesics.add_rows(table, found, fields)
    cells = {(row.method, row.metric): row for row in table.rows}
    assert ratios["none"] == [1.0, 1.0]
    moved = np.concatenate([found[0].moving[1:], found[0].moving[-1:]])
    expected = ((moved - found[0].fixed) ** 2).mean()
    expected /= ((found[0].moving - found[0].fixed) ** 2).mean()
    assert ratios["lo"][0] == pytest.approx(expected, rel=1e-5)
    error = cells["lp", "error_to_lo"]
    assert (error.unit, error.n, error.mean) == ("mm", 2, pytest.approx(2.0))
    assert cells["none", "error_to_lo"].mean == 1 and ("lo", "error_to_lo") not in cells
    assert cells["lo", "diffeomorphic"].mean == 100 and cells["lp", "diffeomorphic"].mean == 50
    assert cells["lo", "least_determinant"].mean == pytest.approx(1)
    (note,) = (note for note in table.notes if note.startswith("lp:"))
    assert "50 %: 2.000" in note and "99.7 %: 223.607" in note
    assert set(table.figures) == {"grids.png"}


def test_evaluations_are_those_that_are_asked_for(shifts):
    found, fields = shifts
    table = Table("x", "y", "z", {})
    geodesics.add_evaluations(table, found, "quicksilver-oasis2d", fields)
    assert {row.method: row.mean for row in table.rows} == {"lo": 3, "lp": 0}


def test_uncertainty_is_compared_where_there_is_something(shifts, tmp_path, rng):
    found, fields = shifts
    fields["lpp"] = fields["lo"] + rng.random((2, 20, 24, 1))
    error = np.linalg.norm((fields["lpp"] - fields["lo"]) * [1, 2], axis=-1)
    one = geodesics.Sampled("lpp", "none")
    # The first is that of a warm-up; where nothing is shown, they say the contrary.
    one.variances = [error[0], *np.where(np.arange(24) < 12, error**3, 1 / (1 + error))]
    table = Table("x", "y", "z", {})
    geodesics.add_uncertainty(table, found, fields, [one])
    (row,) = table.rows
    assert (row.metric, row.n, row.mean) == ("uncertainty", 2, pytest.approx(1))
    table.figures["uncertainty.png"](tmp_path / "u.png")
    assert (tmp_path / "u.png").stat().st_size > 10_000


def test_the_gap_is_that_of_the_means_with_its_interval():
    table = Table("x", "y", "z", {})
    values = {"lo": [0.8, 0.9, 0.7], "lp": [0.6, 0.7, 0.5], "lpc": [0.7, 0.8, 0.6]}
    some = [SimpleNamespace(unit="mm")] * 3
    geodesics.add_gap(table, some, values)
    (row,) = table.rows
    assert (row.method, row.metric, row.unit) == ("lpc", "gap_closed", "%")
    assert row.mean == pytest.approx(50)
    assert "lpc closes 50 % [50, 50] of the gap" in table.notes[0]
    geodesics.add_gap(table, some, {"lo": [1.0], "lp": [0.5]})
    assert len(table.rows) == 1


def test_brains_are_pairs_of_two_people():
    found = pairs.brains("validation", "phantom", seed=1, limit=6)
    assert len(found) == 6 and {pair.unit for pair in found} == {"px"}
    assert all(np.abs(pair.fixed - pair.moving).max() > 0.1 for pair in found)
    assert len({pair.name for pair in pairs.brains("validation", "phantom")}) == 90
