"""The report in a real browser."""

import numpy as np
import pytest
import SimpleITK as sitk
from devtools import Page
from shipped import HEARTS

import zoo
from tfreg import report

COMPARE = ".plane canvas.compare"
WIPE = ".plane input.wipe"


@pytest.fixture(scope="module")
def files(answers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    preset = vars(zoo.describe(HEARTS))
    for ndim, answer in answers.items():
        report.write(folder / f"{ndim}.html", answer, preset, "a_long_name_of_a_patient.nii.gz" * 3)
    return {ndim: (folder / f"{ndim}.html").as_uri() for ndim in answers}


@pytest.fixture
def open_page(browser, files):
    pages = []

    def opened(ndim, width=1280):
        pages.append(Page(browser, files[ndim], width))
        return pages[-1]

    yield opened
    for page in pages:
        page.close()


def picture(page, selector):
    """The pixels of a canvas, (rows, columns, 4)."""
    code = (
        "(() => {{ const c = document.querySelector('{}');"
        "const copy = new OffscreenCanvas(c.width, c.height).getContext('2d');"
        "copy.drawImage(c, 0, 0); const d = copy.getImageData(0, 0, c.width, c.height);"
        "return [c.width, c.height, Array.from(d.data)]; }})()"
    )
    width, height, values = page.run(code.format(selector))
    return np.array(values, "uint8").reshape(height, width, 4)


def value(page, selector):
    return page.run(f"document.querySelector('{selector}').value")


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("width", [1280, 400])
def test_it_loads_fits_and_asks_for_nothing(open_page, files, ndim, width):
    page = open_page(ndim, width)
    assert page.complaints() == []
    assert page.requests() == [files[ndim]]
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run("document.querySelectorAll('.plane').length") == {2: 1, 3: 3}[ndim]
    # No element sticks out of the page, but inside a box that scrolls; no text is tiny.
    sticking = page.run(
        "[...document.querySelectorAll('main *, header *')].filter(e => "
        "e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"
    )
    assert sticking == []
    scrolling = (
        "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth)"
    )
    assert page.run(f"{scrolling}.length") == 0
    sizes = "[...document.querySelectorAll('main *')].map(e => getComputedStyle(e).fontSize)"
    assert page.run(f"Math.min(...{sizes}.map(parseFloat))") >= 13


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("width", [1280, 400])
def test_physical_proportions(open_page, answers, ndim, width):
    page = open_page(ndim, width)
    extent = answers[ndim].fixed.geometry.extent
    pairs = [(0, 1), (0, 2), (1, 2)] if ndim == 3 else [(0, 1)]
    shown = page.run(
        "[...document.querySelectorAll('.plane')].map(p => [...p.querySelectorAll('canvas')]"
        ".map(c => c.clientWidth / c.clientHeight))"
    )
    for ratios, (across, down) in zip(shown, pairs, strict=True):
        assert ratios == pytest.approx([extent[across] / extent[down]] * 5, rel=0.03)


def test_the_slider_moves_by_mouse(open_page, answers):
    page = open_page(2)
    first = picture(page, COMPARE)
    left, top, width, height = page.box(COMPARE)
    middle = (left + width / 2, top + height / 2)
    page.drag(middle, (left + width * 0.8, middle[1]))
    assert float(value(page, WIPE)) == pytest.approx(80, abs=2)
    second = picture(page, COMPARE)
    changed = (first != second).any(axis=(0, 2)).nonzero()[0] / first.shape[1]
    assert changed.min() > 0.45 and changed.max() < 0.85 and len(changed) > 20
    # All the way to either side: the whole of one image.
    page.drag((left + width * 0.8, middle[1]), (left + width - 1, middle[1]))
    before = picture(page, COMPARE)[:, : int(0.9 * width), 0].astype("float64")
    page.drag((left + width - 1, middle[1]), (left + 1, middle[1]))
    after = picture(page, COMPARE)[:, int(0.1 * width) :, 0].astype("float64")
    moving = answers[2].initial.apply(answers[2].moving, answers[2].fixed.geometry)
    pair = moving.array, answers[2].moved.array
    assert likeness(before, pair[0][:, :43]) > max(0.9, likeness(before, pair[1][:, :43]))
    assert likeness(after, pair[1][:, 5:]) > max(0.9, likeness(after, pair[0][:, 5:]))


def likeness(shown, image):
    """Correlation of what the page shows with an image, on the grid of the image."""
    rows, columns = image.shape
    steps = (shown.shape[1] / columns, shown.shape[0] / rows)
    starts = tuple(step / 2 - 0.5 for step in steps)
    small = sitk.Resample(
        sitk.GetImageFromArray(shown), (columns, rows), sitk.Transform(), sitk.sitkLinear,
        starts, steps,
    )  # fmt: skip
    return np.corrcoef(sitk.GetArrayFromImage(small).ravel(), image.ravel())[0, 1]


def test_the_slider_moves_by_keyboard(open_page):
    page = open_page(3)
    first = picture(page, COMPARE)
    page.run(f"document.querySelector('{WIPE}').focus()")
    page.press("ArrowRight", 39, times=9)
    assert value(page, WIPE) == "59"
    second = picture(page, COMPARE)
    assert (first != second).any()
    page.press("Home", 36)
    assert value(page, WIPE) == "0"
    assert (second != picture(page, COMPARE)).any()
    label = page.run(f"document.querySelector('{COMPARE}').getAttribute('aria-label')")
    assert "before on the left 0 %" in label and "axial slice" in label


def test_the_tab_key_reaches_every_control_in_order(open_page):
    page = open_page(3)
    seen = []
    for _ in range(9):
        page.press("Tab", 9)
        seen.append(page.run("document.activeElement.className || document.activeElement.name"))
    assert seen[:8] == ["compare", "view", *["wipe", "slice"] * 3]
    outline = "getComputedStyle(document.querySelector('.frame:has(.wipe)')).outlineStyle"
    page.run(f"document.querySelector('{WIPE}').focus({{focusVisible: true}})")
    assert page.run(outline) == "solid"


def test_slices(open_page):
    page = open_page(3)
    names = [
        f".plane canvas.{name}" for name in ("compare", "difference-after", "grid", "jacobian")
    ]
    first = [picture(page, name) for name in names]
    said = page.run("document.querySelector('.plane output').textContent")
    page.run("document.querySelector('.plane input.slice').focus()")
    page.press("ArrowLeft", 37, times=2)
    assert page.run("document.querySelector('.plane output').textContent") != said
    for name, image in zip(names, first, strict=True):
        assert (picture(page, name) != image).any(), name


def test_checkerboard_and_what_is_compared(open_page):
    page = open_page(2)
    slider = picture(page, COMPARE)
    page.run("document.querySelector('input[value=checkerboard]').click()")
    page.settle()
    checkers = picture(page, COMPARE)
    assert (slider != checkers).any()
    assert page.run(f"document.querySelector('{WIPE}').disabled")
    page.run("document.querySelector('input[value=fixed-before]').click()")
    page.settle()
    assert (picture(page, COMPARE) != checkers).any()
    page.run("document.querySelector('input[value=slider]').click()")
    page.settle()
    assert not page.run(f"document.querySelector('{WIPE}').disabled")
    assert page.complaints() == []


def test_every_control_and_picture_has_a_name(open_page):
    page = open_page(3)
    tree = page.send("Accessibility.getFullAXTree")["nodes"]
    for role in ("slider", "radio", "image", "img", "table", "heading"):
        for node in tree:
            if node.get("role", {}).get("value") == role and role != "table":
                assert node.get("name", {}).get("value"), node
    sliders = [n for n in tree if n.get("role", {}).get("value") == "slider"]
    assert len(sliders) == 6 and len({n["name"]["value"] for n in sliders}) == 6


def test_a_narrower_window_redraws(open_page):
    page = open_page(2)
    wide = picture(page, COMPARE).shape
    page.resize(400)
    page.wait(f"document.querySelector('{COMPARE}').width < 400")
    assert picture(page, COMPARE).shape[1] < wide[1]
    assert page.run("document.documentElement.scrollWidth") <= 400
