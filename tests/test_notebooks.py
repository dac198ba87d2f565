"""Every notebook runs from top to bottom on the embedded data."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


# The line that tells an error: "7.61 px before, 1.13 px after", "9 % without a …, 2 % with".
ERRORS = r"([\d.]+) (?:px|mm|%) (?:before|without[^,]*), ([\d.]+) (?:px|mm|%) (?:after|with)"


@pytest.mark.long
@pytest.mark.parametrize("path", sorted(ROOT.glob("notebooks/*.ipynb")), ids=lambda p: p.stem)
def test_notebook_runs(path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.delenv("TFREG_DATA", raising=False)
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}
    ).execute()
    text = "".join(str(output) for cell in notebook.cells for output in cell.get("outputs", []))
    before, after = re.search(ERRORS, text).groups()
    assert 0 < float(after) < 0.7 * float(before)
    assert "NCC" in text
    shown = [
        output["data"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "data" in output
    ]
    pictures = ["image/png" in data for data in shown]
    assert sum(pictures) >= 3
    for data, picture in zip(shown, pictures, strict=True):
        assert picture or not data["text/plain"].startswith("<Figure")
