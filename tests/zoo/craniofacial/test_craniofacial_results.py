"""What the committed table of the deformed skull must show."""

import json
from pathlib import Path

TABLE = Path(__file__).parents[3] / "benchmarks" / "results" / "craniofacial" / "table.json"


def test_network_and_descent_find_the_deformation():
    rows = json.loads(TABLE.read_text(encoding="utf-8"))["rows"]
    found = {(row["method"], row["metric"]): row for row in rows}
    assert found["regressor 3", "bone error"]["mean"] <= 0.5
    assert found["gauss-newton gc", "bone error"]["mean"] <= 0.3
    ours, theirs = (found[m, "seconds"]["median"] for m in ("regressor 3", "gauss-newton gc"))
    assert theirs > 5 * ours
