"""Every notebook runs from top to bottom on the embedded data."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


# Of each notebook, the line that tells an error before and after registration.
BEFORE_AND_AFTER = {
    "01_dirnet_mnist": r"on the strokes: ([\d.]+) px before, ([\d.]+) px after",
    "02_register_any_pair": r"landmarks: ([\d.]+) mm before, ([\d.]+) mm after",
    "03_beating_heart": r"on the wall: ([\d.]+) px before, ([\d.]+) px after",
    "04_breathing_lungs": r"in the lungs: ([\d.]+) mm before, ([\d.]+) mm after",
    "08_lddmm_quicksilver": r"intensities: ([\d.]+) before, ([\d.]+) after",
}


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
    before, after = re.search(BEFORE_AND_AFTER[path.stem], text).groups()
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
