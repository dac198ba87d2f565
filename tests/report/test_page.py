import base64
import json
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import SimpleITK as sitk
from handmade import build
from shipped import DIGITS, HEARTS

import zoo
from tfreg import report
from tfreg.errors import InputError


class Document(HTMLParser):
    """The elements, and the text outside of styles and scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self.open = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if not {"style", "script"} & {*self.open}:
            self.text += data + " "


def data_of(page):
    return json.loads(re.search(r'type="application/json">(.*?)</script>', page, re.S)[1])


def sheet_of(page, key, tmp_path, plane=0):
    path = tmp_path / "sheet.png"
    uri = data_of(page)["planes"][plane]["sheets"][key]
    path.write_bytes(base64.b64decode(uri.split(",")[1]))
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_what_it_says(answers):
    preset = vars(zoo.describe(HEARTS))
    text = Document(report.html(answers[3], preset, "A onto B")).text
    check = answers[3].check()
    assert check.folding > 0
    for words in (
        "A onto B", "0.8123", "0.9345", f"{check.folding:.3g} %", f"{check.jacobian_max:.3g}",
        "the spacing is not the one trained on", "the map folds in", "1.5 x 1.5 x 4",
        "40 x 32 x 20", "36 x 36 x 24", "L, P, I", "10, -20, 30", HEARTS,
        "CC BY-NC-SA 4.0", "doi:10.1007/978-3-319-67558-9_24", preset["sha256"], "0.5 s", "1.5 s",
    ):  # fmt: skip
        assert words in text
    assert "curve" not in text  # thousands of numbers


def test_no_network_and_nothing_to_warn_of():
    text = Document(report.html(build(2, fold=False, notes=()))).text
    assert "optimised on this pair" in text and "Warnings None" in " ".join(text.split())


def test_nothing_points_outside(answers):
    page = report.html(answers[2], vars(zoo.describe(DIGITS)))
    for tag, attributes in Document(page).elements:
        assert tag not in ("iframe", "object", "embed", "base", "form")
        for name in ("src", "href", "data", "action"):
            assert attributes.get(name, "data:").startswith("data:")
    assert "url(" not in page and "@import" not in page
    assert "default-src 'none'" in page


def test_words_of_others_stay_words(answers):
    nasty = '</script><script>alert(1)</script><b>"&'
    page = report.html(answers[2], {"name": nasty, "summary": {nasty: [nasty]}}, title=nasty)
    document = Document(page)
    assert [tag for tag, _ in document.elements].count("script") == 2
    assert "b" not in [tag for tag, _ in document.elements]
    assert nasty in document.text


def test_pictures_are_those_of_the_images(answers, tmp_path):
    page = report.html(answers[3])
    after = sheet_of(page, "after", tmp_path)  # axial: 20 slices, of which 16 are shown, 4 x 4
    rows, columns = answers[3].fixed.geometry.shape[1:]
    assert after.shape == (4 * rows, 4 * columns)
    shown = data_of(page)["planes"][0]["slices"]
    assert shown[0] > shown[-1]  # the third axis leads to the feet
    tile = after[rows : 2 * rows, 2 * columns : 3 * columns].astype("float64")  # the seventh
    assert np.corrcoef(tile.ravel(), answers[3].moved.array[shown[6]].ravel())[0, 1] > 0.999
    before = sheet_of(page, "before", tmp_path).astype("float64")
    fixed = sheet_of(page, "fixed", tmp_path).astype("float64")
    assert np.corrcoef(before.ravel(), fixed.ravel())[0, 1] > 0.75  # the 30 mm between are undone


def test_jacobian_colours(answers, tmp_path):
    colours = sheet_of(report.html(answers[2]), "jacobian", tmp_path)
    determinant = answers[2].inner.jacobian_determinant
    assert colours.shape == (*determinant.shape, 3)
    inner = (slice(1, -1),) * 2
    folded = (colours == (255, 196, 0)).all(axis=-1)
    np.testing.assert_array_equal(folded[inner], (determinant <= 0)[inner])
    smaller = (determinant > 0.05) & (determinant < 0.7)
    assert (colours[..., 2] > colours[..., 0])[smaller].all() and smaller.sum() > 5
    larger = determinant > 1.4
    assert (colours[..., 0] > colours[..., 2])[larger & ~folded].all() and larger.sum() > 5
    assert (colours[np.abs(determinant - 1) < 1e-3] > 245).all()


def test_grid_goes_where_the_transform_takes_it():
    """The node nearest to the bump, on the page, against the transform itself."""
    answer = build(2, fold=False)
    grid = data_of(report.html(answer))["planes"][0]["grid"]
    nodes = np.frombuffer(base64.b64decode(grid["nodes"]), "<i2")
    nodes = nodes.reshape(grid["rows"], grid["columns"], 2) / 4000
    geometry = answer.fixed.geometry
    assert grid["rows"] == 30  # a line for each row, 2.5 mm apart, and hardly more of the columns
    columns = np.rint(np.linspace(0, 47, grid["columns"])).tolist()
    index = np.array([17, 29])
    point = geometry.to_physical(index)
    landed = answer.initial.inverse().apply_points(answer.transform.apply_points(point[None]))
    place = (landed[0] - geometry.to_physical([-0.5, -0.5])) / geometry.extent
    assert np.linalg.norm(landed[0] - point) > 2.5
    np.testing.assert_allclose(nodes[17, columns.index(29)], place, atol=2e-4)


def test_a_large_picture_is_shrunk(answers, tmp_path, monkeypatch):
    from tfreg.report import sheets

    monkeypatch.setattr(sheets, "PIXELS_2D", 20)
    after = sheet_of(report.html(answers[2]), "after", tmp_path)
    assert after.shape == (15, 16)  # 30 x 48 by 2 and 3
    colours = sheet_of(report.html(answers[2]), "jacobian", tmp_path)
    assert (colours == (255, 196, 0)).all(axis=-1).any()  # folds are not averaged away


def test_write(answers, tmp_path):
    report.write(tmp_path / "report.html", answers[2], title="A")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == report.html(
        answers[2], title="A"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(InputError, match="cannot be written"):
        report.write(tmp_path / "none" / "report.html", answers[2])
    (tmp_path / "taken").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        report.write(tmp_path / "taken", answers[2])
    assert sorted(os.listdir(tmp_path)) == ["report.html", "taken"]


def test_a_registration_as_it_comes():
    from tfreg.registration import register

    made = build(2, fold=False)
    answer = register(made.fixed, made.moving, "translation", pyramid="fast")
    page = report.html(answer)
    assert f"{answer.similarity_after:.4f}" in page and "level 1" in page
    assert answer.similarity_after > answer.similarity_before
