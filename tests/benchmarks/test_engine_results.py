"""What the committed tables of the engine must show, and what the pages say of them."""

import json
import re
from pathlib import Path

from benchmarks import readme

RESULTS = Path(__file__).parent.parent.parent / "benchmarks" / "results"


def rows_of(table):
    rows = json.loads((RESULTS / table / "table.json").read_text(encoding="utf-8"))["rows"]
    return {(row["method"], row["group"], row["metric"]): row for row in rows}


def test_the_search_finds_more_starts_than_other_initialisers():
    found = rows_of("wide-capture")

    def starts(method):
        rows = [found[method, group, "success"] for group in ("brains", "CTs")]
        assert all(row["n"] == 50 for row in rows)
        return round(sum(row["n"] * row["mean"] / 100 for row in rows))

    others = [m for m, group, _ in found if m.startswith(("elastix", "ANTs")) and group == "CTs"]
    best = max(map(starts, others))
    assert starts("tfreg rigid search") > best and found["none", "CTs", "success"]["mean"] == 0
    text = " ".join((readme.ROOT / "README.md").read_text(encoding="utf-8").split())
    (said,) = re.findall(
        r"brings (\d+) of 100 to within 10 mm;.* brings (\d+), .* mass (\d+) ", text
    )
    assert [*map(int, said)] == [
        *map(starts, ("tfreg rigid search", "elastix gravity", "ANTs mass"))
    ]
