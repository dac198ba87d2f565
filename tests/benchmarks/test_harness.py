import json
from dataclasses import asdict

import numpy as np
import pytest

from benchmarks.harness import Row, Table, choose
from benchmarks.paired import Difference
from tfreg.errors import InputError


def test_row_statistics():
    row = Row.of("none", "all", "ncc", "1", [1, 2, 3, 10], paper=0.5)
    assert (row.mean, row.median, row.q1, row.q3, row.n) == (4, 2.5, 1.75, 4.75, 4)
    assert row.sd == pytest.approx(np.std([1, 2, 3, 10], ddof=1), rel=1e-5)


def test_names_may_hold_commas():
    known = ("none", "elastix 2x500", "elastix 2x500, 8 px", "8 px")
    assert choose("elastix 2x500, 8 px,none", known) == ["none", "elastix 2x500, 8 px"]
    assert choose("8 px, elastix 2x500", known) == ["elastix 2x500", "8 px"]
    with pytest.raises(InputError, match=r"takes none, .* Received: magic, 9 px$"):
        choose("none,magic,9 px", known)


def test_differences_stand_below_the_table_and_in_the_json(tmp_path):
    table = Table("t", "d", "p", {"dice": "mean ± sd"})
    table.rows = [Row.of(method, "all", "dice", "1", [0.5, 0.7]) for method in ("a", "b", "c")]
    numbers = {"mean": 0.0125, "low": -0.001, "high": 0.03}
    about = {"metric": "dice", "unit": "1", "n": 90, "clusters": 10, "resampled": "patient"}
    table.differences = [
        Difference(method, reference, **numbers, **about)
        for method, reference in (("a", "b"), ("c", "b"), ("a", "c"))
    ]
    table.write(tmp_path)
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert (
        "\n\npaired differences of dice, mean [95 % interval] over 90 registrations of 10 "
        "patients; each interval from 10000 draws of patients:\n\n"
        "| method | less b | less c |\n"
        "| --- | --- | --- |\n"
        "| a | +0.0125 [-0.0010, +0.0300] | +0.0125 [-0.0010, +0.0300] |\n"
        "| c | +0.0125 [-0.0010, +0.0300] |  |\n\n"
    ) in text
    content = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    assert content["differences"] == [asdict(one) for one in table.differences]
