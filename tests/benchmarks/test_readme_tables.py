import json
import re

import pytest

from benchmarks import readme


@pytest.mark.parametrize("page", readme.pages(), ids=lambda p: str(p.relative_to(readme.ROOT)))
def test_pages_show_the_committed_tables(page):
    assert page.read_text(encoding="utf-8") == readme.updated(page)


def test_no_committed_table_names_a_folder_of_the_machine():
    """Such as that of the data, in the message of an error that became a note."""
    tables = sorted((readme.ROOT / "benchmarks" / "results").glob("*/table.json"))
    assert len(tables) > 20
    for path in tables:
        said = re.findall(r"(?<![\w:/.<])/\w[\w.-]*/[\w./-]+", path.read_text(encoding="utf-8"))
        assert said == [], path


def test_the_readme_says_what_was_measured_against_elastix_and_greedy():
    """Ahead where the interval is, not established where it is not, in the numbers of the table."""
    path = readme.ROOT / "benchmarks/results/optimise-cine/table.json"
    differences = json.loads(path.read_text(encoding="utf-8"))["differences"]
    text = " ".join((readme.ROOT / "README.md").read_text(encoding="utf-8").split())
    said = re.findall(r"gains ([\d.-]+) \[([\d.-]+), ([\d.-]+)\] on elastix at its best grid", text)
    said += re.findall(r"and ([\d.-]+) \[([\d.-]+), ([\d.-]+)\] on greedy", text)
    for numbers, reference in zip(said, ("elastix 8 px x500", "greedy"), strict=True):
        (one,) = (
            d for d in differences if (d["method"], d["reference"]) == ("tfreg default", reference)
        )
        assert numbers == tuple(f"{one[name]:.3f}" for name in ("mean", "low", "high"))
        assert one["n"] == 156 and (one["low"] > 0) == (reference != "greedy")
