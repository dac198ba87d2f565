import numpy as np
import pytest

from tfreg.report import stack


@pytest.fixture
def cuts(rng):
    found = stack.Cuts()
    sections = rng.integers(0, 255, (4, 20, 30)).astype("uint8")
    shift = np.zeros((20, 30, 2))
    for k, section in enumerate(sections):
        displacement = shift.copy()
        displacement[..., 1] = 2.0 * k
        displacement[5:15, :, 0] = 1.0  # half of the rows: 0.5 px about their mean
        found.add(f"<s{k}>", section, sections[0], displacement)
    return found, sections


def test_cuts_hold_the_middle_of_each_section_and_what_it_was_moved_by(cuts):
    found, sections = cuts
    np.testing.assert_array_equal(np.stack(found.xz["before"]), sections[:, 10])
    np.testing.assert_array_equal(np.stack(found.yz["before"]), sections[:, :, 15])
    np.testing.assert_array_equal(np.stack(found.yz["after"])[2], sections[0, :, 15])
    assert found.shift == [(0.5, 2.0 * k) for k in range(4)]
    assert found.bend == pytest.approx([0.5] * 4)
    assert found.ncc["after"] == pytest.approx([1.0] * 3)
    expected = np.corrcoef(sections[0].ravel(), sections[1].ravel())[0, 1]
    assert found.ncc["before"][0] == pytest.approx(expected, abs=1e-5)


def test_what_lies_beyond_a_section_does_not_count(rng):
    found, image = stack.Cuts(), rng.random((20, 30))
    away = np.zeros((20, 30, 2))
    away[..., 1] = 10.0
    moved = np.zeros_like(image)
    moved[:, :20] = image[:, :20]
    found.add("a", image, image, 0 * away)
    found.add("b", image, moved, away)
    assert found.ncc["after"][0] == pytest.approx(1.0)


def test_the_page_holds_everything_and_requests_nothing(cuts):
    page = stack.html(cuts[0], "A & B", [("model", "none")])
    assert page.count('src="data:image/png;base64,') == 4
    assert "A &amp; B" in page and "&lt;s2&gt;" in page and "<s2>" not in page
    assert "<td>0.5, 6.0</td>" in page and 'scope="row">model</th><td>none' in page
    assert "http://" not in page and "https://" not in page and "<script" not in page
