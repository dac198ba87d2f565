import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift
from shipped import DIGITS, VOLUMES

from tfreg import io, transforms


@pytest.fixture
def sections(tmp_path):
    """Three files of one texture, each shifted to another place."""
    texture = gaussian_filter(np.random.default_rng(1).normal(size=(64, 80)), 2.0)
    texture = (120 + 60 * texture / texture.std()).clip(0, 255)
    paths = [tmp_path / f"section {k}.png" for k in range(3)]
    for path, by in zip(paths, ((0, 0), (6, -4), (-3, 5)), strict=True):
        io.write_png(path, shift(texture, by, order=1, mode="nearest"), 0, 255)
    return paths


def test_a_stack_is_aligned_and_goes_on(sections, tfreg, tmp_path):
    out = tmp_path / "out"
    words = ("align", *sections, "-o", out, "--drift", "keep", "--neighbours", "1")
    answer = tfreg(*words)
    assert answer.code == 0, answer.err
    assert answer.out.startswith("NCC of neighbours ") and "3 sections written to" in answer.out
    names = [path.stem for path in sections]
    assert sorted(p.name for p in (out / "sections").iterdir()) == [f"{n}.png" for n in names]
    record = json.loads((out / "alignment.json").read_text())
    assert min(record["ncc_after"]) > 0.85 > max(record["ncc_before"])
    moved = io.read_image(out / "sections" / "section 1.png")
    transform = transforms.load(out / "transforms" / "section 1.nii.gz")
    original = io.read(sections[1])
    expected = transform.apply(original, original.geometry, fill=0).array
    assert np.abs(moved.astype(float) - expected)[8:-8, 8:-8].max() <= 1
    page = (out / "report.html").read_text()
    assert page.count("data:image/png") == 4 and "section 1" in page and "http:" not in page
    before = {path: path.stat().st_mtime_ns for path in (out / "pairs").iterdir()}
    assert len([p for p in before if p.name.startswith("pair-")]) == 2
    assert tfreg(*words[:-1], "2").code == 0
    again = {p: p.stat().st_mtime_ns for p in before if p.suffix == ".npz"}
    assert again == {p: t for p, t in before.items() if p.suffix == ".npz"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--drift", "slowly"), "--drift must be a number of sections, or keep. Received: slowly"),
        (("--neighbours", "0"), "neighbours must be a positive integer"),
        (("--degrees", "-5"), "degrees have no effect without start='rigid'"),
        (("--drift", "inf"), "drift must be positive, or None. Received: drift=inf"),
        (("-m", VOLUMES), f"Sections are 2-D, and this network is not. Received: {VOLUMES}"),
        (
            ("--finest", "20"),
            "one of [128.0, 64.0, 32.0, 16.0]. Received: finest=20",
        ),
        (("-m", DIGITS, "--finest", "16"), f"no effect with a preset. Received: 16 and {DIGITS}"),
        (("-m", "none-such"), "There is no preset of this name"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(sections, tfreg, tmp_path, words, message):
    answer = tfreg("align", *sections, "-o", tmp_path / "out", *words)
    assert answer.code == 2 and message in answer.err and answer.err.count("\n") == 1


def test_a_stack_is_aligned_by_a_preset(sections, tfreg, tmp_path):
    numbered = [path.rename(tmp_path / f"stack.{k}.png") for k, path in enumerate(sections)]
    out = tmp_path / "out"
    words = ("--start", "rigid", "--degrees", "2", "--drift", "keep", "--neighbours", "1")
    answer = tfreg("align", *numbered, "-o", out, "-m", DIGITS, *words)
    assert answer.code == 0, answer.err
    record = json.loads((out / "alignment.json").read_text())
    assert record["model"] == DIGITS and record["degrees"] == 2 and record["start"] == "rigid"
    assert record["sections"] == [f"stack.{k}" for k in range(3)]
    again = tfreg("align", *numbered, "-o", out, *words)
    assert again.code == 2 and "holds an alignment with another" in again.err


def test_colours_and_sixteen_bits_keep_a_format_that_others_read(sections, tfreg, tmp_path):
    import SimpleITK as sitk

    grey = [io.read_image(path) for path in sections[:2]]
    colours = np.stack([grey[0], grey[0], grey[0] // 2], axis=-1)
    for name, array in (("a.png", colours), ("b.png", 256 * grey[1].astype("uint16"))):
        image = sitk.GetImageFromArray(array, isVector=array.ndim == 3)
        sitk.WriteImage(image, str(tmp_path / name))
    out = tmp_path / "out"
    answer = tfreg("align", tmp_path / "a.png", tmp_path / "b.png", "-o", out, "--drift", "keep")
    assert answer.code == 0, answer.err
    written = {path.name: io.read_image(path) for path in (out / "sections").iterdir()}
    assert written["a.tiff"].dtype == np.float32 and written["b.png"].dtype == np.uint16
    inner = (slice(10, -10),) * 2
    alike = np.corrcoef(written["a.tiff"][inner].ravel(), written["b.png"][inner].ravel())[0, 1]
    assert alike > 0.9


def test_results_are_not_written_over_the_sections(sections, tfreg, tmp_path):
    answer = tfreg("align", *sections, "-o", tmp_path)
    assert answer.code == 0, answer.err
    written = sorted((tmp_path / "sections").iterdir())
    answer = tfreg("align", *written, "-o", tmp_path)
    assert answer.code == 2 and "Results would be written over the sections" in answer.err


def test_sections_of_one_name_are_refused(sections, tfreg, tmp_path):
    answer = tfreg("align", *sections, sections[1], "-o", tmp_path / "out")
    assert answer.code == 2 and "Received twice: section 1" in answer.err
