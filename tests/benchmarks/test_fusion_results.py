"""What the committed tables of fusion must show."""

import json
from pathlib import Path

import pytest

from benchmarks.tables import fusion_brain, fusion_misaligned
from tfreg.data import brain_pairs

RESULTS = Path(__file__).parent.parent.parent / "benchmarks" / "results"
PAIRS = {"ct-mri": 37, "pet-mri": 93, "spect-mri": 64}


def rows_of(table):
    rows = json.loads((RESULTS / table / "table.json").read_text(encoding="utf-8"))["rows"]
    return {(row["method"], row["group"], row["metric"]): row for row in rows}


@pytest.mark.parametrize("table", [fusion_brain, fusion_misaligned])
def test_the_tables_can_be_made_again(table):
    """Their lines are those that the tables still have, all of them."""
    name = table.__name__.rpartition(".")[2].replace("_", "-")
    assert {method for method, _, _ in rows_of(name)} == set(table.METHODS)


@pytest.mark.parametrize("group", brain_pairs.GROUPS)
def test_every_method_fused_every_test_pair(group):
    found = rows_of("fusion-brain")
    for method in fusion_brain.METHODS:
        for metric in ("q_mi", "q_y", "q_cb", "entropy", "rank", "seconds"):
            assert found[method, group, metric]["n"] == PAIRS[group]


def test_the_network_is_first_or_second_on_ct_and_mri():
    found = rows_of("fusion-brain")
    ranks = sorted(found[method, "ct-mri", "rank"]["mean"] for method in fusion_brain.METHODS)
    assert found["cnn", "ct-mri", "rank"]["mean"] in ranks[:2]


def test_it_takes_little_longer_than_its_convolutions():
    found = rows_of("fusion-brain")
    whole, alone, rest = (
        found["cnn", "ct-mri", metric]["median"]
        for metric in ("seconds", "seconds_convolutions", "seconds_rest")
    )
    assert whole <= 1.2 * alone and rest < 0.015


def test_the_similarity_was_chosen_on_validation_pairs():
    """That of the command and of the table keeps more edges than the other one."""
    kept = {}
    for name in ("mi", "ngf"):
        table = RESULTS / f"fusion-misaligned-{name}" / "table.json"
        content = json.loads(table.read_text(encoding="utf-8"))
        assert "validation pairs" in content["data"] and content["settings"]["similarity"] == name
        rows = [row for row in content["rows"] if row["method"] == "registered"]
        kept[name] = [row["mean"] for row in rows if row["metric"] == "q_g"]
        assert len(kept[name]) == 2  # beside PET there are none
    assert sum(kept["mi"]) > sum(kept["ngf"])


@pytest.mark.parametrize("group", brain_pairs.GROUPS)
def test_registration_wins_back_what_misalignment_costs(group):
    found = rows_of("fusion-misaligned")
    for method in fusion_misaligned.METHODS:
        assert found[method, group, "q_g"]["n"] > 0.9 * PAIRS[group]
    assert found["misaligned", group, "q_g"]["mean"] < found["aligned", group, "q_g"]["mean"]
    assert found["registered", group, "won_back"]["mean"] >= 80
