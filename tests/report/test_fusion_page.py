import numpy as np
import pytest
from devtools import Page
from test_page import Document, data_of, sheet_of

from tfreg import report
from tfreg.geometry import Geometry

PRESET = {"name": "any-fuser", "summary": "fuses", "licence": "Apache-2.0", "sha256": "a1b2"}


def page(rng, shape, colour):
    images = {name: rng.random(shape) for name in ("first", "second", "fused")}
    if colour:
        images["second"], images["fused"] = rng.random((2, *shape, 3))
    steps = (4.0, 1.0, 1.5)[-len(shape) :]
    weight = np.linspace(0, 1, int(np.prod(shape))).reshape(shape)
    content = report.fusion_html(
        Geometry.of_shape(shape, steps),
        images,
        weight,
        figures=[("Q_G", "0.7244")],
        settings=[("registered before by", "affine")],
        preset=PRESET,
        title="ct and mri",
    )
    return content, images, weight


def test_it_shows_both_images_the_fused_one_and_the_weight(rng, tmp_path):
    content, images, weight = page(rng, (20, 33), True)
    assert data_of(content)["names"] == {name: name for name in ("first", "second", "fused")}
    fused = sheet_of(content, "fused", tmp_path)
    np.testing.assert_array_equal(fused, np.rint(255 * images["fused"]))
    np.testing.assert_array_equal(sheet_of(content, "weight", tmp_path), np.rint(255 * weight))
    first = sheet_of(content, "first", tmp_path)
    assert first.shape == (20, 33)
    assert np.corrcoef(first.ravel(), images["first"].ravel())[0, 1] > 0.99
    text = " ".join(Document(content).text.split())
    for words in ("ct and mri", "0.7244", "affine", "any-fuser", "a1b2", "A fusion by tfreg"):
        assert words in text


def test_volumes_are_shown_in_three_planes(rng, tmp_path):
    content, _, _ = page(rng, (3, 20, 33), False)
    assert [plane["name"] for plane in data_of(content)["planes"]] == [
        "axial",
        "coronal",
        "sagittal",
    ]
    assert sheet_of(content, "second", tmp_path).shape == (40, 66)  # three slices on 2 x 2


@pytest.mark.parametrize("shape", [(20, 33), (3, 20, 33)])
def test_in_a_browser(browser, rng, tmp_path, shape):
    path = tmp_path / "fusion.html"
    path.write_text(page(rng, shape, False)[0], encoding="utf-8")
    shown = Page(browser, path.as_uri(), 1280)
    try:
        assert shown.complaints() == [] and shown.requests() == [path.as_uri()]
        chips = "document.querySelector('.left-name').textContent"
        assert shown.run(chips) == "first"
        shown.run("document.querySelector('input[value=second-fused]').click()")
        shown.settle()
        assert shown.run(chips) == "second"
        label = "document.querySelector('canvas.weight').getAttribute('aria-label')"
        assert shown.run(label).endswith("weight of the first image")
        assert shown.complaints() == []
    finally:
        shown.close()
